"""The order of a decision (DESIGN §5), as far as the ledger sees it: of a request that is made, or only thought of.

Pure: the same state, request and time give the same answer. docs/spec/contracts.md has the list under RequestAccess.
"""

from collections.abc import Callable

from salus.contracts import consent, membership, provisions, records, tickets
from salus.contracts.access.messages import RequestAccess
from salus.contracts.access.queries import open_request, unreviewed
from salus.contracts.access.state import Basis, DenialReason, Permit
from salus.contracts.patients import Relationship
from salus.contracts.provisions import Purpose, Request, RoleClass
from salus.contracts.tickets import Ticket
from salus.ledger.identifiers import OrganisationId, PublicKey
from salus.ledger.state import Reader

Step = Callable[[int], None]
"""Counts conditions that are compared (L6)."""


def decide_request(
    reader: Reader,
    asked: RequestAccess | Permit,
    relationship: Relationship,
    ticket: Ticket | None,
    *,
    session_key: PublicKey,
    time_s: int,
    step: Step,
) -> Basis | DenialReason:
    """Decide in the order of DESIGN §5: standing, policies' forbids, emergency, patient's deny, permits, default.

    Args:
        ticket: one that may permit it, or None.
        time_s: block time in seconds.
        step: is told of each gate that is compared.
    """
    request = open_request(asked, time_s=time_s)
    standing = _standing(reader, asked, relationship, time_s)  # 1
    if standing is not None:
        return standing
    forbids = _forbids(reader, asked.custodian, request, step)  # 2
    if forbids is not None:
        return forbids
    if asked.purpose is Purpose.BTG:
        return _decide_emergency(reader, asked, session_key)  # 3
    current = consent.choices(reader, asked.pseudonym)
    step(consent.steps(current))
    if consent.surely_denies(current, request):  # 4
        return DenialReason.PATIENT_DENIES
    if consent.may_permit(current, request):  # 5
        return Basis.CHOICE
    if ticket is not None:
        return Basis.TICKET
    return _decide_by_default(reader, asked.custodian, request)  # 6


def _standing(
    reader: Reader, asked: RequestAccess | Permit, relationship: Relationship, time_s: int
) -> DenialReason | None:
    requester = membership.require_organisation(reader, asked.requester)
    custodian = membership.require_organisation(reader, asked.custodian)
    is_own = asked.requester == asked.custodian
    if not is_own and membership.is_suspended(requester, time_s=time_s):
        return DenialReason.REQUESTER_SUSPENDED
    if not is_own and membership.is_suspended(custodian, time_s=time_s):
        return DenialReason.CUSTODIAN_SUSPENDED
    if relationship.closed_at_s:
        return DenialReason.RELATIONSHIP_CLOSED
    if records.is_erased(reader, asked.pseudonym):
        return DenialReason.RELATIONSHIP_ERASED
    return None if asked.role_class in requester.role_classes else DenialReason.ROLE_NOT_HELD


def _forbids(reader: Reader, custodian: OrganisationId, request: Request, step: Step) -> DenialReason | None:
    for organisation, reason in (
        (membership.NETWORK_POLICY, DenialReason.NETWORK_POLICY_FORBIDS),
        (custodian, DenialReason.CUSTODIAN_POLICY_FORBIDS),
    ):
        policy = membership.policy(reader, organisation)
        step(sum(provisions.steps(gate) for gate in policy.gates))
        if any(provisions.surely_denies(gate, request) for gate in policy.gates):
            return reason
    return None


def _decide_emergency(reader: Reader, asked: RequestAccess | Permit, session_key: PublicKey) -> Basis | DenialReason:
    network = membership.network(reader)
    if asked.role_class is not RoleClass.CLINICAL:
        return DenialReason.EMERGENCY_NOT_CLINICAL
    if unreviewed(reader, session_key) >= network.unreviewed_per_session_max:
        return DenialReason.EMERGENCIES_UNREVIEWED
    if unreviewed(reader, asked.requester) >= network.unreviewed_per_organisation_max:
        return DenialReason.EMERGENCIES_UNREVIEWED
    return Basis.EMERGENCY


def _decide_by_default(reader: Reader, custodian: OrganisationId, request: Request) -> Basis | DenialReason:
    if request.organisation == custodian and tickets.is_direct_care(request):
        return Basis.OWN_STAFF
    if request.purpose is Purpose.PATRQT and request.role_class is RoleClass.PATIENT_SIDE:
        return Basis.PATIENT
    for organisation in (membership.NETWORK_POLICY, custodian):
        gates = membership.policy(reader, organisation).gates
        if any(provisions.may_permit(gate, request) for gate in gates):
            return Basis.POLICY
    return DenialReason.NOTHING_PERMITS
