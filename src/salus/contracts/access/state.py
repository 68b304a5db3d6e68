"""What access holds in proved tables: permits, emergencies that wait for review, and how many they are."""

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts import consent, membership, patients, records, tickets
from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.ledger.contract import Contract
from salus.ledger.identifiers import (
    CountField,
    DigestField,
    OptionalDigestField,
    OrganisationId,
    OrganisationIdField,
    PseudonymField,
    PublicKeyField,
    SecondsField,
)

CONTRACT = Contract(
    "access",
    6,
    below=(
        membership.CONTRACT,
        patients.CONTRACT,
        records.CONTRACT,
        consent.CONTRACT,
        tickets.CONTRACT,
    ),
)
PERMIT_TAG = "salus/permit/1"
CLOSING_S = 7 * 86_400
"""How long after its end a permit's row waits for its ends to close it."""


class Basis(IntEnum):
    """On what a permit stands: the first in the order of a decision that may permit it (DESIGN §5)."""

    EMERGENCY = 1
    CHOICE = 2
    TICKET = 3
    OWN_STAFF = 4
    PATIENT = 5
    POLICY = 6


class DenialReason(IntEnum):
    """Why a request is denied, in the order of a decision (DESIGN §5)."""

    REQUESTER_SUSPENDED = 1
    CUSTODIAN_SUSPENDED = 2
    RELATIONSHIP_CLOSED = 3
    RELATIONSHIP_ERASED = 4
    ROLE_NOT_HELD = 5
    NETWORK_POLICY_FORBIDS = 6
    CUSTODIAN_POLICY_FORBIDS = 7
    EMERGENCY_NOT_CLINICAL = 8
    EMERGENCIES_UNREVIEWED = 9
    PATIENT_DENIES = 10
    NOTHING_PERMITS = 11


class End(IntEnum):
    """Which end of a release anchors it."""

    CUSTODIAN = 1
    REQUESTER = 2


class Verdict(IntEnum):
    """What the officer found."""

    JUSTIFIED = 1
    NOT_JUSTIFIED = 2


class Permit(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a permit allows: whom, why, what, when, for which reader key, and what it rests on.

    Args:
        reader_key: SHA-256 of the reader key to which release keys are sealed (R6).
        ticket: key of the ticket that may permit it too; empty for none.
        choices_version, network_policy_version, custodian_policy_version: versions that must still be current.
        residual: commitment to the residual of the request.
        closed: sum of the ends that have closed it.
    """

    pseudonym: PseudonymField
    custodian: OrganisationIdField
    requester: OrganisationIdField
    role_class: RoleClass
    purpose: Purpose
    verb: Verb
    from_s: SecondsField
    until_s: SecondsField
    session_key: PublicKeyField
    reader_key: DigestField
    basis: Basis
    ticket: OptionalDigestField
    choices_version: CountField
    network_policy_version: CountField
    custodian_policy_version: CountField
    residual: DigestField
    closed: Annotated[int, Meta(ge=0, le=3)]


class Emergency(msgspec.Struct, frozen=True, array_like=True):
    """An emergency access that waits for its review."""

    pseudonym: PseudonymField
    custodian: OrganisationId
    requester: OrganisationId
    session_key: PublicKeyField
    opened_at_s: int


class Unreviewed(msgspec.Struct, frozen=True, array_like=True):
    """How many emergencies of a session key or an organisation wait for review."""

    count: int


PERMITS = CONTRACT.table("permits", Permit, expires_at_s=lambda permit: permit.until_s + CLOSING_S)
EMERGENCIES = CONTRACT.table("emergencies", Emergency)
UNREVIEWED = CONTRACT.table("unreviewed", Unreviewed)
