"""Records: batches of index entries under one root, and the exceptions among them.

A chart is one small message. The entries, their order and their paths stay with custodian and patient and travel with
each release; the ledger shows neither class nor label, author or code of a record (P7), nor how many there are, since a
batch is padded with random leaves to a power of four.
"""

from enum import IntEnum

import msgspec

from salus.contracts import membership, patients
from salus.ledger.contract import Context, Contract, Rejected
from salus.ledger.identifiers import (
    CountField,
    Digest,
    DigestField,
    OrganisationIdField,
    Pseudonym,
)
from salus.ledger.outcomes import Leaf, PatientOutcome
from salus.ledger.state import Overlay, Reader
from salus.ledger.transactions import PatientMessage

# State

CONTRACT = Contract("records", 3, below=(membership.CONTRACT, patients.CONTRACT))
BATCH_SIZES = tuple(4**power for power in range(9))


class EntryMark(msgspec.Struct, frozen=True, array_like=True):
    """What has become of one entry. Times in block seconds, 0 for not; `superseded_by` is empty or an entry's hash."""

    verified_at_s: int
    erased_at_s: int
    superseded_by: bytes


class Erasure(msgspec.Struct, frozen=True, array_like=True):
    """The tombstone of a relationship: nothing of it is released any more."""

    erased_at_s: int


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Where a batch's registration is in the log, and the size of its tree."""

    leaf: int
    size: int


MARKS = CONTRACT.table("marks", EntryMark)
ERASURES = CONTRACT.table("erasures", Erasure)
BATCHES = CONTRACT.index("batches", Batch)

NO_MARK = EntryMark(verified_at_s=0, erased_at_s=0, superseded_by=b"")

# Messages; where there is no root, a commitment stands for who exactly acted and why (DESIGN §5.1).


class RegisterBatch(PatientMessage, frozen=True, array_like=True, tag=301):
    """A custodian registers records. Signed by the custodian.

    `root` is the RFC 9162 root over `size` leaves: entries and random padding, 1, 4, 16, 64 … of them.
    """

    custodian: OrganisationIdField
    root: DigestField
    size: CountField


class Verify(PatientMessage, frozen=True, array_like=True, tag=302):
    """The custodian vouches for an entry that the patient contributed. Signed by the custodian."""

    custodian: OrganisationIdField
    entry: DigestField
    commitment: DigestField


class Supersede(PatientMessage, frozen=True, array_like=True, tag=303):
    """A newer entry takes an entry's place. Signed by the custodian."""

    custodian: OrganisationIdField
    entry: DigestField
    by: DigestField
    commitment: DigestField


class MarkErased(PatientMessage, frozen=True, array_like=True, tag=304):
    """One entry's bytes and keys are destroyed. Signed by the custodian."""

    custodian: OrganisationIdField
    entry: DigestField
    commitment: DigestField


class EraseRelationship(PatientMessage, frozen=True, array_like=True, tag=305):
    """All keys and bytes of the relationship are to be destroyed within a key epoch (P5). Signed by the custodian."""

    custodian: OrganisationIdField
    commitment: DigestField


class BatchRegistered(PatientOutcome, frozen=True, array_like=True, tag=301):
    """The batch is in the index."""

    custodian: OrganisationIdField
    root: DigestField
    size: CountField


class Verified(PatientOutcome, frozen=True, array_like=True, tag=302):
    """The entry is vouched for."""

    entry: DigestField
    commitment: DigestField


class Superseded(PatientOutcome, frozen=True, array_like=True, tag=303):
    """The entry has a successor."""

    entry: DigestField
    by: DigestField
    commitment: DigestField


class ErasureMarked(PatientOutcome, frozen=True, array_like=True, tag=304):
    """The entry is gone; whatever is left of it is not released."""

    entry: DigestField
    commitment: DigestField


class RelationshipErased(PatientOutcome, frozen=True, array_like=True, tag=305):
    """The relationship's tombstone stands."""

    custodian: OrganisationIdField
    commitment: DigestField


# Rejections, in order of precedence


class Rejection(IntEnum):
    """Why records says no; that the relationship is unknown, closed or another's, patients says."""

    RELATIONSHIP_ERASED = 301
    BATCH_SIZE_UNFIT = 302
    ENTRY_ERASED = 303
    ENTRY_SUPERSEDED = 304
    SUCCESSOR_UNFIT = 305


# Handlers


@CONTRACT.handles(RegisterBatch, BatchRegistered)
def register_batch(context: Context, message: RegisterBatch) -> BatchRegistered:
    """Take a batch into the index.

    1. The relationship exists and `custodian` is its custodian, else RelationshipUnknown, NotTheCustodian.
    2. Signed by the custodian.
    3. The relationship is open, else RelationshipClosed.
    4. It has no tombstone, else RelationshipErased.
    5. `size` is a power of four, 1 to 65,536, else BatchSizeUnfit.

    Writes no table. The same root again is no fault and changes nothing: the first registration counts.
    """
    patients.require_custodian(context, message.pseudonym, message.custodian)  # 1
    membership.sign_as(context, message.custodian)  # 2
    patients.require_open(context, message.pseudonym)  # 3
    _check_not_erased(context, message.pseudonym)  # 4
    if message.size not in BATCH_SIZES:  # 5
        raise Rejected(Rejection.BATCH_SIZE_UNFIT, f"expected a power of four up to {BATCH_SIZES[-1]}: pad the batch")
    return BatchRegistered(message.pseudonym, message.custodian, message.root, message.size)


@CONTRACT.fold(BatchRegistered)
def fold_batch(overlay: Overlay, position: int, _leaf: Leaf, outcome: BatchRegistered) -> None:
    """Remember where a batch was registered first."""
    place = (outcome.pseudonym, outcome.root)
    if BATCHES.get(overlay, place) is None:
        BATCHES.put(overlay, place, Batch(leaf=position, size=outcome.size))


@CONTRACT.handles(Verify, Verified)
def verify(context: Context, message: Verify) -> Verified:
    """Vouch for a contributed entry.

    1. The relationship exists and `custodian` is its custodian, else RelationshipUnknown, NotTheCustodian.
    2. Signed by the custodian.
    3. The relationship has no tombstone, else RelationshipErased. It may be closed.
    4. The entry is not marked erased, else EntryErased. That it is in a batch, nobody can see here.
    5. Write `records.marks`: `verified_at_s` is the block's time; the rest stays.
    """
    mark = _require_entry(context, message)
    _mark(context, message, msgspec.structs.replace(mark, verified_at_s=context.time_s))
    return Verified(message.pseudonym, message.entry, message.commitment)


@CONTRACT.handles(Supersede, Superseded)
def supersede(context: Context, message: Supersede) -> Superseded:
    """Give an entry its successor; it has one for ever, and successors never lead back.

    1. to 4. as Verify.
    5. The entry has no successor, else EntrySuperseded.
    6. `by` is another entry, which is neither erased nor superseded, else SuccessorUnfit.
    7. Write `records.marks`: `superseded_by` is `by`; the rest stays.
    """
    mark = _require_entry(context, message)
    if mark.superseded_by:  # 5
        raise Rejected(Rejection.ENTRY_SUPERSEDED, "expected the newest entry: this one has a successor")
    successor = entry_mark(context, message.pseudonym, message.by)
    if message.by == message.entry or successor.erased_at_s or successor.superseded_by:  # 6
        raise Rejected(Rejection.SUCCESSOR_UNFIT, "expected as successor another entry, in force")
    _mark(context, message, msgspec.structs.replace(mark, superseded_by=message.by))  # 7
    return Superseded(message.pseudonym, message.entry, message.by, message.commitment)


@CONTRACT.handles(MarkErased, ErasureMarked)
def mark_erased(context: Context, message: MarkErased) -> ErasureMarked:
    """Mark one entry as gone.

    1. to 4. as Verify.
    5. Write `records.marks`: `erased_at_s` is the block's time; the rest stays.
    """
    mark = _require_entry(context, message)
    _mark(context, message, msgspec.structs.replace(mark, erased_at_s=context.time_s))
    return ErasureMarked(message.pseudonym, message.entry, message.commitment)


@CONTRACT.handles(EraseRelationship, RelationshipErased)
def erase_relationship(context: Context, message: EraseRelationship) -> RelationshipErased:
    """Put up the tombstone; from this block on nothing is released.

    1. to 3. as Verify.
    4. Write `records.erasures`: the block's time. The row stays for ever.
    """
    _act_as_custodian(context, message)
    ERASURES.put(context, message.pseudonym, Erasure(erased_at_s=context.time_s))
    return RelationshipErased(message.pseudonym, message.custodian, message.commitment)


AnyMark = Verify | Supersede | MarkErased


def _act_as_custodian(context: Context, message: AnyMark | EraseRelationship) -> None:
    patients.require_custodian(context, message.pseudonym, message.custodian)  # 1
    membership.sign_as(context, message.custodian)  # 2
    _check_not_erased(context, message.pseudonym)  # 3


def _require_entry(context: Context, message: AnyMark) -> EntryMark:
    _act_as_custodian(context, message)
    mark = entry_mark(context, message.pseudonym, message.entry)
    if mark.erased_at_s:  # 4
        raise Rejected(Rejection.ENTRY_ERASED, f"the entry was erased at {mark.erased_at_s}")
    return mark


def _check_not_erased(context: Context, pseudonym: Pseudonym) -> None:
    if is_erased(context, pseudonym):
        raise Rejected(Rejection.RELATIONSHIP_ERASED, "the relationship was erased: enrol the patient anew")


def _mark(context: Context, message: AnyMark, mark: EntryMark) -> None:
    MARKS.put(context, (message.pseudonym, message.entry), mark)


# Queries


def entry_mark(reader: Reader, pseudonym: Pseudonym, entry: Digest) -> EntryMark:
    """Return what has become of an entry; an unmarked one for an entry that nothing happened to."""
    return MARKS.get(reader, (pseudonym, entry)) or NO_MARK


def is_erased(reader: Reader, pseudonym: Pseudonym) -> bool:
    """Tell whether the relationship has a tombstone."""
    return ERASURES.get(reader, pseudonym) is not None


def batch(reader: Reader, pseudonym: Pseudonym, root: Digest) -> Batch | None:
    """Return a registered batch; None when the ledger does not have it."""
    return BATCHES.get(reader, (pseudonym, root))
