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


RELATIONSHIPS = CONTRACT.table("relationships", Relationship)
