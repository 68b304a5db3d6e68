"""Transactions: what organisations and people sign, and the bytes that carry it.

A transaction is the array [body, signatures]; its hash is SHA-256 of the body, so the same body again is the same
transaction whoever carries it. Bytes that do not decode, or whose signatures fail, are *not transactions*: they are
refused before the rules are asked and leave nothing behind (DESIGN §4).
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.crypto.hashing import sha256
from salus.crypto.signing import SignatureInvalid, SigningKey, verify_tagged
from salus.ledger.encoding import Decoder, EncodingInvalid, decoder, encode
from salus.ledger.identifiers import (
    Digest,
    NonceField,
    PseudonymField,
    PublicKey,
    PublicKeyField,
    SecondsField,
    SignatureField,
)

FORMAT = 1
SIGNING_TAG = "salus/transaction/1"
SIZE_BYTES_MAX = 64 * 1024
MESSAGES_MAX = 256
SIGNERS_MAX = 16
EXPIRY_AHEAD_S_MAX = 600


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a transaction asks. Each subclass has a permanent tag: contract number × 100 + its place in the contract."""


class PatientMessage(Message, frozen=True, array_like=True):
    """A message that names one pseudonym: it counts in that pseudonym's history (L5)."""

    pseudonym: PseudonymField


class Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is signed. Time in seconds of the block; messages are still encoded, each in canonical form."""

    format: int
    chain: Annotated[str, Meta(min_length=1, max_length=50)]
    signers: Annotated[tuple[PublicKeyField, ...], Meta(min_length=1, max_length=SIGNERS_MAX)]
    expires_at_s: SecondsField
    nonce: NonceField
    messages: Annotated[tuple[msgspec.Raw, ...], Meta(min_length=1, max_length=MESSAGES_MAX)]


class _Envelope(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    body: bytes
    signatures: tuple[SignatureField, ...]


class NotATransaction(Exception):
    """The bytes are no transaction of this chain: refused, without a leaf and without a seen-entry."""


class Transaction(msgspec.Struct, frozen=True):
    """A decoded transaction. `verify` its signatures before it is executed.

    Args:
        hash: SHA-256 of the body's bytes.
        raw: the bytes as they travelled.
    """

    hash: Digest
    raw: bytes
    body_bytes: bytes
    body: Body
    messages: tuple[Message, ...]
    signatures: tuple[bytes, ...]


_ENVELOPE = decoder(_Envelope)
_BODY = decoder(Body)


def decode(raw: bytes, *, chain: str, messages: Decoder) -> Transaction:
    """Parse a transaction's bytes; signatures are not checked here.

    Args:
        raw: at most 64 kB.
        chain: the chain id that the body must name.
        messages: decoder of the union of all message types.

    Raises:
        NotATransaction: anything but one canonical transaction for this chain.
    """
    if len(raw) > SIZE_BYTES_MAX:
        raise NotATransaction(f"expected at most {SIZE_BYTES_MAX} bytes, came {len(raw)}: split the messages")
    try:
        envelope: _Envelope = _ENVELOPE.decode(raw)
        body: Body = _BODY.decode(envelope.body)
        asked = tuple(messages.decode(bytes(message)) for message in body.messages)
    except EncodingInvalid as error:
        raise NotATransaction(str(error)) from error
    _check_body(body, envelope, chain)
    return Transaction(
        hash=Digest(sha256(envelope.body)),
        raw=raw,
        body_bytes=envelope.body,
        body=body,
        messages=asked,
        signatures=envelope.signatures,
    )


def _check_body(body: Body, envelope: _Envelope, chain: str) -> None:
    if body.format != FORMAT:
        raise NotATransaction(f"expected transaction format {FORMAT}, came {body.format}: use a matching release")
    if body.chain != chain:
        raise NotATransaction(f"expected chain {chain}, came {body.chain}: sign for the chain you submit to")
    if len(envelope.signatures) != len(body.signers):
        raise NotATransaction(f"expected {len(body.signers)} signatures, came {len(envelope.signatures)}")
    if len(set(body.signers)) != len(body.signers):
        raise NotATransaction("expected each signer once")


def verify(transaction: Transaction) -> None:
    """Check every signature, in the order of the signers. Raises NotATransaction when one fails."""
    for signer, signature in zip(transaction.body.signers, transaction.signatures, strict=True):
        try:
            verify_tagged(signer, SIGNING_TAG, transaction.body_bytes, signature)
        except SignatureInvalid as error:
            raise NotATransaction(f"expected a signature by {signer.hex()[:16]}…: it does not verify") from error


def check_expiry(transaction: Transaction, *, time_s: int) -> None:
    """Raise NotATransaction when the body has expired at the block's time, or reaches too far ahead."""
    expires_at_s = transaction.body.expires_at_s
    if expires_at_s <= time_s:
        raise NotATransaction(f"transaction expired at {expires_at_s}, block time is {time_s}: sign it again")
    if expires_at_s > time_s + EXPIRY_AHEAD_S_MAX:
        raise NotATransaction(f"expected expiry within {EXPIRY_AHEAD_S_MAX} s of {time_s}, came {expires_at_s}")


def sign(
    messages: Sequence[Message], *, chain: str, keys: Sequence[SigningKey], expires_at_s: int, nonce: bytes
) -> bytes:
    """Return the bytes of a signed transaction.

    Args:
        messages: 1 to 256, executed in this order, all or nothing (L4).
        keys: in the order in which the messages first need them.
        expires_at_s: block seconds, at most 600 ahead.
        nonce: 16 random bytes, given by the caller: this ring knows no chance.
    """
    body = unsigned(
        messages,
        chain=chain,
        signers=tuple(PublicKey(key.public) for key in keys),
        expires_at_s=expires_at_s,
        nonce=nonce,
    )
    return assemble(body, tuple(sign_body(body, key) for key in keys))


def unsigned(
    messages: Sequence[Message], *, chain: str, signers: Sequence[PublicKey], expires_at_s: int, nonce: bytes
) -> bytes:
    """Return the bytes of a body, for signers that do not sit in one place; see `sign`."""
    return encode(
        Body(
            format=FORMAT,
            chain=chain,
            signers=tuple(signers),
            expires_at_s=expires_at_s,
            nonce=nonce,
            messages=tuple(msgspec.Raw(encode(message)) for message in messages),
        )
    )


def sign_body(body: bytes, key: SigningKey) -> bytes:
    """Return one signer's signature of a body."""
    return key.sign_tagged(SIGNING_TAG, body)


def assemble(body: bytes, signatures: Sequence[bytes]) -> bytes:
    """Return the bytes of a transaction, from its body and the signatures in the order of its signers."""
    return encode(_Envelope(body=body, signatures=tuple(signatures)))


def transaction_hash(raw: bytes) -> Digest:
    """Return the hash of a transaction's bytes. Raises NotATransaction when they are no envelope."""
    try:
        return Digest(sha256(_ENVELOPE.decode(raw).body))
    except EncodingInvalid as error:
        raise NotATransaction(str(error)) from error
