"""Messages that are mostly legal: one builder for each, which looks into the auditor's rows for what there is."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from salus.crypto.signing import SigningKey
from salus.testing.auditor.canonical import encode
from salus.testing.auditor.gates import gate_of
from salus.testing.auditor.view import Row
from salus.testing.simulator import recovery_drafts
from salus.testing.simulator.cast import CODES, LAST_DAY, plain_tree
from salus.testing.simulator.drafter import STRANGE, Draft, Drafter

NEWCOMERS: Final = ("NW001", "NW002")


def _certify(make: Drafter) -> list[Draft]:
    code = make.code()
    roles = [each for key, row in make.rows("membership.organisations") if key == code for each in row[1]] or [1]
    few = sorted(make.chance.sample(roles, make.chance.randrange(1, len(roles) + 1)))
    message = [101, code, make.bytes(32), make.chance.choice((1, 2)), few, make.later_s(34_560_000)]
    return [Draft(message, [make.organisation_key(code)])]


def _revoke_certificate(make: Drafter) -> list[Draft]:
    found = make.pick("membership.certificates")
    code, certificate = found[0] if found else (make.code(), make.bytes(32))
    return [Draft([102, code, certificate], [make.organisation_key(code)])]


def _rotate_key(make: Drafter) -> list[Draft]:
    code, use = make.code(), make.chance.choice((1, 1, 2, 3, 4, 5, 6))
    own = make.organisation_key(code)
    if use == 5:
        kind = make.chance.choice((1, 2, 3))
        return [Draft([103, code, use, bytes([kind]) + make.bytes(1216 if kind == 2 else 32)], [own])]
    key = make.new_key()
    return [Draft([103, code, use, key.public], [own, key])]


def _publish(make: Drafter) -> list[Draft]:
    code = make.code()
    return [Draft([104, code, f"file-{make.chance.randrange(4)}", make.bytes(32)], [make.organisation_key(code)])]


def _propose(make: Drafter) -> list[Draft]:
    """Propose an action, mostly a fit one."""
    code = make.code()
    action, keys = make.chance.choices(
        (_admission, _removal, _new_policy, _new_rules, _new_access, _suspension), (4, 1, 2, 1, 6, 2)
    )[0](make)
    message = [105, code, action, make.later_s(2_592_000)]
    return [Draft(message, [make.organisation_key(code), *keys])]


Proposed = tuple[list[Any], list[SigningKey]]
"""An action, and the keys that sign it with the proposer."""


def _admission(make: Drafter) -> Proposed:
    known = {key for key, _ in make.rows("membership.organisations")}
    code = make.chance.choice([each for each in (*CODES, *NEWCOMERS) if each not in known] or CODES)
    uses = sorted(make.chance.sample((2, 3, 4, 6), make.chance.randrange(3)))
    keys = {use: make.new_key() for use in (1, *uses)}
    roles = make.chance.choice(([], [1], [1, 7], [2, 3], [5], [6], [7, 1]))
    fields = [f"Organisation {code}", roles, make.chance.choice((2, 2, 3, 1)), "https://new.example"]
    return [1, code, *fields, [[use, key.public] for use, key in keys.items()]], list(keys.values())


def _removal(make: Drafter) -> Proposed:
    return [2, make.code()], []


def _new_policy(make: Drafter) -> Proposed:
    whose = make.chance.choice(("", make.code()))
    tree = plain_tree(make.chance, depth=1, is_wide=False)
    if make.chance.random() < 0.1:
        tree[3] = [2, 1]  # not sorted
    return [3, whose, [tree]], []


def _new_rules(make: Drafter) -> Proposed:
    return [4, make.chance.choice((2, 2, 1, 3)), make.chance.choice((0, 1_000_000, 2_000_000))], []


def _new_access(make: Drafter) -> Proposed:
    access = make.chance.choice((1, 1, 1, 2, 3))
    power = make.chance.choice((1, 2, 3, 4, 6, 10)) if access == 1 else 0
    seats = [key for key, _ in make.rows("membership.keys") if key[1] == 6]
    code = make.chance.choice(seats)[0] if seats and make.chance.random() < 0.9 else make.code()
    return [5, code, access, power], []


def _suspension(make: Drafter) -> Proposed:
    return [6, make.code(), make.chance.choice((0, make.time_s + 60, make.time_s + 90_000))], []


def _vote(make: Drafter) -> list[Draft]:
    """Vote for some proposal, mostly with as many as are missing."""
    found = make.pick("membership.proposals")
    proposal, row = found or (make.bytes(16), ["", [], 0, []])
    members = [key for key, _ in make.rows("membership.organisations")]
    missing = [code for code in members if code not in row[3]] or members
    needed = len(members) * 2 // 3 + 1 - sum(1 for code in members if code in row[3])
    some = missing[: max(needed, 1)] if make.chance.random() < 0.7 else [make.chance.choice((*missing, make.code()))]
    side = make.chance.random() < 0.9
    return [Draft([106, code, proposal, side], [make.organisation_key(code)]) for code in some]


def _suspend(make: Drafter) -> list[Draft]:
    """Accuse somebody, now and then all at once."""
    accused = make.code()
    members = [key for key, _ in make.rows("membership.organisations") if key != accused]
    some = members[:4] if members and make.chance.random() < 0.3 else [make.code()]
    return [Draft([107, code, accused, make.bytes(32)], [make.organisation_key(code)]) for code in some]


def _rotate_consensus_key(make: Drafter) -> list[Draft]:
    code, key = make.code(), make.new_key()
    return [Draft([108, code, key.public], [make.organisation_key(code), key])]


def _enrol(make: Drafter) -> list[Draft]:
    if make.live_count() >= make.patients_max:
        return _request(make)
    code, key, holder = make.chance.choice(CODES[:3]), make.new_key(), make.chance.choice((1, 2))
    recovery = make.new_key().public if holder == 1 and make.chance.random() < 0.5 else b""
    message = [201, make.bytes(16), code, key.public, holder, recovery, make.bytes(32)]
    return [Draft(message, [make.organisation_key(code), key])]


def _rotate(make: Drafter) -> list[Draft]:
    pseudonym, relationship = make.patient()
    key, holder = make.new_key(), make.chance.choice((relationship[2], 1, 2))
    return [Draft([202, pseudonym, key.public, holder, make.bytes(32)], [make.keys.of(relationship[1]), key])]


def _take_over(make: Drafter) -> list[Draft]:
    pseudonym, relationship = make.patient()
    key = make.new_key()
    recovery = make.new_key().public if make.chance.random() < 0.5 else b""
    return [Draft([203, pseudonym, key.public, recovery, make.bytes(32)], [make.keys.of(relationship[1]), key])]


def _add_key(make: Drafter) -> list[Draft]:
    pseudonym, relationship = make.patient()
    key, end = make.new_key(), make.chance.choice((0, 0, make.time_s + 50, make.time_s + 90_000, make.time_s))
    message = [204, pseudonym, key.public, make.chance.choice((1, 2)), end, make.bytes(32)]
    return [Draft(message, [make.keys.of(relationship[1]), key])]


def _remove_key(make: Drafter) -> list[Draft]:
    pseudonym, relationship = make.patient()
    further = [each[0] for each in relationship[4]]
    key = make.chance.choice(further) if further else make.bytes(32)
    return [Draft([205, pseudonym, key, make.bytes(32)], [make.acting_key(relationship)])]


def _close(make: Drafter) -> list[Draft]:
    pseudonym, relationship = make.patient()
    return [Draft([206, pseudonym, make.bytes(32)], [make.keys.of(relationship[1])])]


def _batch(make: Drafter) -> list[Draft]:
    pseudonym, relationship = make.patient()
    size = 4 ** make.chance.choice((0, 1, 2, 8)) + (make.chance.random() < STRANGE)
    root = make.chance.choice(ROOTS) if make.chance.random() < 0.2 else make.bytes(32)
    return [Draft([301, pseudonym, relationship[0], root, size], [make.organisation_key(relationship[0])])]


def _mark(tag: int) -> Callable[[Drafter], list[Draft]]:
    def build(make: Drafter) -> list[Draft]:
        pseudonym, relationship = make.patient()
        fields = [make.chance.choice(ROOTS)]
        if tag == 303:
            fields.append(make.chance.choice(ROOTS))
        message = [tag, pseudonym, relationship[0], *fields, make.bytes(32)]
        return [Draft(message, [make.organisation_key(relationship[0])])]

    return build


def _erase(make: Drafter) -> list[Draft]:
    pseudonym, relationship = make.patient()
    return [Draft([305, pseudonym, relationship[0], make.bytes(32)], [make.organisation_key(relationship[0])])]


def _file(make: Drafter) -> list[Draft]:
    pseudonym, relationship = make.patient()
    key = make.acting_key(relationship)
    filed = _choices(make, pseudonym)
    is_again = filed and make.chance.random() < 0.3
    choice = make.chance.choice(filed)[0] if is_again else make.bytes(16)
    gate = gate_of(plain_tree(make.chance))
    day = make.day() if _is_by_custodian(relationship, key) else 0
    return [Draft([401, pseudonym, choice, gate, make.bytes(32), max(0, day)], [key])]


def _withdraw(make: Drafter) -> list[Draft]:
    pseudonym, relationship = make.patient()
    key = make.acting_key(relationship)
    filed = _choices(make, pseudonym)
    choice = make.chance.choice(filed)[0] if filed else make.bytes(16)
    day = make.day() if _is_by_custodian(relationship, key) else 0
    return [Draft([402, pseudonym, choice, make.bytes(32), max(0, day)], [key])]


def _issue(make: Drafter) -> list[Draft]:
    pseudonym, relationship = make.patient()
    is_by_organisation = make.chance.random() < 0.3
    key = make.organisation_key(relationship[0]) if is_by_organisation else make.acting_key(relationship)
    ticket = make.new_key()
    limits = [make.chance.choice((1, 3, 10_000, 10_000)), make.later_s(make.chance.choice((600, 34_560_000)))]
    return [Draft([501, pseudonym, ticket.public, _condition(make), *limits, make.bytes(32)], [key, ticket])]


def _revoke(make: Drafter) -> list[Draft]:
    ticket, pseudonym, relationship = _ticket(make)
    key = make.acting_key(relationship) if make.chance.random() < 0.6 else make.organisation_key(relationship[0])
    return [Draft([502, pseudonym, ticket.public, make.bytes(32)], [key])]


def _use(make: Drafter) -> list[Draft]:
    """Spend a use, mostly for the request that follows at once."""
    ticket, pseudonym, relationship = _ticket(make)
    session = make.session()
    used = Draft([503, pseudonym, ticket.public, 0], [ticket, session], session, 3)
    if make.chance.random() < 0.1:
        return [used]
    return [used, *_request(make, (pseudonym, relationship), session=session, ticket=ticket.public)]


def _attenuate(make: Drafter) -> list[Draft]:
    """Make a narrower ticket, mostly out of the one that was made from most."""
    rows = make.rows("tickets.tickets")
    deepest = max(rows, key=lambda found: len(found[1][3])) if rows and make.chance.random() < 0.7 else None
    ticket, pseudonym, _ = _ticket(make, deepest)
    row = make.auditor.table("tickets.tickets").get(encode(ticket.public), [b"", 1, [], [], 1, 0, make.later_s(100)])
    left, narrower = row[4] - row[5], make.new_key()
    uses = make.chance.choice((left - 1, left - 1, left // 2, left, left + 1))
    limits = [min(max(uses, 1), 10_000), row[6] + make.chance.choice((0, 0, -1, -100, 1))]
    message = [504, pseudonym, ticket.public, narrower.public, _condition(make), *limits, make.bytes(32)]
    return [Draft(message, [ticket, narrower])]


def _request(
    make: Drafter,
    patient: tuple[bytes, Row] | None = None,
    *,
    session: SigningKey | None = None,
    ticket: bytes = b"",
) -> list[Draft]:
    pseudonym, relationship = patient or make.patient()
    requester = relationship[0] if make.chance.random() < 0.2 else make.code()
    asked = [make.chance.choice((1, 1, 1, 2, 3, 4, 5, 6)), make.chance.choice((1, 1, 1, 2, 3, 3, 4, 5, 6)), 1]
    if make.chance.random() < 0.2:
        asked = [make.chance.randrange(1, 9), make.chance.randrange(1, 9), make.chance.randrange(1, 5)]
    key = session or make.session()
    duration_s = make.chance.choice((1, 60, 600, 600, 600, 900, 900, 3601))
    message = [601, pseudonym, relationship[0], requester, *asked, duration_s, 0, *(make.bytes(32),), ticket]
    signers = [key, make.organisation_key(requester)]
    return [Draft([*message, make.bytes(32)], signers, key, 8)]


def _release(make: Drafter) -> list[Draft]:
    if make.chance.random() < 0.2:
        pseudonym, relationship = make.patient()
        message = [602, pseudonym, b"", make.chance.choice((1, 1, 1, 2)), make.bytes(32), True]
        return [Draft(message, [make.organisation_key(relationship[0])])]
    found = make.pick("access.permits")
    permit, row = found or (make.bytes(16), [make.patient()[0], make.code(), make.code()])
    end = make.chance.choice((1, 2))
    message = [602, row[0], permit, end, make.bytes(32), make.chance.random() < 0.5]
    return [Draft(message, [make.organisation_key(row[end])])]


def _review(make: Drafter) -> list[Draft]:
    found = make.pick("access.emergencies")
    permit, row = found or (make.bytes(16), [make.patient()[0], make.code(), "", b"", 0])
    officer = make.keys.of(row[3]) if make.chance.random() < 0.1 else make.session()
    message = [603, row[0], permit, 0, make.chance.choice((1, 2)), make.bytes(32)]
    return [Draft(message, [officer, make.organisation_key(row[1])], officer, 3)]


def _challenge(make: Drafter) -> list[Draft]:
    pseudonym, relationship = make.patient()
    return [Draft([604, pseudonym, make.bytes(16), make.bytes(32)], [make.acting_key(relationship)])]


def _ticket(make: Drafter, known: tuple[Any, Row] | None = None) -> tuple[SigningKey, bytes, Row]:
    found = known or make.pick("tickets.tickets")
    if (
        known is None
        and found is not None
        and (found[1][5] >= found[1][4] or found[1][7] or found[1][6] <= make.time_s)
    ):
        found = make.pick("tickets.tickets") or found  # a second try: those that can be used are of more use
    if found is None:
        return make.new_key(), *make.patient()
    relationship = make.auditor.view(time_s=make.time_s).get("patients.relationships", found[1][0])
    assert relationship is not None, "a ticket is of a relationship, and those stay"
    return make.keys.of(found[0]), found[1][0], relationship


def _condition(make: Drafter) -> list[Any]:
    gate = gate_of(plain_tree(make.chance, depth=0))
    return next(iter(_conditions(gate)), [[], [], [], [], 0, LAST_DAY])


def _conditions(gate: Any) -> Iterator[list[Any]]:
    yield from gate[0]
    yield from (condition for condition, _ in gate[1])


def _choices(make: Drafter, pseudonym: bytes) -> list[Row]:
    row = make.auditor.view(time_s=make.time_s).get("consent.choices", pseudonym)
    return row[1] if row else []


def _is_by_custodian(relationship: Row, key: SigningKey) -> bool:
    further = next((each for each in relationship[4] if each[0] == key.public), None)
    return bool((relationship[2] if further is None else further[2]) == 2)


ROOTS: Final = tuple(bytes([number]) * 32 for number in range(8))
"""Few, so that entries and batches meet again."""

BUILDERS: Final[dict[int, Callable[[Drafter], list[Draft]]]] = {
    101: _certify,
    102: _revoke_certificate,
    103: _rotate_key,
    104: _publish,
    105: _propose,
    106: _vote,
    107: _suspend,
    108: _rotate_consensus_key,
    201: _enrol,
    202: _rotate,
    203: _take_over,
    204: _add_key,
    205: _remove_key,
    206: _close,
    207: recovery_drafts.start_recovery,
    208: recovery_drafts.finish_recovery,
    209: recovery_drafts.change_recovery_key,
    210: recovery_drafts.undo_recovery_key,
    211: recovery_drafts.cancel_recovery,
    301: _batch,
    302: _mark(302),
    303: _mark(303),
    304: _mark(304),
    305: _erase,
    401: _file,
    402: _withdraw,
    501: _issue,
    502: _revoke,
    503: _use,
    504: _attenuate,
    601: _request,
    602: _release,
    603: _review,
    604: _challenge,
}
WEIGHTS: Final = {
    103: 3,
    106: 4,
    201: 12,
    204: 5,
    206: 0.5,
    207: 3,
    208: 3,
    305: 0.5,
    401: 12,
    501: 6,
    503: 10,
    504: 4,
    601: 25,
    602: 10,
    603: 5,
}
"""How often a message comes; 2 for those that are not named."""
