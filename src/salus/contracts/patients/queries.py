"""What contracts and readers ask about relationships, and about the keys that act for them."""

import msgspec

from salus.contracts.patients.rejections import Rejection
from salus.contracts.patients.state import (
    RECOVERIES,
    RELATIONSHIPS,
    Actor,
    Holder,
    KeyKind,
    PatientKey,
    Recovery,
    Relationship,
)
from salus.ledger.contract import Context, Rejected
from salus.ledger.identifiers import (
    OrganisationId,
    Pseudonym,
    PublicKey,
)
from salus.ledger.state import Reader


def require_open(reader: Reader, pseudonym: Pseudonym) -> Relationship:
    """Return an open relationship. Raises Rejected when it is unknown or closed."""
    relationship = require_relationship(reader, pseudonym)
    if relationship.closed_at_s:
        raise Rejected(Rejection.RELATIONSHIP_CLOSED, f"relationship was closed at {relationship.closed_at_s}")
    return relationship


def require_relationship(reader: Reader, pseudonym: Pseudonym) -> Relationship:
    """Return a relationship, open or closed. Raises Rejected when it is unknown."""
    relationship = relationship_of(reader, pseudonym)
    if relationship is None:
        raise Rejected(Rejection.RELATIONSHIP_UNKNOWN, "expected a pseudonym that a custodian enrolled")
    return relationship


def require_custodian(reader: Reader, pseudonym: Pseudonym, organisation: OrganisationId) -> Relationship:
    """Return the relationship. Raises Rejected when it is unknown, or the organisation is not its custodian."""
    relationship = require_relationship(reader, pseudonym)
    if relationship.custodian != organisation:
        raise Rejected(Rejection.NOT_THE_CUSTODIAN, f"expected the custodian, came {organisation}")
    return relationship


def relationship_of(reader: Reader, pseudonym: Pseudonym) -> Relationship | None:
    """Return a relationship, open or closed; None when no custodian enrolled the pseudonym."""
    return RELATIONSHIPS.get(reader, pseudonym)


def with_recovery(
    reader: Reader, pseudonym: Pseudonym, relationship: Relationship, *, time_s: int
) -> tuple[Relationship, Recovery]:
    """Return a relationship and its recovery as they are at this time: a change that has waited long enough is made."""
    recovery = RECOVERIES.get(reader, pseudonym) or Recovery(second_key=b"", is_spent=False, started=(), change=())
    for change in recovery.change:
        if change.in_force_at_s <= time_s:
            changed = msgspec.structs.replace(relationship, recovery_key=change.recovery_key)
            return changed, Recovery(change.second_key, is_spent=False, started=recovery.started, change=())
    return relationship, recovery


def recovery_keys(reader: Reader, pseudonym: Pseudonym) -> tuple[bytes, ...]:
    """Return every key that may sign for recovery now or after a change that waits; some may be empty."""
    relationship, recovery = relationship_of(reader, pseudonym), RECOVERIES.get(reader, pseudonym)
    first = () if relationship is None else (relationship.recovery_key,)
    if recovery is None:
        return first
    changes = (key for each in recovery.change for key in (each.recovery_key, each.second_key))
    return (*first, recovery.second_key, *changes, *(each.signer for each in recovery.started))


def sign_for(context: Context, relationship: Relationship) -> Actor:
    """Note the signature of a key that acts for the pseudonym; return who acted. Raises Rejected when none signed."""
    keys = acting_keys(relationship, time_s=context.time_s)
    signer = context.signed_by(keys, who="a key that acts for the pseudonym")
    return actor_of(relationship, signer)


def acting_keys(relationship: Relationship, *, time_s: int) -> tuple[PublicKey, ...]:
    """Return the keys that may act for the pseudonym at this time: its own first, then devices and delegates."""
    return (relationship.key, *(row.key for row in live_keys(relationship, time_s=time_s)))


def actor_of(relationship: Relationship, key: PublicKey) -> Actor:
    """Return who acts when this acting key signs (DESIGN §5.2)."""
    further = further_key(relationship, key)
    if (relationship.holder if further is None else further.appointed_by) is Holder.CUSTODIAN:
        return Actor.CUSTODIAN
    return Actor.DELEGATE if further is not None and further.kind is KeyKind.DELEGATE else Actor.PATIENT


def known_keys(relationship: Relationship) -> tuple[bytes, ...]:
    return (relationship.key, relationship.recovery_key, *(row.key for row in relationship.keys))


def live_keys(relationship: Relationship, *, time_s: int) -> tuple[PatientKey, ...]:
    return tuple(row for row in relationship.keys if not row.expires_at_s or time_s < row.expires_at_s)


def further_key(relationship: Relationship, key: PublicKey) -> PatientKey | None:
    return next((row for row in relationship.keys if row.key == key), None)
