"""A contract just large enough to test engines: a note that its own key signs, and a visit that names a pseudonym."""

import os

import msgspec

from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.engines.base import Founding
from salus.ledger.comet.types import Validator
from salus.ledger.contract import Context, Contract, Rejected
from salus.ledger.identifiers import CountField, Pseudonym, PublicKey, PublicKeyField, SecondsField
from salus.ledger.outcomes import DENIED, Leaf, Outcome, PatientOutcome
from salus.ledger.state import Overlay
from salus.ledger.transactions import Message, PatientMessage, sign

CHAIN = "toy-1"
CONTRACT = Contract("toy", 1)
UNLUCKY = 113
"""The rejection of number 13."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A note's row."""

    number: int
    expires_at_s: int


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a note is in the log."""

    leaf: int


NOTES = CONTRACT.table("notes", Entry, expires_at_s=lambda entry: entry.expires_at_s)
PLACES = CONTRACT.index("places", Place)


class Note(Message, frozen=True, array_like=True, tag=101):
    """Writes one proved row."""

    key: PublicKeyField
    number: CountField
    expires_at_s: SecondsField


class Visit(PatientMessage, frozen=True, array_like=True, tag=102):
    """Counts in a history; number 7 is denied."""

    key: PublicKeyField
    number: CountField


class NoteWritten(Outcome, frozen=True, array_like=True, tag=101):
    """The row is there."""

    number: CountField


class VisitNoted(PatientOutcome, frozen=True, array_like=True, tag=102):
    """The visit counts."""

    number: CountField

    @property
    def code(self) -> int:
        """Seven is refused, and that is a decision."""
        return DENIED if self.number == 7 else 0


@CONTRACT.handles(Note, NoteWritten)
def note(context: Context, message: Note) -> NoteWritten:
    """Reject 13; else write the row."""
    context.signed_by([message.key], who="the note's key")
    if message.number == 13:
        raise Rejected(UNLUCKY, "expected another number, came 13: choose one")
    NOTES.put(context, (message.key, message.number), Entry(message.number, message.expires_at_s))
    return NoteWritten(message.number)


@CONTRACT.handles(Visit, VisitNoted)
def visit(context: Context, message: Visit) -> VisitNoted:
    """Write nothing of its own: the machine keeps the history."""
    context.signed_by([message.key], who="the visit's key")
    return VisitNoted(message.pseudonym, message.number)


@CONTRACT.fold(NoteWritten)
def remember(overlay: Overlay, position: int, _leaf: Leaf, outcome: NoteWritten) -> None:
    """Index the newest leaf of each number."""
    PLACES.put(overlay, outcome.number, Place(position))


KEY = SigningKey.from_seed(sha256(b"toy key"))
CONSENSUS_KEY = SigningKey.from_seed(sha256(b"toy consensus"))
FOREVER_S = 1 << 39


def founding(chain: str = CHAIN, time_s: int = 1_700_000_000, *, validators: tuple[Validator, ...] = ()) -> Founding:
    """A toy ledger's founding, with one first row."""
    owner = (PublicKey(KEY.public), 0)
    rows = ((CONTRACT, NOTES, owner, Entry(0, FOREVER_S)),)
    return Founding(chain, (CONTRACT,), time_s, rows, validators=validators)


def notes(
    *numbers: int, time_s: int, key: SigningKey = KEY, expires_at_s: int = FOREVER_S, nonce: bytes = b""
) -> bytes:
    """A signed transaction with one note per number."""
    messages = [Note(PublicKey(key.public), number, expires_at_s) for number in numbers]
    return sign(messages, chain=CHAIN, keys=[key], expires_at_s=time_s + 300, nonce=nonce or os.urandom(16))


def visits(pseudonym: bytes, *numbers: int, time_s: int, key: SigningKey = KEY) -> bytes:
    """A signed transaction with one visit per number."""
    messages = [Visit(Pseudonym(pseudonym), PublicKey(key.public), number) for number in numbers]
    return sign(messages, chain=CHAIN, keys=[key], expires_at_s=time_s + 300, nonce=os.urandom(16))
