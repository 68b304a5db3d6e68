"""Votes, suspension and validators (docs/spec/contracts.md, 1: messages 105 to 108, and what is below them).

An action is the array of its tag and its fields; a proposal [proposer, action, expires at, in favour].
"""

from collections.abc import Iterable, Sequence
from typing import Final

from salus.testing.auditor.curve import is_fit_key
from salus.testing.auditor.gates import conditions_of, gate_of, is_fit_tree
from salus.testing.auditor.hashes import tagged
from salus.testing.auditor.membership import CONSENSUS, HPKE, KEY_IN_USE, KEY_UNFIT, USE_UNFIT, is_fit_for, replace_key
from salus.testing.auditor.shapes import Message
from salus.testing.auditor.view import TRANSACTION_KEY, No, Row, View

ROLE_NOT_HELD, EXPIRY_UNFIT = 104, 105
PROPOSAL_UNKNOWN, MEMBER_KNOWN, ACCESS_UNFIT, POLICY_UNFIT, VERSION_UNFIT, HEIGHT_UNFIT = range(110, 116)
LAST_VALIDATOR, POWER_UNFIT, ACTION_UNFIT, ACCUSED_UNFIT, ACCUSATION_OPEN, ROTATION_UNFIT = range(116, 122)
ADMIT, REMOVE, SET_POLICY, SCHEDULE_RULES, SET_ACCESS, SET_SUSPENSION = range(1, 7)
VALIDATOR, OBSERVER = 1, 2

DAY_S: Final = 86_400
PROPOSAL_S_MAX: Final = 30 * DAY_S
SUSPENSION_S: Final = 3 * DAY_S
SPENT_S: Final = 30 * DAY_S
POLICY_CONDITIONS_MAX: Final = 2_000
CONDITIONS, CONDITIONS_OF_A_MEMBER = 500, 25
"""What a message of these counts for, and how much more for each member (machine.md, Steps)."""

MEMBERS, SEATS, PROPOSALS = "membership.organisations", "membership.validators", "membership.proposals"
ACCUSATIONS, UPGRADES, BEFORE = "membership.accusations", "membership.upgrades", "membership.before"
CASES, KEYS, POLICIES = "membership.cases", "membership.keys", "membership.policies"
NETWORK, OWNERS = "membership.network", "membership.owners"

Misbehaviour = tuple[bytes, int, int]
"""Address, height, time in seconds."""


def propose(view: View, message: Message) -> Row:
    """105."""
    _begin(view, message)
    organisation, action, expires_at_s = message["organisation"], message["action"], message["expires_at_s"]
    if not view.time_s < expires_at_s <= view.time_s + PROPOSAL_S_MAX:
        raise No(EXPIRY_UNFIT)
    _expect_fit(view, action)
    if action[0] == ADMIT:
        for use, key in action[6]:
            if use != HPKE:
                view.need(key)
    proposal = tagged("salus/proposal/1", view.transaction.hash, view.place.to_bytes(4, "big"))[:16]
    is_carried = _is_super_majority(view, [organisation])
    if is_carried:
        _do(view, action)
    else:
        view.put(PROPOSALS, proposal, [organisation, action, expires_at_s, [organisation]])
    return [105, organisation, proposal, action, expires_at_s, is_carried]


def vote(view: View, message: Message) -> Row:
    """106."""
    _begin(view, message)
    organisation, proposal, is_in_favour = message["organisation"], message["proposal"], message["is_in_favour"]
    row = view.get(PROPOSALS, proposal)
    if row is None or row[2] <= view.time_s:
        raise No(PROPOSAL_UNKNOWN)
    row[3] = sorted({*row[3], organisation} if is_in_favour else {*row[3]} - {organisation})
    is_carried = is_in_favour and _is_super_majority(view, row[3])
    if is_carried:
        try:
            _expect_fit(view, row[1])
        except No as no:
            raise No(ACTION_UNFIT) from no
        view.put(PROPOSALS, proposal, None)
        _do(view, row[1])
    else:
        view.put(PROPOSALS, proposal, row)
    return [106, organisation, proposal, is_in_favour, is_carried]


def suspend(view: View, message: Message) -> Row:
    """107."""
    _begin(view, message)
    organisation, accused = message["organisation"], message["accused"]
    row = view.get(MEMBERS, accused)
    if row is None or view.time_s < row[5] or accused == organisation:
        raise No(ACCUSED_UNFIT)
    own = view.get(ACCUSATIONS, organisation)
    if own is not None and own[1] > view.time_s:
        raise No(ACCUSATION_OPEN)
    until_s = view.time_s + SUSPENSION_S
    view.put(ACCUSATIONS, organisation, [accused, until_s, False])
    members = view.all(MEMBERS)
    accusers = [
        who
        for who, (of, end_s, is_spent) in view.all(ACCUSATIONS).items()
        if who in members and of == accused and not is_spent and end_s > view.time_s
    ]
    if len(accusers) < 3 or 3 * len(accusers) <= len(members):
        return [107, organisation, accused, 0, message["commitment"]]
    row[5] = until_s
    view.put(MEMBERS, accused, row)
    for who in accusers:
        view.put(ACCUSATIONS, who, [accused, view.time_s + SPENT_S, True])
    return [107, organisation, accused, until_s, message["commitment"]]


def rotate_consensus_key(view: View, message: Message) -> Row:
    """108."""
    _begin(view, message)
    organisation, key = message["organisation"], message["key"]
    if not is_fit_key(key):
        raise No(KEY_UNFIT)
    if view.is_registered(key):
        raise No(KEY_IN_USE)
    retired = (view.get(KEYS, [organisation, CONSENSUS]) or [b"", []])[1]
    if retired and retired[-1][1] + DAY_S > view.time_s:
        raise No(ROTATION_UNFIT)
    seat = view.get(SEATS, organisation)
    if seat is not None:
        _expect_seat(view, organisation, [key, seat[1]])
    view.need(key)
    replace_key(view, organisation, CONSENSUS, key)
    if seat is not None:
        _put_seat(view, organisation, [key, seat[1]])
    return [108, organisation, key]


def end_block(view: View, evidence: Sequence[Misbehaviour]) -> list[tuple[bytes, int]]:
    """Hear the evidence; return which keys have which power from two heights later on."""
    heard: set[bytes] = set()
    for address, height, time_s in evidence:
        if address not in heard:
            _open_case(view, address, height, time_s)
        heard.add(address)
    upgrade = view.get(UPGRADES, 0)
    if upgrade is not None and upgrade[1] <= view.height + 1:
        _fold(view, upgrade)
    before = view.get(BEFORE, 0)
    if before is None or before[0] != view.height:
        return []
    was, now = _powers(before[1]), _powers(view.all(SEATS).values())
    return [(key, now.get(key, 0)) for key in sorted({*was, *now}) if was.get(key, 0) != now.get(key, 0)]


def _begin(view: View, message: Message) -> None:
    view.organisation(message["organisation"])
    view.need_organisation(message["organisation"])
    view.condition_count += CONDITIONS + CONDITIONS_OF_A_MEMBER * len(view.all(MEMBERS))


def _is_super_majority(view: View, in_favour: Sequence[str]) -> bool:
    members = view.all(MEMBERS)
    return 3 * len([who for who in in_favour if who in members]) > 2 * len(members)


# Actions


def _expect_fit(view: View, action: Row) -> None:
    if action[0] == ADMIT:
        _expect_admission(view, action)
    elif action[0] == REMOVE:
        view.organisation(action[1])
        _expect_seat(view, action[1], None)
    elif action[0] == SET_POLICY:
        if action[1]:
            view.organisation(action[1])
        _expect_policy(view, action[2])
    elif action[0] == SCHEDULE_RULES:
        if action[1] != _rules_version(view, view.height) + 1:
            raise No(VERSION_UNFIT)
        if action[2] <= view.height:
            raise No(HEIGHT_UNFIT)
    elif action[0] == SET_ACCESS:
        view.organisation(action[1])
        _expect_seat(view, action[1], _seat_of(view, action))
    else:
        view.organisation(action[1])


def _expect_admission(view: View, action: Row) -> None:
    _, organisation, _, role_classes, access, _, keys = action
    if view.get(MEMBERS, organisation) is not None:
        raise No(MEMBER_KNOWN)
    if role_classes != sorted(set(role_classes)):
        raise No(ROLE_NOT_HELD)
    if access == VALIDATOR:
        raise No(ACCESS_UNFIT)
    uses = [use for use, _ in keys]
    if TRANSACTION_KEY not in uses or len(set(uses)) < len(uses):
        raise No(USE_UNFIT)
    if not all(is_fit_for(key, use) for use, key in keys):
        raise No(KEY_UNFIT)
    if len({key for _, key in keys}) < len(keys) or any(view.is_registered(key) for _, key in keys):
        raise No(KEY_IN_USE)


def _expect_policy(view: View, trees: list[Row]) -> None:
    if not all(map(is_fit_tree, trees)):
        raise No(POLICY_UNFIT)
    count = sum(conditions_of(gate_of(tree)) for tree in trees)
    if count > POLICY_CONDITIONS_MAX:
        raise No(POLICY_UNFIT)
    view.condition_count += count


def _seat_of(view: View, action: Row) -> Row | None:
    """The seat that a SetAccess gives."""
    _, organisation, access, power = action
    key = (view.get(KEYS, [organisation, CONSENSUS]) or [b""])[0]
    if access != VALIDATOR and power == 0:
        return None
    if access != VALIDATOR or power == 0 or not key:
        raise No(ACCESS_UNFIT)
    return [key, power]


def _do(view: View, action: Row) -> None:
    if action[0] == ADMIT:
        _, organisation, name, role_classes, access, endpoint, keys = action
        view.put(MEMBERS, organisation, [name, role_classes, access, endpoint, view.time_s, 0])
        for use, key in keys:
            replace_key(view, organisation, use, key)
    elif action[0] == REMOVE:
        _remove(view, action[1])
    elif action[0] == SET_POLICY:
        version = (view.get(POLICIES, action[1]) or [0])[0] + 1
        view.put(POLICIES, action[1], [version, action[2], [gate_of(tree) for tree in action[2]]])
    elif action[0] == SCHEDULE_RULES:
        upgrade = view.get(UPGRADES, 0)
        if upgrade is not None and upgrade[1] <= view.height:
            _fold(view, upgrade)
        view.put(UPGRADES, 0, action[1:])
    elif action[0] == SET_ACCESS:
        _set_access(view, action)
    else:
        member = view.organisation(action[1])
        member[5] = action[2]
        view.put(MEMBERS, action[1], member)
        if action[2] > view.time_s:
            _drop_accusations(view, action[1])


def _remove(view: View, organisation: str) -> None:
    _put_seat(view, organisation, None)
    view.put(MEMBERS, organisation, None)
    for use in range(1, 7):
        if view.get(KEYS, [organisation, use]) is not None:
            replace_key(view, organisation, use, b"")
    view.put(ACCUSATIONS, organisation, None)
    _drop_accusations(view, organisation)


def _set_access(view: View, action: Row) -> None:
    organisation = action[1]
    _put_seat(view, organisation, _seat_of(view, action))
    member = view.organisation(organisation)
    member[2] = action[2]
    view.put(MEMBERS, organisation, member)
    case = view.get(CASES, organisation)
    if case is not None and case[4] == 0:
        view.put(CASES, organisation, [*case[:4], view.time_s])


def _drop_accusations(view: View, accused: str) -> None:
    for who, row in view.all(ACCUSATIONS).items():
        if row[0] == accused and view.get(MEMBERS, who) is not None:
            view.put(ACCUSATIONS, who, None)


# Seats and rules


def _powers(seats: Iterable[Row]) -> dict[bytes, int]:
    return {seat[0]: seat[1] for seat in seats}


def _expect_seat(view: View, organisation: str, seat: Row | None) -> None:
    after = {who: row for who, row in view.all(SEATS).items() if who != organisation}
    if seat is not None:
        after[organisation] = seat
    if not after:
        raise No(LAST_VALIDATOR)
    was, now = _powers(_before(view)), _powers(after.values())
    gained = sum(max(0, now.get(key, 0) - was.get(key, 0)) for key in {*was, *now})
    lost = sum(max(0, was.get(key, 0) - now.get(key, 0)) for key in {*was, *now})
    if max(gained, lost) * 3 > sum(was.values()):
        raise No(POWER_UNFIT)


def _before(view: View) -> list[Row]:
    row = view.get(BEFORE, 0)
    return row[1] if row is not None and row[0] == view.height else list(view.all(SEATS).values())


def _put_seat(view: View, organisation: str, seat: Row | None) -> None:
    if view.get(SEATS, organisation) != seat:
        view.put(BEFORE, 0, [view.height, _before(view)])
        view.put(SEATS, organisation, seat)


def _rules_version(view: View, height: int) -> int:
    upgrade, network = view.get(UPGRADES, 0), view.get(NETWORK, 0)
    assert network is not None, "genesis wrote it"
    return int(network[0] if upgrade is None or height < upgrade[1] else upgrade[0])


def _fold(view: View, upgrade: Row) -> None:
    network = view.get(NETWORK, 0)
    assert network is not None, "genesis wrote it"
    view.put(NETWORK, 0, [upgrade[0], *network[1:]])
    view.put(UPGRADES, 0, None)


def _open_case(view: View, address: bytes, height: int, time_s: int) -> None:
    owned = [who for name, (who, use) in view.all(OWNERS).items() if name[:20] == address and use == CONSENSUS]
    if not owned:
        return
    case = view.get(CASES, owned[0])
    if case is not None and case[:2] == [address, height]:
        return
    view.put(CASES, owned[0], [address, height, time_s, view.time_s, 0])
    seats = view.all(SEATS)
    if owned[0] in seats and len(seats) > 1:
        _put_seat(view, owned[0], None)
        member = view.organisation(owned[0])
        member[2] = OBSERVER
        view.put(MEMBERS, owned[0], member)
