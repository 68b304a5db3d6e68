"""Which bytes are a transaction (docs/spec/machine.md, Transaction)."""

from dataclasses import dataclass
from typing import Any, Final

from salus.crypto.signing import SignatureInvalid, verify_tagged
from salus.testing.auditor.canonical import NotCanonical, decode
from salus.testing.auditor.hashes import sha256
from salus.testing.auditor.shapes import ID, SECONDS, Message, ShapeUnfit, array, integer, message_of, size, struct

SIZE_BYTES_MAX: Final = 65_536
AHEAD_S_MAX: Final = 600
TAG: Final = "salus/transaction/1"

_ENVELOPE = struct(size(0, SIZE_BYTES_MAX), array(size(64, 64)))
_BODY = struct(
    integer(0, (1 << 64) - 1),
    lambda value: type(value) is str and 1 <= len(value) <= 50,
    array(size(32, 32), 1, 16),
    SECONDS,
    ID,
    array(lambda _value: True, 1, 256),
)


class NotATransaction(Exception):
    """These bytes leave nothing behind."""


@dataclass(frozen=True)
class Transaction:
    """A transaction, decoded; its signatures hold."""

    hash: bytes
    signers: list[bytes]
    expires_at_s: int
    messages: list[Message]


def parse(raw: bytes, *, chain: str) -> Transaction:
    """Return a transaction; everything but its expiry is checked. Raises NotATransaction."""
    if len(raw) > SIZE_BYTES_MAX:
        raise NotATransaction(f"{len(raw)} bytes")
    body, signatures = _decode(raw, _ENVELOPE)
    kind, body_chain, signers, expires_at_s, _nonce, messages = _decode(body, _BODY)
    if kind != 1 or body_chain != chain:
        raise NotATransaction("another format or chain")
    if len(signatures) != len(signers) or len(set(signers)) != len(signers):
        raise NotATransaction("signers and signatures do not fit")
    try:
        heard = [message_of(message) for message in messages]
        for signer, signature in zip(signers, signatures, strict=True):
            verify_tagged(signer, TAG, body, signature)
    except (ShapeUnfit, SignatureInvalid) as error:
        raise NotATransaction(str(error)) from error
    return Transaction(sha256(body), signers, expires_at_s, heard)


def is_in_time(transaction: Transaction, time_s: int) -> bool:
    """Tell whether a transaction that was not executed before may be, in a block of this time."""
    return time_s < transaction.expires_at_s <= time_s + AHEAD_S_MAX


def _decode(data: bytes, fits: Any) -> Any:
    try:
        value = decode(data)
    except NotCanonical as error:
        raise NotATransaction(str(error)) from error
    if not fits(value):
        raise NotATransaction("another shape")
    return value
