"""How access decides: the order of a decision (DESIGN §5), anchors, reviews and challenges."""

import msgspec

from salus.contracts import membership, patients, tickets
from salus.contracts.access.messages import (
    AccessDenied,
    AccessPermitted,
    Challenge,
    Challenged,
    CommitReleases,
    EmergencyReviewed,
    ReleasesCommitted,
    RequestAccess,
    ReviewEmergency,
)
from salus.contracts.access.order import decide_request
from salus.contracts.access.queries import open_request, permit_id, unreviewed, versions
from salus.contracts.access.rejections import Rejection
from salus.contracts.access.state import (
    CONTRACT,
    EMERGENCIES,
    PERMITS,
    UNREVIEWED,
    Basis,
    DenialReason,
    Emergency,
    End,
    Permit,
    Unreviewed,
    Verdict,
)
from salus.contracts.provisions import Purpose
from salus.contracts.tickets import Ticket
from salus.ledger.contract import Context, Rejected
from salus.ledger.identifiers import EMPTY, OrganisationId, PermitId, PublicKey


@CONTRACT.handles(RequestAccess, AccessPermitted, AccessDenied)
def request_access(context: Context, message: RequestAccess) -> AccessPermitted | AccessDenied:
    """Hear a request and decide it, in the order of a decision.

    1. `requester` is a member, else OrganisationUnknown.
    2. Signed by the key at place `session` among the signers, which no member registered, now or ever: else
       SignatureMissing, SessionKeyUnfit.
    3. Signed by the requester.
    4. The relationship exists and `custodian` is its custodian, else RelationshipUnknown, NotTheCustodian.
    5. `duration_s` is at most the network's `emergency_s_max` if the purpose is BTG, else at most its `permit_s_max`;
       else DurationUnfit.
    6. `ticket` is empty, or a ticket of this pseudonym whose `used_for` names this message and this session key (see
       UseTicket): else TicketNotUsed.
    7. Decide. The first of these that holds is the answer. A request is compared as (requester, role class, purpose,
       verb, day of the block's time); *surely denies* and *may permit* are the questions to a gate (provisions).
       1. The custodian is still a member, else OrganisationUnknown. Denied RequesterSuspended, CustodianSuspended:
          requester and custodian differ, and the one or the other is suspended: the block's time is before its
          `suspended_until_s`.
       2. Denied RelationshipClosed. 3. Denied RelationshipErased: it has a tombstone.
       4. Denied RoleNotHeld: the requester does not hold the role class.
       5. Denied NetworkPolicyForbids, CustodianPolicyForbids: a gate of the network's policy, or then of the
          custodian's, surely denies.
       6. The purpose is BTG. Denied EmergencyNotClinical: the role class is not CLINICAL. Denied EmergenciesUnreviewed:
          the count in `access.unreviewed` of the session key is at least the network's `unreviewed_per_session_max`, or
          that of the requester at least `unreviewed_per_organisation_max`. Else permitted, EMERGENCY.
       7. Denied PatientDenies: the gate of a choice surely denies.
       8. Permitted, CHOICE: the gate of a choice may permit.
       9. Permitted, TICKET: the ticket may permit: all its conditions hold, and if its issuer is CUSTODIAN, the request
          is direct care: purpose TREAT or ETREAT, role class CLINICAL, PHARMACY or ADMINISTRATIVE.
       10. Permitted, OWN_STAFF: requester and custodian are the same and the request is direct care.
       11. Permitted, PATIENT: the purpose is PATRQT and the role class PATIENT_SIDE. (That a key of the pseudonym
           certified the session key is in the residual, where the custodian checks it.)
       12. Permitted, POLICY: a gate of the network's or the custodian's policy may permit.
       13. Denied NothingPermits.
    8. If permitted: write `access.permits` under the permit id, the first 16 bytes of the tagged hash
       ("salus/permit/1") of the transaction's hash and the message's place as 4 bytes big-endian. It names the ticket
       if the ticket may permit and the basis is not EMERGENCY, else its `ticket` is empty. It pins the current versions
       of choices and policies, 0 for those that have no row; so does a denial.
       `from_s` is the block's time, `until_s` that and `duration_s`; `session_key` the key of step 2; `closed` 0.
    9. If EMERGENCY: write `access.emergencies` under the permit id, opened at the block's time, and add one to
       `access.unreviewed` of the session key and of the requester.
    """
    membership.require_organisation(context, message.requester)  # 1
    session_key = membership.sign_as_session(context, message.session)  # 2
    membership.sign_as(context, message.requester)  # 3
    relationship = patients.require_custodian(context, message.pseudonym, message.custodian)  # 4
    _check_duration(context, message)  # 5
    ticket = _usable_ticket(context, message, session_key)  # 6
    decision = decide_request(  # 7
        context, message, relationship, ticket, session_key=session_key, time_s=context.time_s, step=context.step
    )
    if isinstance(decision, DenialReason):
        return _deny(context, message, decision)
    return _permit(context, message, decision, session_key, ticket)  # 8, 9


def _check_duration(context: Context, message: RequestAccess) -> None:
    network = membership.network(context)
    longest_s = network.emergency_s_max if message.purpose is Purpose.BTG else network.permit_s_max
    if message.duration_s > longest_s:
        raise Rejected(Rejection.DURATION_UNFIT, f"expected at most {longest_s} s, came {message.duration_s}")


def _usable_ticket(context: Context, message: RequestAccess, session_key: PublicKey) -> Ticket | None:
    """The ticket, if it was used for this message and may permit it; None when there is none that may."""
    if not message.ticket:
        return None
    ticket = tickets.used_for(
        context,
        PublicKey(message.ticket),
        pseudonym=message.pseudonym,
        transaction=context.transaction,
        message_index=context.message_index,
        session_key=session_key,
    )
    if ticket is None:
        raise Rejected(Rejection.TICKET_NOT_USED, "expected UseTicket for this session key as the message before")
    context.step(len(ticket.conditions))
    return ticket if tickets.may_permit(ticket, open_request(message, time_s=context.time_s)) else None


def _deny(context: Context, message: RequestAccess, reason: DenialReason) -> AccessDenied:
    current = versions(context, message.pseudonym, message.custodian)
    return AccessDenied(
        pseudonym=message.pseudonym,
        custodian=message.custodian,
        requester=message.requester,
        role_class=message.role_class,
        purpose=message.purpose,
        verb=message.verb,
        reason=reason,
        choices_version=current.choices,
        network_policy_version=current.network_policy,
        custodian_policy_version=current.custodian_policy,
        residual=message.residual,
    )


def _permit(
    context: Context, message: RequestAccess, basis: Basis, session_key: PublicKey, ticket: Ticket | None
) -> AccessPermitted:
    current = versions(context, message.pseudonym, message.custodian)
    terms = Permit(
        pseudonym=message.pseudonym,
        custodian=message.custodian,
        requester=message.requester,
        role_class=message.role_class,
        purpose=message.purpose,
        verb=message.verb,
        from_s=context.time_s,
        until_s=context.time_s + message.duration_s,
        session_key=session_key,
        reader_key=message.reader_key,
        basis=basis,
        ticket=message.ticket if ticket is not None and basis is not Basis.EMERGENCY else EMPTY,
        choices_version=current.choices,
        network_policy_version=current.network_policy,
        custodian_policy_version=current.custodian_policy,
        residual=message.residual,
        closed=0,
    )
    permit = permit_id(context.transaction, context.message_index)
    PERMITS.put(context, permit, terms)
    if basis is Basis.EMERGENCY:
        _open_emergency(context, permit, terms)
    return _permitted(terms)


def _permitted(terms: Permit) -> AccessPermitted:
    return AccessPermitted(
        pseudonym=terms.pseudonym,
        custodian=terms.custodian,
        requester=terms.requester,
        role_class=terms.role_class,
        purpose=terms.purpose,
        verb=terms.verb,
        until_s=terms.until_s,
        basis=terms.basis,
        ticket=terms.ticket,
        choices_version=terms.choices_version,
        network_policy_version=terms.network_policy_version,
        custodian_policy_version=terms.custodian_policy_version,
        residual=terms.residual,
    )


def _open_emergency(context: Context, permit: PermitId, terms: Permit) -> None:
    row = Emergency(terms.pseudonym, terms.custodian, terms.requester, terms.session_key, context.time_s)
    EMERGENCIES.put(context, permit, row)
    for who in (terms.session_key, terms.requester):
        UNREVIEWED.put(context, who, Unreviewed(unreviewed(context, who) + 1))


@CONTRACT.handles(CommitReleases, ReleasesCommitted)
def commit_releases(context: Context, message: CommitReleases) -> ReleasesCommitted:
    """Anchor one end's receipts; once an end has closed a permit, it can anchor nothing more under it.

    With a permit:

    1. It has a row, and is of this pseudonym, else PermitUnknown. (The row goes when its ends have closed it, or by the
       sweep from 7 days, 604,800 s, after its end on.)
    2. Signed by the permit's custodian if `end` is CUSTODIAN, by its requester if it is REQUESTER.
    3. The permit's custodian and requester differ or `end` is CUSTODIAN, else NotAnEnd: who releases to itself has one
       end.
    4. This end has not closed the permit, else EndClosed.
    5. If `is_closed`: add `end` to `closed` of the row; delete the row if no end is left open.

    With an empty permit, for a match:

    1. The relationship exists, else RelationshipUnknown. It may be closed or erased.
    2. Signed by its custodian.
    3. `end` is CUSTODIAN, else NotAnEnd. `is_closed` has no effect.
    """
    if message.permit:
        _anchor_permit(context, message)
    else:
        relationship = patients.require_relationship(context, message.pseudonym)  # 1
        membership.sign_as(context, relationship.custodian)  # 2
        if message.end is not End.CUSTODIAN:  # 3
            raise Rejected(Rejection.NOT_AN_END, "expected the custodian's end: only the asked node anchors a match")
    return ReleasesCommitted(message.pseudonym, message.permit, message.end, message.root, message.is_closed)


def _anchor_permit(context: Context, message: CommitReleases) -> None:
    permit = PERMITS.get(context, message.permit)
    if permit is None or permit.pseudonym != message.pseudonym:  # 1
        raise Rejected(Rejection.PERMIT_UNKNOWN, "expected a permit of this pseudonym that is not closed by both ends")
    is_own = permit.requester == permit.custodian
    membership.sign_as(context, permit.custodian if message.end is End.CUSTODIAN else permit.requester)  # 2
    if is_own and message.end is End.REQUESTER:  # 3
        raise Rejected(Rejection.NOT_AN_END, "the custodian asked itself: expected its end as custodian")
    if permit.closed & message.end:  # 4
        raise Rejected(Rejection.END_CLOSED, "this end has closed the permit: ask for a new one")
    if message.is_closed:  # 5
        closed = permit.closed | message.end
        if closed == (End.CUSTODIAN if is_own else End.CUSTODIAN | End.REQUESTER):
            PERMITS.delete(context, message.permit)
        else:
            PERMITS.put(context, message.permit, msgspec.structs.replace(permit, closed=closed))


@CONTRACT.handles(ReviewEmergency, EmergencyReviewed)
def review_emergency(context: Context, message: ReviewEmergency) -> EmergencyReviewed:
    """Give an emergency its verdict, which frees one place in the limits.

    1. `access.emergencies` has a row for the permit, and it is of this pseudonym, else EmergencyUnknown.
    2. Signed by the key at place `session` among the signers, which no member registered, now or ever: else
       SignatureMissing, SessionKeyUnfit.
    3. Signed by the emergency's custodian.
    4. The session key is not that of the emergency, else OfficerUnfit: nobody reviews themselves.
    5. Delete the row; take one from `access.unreviewed` of the emergency's session key and of its requester, and delete
       what comes to 0.
    6. If NOT_JUSTIFIED and the permit has a row: write its `until_s` as the block's time, unless it is earlier.
    """
    emergency = EMERGENCIES.get(context, message.permit)
    if emergency is None or emergency.pseudonym != message.pseudonym:  # 1
        raise Rejected(Rejection.EMERGENCY_UNKNOWN, "expected an emergency of this pseudonym without a verdict")
    officer_key = membership.sign_as_session(context, message.session)  # 2
    membership.sign_as(context, emergency.custodian)  # 3
    if officer_key == emergency.session_key:  # 4
        raise Rejected(Rejection.OFFICER_UNFIT, "nobody reviews themselves: expected another officer's session key")
    EMERGENCIES.delete(context, message.permit)
    for who in (emergency.session_key, emergency.requester):  # 5
        _lower_unreviewed(context, who)
    if message.verdict is Verdict.NOT_JUSTIFIED:
        _end_permit(context, message.permit)  # 6
    return EmergencyReviewed(message.pseudonym, message.permit, message.verdict, message.commitment)


def _lower_unreviewed(context: Context, who: PublicKey | OrganisationId) -> None:
    count = unreviewed(context, who) - 1
    assert count >= 0, "every emergency was counted when it was opened"
    if count:
        UNREVIEWED.put(context, who, Unreviewed(count))
    else:
        UNREVIEWED.delete(context, who)


def _end_permit(context: Context, permit: PermitId) -> None:
    row = PERMITS.get(context, permit)
    if row is not None:
        PERMITS.put(context, permit, msgspec.structs.replace(row, until_s=min(row.until_s, context.time_s)))


@CONTRACT.handles(Challenge, Challenged)
def challenge(context: Context, message: Challenge) -> Challenged:
    """Put a challenge into the history; the custodian's officer answers it.

    1. The relationship exists, else RelationshipUnknown. It may be closed or erased.
    2. Signed by a key that acts for the pseudonym: its own, or a device's or delegate's that has not expired.

    Writes no table. `permit` is the id of a request of this pseudonym, permitted or denied; nobody checks it here,
    since rows go: who challenges what never was, has a challenge in the own history and nothing else.
    """
    relationship = patients.require_relationship(context, message.pseudonym)  # 1
    actor = patients.sign_for(context, relationship)  # 2
    return Challenged(message.pseudonym, message.permit, actor, message.commitment)
