"""Outcomes: what the ledger answered, one leaf of the log for each message (DESIGN §4).

*Done* and *denied* are decisions that took effect; *rejected* means that the transaction changed nothing. A repeat of a
transaction gets its stored outcome and leaves no leaf.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from salus.ledger.encoding import decoder, encode
from salus.ledger.identifiers import CountField, DigestField, Pseudonym, PseudonymField, SecondsField

DONE = 0
DENIED = 1
NOT_A_TRANSACTION = 2
"""Result code only: such bytes leave no leaf."""


class Outcome(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a handler reports; its tag is the tag of the message that it answers."""

    @property
    def code(self) -> int:
        """DONE, unless the outcome is a refusal that took effect."""
        return DONE


class PatientOutcome(Outcome, frozen=True, array_like=True):
    """An outcome that counts in the history of one pseudonym."""

    pseudonym: PseudonymField


class Leaf(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One leaf of the log: the outcome of one message.

    Args:
        time_s: block time in whole seconds.
        index: place of the message in its transaction.
        code: DONE, DENIED, or the permanent number of a rejection.
        data: canonical bytes of the outcome; of a rejection, the encoded tag of the message.
    """

    height: CountField
    time_s: SecondsField
    transaction: DigestField
    index: Annotated[int, Meta(ge=0, lt=256)]
    code: Annotated[int, Meta(ge=0, lt=1 << 16)]
    data: bytes


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """Where a transaction's leaves are: a fold of the log, so that a repeat gets the stored outcome."""

    first_leaf: int
    leaf_count: int


class TransactionResult(msgspec.Struct, frozen=True, array_like=True):
    """What the submitter gets.

    Args:
        code: DONE; DENIED when a message was denied; NOT_A_TRANSACTION; or the number of the first rejection.
        first_leaf: index in the log of the transaction's first leaf; 0 and no leaves when not a transaction.
        leaves: the encoded leaves.
        reason: words for people, never proved.
    """

    code: int
    first_leaf: int
    leaves: tuple[bytes, ...]
    reason: str = ""


_LEAF = decoder(Leaf)


def encode_leaf(leaf: Leaf) -> bytes:
    """Return the bytes whose RFC 9162 leaf hash is in the log."""
    return encode(leaf)


def decode_leaf(data: bytes) -> Leaf:
    """Parse a leaf. Raises EncodingInvalid."""
    leaf: Leaf = _LEAF.decode(data)
    return leaf


def pseudonym_of(outcome: Outcome) -> Pseudonym | None:
    """Return the pseudonym in whose history the outcome counts; None when it names nobody."""
    return outcome.pseudonym if isinstance(outcome, PatientOutcome) else None


def result_code(codes: tuple[int, ...]) -> int:
    """Fold the codes of a transaction's leaves into one: a rejection or denial wins over done."""
    return max(codes, default=NOT_A_TRANSACTION)
