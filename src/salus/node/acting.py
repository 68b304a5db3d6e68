"""Acting: as whom an account of this node acts, and with which key that the node keeps sealed for it."""

from enum import StrEnum
from typing import Final

import msgspec

from salus.contracts.provisions import RoleClass
from salus.contracts.residuals import CertifiedSession
from salus.ledger.fields import CommittedFields


class Staff(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A certified person of this organisation."""

    role_class: RoleClass
    seed: bytes
    certificate: CommittedFields

    def __repr__(self) -> str:
        """Hide key and certificate."""
        return "Staff(…)"


class Patient(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A patient; without `sessions` the custodian's key for the pseudonym certifies them.

    Args:
        seed: of a session key; empty where the custodian certifies.
        sessions: the session that the patient's device certified: one, or none.
    """

    pseudonym: bytes
    seed: bytes = b""
    sessions: tuple[CertifiedSession, ...] = ()

    def __repr__(self) -> str:
        """Hide who it is."""
        return "Patient(…)"


class Operator(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """An operator of this node: keeps it running, votes with its organisation's key, and asks for no record."""


class Delegate(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Somebody whom a patient lets act, with a key of their own; nobody signs in as this, a helper takes it up.

    Args:
        seed: of the delegate's key.
        patient: what the patient is called, for the helper to read.
    """

    pseudonym: bytes
    seed: bytes
    patient: str

    def __repr__(self) -> str:
        """Hide who it is."""
        return "Delegate(…)"


class Helper(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Somebody who helps patients and is nobody else here: asks for records as a delegate only."""


ActsAs = Staff | Patient | Operator | Delegate | Helper


class Capacity(StrEnum):
    """As what somebody comes to pages for people."""

    PATIENT = "patient"
    CLINICIAN = "clinician"
    OFFICER = "officer"
    OPERATOR = "operator"
    HELPER = "helper"
    OTHER = "other"


CAPACITIES: Final = {
    RoleClass.PATIENT_SIDE: Capacity.PATIENT,
    RoleClass.CLINICAL: Capacity.CLINICIAN,
    RoleClass.PHARMACY: Capacity.CLINICIAN,
    RoleClass.OFFICER: Capacity.OFFICER,
}
