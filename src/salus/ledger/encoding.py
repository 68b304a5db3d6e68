"""One encoding for everything signed or hashed: MessagePack, array-like, and only its one canonical form (DESIGN §4).

Bytes are accepted only if they re-encode to themselves, so two different byte strings never mean the same thing.
Values are integers, bytes, NFC strings, arrays and booleans: no floats, no maps, no nil.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from salus.crypto.signing import LibraryUnfit

_ENCODER = msgspec.msgpack.Encoder()
encode = _ENCODER.encode
"""encode(value) -> bytes: the canonical bytes of a value."""


_UNICODE = unicodedata.ucd_3_2_0
"""A table that is the same in every Python (L1) for what Unicode 3.2 has; see `_parts` for what it has not."""
_UNASSIGNED = "Cn"


class _Sample(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=101):
    number: int
    parts: tuple[bytes, ...]


KNOWN_ANSWERS: tuple[tuple[object, str], ...] = (
    (0, "00"),
    (127, "7f"),
    (128, "cc80"),
    (256, "cd0100"),
    (1 << 16, "ce00010000"),
    (1 << 32, "cf0000000100000000"),
    (False, "c2"),
    (True, "c3"),
    (b"", "c400"),
    (bytes(255), "c4ff" + 255 * "00"),
    (bytes(256), "c50100" + 256 * "00"),
    ("", "a0"),
    ("é", "a2c3a9"),
    ("x" * 32, "d920" + 32 * "78"),
    ((1,) * 15, "9f" + 15 * "01"),
    ((1,) * 16, "dc0010" + 16 * "01"),
    (_Sample(5, (b"a", b"")), "93650592c40161c400"),
)
"""Values and their one encoding: what every hash and signature of the network rests on."""

KNOWN_REFUSALS: tuple[tuple[type, str], ...] = (
    (int, "cc7f"),  # longer than need be
    (int, "0000"),  # more than one value
    (int, "cb3ff0000000000000"),  # a float
    (int, "c3"),
    (bytes, "a161"),
    (bytes, "c0"),
    (str, "a365cc81"),  # not NFC
    (str, "a1ff"),  # not UTF-8
    (_Sample, "94650592c40161c40000"),  # a field too many
    (_Sample, "92650592"),
    (_Sample, "93660592c40161c400"),  # another tag
)
"""Types and bytes that must be refused as that type."""


class EncodingInvalid(Exception):
    """The bytes are not the canonical encoding of the expected type."""


class Decoder(msgspec.Struct, frozen=True):
    """A strict decoder for one type; see `decoder`."""

    inner: Any

    def decode(self, data: bytes) -> Any:
        """Decode canonical bytes.

        Raises EncodingInvalid for bytes of another shape, out of bounds, not canonical, or with text that is not NFC.
        """
        try:
            value = self.inner.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:  # msgspec lets the second pass through
            raise EncodingInvalid(f"expected canonical MessagePack of the message's type: {error}") from error
        if encode(value) != data:
            raise EncodingInvalid("expected the canonical encoding: these bytes re-encode to others")
        if not data.isascii() and not _text_is_nfc(value):
            raise EncodingInvalid("expected text in Unicode NFC")
        return value


def decoder(expected: Any) -> Decoder:
    """Return a strict decoder for a msgspec type (a Struct, a union of tagged Structs, a tuple type …)."""
    return Decoder(msgspec.msgpack.Decoder(expected))


def self_test() -> None:
    """Run at start: msgspec encodes and refuses as the network relies on, whatever its version.

    Raises:
        LibraryUnfit: names the first case that is answered differently.
    """
    for value, encoded in KNOWN_ANSWERS:
        data = bytes.fromhex(encoded)
        if encode(value) != data or decoder(type(value)).decode(data) != value:
            raise LibraryUnfit(f"msgspec encodes {encoded[:16]} differently: use a version in the lock file")
    for kind, encoded in KNOWN_REFUSALS:
        if _accepts(decoder(kind), bytes.fromhex(encoded)):
            raise LibraryUnfit(f"msgspec accepts {encoded[:16]}: use a version in the lock file")


def _accepts(strict: Decoder, data: bytes) -> bool:
    try:
        strict.decode(data)
    except EncodingInvalid:
        return False
    return True


def _text_is_nfc(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() or _is_nfc(value)
    if isinstance(value, msgspec.Struct):
        for name in _text_fields(type(value)):  # a loop: this runs for every transaction, and `all` is slower
            if not _text_is_nfc(getattr(value, name)):
                return False
    elif isinstance(value, tuple | list):
        return all(_text_is_nfc(item) for item in value)
    return True


def in_nfc(text: str) -> str:
    """Return text that came from outside in the form that `decoder` asks for."""
    return text if text.isascii() else "".join(_UNICODE.normalize("NFC", part) + after for part, after in _parts(text))


def _is_nfc(text: str) -> bool:
    return all(_UNICODE.is_normalized("NFC", part) for part, _ in _parts(text))


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Part a text at each character that Unicode 3.2 does not have; yield what is between, and that character."""
    # Python sorts marks that came after Unicode 3.2 by its newest table, even when it is asked for that of 3.2. Each
    # character that 3.2 does not have stands for itself, and parts the text; what is between is the same everywhere.
    start = 0
    for place, character in enumerate(text):
        if _UNICODE.category(character) == _UNASSIGNED:
            yield text[start:place], character
            start = place + 1
    yield text[start:], ""


@cache
def _text_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    # Most structs hold only bytes and numbers: which fields can hold text is known from the types, once.
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return tuple(field.name for field in info.fields if _holds_text(field.type, (kind,)))


def _holds_text(kind: inspect.Type, around: tuple[type, ...]) -> bool:
    match kind:
        case inspect.StrType() | inspect.AnyType():
            return True
        case inspect.StructType():
            inside = (*around, kind.cls)
            return kind.cls not in around and any(_holds_text(field.type, inside) for field in kind.fields)
        case inspect.UnionType():
            return any(_holds_text(each, around) for each in kind.types)
        case inspect.TupleType():
            return any(_holds_text(each, around) for each in kind.item_types)
        case inspect.VarTupleType() | inspect.ListType():
            return _holds_text(kind.item_type, around)
    return False
