"""Access (docs/spec/contracts.md, 6): requests and their decision, anchors, emergencies, challenges.

A permit is the list of the fields of *Permit*; places that are used by number have a name below.
"""

from typing import Final

from salus.testing.auditor import consent, patients, records, tickets
from salus.testing.auditor.gates import Gate, Request, conditions_of, holds, may_permit, surely_denies
from salus.testing.auditor.hashes import tagged
from salus.testing.auditor.shapes import Message
from salus.testing.auditor.view import No, Row, View

DURATION_UNFIT, TICKET_NOT_USED, PERMIT_UNKNOWN, NOT_AN_END, END_CLOSED = 601, 602, 603, 604, 605
EMERGENCY_UNKNOWN, OFFICER_UNFIT = 606, 607

REQUESTER_SUSPENDED, CUSTODIAN_SUSPENDED, CLOSED, ERASED, ROLE_NOT_HELD = 1, 2, 3, 4, 5
NETWORK_FORBIDS, CUSTODIAN_FORBIDS, EMERGENCY_NOT_CLINICAL, UNREVIEWED, PATIENT_DENIES, NOTHING_PERMITS = range(6, 12)
EMERGENCY, CHOICE, TICKET, OWN_STAFF, PATIENT, POLICY = range(1, 7)

BTG, PATRQT = 3, 4
CLINICAL, PATIENT_SIDE = 1, 4
DIRECT_PURPOSES: Final = (1, 2)
DIRECT_ROLES: Final = (1, 2, 3)
CUSTODIAN_END, REQUESTER_END = 1, 2
NOT_JUSTIFIED = 2
UNTIL, CLOSED_ENDS = 7, 16
PERMITS, EMERGENCIES, COUNTS = "access.permits", "access.emergencies", "access.unreviewed"


class _Denied(Exception):
    """Heard and refused, for this reason."""

    def __init__(self, reason: int) -> None:
        super().__init__(reason)
        self.reason = reason


def request_access(view: View, message: Message) -> Row:
    """601."""
    requester = view.organisation(message["requester"])
    session = view.need_session(message["session"])
    view.need_organisation(message["requester"])
    relationship = patients.require_custodian(view, message["pseudonym"], message["custodian"])
    network = view.get("membership.network", 0)
    assert network is not None, "genesis wrote it"
    if message["duration_s"] > (network[2] if message["purpose"] == BTG else network[1]):
        raise No(DURATION_UNFIT)
    ticket = _ticket_of(view, message, session)
    try:
        basis, names_ticket = _decide(view, message, requester, relationship, network, ticket, session)
    except _Denied as denied:
        return [605, *_asked(message), denied.reason, *_versions(view, message), message["residual"]]
    until_s = view.time_s + message["duration_s"]
    named = message["ticket"] if names_ticket else b""
    terms = [until_s, basis, named, *_versions(view, message), message["residual"]]
    permit = tagged("salus/permit/1", view.transaction.hash, view.place.to_bytes(4, "big"))[:16]
    row = [*_asked(message), view.time_s, until_s, session, message["reader_key"], *terms[1:], 0]
    view.put(PERMITS, permit, row)
    if basis == EMERGENCY:
        _open_emergency(view, message, permit, session)
    return [601, *_asked(message), *terms]


def commit_releases(view: View, message: Message) -> Row:
    """602."""
    if message["permit"]:
        _anchor_permit(view, message)
    else:
        relationship = patients.require(view, message["pseudonym"])
        view.need_organisation(relationship[0])
        if message["end"] != CUSTODIAN_END:
            raise No(NOT_AN_END)
    told = ("pseudonym", "permit", "end", "root", "is_closed")
    return [602, *(message[name] for name in told)]


def review_emergency(view: View, message: Message) -> Row:
    """603."""
    emergency = view.get(EMERGENCIES, message["permit"])
    if emergency is None or emergency[0] != message["pseudonym"]:
        raise No(EMERGENCY_UNKNOWN)
    officer = view.need_session(message["session"])
    view.need_organisation(emergency[1])
    if officer == emergency[3]:
        raise No(OFFICER_UNFIT)
    view.put(EMERGENCIES, message["permit"], None)
    _count(view, emergency[3], -1)
    _count(view, emergency[2], -1)
    permit = view.get(PERMITS, message["permit"])
    if message["verdict"] == NOT_JUSTIFIED and permit is not None and permit[UNTIL] > view.time_s:
        permit[UNTIL] = view.time_s
        view.put(PERMITS, message["permit"], permit)
    return [603, message["pseudonym"], message["permit"], message["verdict"], message["commitment"]]


def challenge(view: View, message: Message) -> Row:
    """604."""
    relationship = patients.require(view, message["pseudonym"])
    signer = view.need(*patients.acting_keys(relationship, view.time_s))
    actor = patients.actor_of(relationship, signer)
    return [604, message["pseudonym"], message["permit"], actor, message["commitment"]]


def _decide(
    view: View, message: Message, requester: Row, relationship: Row, network: Row, ticket: Row | None, session: bytes
) -> tuple[int, bool]:
    """Return the basis and whether the permit names the ticket. Raises _Denied."""
    asked: Request = (message["requester"], message["role_class"], message["purpose"], message["verb"], view.day)
    network_gates, custodian_gates = _policy_gates(view, ""), _policy_gates(view, message["custodian"])
    choice_gates = [choice[1] for choice in consent.choices_of(view, message["pseudonym"])[1]]
    view.condition_count += sum(map(conditions_of, [*network_gates, *custodian_gates, *choice_gates]))
    _expect_standing(view, message, requester, relationship)
    if any(surely_denies(gate, asked) for gate in network_gates):
        raise _Denied(NETWORK_FORBIDS)
    if any(surely_denies(gate, asked) for gate in custodian_gates):
        raise _Denied(CUSTODIAN_FORBIDS)
    if message["purpose"] == BTG:
        _expect_emergency(view, message, network, session)
        return EMERGENCY, False
    if any(surely_denies(gate, asked) for gate in choice_gates):
        raise _Denied(PATIENT_DENIES)
    by_ticket = ticket is not None and _ticket_permits(ticket, asked)
    if any(may_permit(gate, asked) for gate in choice_gates):
        return CHOICE, by_ticket
    if by_ticket:
        return TICKET, True
    if message["requester"] == message["custodian"] and _is_direct_care(asked):
        return OWN_STAFF, False
    if (message["purpose"], message["role_class"]) == (PATRQT, PATIENT_SIDE):
        return PATIENT, False
    if any(may_permit(gate, asked) for gate in [*network_gates, *custodian_gates]):
        return POLICY, False
    raise _Denied(NOTHING_PERMITS)


def _expect_standing(view: View, message: Message, requester: Row, relationship: Row) -> None:
    custodian = view.organisation(message["custodian"])
    if message["requester"] != message["custodian"]:
        if view.time_s < requester[5]:
            raise _Denied(REQUESTER_SUSPENDED)
        if view.time_s < custodian[5]:
            raise _Denied(CUSTODIAN_SUSPENDED)
    if relationship[5]:
        raise _Denied(CLOSED)
    if records.is_erased(view, message["pseudonym"]):
        raise _Denied(ERASED)
    if message["role_class"] not in requester[1]:
        raise _Denied(ROLE_NOT_HELD)


def _expect_emergency(view: View, message: Message, network: Row, session: bytes) -> None:
    if message["role_class"] != CLINICAL:
        raise _Denied(EMERGENCY_NOT_CLINICAL)
    of_session = (view.get(COUNTS, session) or [0])[0]
    of_requester = (view.get(COUNTS, message["requester"]) or [0])[0]
    if of_session >= network[3] or of_requester >= network[4]:
        raise _Denied(UNREVIEWED)


def _ticket_of(view: View, message: Message, session: bytes) -> Row | None:
    if not message["ticket"]:
        return None
    ticket = view.get(tickets.TABLE, message["ticket"])
    is_used = ticket is not None and ticket[9] == tickets.used_for(view, view.place, session)
    if ticket is None or ticket[0] != message["pseudonym"] or not is_used:
        raise No(TICKET_NOT_USED)
    return ticket


def _ticket_permits(ticket: Row, asked: Request) -> bool:
    conditions_hold = all(holds(condition, asked) for condition in ticket[2])
    return conditions_hold and (ticket[1] != patients.CUSTODIAN or _is_direct_care(asked))


def _is_direct_care(asked: Request) -> bool:
    return asked[2] in DIRECT_PURPOSES and asked[1] in DIRECT_ROLES


def _policy_gates(view: View, organisation: str) -> list[Gate]:
    policy = view.get("membership.policies", organisation)
    return [] if policy is None else policy[2]


def _versions(view: View, message: Message) -> list[int]:
    policies = [view.get("membership.policies", code) for code in ("", message["custodian"])]
    choices = consent.choices_of(view, message["pseudonym"])
    return [choices[0], *(policy[0] if policy else 0 for policy in policies)]


def _asked(message: Message) -> Row:
    return [message[name] for name in ("pseudonym", "custodian", "requester", "role_class", "purpose", "verb")]


def _open_emergency(view: View, message: Message, permit: bytes, session: bytes) -> None:
    row = [message["pseudonym"], message["custodian"], message["requester"], session, view.time_s]
    view.put(EMERGENCIES, permit, row)
    _count(view, session, 1)
    _count(view, message["requester"], 1)


def _count(view: View, key: bytes | str, change: int) -> None:
    count = (view.get(COUNTS, key) or [0])[0] + change
    view.put(COUNTS, key, [count] if count else None)


def _anchor_permit(view: View, message: Message) -> None:
    permit = view.get(PERMITS, message["permit"])
    if permit is None or permit[0] != message["pseudonym"]:
        raise No(PERMIT_UNKNOWN)
    custodian, requester, end = permit[1], permit[2], message["end"]
    view.need_organisation(custodian if end == CUSTODIAN_END else requester)
    if custodian == requester and end != CUSTODIAN_END:
        raise No(NOT_AN_END)
    if permit[CLOSED_ENDS] & end:
        raise No(END_CLOSED)
    if message["is_closed"]:
        permit[CLOSED_ENDS] |= end
        ends = CUSTODIAN_END if custodian == requester else CUSTODIAN_END | REQUESTER_END
        view.put(PERMITS, message["permit"], None if permit[CLOSED_ENDS] == ends else permit)


def is_own(permit: Row) -> bool:
    """Tell whether a permit is for own staff's direct care, or for the patient: what the default lets go."""
    asked: Request = (permit[2], permit[3], permit[4], permit[5], 0)
    is_patient = (permit[4], permit[3]) == (PATRQT, PATIENT_SIDE)
    return is_patient or (permit[1] == permit[2] and _is_direct_care(asked))


def is_alive(view: View, permit: bytes) -> bool:
    """Tell whether a permit is alive at the view's time: the later of block time and local clock."""
    time_s = view.time_s
    row = view.get(PERMITS, permit)
    if row is None or row[CLOSED_ENDS] & CUSTODIAN_END or not row[6] <= time_s < row[UNTIL]:
        return False
    custodian, requester = (view.get("membership.organisations", code) for code in row[1:3])
    if custodian is None or requester is None:
        return False
    is_suspended = row[1] != row[2] and (time_s < custodian[5] or time_s < requester[5])
    relationship = patients.require(view, row[0])
    is_gone = relationship[5] or records.is_erased(view, row[0])
    if is_suspended or row[3] not in requester[1] or is_gone:
        return False
    policies = [view.get("membership.policies", code) for code in ("", row[1])]
    now = [consent.choices_of(view, row[0])[0], *(policy[0] if policy else 0 for policy in policies)]
    ticket = view.get(tickets.TABLE, row[11]) if row[11] else None
    return row[12:15] == now and (not row[11] or (ticket is not None and tickets.is_in_force(view, ticket)))
