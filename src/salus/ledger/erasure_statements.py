"""Statements of erasure: what a holder signs about what it kept under a pseudonym that was erased (P5).

The statement names one tombstone by chain, pseudonym and height, so that none can stand for another erasure.
"""

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.crypto.signing import SigningKey, verify_tagged
from salus.ledger.encoding import encode
from salus.ledger.identifiers import CountField, OrganisationIdField, PseudonymField, SecondsField, SignatureField

FORMAT = 1
TAG = "salus/erasure-statement/1"


class Conclusion(IntEnum):
    """What became of what a holder kept."""

    ERASED = 1
    NOTHING_HELD = 2
    STILL_HELD = 3


class ErasureStatement(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one holder says of one erasure.

    Args:
        height: of the block that has the tombstone.
        at_s: when it was said; what is said to be erased was erased by then.
        until_s: when to ask again, of what is still held; else 0.
    """

    format: int
    chain: Annotated[str, Meta(min_length=1, max_length=50)]
    pseudonym: PseudonymField
    height: CountField
    holder: OrganisationIdField
    at_s: SecondsField
    conclusion: Conclusion
    until_s: SecondsField


class SignedStatement(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A statement with the holder's signature, by its key registered for receipts."""

    statement: ErasureStatement
    signature: SignatureField


def sign(statement: ErasureStatement, key: SigningKey) -> SignedStatement:
    """Return a statement signed by its holder."""
    return SignedStatement(statement, key.sign_tagged(TAG, encode(statement)))


def verify(signed: SignedStatement, key: bytes) -> None:
    """Check the holder's signature. Raises SignatureInvalid."""
    verify_tagged(key, TAG, encode(signed.statement), signed.signature)
