"""Patients: relationships under pairwise pseudonyms, and the keys that act for them.

A relationship is one person at one custodian; a person is on the ledger in no other form, and nothing joins two of
their relationships (P7). Recovery and guardians are added by a later issue, to the end of each section.
"""

from enum import IntEnum

import msgspec

from salus.contracts import membership
from salus.crypto.signing import KeyInvalid, check_public_key
from salus.ledger.contract import Context, Contract, Rejected
from salus.ledger.identifiers import (
    OptionalDigestField,
    OrganisationId,
    OrganisationIdField,
    Pseudonym,
    PublicKey,
    PublicKeyField,
    SecondsField,
)
from salus.ledger.outcomes import PatientOutcome
from salus.ledger.state import Reader
from salus.ledger.transactions import PatientMessage

# State

CONTRACT = Contract("patients", 2, below=(membership.CONTRACT,))
KEYS_MAX = 16


class Holder(IntEnum):
    """Who holds the pseudonym's key: with the custodian, it acts visibly *by custodian*."""

    PATIENT = 1
    CUSTODIAN = 2


class KeyKind(IntEnum):
    """Whose further key it is: a device of the patient, or somebody the patient lets act."""

    DEVICE = 1
    DELEGATE = 2


class PatientKey(msgspec.Struct, frozen=True, array_like=True):
    """A further key; `expires_at_s` is 0 for one that stays until it is removed."""

    key: PublicKeyField
    kind: KeyKind
    expires_at_s: int


class Relationship(msgspec.Struct, frozen=True, array_like=True):
    """One person at one custodian. `closed_at_s` is 0 while it is open; `recovery_key` may be empty."""

    custodian: OrganisationId
    key: PublicKeyField
    holder: Holder
    recovery_key: bytes
    keys: tuple[PatientKey, ...]
    closed_at_s: int


RELATIONSHIPS = CONTRACT.table("relationships", Relationship)

# Messages


class Enrol(PatientMessage, frozen=True, array_like=True, tag=201):
    """A custodian begins a relationship. Signed by the custodian, then by the pseudonym's key."""

    custodian: OrganisationIdField
    key: PublicKeyField
    holder: Holder
    recovery_key: OptionalDigestField


class RotatePseudonymKey(PatientMessage, frozen=True, array_like=True, tag=202):
    """The pseudonym's key is replaced by its holder. Signed by the present key, then by the new one."""

    key: PublicKeyField


class TakeOverKey(PatientMessage, frozen=True, array_like=True, tag=203):
    """The patient takes the key over from the custodian. Signed by the present key, then by the patient's."""

    key: PublicKeyField


class AddKey(PatientMessage, frozen=True, array_like=True, tag=204):
    """A device or a delegate gets a key of its own. Signed by the pseudonym's key, then by the new one."""

    key: PublicKeyField
    kind: KeyKind
    expires_at_s: SecondsField


class RemoveKey(PatientMessage, frozen=True, array_like=True, tag=205):
    """A device or a delegate no longer acts. Signed by the pseudonym's key or a device's."""

    key: PublicKeyField


class CloseRelationship(PatientMessage, frozen=True, array_like=True, tag=206):
    """The relationship takes no new records and requests. Signed by the pseudonym's key."""


class Enrolled(PatientOutcome, frozen=True, array_like=True, tag=201):
    """The relationship is open."""

    custodian: OrganisationIdField
    key: PublicKeyField
    holder: Holder
    recovery_key: OptionalDigestField


class PseudonymKeyRotated(PatientOutcome, frozen=True, array_like=True, tag=202):
    """The new key acts from here on."""

    key: PublicKeyField


class KeyTakenOver(PatientOutcome, frozen=True, array_like=True, tag=203):
    """The patient holds the key from here on."""

    key: PublicKeyField


class KeyAdded(PatientOutcome, frozen=True, array_like=True, tag=204):
    """The further key may act."""

    key: PublicKeyField
    kind: KeyKind
    expires_at_s: SecondsField


class KeyRemoved(PatientOutcome, frozen=True, array_like=True, tag=205):
    """The further key acts no more."""

    key: PublicKeyField


class RelationshipClosed(PatientOutcome, frozen=True, array_like=True, tag=206):
    """The relationship is closed."""


# Rejections, in order of precedence


class Rejection(IntEnum):
    """Why patients says no."""

    PSEUDONYM_KNOWN = 201
    RELATIONSHIP_UNKNOWN = 202
    RELATIONSHIP_CLOSED = 203
    NOT_THE_CUSTODIAN = 204
    HOLDER_IS_PATIENT = 205
    KEY_UNFIT = 206
    KEY_KNOWN = 207
    KEY_UNKNOWN = 208
    KEYS_FULL = 209
    EXPIRY_UNFIT = 210


# Handlers


@CONTRACT.handles(Enrol, Enrolled)
def enrol(context: Context, message: Enrol) -> Enrolled:
    """Open a relationship under a new pseudonym."""
    membership.require_organisation(context, message.custodian)
    membership.sign_as(context, message.custodian)
    if RELATIONSHIPS.get(context, message.pseudonym) is not None:
        raise Rejected(Rejection.PSEUDONYM_KNOWN, "expected a new pseudonym: draw another 16 random bytes")
    _check_new_key(message.key)
    if message.recovery_key:
        _check_new_key(PublicKey(message.recovery_key))
    context.signed_by((message.key,), who="the pseudonym's key")
    row = Relationship(
        custodian=message.custodian,
        key=message.key,
        holder=message.holder,
        recovery_key=message.recovery_key,
        keys=(),
        closed_at_s=0,
    )
    RELATIONSHIPS.put(context, message.pseudonym, row)
    return Enrolled(message.pseudonym, message.custodian, message.key, message.holder, message.recovery_key)


@CONTRACT.handles(RotatePseudonymKey, PseudonymKeyRotated)
def rotate_pseudonym_key(context: Context, message: RotatePseudonymKey) -> PseudonymKeyRotated:
    """Replace the key; the holder stays who it was."""
    relationship = require_open(context, message.pseudonym)
    context.signed_by((relationship.key,), who="the pseudonym's present key")
    _replace(context, message.pseudonym, relationship, message.key, relationship.holder)
    return PseudonymKeyRotated(message.pseudonym, message.key)


@CONTRACT.handles(TakeOverKey, KeyTakenOver)
def take_over_key(context: Context, message: TakeOverKey) -> KeyTakenOver:
    """Replace a custodian-held key by one that the patient holds; there is no message that undoes it."""
    relationship = require_open(context, message.pseudonym)
    if relationship.holder is Holder.PATIENT:
        raise Rejected(Rejection.HOLDER_IS_PATIENT, "expected a key held by the custodian: rotate the key instead")
    context.signed_by((relationship.key,), who="the pseudonym's present key")
    _replace(context, message.pseudonym, relationship, message.key, Holder.PATIENT)
    return KeyTakenOver(message.pseudonym, message.key)


def _replace(
    context: Context, pseudonym: Pseudonym, relationship: Relationship, key: PublicKey, holder: Holder
) -> None:
    _check_new_key(key)
    _check_not_known(relationship, key)
    context.signed_by((key,), who="the new key")
    RELATIONSHIPS.put(context, pseudonym, msgspec.structs.replace(relationship, key=key, holder=holder))


@CONTRACT.handles(AddKey, KeyAdded)
def add_key(context: Context, message: AddKey) -> KeyAdded:
    """Let a device or a delegate act."""
    relationship = require_open(context, message.pseudonym)
    context.signed_by((relationship.key,), who="the pseudonym's key")
    _check_new_key(message.key)
    _check_not_known(relationship, message.key)
    if len(relationship.keys) >= KEYS_MAX:
        raise Rejected(Rejection.KEYS_FULL, f"expected at most {KEYS_MAX} further keys: remove one first")
    if message.expires_at_s and message.expires_at_s <= context.time_s:
        raise Rejected(Rejection.EXPIRY_UNFIT, f"expected an expiry after {context.time_s}, or 0 for none")
    context.signed_by((message.key,), who="the new key")
    keys = (*relationship.keys, PatientKey(message.key, message.kind, message.expires_at_s))
    RELATIONSHIPS.put(context, message.pseudonym, msgspec.structs.replace(relationship, keys=keys))
    return KeyAdded(message.pseudonym, message.key, message.kind, message.expires_at_s)


@CONTRACT.handles(RemoveKey, KeyRemoved)
def remove_key(context: Context, message: RemoveKey) -> KeyRemoved:
    """Take a device's or a delegate's key away."""
    relationship = require_open(context, message.pseudonym)
    devices = tuple(row.key for row in relationship.keys if row.kind is KeyKind.DEVICE)
    context.signed_by((relationship.key, *devices), who="the pseudonym's key or a device's")
    keys = tuple(row for row in relationship.keys if row.key != message.key)
    if len(keys) == len(relationship.keys):
        raise Rejected(Rejection.KEY_UNKNOWN, "expected a registered device or delegate key")
    RELATIONSHIPS.put(context, message.pseudonym, msgspec.structs.replace(relationship, keys=keys))
    return KeyRemoved(message.pseudonym, message.key)


@CONTRACT.handles(CloseRelationship, RelationshipClosed)
def close_relationship(context: Context, message: CloseRelationship) -> RelationshipClosed:
    """Close a relationship; its history stays provable."""
    relationship = require_open(context, message.pseudonym)
    context.signed_by((relationship.key,), who="the pseudonym's key")
    closed = msgspec.structs.replace(relationship, closed_at_s=max(context.time_s, 1))
    RELATIONSHIPS.put(context, message.pseudonym, closed)
    return RelationshipClosed(message.pseudonym)


# Queries


def require_open(reader: Reader, pseudonym: Pseudonym) -> Relationship:
    """Return an open relationship. Raises Rejected when it is unknown or closed."""
    relationship = require_relationship(reader, pseudonym)
    if relationship.closed_at_s:
        raise Rejected(Rejection.RELATIONSHIP_CLOSED, f"relationship was closed at {relationship.closed_at_s}")
    return relationship


def require_relationship(reader: Reader, pseudonym: Pseudonym) -> Relationship:
    """Return a relationship, open or closed. Raises Rejected when it is unknown."""
    relationship = RELATIONSHIPS.get(reader, pseudonym)
    if relationship is None:
        raise Rejected(Rejection.RELATIONSHIP_UNKNOWN, "expected a pseudonym that a custodian enrolled")
    return relationship


def require_custodian(reader: Reader, pseudonym: Pseudonym, organisation: OrganisationId) -> Relationship:
    """Return the relationship. Raises Rejected when it is unknown, or the organisation is not its custodian."""
    relationship = require_relationship(reader, pseudonym)
    if relationship.custodian != organisation:
        raise Rejected(Rejection.NOT_THE_CUSTODIAN, f"expected the custodian, came {organisation}")
    return relationship


def acting_keys(relationship: Relationship, *, time_s: int) -> tuple[PublicKey, ...]:
    """Return the keys that may act for the pseudonym at this time: its own first, then devices and delegates."""
    return (
        relationship.key,
        *(row.key for row in relationship.keys if not row.expires_at_s or time_s < row.expires_at_s),
    )


def acts_by_custodian(relationship: Relationship, key: PublicKey) -> bool:
    """Tell whether a signature by this key is the custodian's act on the patient's behalf (DESIGN §5.2)."""
    return relationship.holder is Holder.CUSTODIAN and key == relationship.key


def _check_new_key(key: PublicKey) -> None:
    try:
        check_public_key(key)
    except KeyInvalid as error:
        raise Rejected(Rejection.KEY_UNFIT, str(error)) from error


def _check_not_known(relationship: Relationship, key: PublicKey) -> None:
    if key == relationship.key or any(key == row.key for row in relationship.keys):
        raise Rejected(Rejection.KEY_KNOWN, "expected a new key: this one is registered already")
