"""Access: requests, decisions, permits, the anchors of releases, emergencies and challenges.

Every request gets a committed answer with its reason (R1, R2). A permit is conditional: the custodian applies the whole
rules to every record before it releases anything, and checks the permit again against current state each time (R3).
"""

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts import consent, membership, patients, provisions, records, tickets
from salus.contracts.provisions import Purpose, Request, RoleClass, Verb
from salus.crypto.hashing import tagged
from salus.ledger.contract import Context, Contract, Rejected
from salus.ledger.identifiers import (
    Digest,
    DigestField,
    OptionalDigestField,
    OrganisationId,
    OrganisationIdField,
    PermitId,
    PermitIdField,
    PseudonymField,
    PublicKey,
    PublicKeyField,
    SecondsField,
)
from salus.ledger.outcomes import DENIED, PatientOutcome
from salus.ledger.state import Reader
from salus.ledger.transactions import PatientMessage

# State

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
"""How long after its end a permit's row waits for both ends to close it."""


class Basis(IntEnum):
    """On what a permit stands, in the order of a decision (DESIGN §5)."""

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
        choices_version, network_policy_version, custodian_policy_version: versions that must still be current.
        residual: commitment to the residual of the request.
        closed: bits of the ends that have closed it: 1 custodian, 2 requester.
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
    choices_version: int
    network_policy_version: int
    custodian_policy_version: int
    residual: DigestField
    closed: int


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

# Messages


class RequestAccess(PatientMessage, frozen=True, array_like=True, tag=601):
    """Ask for a permit. Signed by the session key, then by the requester.

    `ticket` is empty, or the key of a ticket that this transaction has used; `reader_key` is the reader key's hash.
    """

    custodian: OrganisationIdField
    requester: OrganisationIdField
    role_class: RoleClass
    purpose: Purpose
    verb: Verb
    duration_s: Annotated[int, Meta(ge=1, le=1 << 31)]
    session_key: PublicKeyField
    reader_key: DigestField
    ticket: OptionalDigestField
    residual: DigestField


class CommitReleases(PatientMessage, frozen=True, array_like=True, tag=602):
    """One end anchors the receipts of a permit so far. Signed by that end.

    `root` is over that end's receipts of the permit; `permit` is empty for a match (DESIGN §6); `is_closed` says that
    this end releases or accepts nothing more under the permit.
    """

    permit: OptionalDigestField
    organisation: OrganisationIdField
    end: End
    root: DigestField
    is_closed: bool


class ReviewEmergency(PatientMessage, frozen=True, array_like=True, tag=603):
    """The officer's verdict on an emergency. Signed by the officer's session key, then by the custodian."""

    permit: PermitIdField
    officer_key: PublicKeyField
    verdict: Verdict
    commitment: DigestField


class Challenge(PatientMessage, frozen=True, array_like=True, tag=604):
    """The patient questions an access. Signed by a key that acts for the pseudonym."""

    permit: PermitIdField
    commitment: DigestField


class AccessPermitted(PatientOutcome, frozen=True, array_like=True, tag=601):
    """The permit is in force."""

    permit: PermitIdField
    terms: Permit


class AccessDenied(PatientOutcome, frozen=True, array_like=True, tag=605):
    """The request was heard and refused, for good (R2)."""

    custodian: OrganisationIdField
    requester: OrganisationIdField
    role_class: RoleClass
    purpose: Purpose
    verb: Verb
    session_key: PublicKeyField
    reason: DenialReason
    residual: DigestField

    @property
    def code(self) -> int:
        """DENIED: a refusal that took effect."""
        return DENIED


class ReleasesCommitted(PatientOutcome, frozen=True, array_like=True, tag=602):
    """The receipts under this root were anchored by this end."""

    permit: OptionalDigestField
    organisation: OrganisationIdField
    end: End
    root: DigestField
    is_closed: bool


class EmergencyReviewed(PatientOutcome, frozen=True, array_like=True, tag=603):
    """The emergency has a verdict."""

    permit: PermitIdField
    officer_key: PublicKeyField
    verdict: Verdict
    commitment: DigestField


class Challenged(PatientOutcome, frozen=True, array_like=True, tag=604):
    """The challenge stands in the history."""

    permit: PermitIdField
    commitment: DigestField


# Rejections, in order of precedence


class Rejection(IntEnum):
    """Why access says no without a decision; a decision that says no is AccessDenied."""

    REQUESTER_UNKNOWN = 601
    DURATION_UNFIT = 602
    TICKET_NOT_USED = 603
    PERMIT_UNKNOWN = 604
    NOT_AN_END = 605
    END_CLOSED = 606
    EMERGENCY_UNKNOWN = 607


# Handlers


@CONTRACT.handles(RequestAccess, AccessPermitted, AccessDenied)
def request_access(context: Context, message: RequestAccess) -> AccessPermitted | AccessDenied:
    """Hear a request and decide it, in the order of a decision."""
    relationship = patients.require_custodian(context, message.pseudonym, message.custodian)
    context.signed_by((message.session_key,), who="the session key")
    membership.require_organisation(context, message.requester)
    membership.sign_as(context, message.requester)
    _check_duration(context, message)
    ticket = _used_ticket(context, message)
    decision = _decide(context, message, relationship, ticket)
    if isinstance(decision, DenialReason):
        return _deny(message, decision)
    return _permit(context, message, decision)


def _check_duration(context: Context, message: RequestAccess) -> None:
    network = membership.network(context)
    longest_s = network.emergency_s_max if message.purpose is Purpose.BTG else network.permit_s_max
    if message.duration_s > longest_s:
        raise Rejected(Rejection.DURATION_UNFIT, f"expected at most {longest_s} s, came {message.duration_s}")


def _used_ticket(context: Context, message: RequestAccess) -> tickets.Ticket | None:
    if not message.ticket:
        return None
    ticket = tickets.used_in(
        context,
        PublicKey(message.ticket),
        pseudonym=message.pseudonym,
        transaction=context.transaction,
        session_key=message.session_key,
    )
    if ticket is None:
        raise Rejected(Rejection.TICKET_NOT_USED, "expected UseTicket for this session key earlier in the transaction")
    return ticket


def _decide(
    context: Context, message: RequestAccess, relationship: patients.Relationship, ticket: tickets.Ticket | None
) -> Basis | DenialReason:
    """Decide in the order of DESIGN §5: standing, policies' forbids, emergency, patient's deny, permits, default."""
    request = open_request(message, time_s=context.time_s)
    standing = _standing(context, message, relationship)  # 1
    if standing is not None:
        return standing
    forbids = _forbids(context, message.custodian, request)  # 2
    if forbids is not None:
        return forbids
    if message.purpose is Purpose.BTG:
        return _decide_emergency(context, message)  # 3
    current = consent.choices(context, message.pseudonym)
    context.step(consent.steps(current))
    if consent.surely_denies(current, request):  # 4
        return DenialReason.PATIENT_DENIES
    if consent.may_permit(current, request):  # 5
        return Basis.CHOICE
    if ticket is not None and tickets.may_permit(ticket, request):
        return Basis.TICKET
    return _decide_by_default(context, message.custodian, request)  # 6


def _standing(context: Context, message: RequestAccess, relationship: patients.Relationship) -> DenialReason | None:
    requester = membership.require_organisation(context, message.requester)
    custodian = membership.require_organisation(context, message.custodian)
    is_own = message.requester == message.custodian
    if not is_own and membership.is_suspended(requester, time_s=context.time_s):
        return DenialReason.REQUESTER_SUSPENDED
    if not is_own and membership.is_suspended(custodian, time_s=context.time_s):
        return DenialReason.CUSTODIAN_SUSPENDED
    if records.is_erased(context, message.pseudonym):
        return DenialReason.RELATIONSHIP_ERASED
    if relationship.closed_at_s:
        return DenialReason.RELATIONSHIP_CLOSED
    return None if message.role_class in requester.role_classes else DenialReason.ROLE_NOT_HELD


def _forbids(context: Context, custodian: OrganisationId, request: Request) -> DenialReason | None:
    for organisation, reason in (
        (membership.NETWORK_POLICY, DenialReason.NETWORK_POLICY_FORBIDS),
        (custodian, DenialReason.CUSTODIAN_POLICY_FORBIDS),
    ):
        policy = membership.policy(context, organisation)
        context.step(sum(provisions.steps(gate) for gate in policy.gates))
        if any(provisions.surely_denies(gate, request) for gate in policy.gates):
            return reason
    return None


def _decide_emergency(context: Context, message: RequestAccess) -> Basis | DenialReason:
    network = membership.network(context)
    if message.role_class is not RoleClass.CLINICAL:
        return DenialReason.EMERGENCY_NOT_CLINICAL
    if _unreviewed(context, message.session_key) >= network.unreviewed_per_session_max:
        return DenialReason.EMERGENCIES_UNREVIEWED
    if _unreviewed(context, message.requester) >= network.unreviewed_per_organisation_max:
        return DenialReason.EMERGENCIES_UNREVIEWED
    return Basis.EMERGENCY


def _decide_by_default(context: Context, custodian: OrganisationId, request: Request) -> Basis | DenialReason:
    if request.organisation == custodian and tickets.is_direct_care(request):
        return Basis.OWN_STAFF
    if request.purpose is Purpose.PATRQT and request.role_class is RoleClass.PATIENT_SIDE:
        return Basis.PATIENT
    for organisation in (membership.NETWORK_POLICY, custodian):
        gates = membership.policy(context, organisation).gates
        if any(provisions.may_permit(gate, request) for gate in gates):
            return Basis.POLICY
    return DenialReason.NOTHING_PERMITS


def _deny(message: RequestAccess, reason: DenialReason) -> AccessDenied:
    return AccessDenied(
        pseudonym=message.pseudonym,
        custodian=message.custodian,
        requester=message.requester,
        role_class=message.role_class,
        purpose=message.purpose,
        verb=message.verb,
        session_key=message.session_key,
        reason=reason,
        residual=message.residual,
    )


def _permit(context: Context, message: RequestAccess, basis: Basis) -> AccessPermitted:
    permit = permit_id(context.transaction, context.message_index)
    terms = Permit(
        pseudonym=message.pseudonym,
        custodian=message.custodian,
        requester=message.requester,
        role_class=message.role_class,
        purpose=message.purpose,
        verb=message.verb,
        from_s=context.time_s,
        until_s=context.time_s + message.duration_s,
        session_key=message.session_key,
        reader_key=message.reader_key,
        basis=basis,
        choices_version=consent.choices(context, message.pseudonym).version,
        network_policy_version=membership.policy(context).version,
        custodian_policy_version=membership.policy(context, message.custodian).version,
        residual=message.residual,
        closed=0,
    )
    PERMITS.put(context, permit, terms)
    if basis is Basis.EMERGENCY:
        _open_emergency(context, permit, message)
    return AccessPermitted(message.pseudonym, permit, terms)


def _open_emergency(context: Context, permit: PermitId, message: RequestAccess) -> None:
    row = Emergency(message.pseudonym, message.custodian, message.requester, message.session_key, context.time_s)
    EMERGENCIES.put(context, permit, row)
    for who in (message.session_key, message.requester):
        UNREVIEWED.put(context, who, Unreviewed(_unreviewed(context, who) + 1))


@CONTRACT.handles(CommitReleases, ReleasesCommitted)
def commit_releases(context: Context, message: CommitReleases) -> ReleasesCommitted:
    """Anchor one end's receipts; once an end has closed a permit, it can anchor nothing more under it."""
    if message.permit:
        _anchor_permit(context, message)
    else:
        _check_match_anchor(context, message)
    return ReleasesCommitted(
        message.pseudonym, message.permit, message.organisation, message.end, message.root, message.is_closed
    )


def _anchor_permit(context: Context, message: CommitReleases) -> None:
    permit = PERMITS.get(context, message.permit)
    if permit is None or permit.pseudonym != message.pseudonym:
        raise Rejected(Rejection.PERMIT_UNKNOWN, "expected a permit of this pseudonym that is not closed by both ends")
    organisation = permit.custodian if message.end is End.CUSTODIAN else permit.requester
    if organisation != message.organisation:
        raise Rejected(Rejection.NOT_AN_END, f"expected {organisation}, came {message.organisation}")
    membership.sign_as(context, message.organisation)
    if permit.closed & message.end:
        raise Rejected(Rejection.END_CLOSED, "this end has closed the permit: ask for a new one")
    if message.is_closed:
        closed = msgspec.structs.replace(permit, closed=permit.closed | message.end)
        if closed.closed == End.CUSTODIAN | End.REQUESTER:
            PERMITS.delete(context, message.permit)
        else:
            PERMITS.put(context, message.permit, closed)


def _check_match_anchor(context: Context, message: CommitReleases) -> None:
    patients.require_custodian(context, message.pseudonym, message.organisation)
    membership.sign_as(context, message.organisation)
    if message.end is not End.CUSTODIAN:
        raise Rejected(Rejection.NOT_AN_END, "expected the custodian's end: only the asked node anchors a match")


@CONTRACT.handles(ReviewEmergency, EmergencyReviewed)
def review_emergency(context: Context, message: ReviewEmergency) -> EmergencyReviewed:
    """Give an emergency its verdict, which frees one place in the limits."""
    emergency = EMERGENCIES.get(context, message.permit)
    if emergency is None or emergency.pseudonym != message.pseudonym:
        raise Rejected(Rejection.EMERGENCY_UNKNOWN, "expected an emergency of this pseudonym without a verdict")
    context.signed_by((message.officer_key,), who="the officer's session key")
    membership.sign_as(context, emergency.custodian)
    EMERGENCIES.delete(context, message.permit)
    for who in (emergency.session_key, emergency.requester):
        _lower_unreviewed(context, who)
    return EmergencyReviewed(
        message.pseudonym, message.permit, message.officer_key, message.verdict, message.commitment
    )


def _lower_unreviewed(context: Context, who: PublicKey | OrganisationId) -> None:
    count = _unreviewed(context, who) - 1
    assert count >= 0, "every emergency was counted when it was opened"
    if count:
        UNREVIEWED.put(context, who, Unreviewed(count))
    else:
        UNREVIEWED.delete(context, who)


@CONTRACT.handles(Challenge, Challenged)
def challenge(context: Context, message: Challenge) -> Challenged:
    """Put a challenge into the history; the custodian's officer answers it."""
    relationship = patients.require_relationship(context, message.pseudonym)
    keys = patients.acting_keys(relationship, time_s=context.time_s)
    context.signed_by(keys, who="a key that acts for the pseudonym")
    return Challenged(message.pseudonym, message.permit, message.commitment)


# Queries


class PermitDead(Exception):
    """A permit that no longer allows a release; the message says why and what to do."""


def permit_id(transaction: Digest, message_index: int) -> PermitId:
    """Return the id of the permit that a RequestAccess gets."""
    return PermitId(tagged(PERMIT_TAG, transaction, message_index.to_bytes(4, "big")))


def open_request(message: RequestAccess | Permit, *, time_s: int) -> Request:
    """Return what the rules may compare of a request, without who exactly asks."""
    return Request(
        organisation=message.requester,
        role_class=message.role_class,
        purpose=message.purpose,
        verb=message.verb,
        day=provisions.day_of(time_s),
    )


def permit(reader: Reader, permit_id: PermitId) -> Permit | None:
    """Return a permit's row; None when there is none, or both ends have closed it."""
    return PERMITS.get(reader, permit_id)


def require_live(reader: Reader, permit_id: PermitId, *, time_s: int) -> Permit:
    """Check a permit against current state, as every release must (R3).

    1. It exists, is not closed by the custodian, and its time has begun and not ended.
    2. Neither end is suspended, except an organisation for its own patients.
    3. The relationship is neither closed nor erased.
    4. The versions of choices and policies that it pins are current.

    Args:
        time_s: the later of block time and local clock.

    Raises:
        PermitDead: with what was expected, what came, and what to do.
    """
    row = PERMITS.get(reader, permit_id)
    _check_time(row, time_s)  # 1
    assert row is not None
    _check_members(reader, row, time_s)  # 2
    _check_relationship(reader, row)  # 3
    _check_versions(reader, row)  # 4
    return row


def _check_time(row: Permit | None, time_s: int) -> None:
    if row is None:
        raise PermitDead("expected a committed permit, the ledger has none: ask for one")
    if row.closed & End.CUSTODIAN:
        raise PermitDead("the custodian has closed this permit: ask for a new one")
    if time_s < row.from_s or time_s >= row.until_s:
        raise PermitDead(f"permit runs from {row.from_s} to {row.until_s}, now {time_s}: ask for a new one")


def _check_members(reader: Reader, row: Permit, time_s: int) -> None:
    if row.requester == row.custodian:
        return
    for organisation in (row.requester, row.custodian):
        if membership.is_suspended(membership.require_organisation(reader, organisation), time_s=time_s):
            raise PermitDead(f"{organisation} is suspended: nothing is released until that ends")


def _check_relationship(reader: Reader, row: Permit) -> None:
    if records.is_erased(reader, row.pseudonym):
        raise PermitDead("the relationship was erased: nothing is left to release")
    if patients.require_relationship(reader, row.pseudonym).closed_at_s:
        raise PermitDead("the relationship was closed: nothing is released any more")


def _check_versions(reader: Reader, row: Permit) -> None:
    versions = (
        ("sharing choices", row.choices_version, consent.choices(reader, row.pseudonym).version),
        ("network policy", row.network_policy_version, membership.policy(reader).version),
        ("custodian's policy", row.custodian_policy_version, membership.policy(reader, row.custodian).version),
    )
    for what, pinned, current in versions:
        if pinned != current:
            raise PermitDead(f"permit rests on version {pinned} of the {what}, now {current}: ask again")


def _unreviewed(reader: Reader, who: PublicKey | OrganisationId) -> int:
    row = UNREVIEWED.get(reader, who)
    return row.count if row is not None else 0
