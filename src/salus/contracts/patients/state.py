"""What patients holds in its proved table: a relationship under each pseudonym, with the keys that act for it."""

from enum import IntEnum

import msgspec

from salus.contracts import membership
from salus.ledger.contract import Contract
from salus.ledger.identifiers import (
    OrganisationId,
    PublicKeyField,
)

CONTRACT = Contract("patients", 2, below=(membership.CONTRACT,))
KEYS_MAX = 16
TIME_LOCK_S = 72 * 3600
"""How long after its start a recovery waits, so that the patient hears of it."""
CHANGE_S = 7 * 86_400
"""How long a change of the recovery keys waits, so that the old ones can undo it."""


class Holder(IntEnum):
    """Who holds the pseudonym's key: with the custodian, it acts visibly *by custodian*."""

    PATIENT = 1
    CUSTODIAN = 2


class KeyKind(IntEnum):
    """Whose further key it is: a device of the patient, or somebody the patient lets act."""

    DEVICE = 1
    DELEGATE = 2


class Actor(IntEnum):
    """Who acted for a pseudonym: the patient, the custodian on the patient's behalf, or a delegate of the patient."""

    PATIENT = 1
    CUSTODIAN = 2
    DELEGATE = 3


class PatientKey(msgspec.Struct, frozen=True, array_like=True):
    """A further key; what the custodian appointed acts by custodian. `expires_at_s` is 0 for one without an end."""

    key: PublicKeyField
    kind: KeyKind
    appointed_by: Holder
    expires_at_s: int


class Relationship(msgspec.Struct, frozen=True, array_like=True):
    """One person at one custodian. `closed_at_s` is 0 while it is open; `recovery_key` may be empty."""

    custodian: OrganisationId
    key: PublicKeyField
    holder: Holder
    recovery_key: bytes
    keys: tuple[PatientKey, ...]
    closed_at_s: int


class Started(msgspec.Struct, frozen=True, array_like=True):
    """A recovery that waits: `key` becomes the pseudonym's when `signer`, which began it, finishes it."""

    key: PublicKeyField
    signer: PublicKeyField
    is_second: bool
    ready_at_s: int


class KeyChange(msgspec.Struct, frozen=True, array_like=True):
    """New recovery keys that wait; `second_key` may be empty. What the second key signed, the second key undoes."""

    recovery_key: PublicKeyField
    second_key: bytes
    is_by_second: bool
    in_force_at_s: int


class Recovery(msgspec.Struct, frozen=True, array_like=True):
    """What recovery of a relationship has come to; the recovery key itself is in `patients.relationships`.

    `second_key` may be empty; `is_spent` when the patient cancelled a recovery: only the second key begins another.
    `started` and `change` have at most one row each.
    """

    second_key: bytes
    is_spent: bool
    started: tuple[Started, ...]
    change: tuple[KeyChange, ...]


RELATIONSHIPS = CONTRACT.table("relationships", Relationship)
RECOVERIES = CONTRACT.table("recoveries", Recovery)
