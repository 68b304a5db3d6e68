"""How an exchanged file is written: indented JSON that a person can read, signed over its canonical encoding.

A file is read strictly: each field once, in the order of the format, and nothing else, so that a person never reads
another file than the program does.
"""

from pathlib import Path
from typing import TypeVar

import msgspec

from salus.crypto.signing import SignatureInvalid, SigningKey, verify_tagged
from salus.ledger.encoding import encode
from salus.node.config import SettingsUnfit

FILE_BYTES_MAX = 4 << 20
FINGERPRINT_BYTES = 16
"""So many that nobody can prepare two different files which people would take for the same one."""


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file with a signature over everything else in it."""

    signature: bytes = b""


F = TypeVar("F", bound=msgspec.Struct)
S = TypeVar("S", bound=Signed)


def sign(file: S, tag: str, key: SigningKey) -> S:
    """Return the file with its signature."""
    return msgspec.structs.replace(file, signature=key.sign_tagged(tag, _content(file)))


def verify(file: Signed, tag: str, public_key: bytes, *, who: str) -> None:
    """Raise SettingsUnfit unless the owner of the key signed the file as it is.

    Args:
        who: the owner, for the message.
    """
    try:
        verify_tagged(public_key, tag, _content(file), file.signature)
    except SignatureInvalid as error:
        raise SettingsUnfit(f"expected a file signed by {who}, it was altered: ask {who} for it again") from error


def to_bytes(file: msgspec.Struct) -> bytes:
    """Return the file's bytes, with one line end at its end."""
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def from_bytes(data: bytes, kind: type[F], *, what: str) -> F:
    """Parse a file. Raises SettingsUnfit.

    Args:
        what: the kind of file, for the message.
    """
    again = f"ask for {what} again"
    if len(data) > FILE_BYTES_MAX:
        raise SettingsUnfit(f"expected {what} of at most {FILE_BYTES_MAX} bytes, came {len(data)}: {again}")
    try:
        file = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsUnfit(f"expected {what}, this is none ({error}): {again}") from error
    if msgspec.json.format(data, indent=-1) != msgspec.json.encode(file):
        raise SettingsUnfit(f"expected each field once, in the order of the format: {again}")
    return file


def write_new(path: Path, data: bytes) -> None:
    """Write a file that others may read. Raises FileExistsError rather than replace one."""
    with path.open("xb") as file:
        file.write(data)


def fingerprint(digest: bytes) -> str:
    """Return what people read to each other over the telephone: eight groups of four."""
    text = digest[:FINGERPRINT_BYTES].hex()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def _content(file: Signed) -> bytes:
    plain = msgspec.structs.asdict(msgspec.structs.replace(file, signature=b""))
    return encode(tuple(plain.values()))
