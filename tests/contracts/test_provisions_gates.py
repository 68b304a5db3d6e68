"""Gates by name: what the ledger gets of a tree, what happens at each bound, what it refuses from outside."""

import re

import msgspec
import pytest

from salus.contracts.provisions import (
    FIRST_DAY,
    LAST_DAY,
    Condition,
    Gate,
    Provision,
    ProvisionInvalid,
    ProvisionType,
    Purpose,
    Request,
    RoleClass,
    SureDenial,
    Verb,
    check,
    check_gate,
    gate,
    may_permit,
    steps,
    surely_denies,
)
from salus.contracts.provisions.gates import ENTRIES_MAX, GATE_BYTES_MAX, STEPS_MAX
from salus.ledger.encoding import EncodingInvalid, decoder, encode

ANYTHING = Condition()
TREAT, HRESCH, HPAYMT = Purpose.TREAT, Purpose.HRESCH, Purpose.HPAYMT
CLINICAL, RESEARCH = RoleClass.CLINICAL, RoleClass.RESEARCH


def permit(*exceptions: Provision, **criteria: object) -> Provision:
    return Provision(ProvisionType.PERMIT, provisions=exceptions, **criteria)


def deny(*exceptions: Provision, **criteria: object) -> Provision:
    return Provision(ProvisionType.DENY, provisions=exceptions, **criteria)


def codes(start: int, stop: int) -> tuple[str, ...]:
    return tuple(f"X{number:03}" for number in range(start, stop))


def asks(organisation: str = "RX1", *, role: RoleClass = CLINICAL, purpose: Purpose = TREAT, day: int = 100) -> Request:
    return Request(organisation, role, purpose, Verb.READ, day)


GATES = {
    "a permit for anybody": (permit(), Gate((ANYTHING,))),
    "a deny for anybody": (deny(), Gate((), (SureDenial(ANYTHING),))),
    "closed criteria of a permit are not shown": (
        permit(labels=("s|N",), organisations=("RX1",)), Gate((Condition(("RX1",)),))),
    "a deny on a closed criterion is not sure": (deny(labels=("s|PSY",)), Gate()),
    "nor is a deny below a closed criterion": (permit(deny(), codes=("s|c",)), Gate((ANYTHING,))),
    "a deny below open criteria is sure": (
        permit(deny(purposes=(HRESCH,)), organisations=("A1", "RX1")),
        Gate((Condition(("A1", "RX1")),), (SureDenial(Condition(("A1", "RX1"), (), (HRESCH,))),))),
    "sets are intersected on a path": (
        deny(deny(permit(organisations=("B1", "C1")), organisations=("A1", "B1", "C1")), organisations=("B1", "D1")),
        Gate((Condition(("B1",)),), (SureDenial(Condition(("B1", "D1")), (Condition(("B1",)),)),))),
    "validity is intersected on a path": (
        permit(deny(valid_from_day=5, valid_to_day=40), valid_from_day=10, valid_to_day=30),
        Gate((Condition(valid_from_day=10, valid_to_day=30),),
             (SureDenial(Condition(valid_from_day=10, valid_to_day=30)),))),
    "validity that shares one day": (
        deny(permit(valid_from_day=9), valid_to_day=9),
        Gate((Condition(valid_from_day=9, valid_to_day=9),),
             (SureDenial(Condition(valid_to_day=9), (Condition(valid_from_day=9, valid_to_day=9),)),))),
    "validity that shares none is dropped": (
        deny(permit(valid_from_day=10), valid_to_day=9), Gate((), (SureDenial(Condition(valid_to_day=9)),))),
    "no common organisation is none, not any": (
        deny(permit(organisations=("B1",)), organisations=("A1",)), Gate((), (SureDenial(Condition(("A1",))),))),
    "no common verb is none, not any": (
        deny(permit(verbs=(Verb.READ,)), verbs=(Verb.EXPORT,)), Gate((), (SureDenial(Condition((), (), (), (3,))),))),
    "what is below an impossible path is dropped": (
        permit(deny(deny(purposes=(TREAT,)), purposes=(HRESCH,)), purposes=(HPAYMT,)),
        Gate((Condition((), (), (HPAYMT,)),))),
    "all four sets": (
        permit(organisations=("A1",), role_classes=(CLINICAL,), purposes=(TREAT,), verbs=(Verb.READ, Verb.SEARCH)),
        Gate((Condition(("A1",), (CLINICAL,), (TREAT,), (Verb.READ, Verb.SEARCH)),))),
    "an exception stands beside its sure denial": (
        deny(permit(purposes=(Purpose.ETREAT, Purpose.BTG))),
        Gate((Condition((), (), (2, 3)),), (SureDenial(ANYTHING, (Condition((), (), (2, 3)),)),))),
    "an exception with closed criteria too": (
        deny(permit(persons=(b"p" * 32,), organisations=("RX1",))),
        Gate((Condition(("RX1",)),), (SureDenial(ANYTHING, (Condition(("RX1",)),)),))),
    "an exception that leaves nothing": (deny(permit(labels=("s|N",))), Gate((ANYTHING,))),
    "a permit covers the permits below it": (
        permit(deny(permit(purposes=(TREAT,)), labels=("s|PSY",)), organisations=("A1",)), Gate((Condition(("A1",)),))),
    "a wider permit covers a narrower one beside it": (
        deny(permit(organisations=("A1",)), permit(organisations=("A1", "B1")), purposes=(TREAT,)),
        Gate((Condition(("A1", "B1"), (), (TREAT,)),),
             (SureDenial(Condition((), (), (TREAT,)), (Condition(("A1", "B1"), (), (TREAT,)),)),))),
    "a longer permit covers a shorter one": (
        deny(permit(valid_to_day=8), permit(valid_to_day=9), organisations=("A1",)),
        Gate((Condition(("A1",), valid_to_day=9),),
             (SureDenial(Condition(("A1",)), (Condition(("A1",), valid_to_day=9),)),))),
    "equal entries are written once and sorted": (
        permit(deny(verbs=(Verb.READ,)), deny(purposes=(TREAT,)), deny(verbs=(Verb.READ,)), organisations=("A1",)),
        Gate((Condition(("A1",)),),
             (SureDenial(Condition(("A1",), (), (), (1,))), SureDenial(Condition(("A1",), (), (TREAT,)))))),
}  # fmt: skip


@pytest.mark.promise("P7")
@pytest.mark.parametrize("name", GATES)
def test_gate_of_a_tree(name: str) -> None:
    tree, want = GATES[name]
    check(tree)
    assert gate(tree) == want
    check_gate(want)


ASKED = {
    # tree: (request, may permit, surely denies)
    "may and is not denied": (permit(organisations=("RX1",)), asks("RX1"), True, False),
    "another organisation": (permit(organisations=("RX1",)), asks("A1"), False, False),
    "another role class": (permit(role_classes=(RESEARCH,)), asks(role=CLINICAL), False, False),
    "another purpose": (permit(purposes=(HRESCH,)), asks(purpose=TREAT), False, False),
    "another verb": (permit(verbs=(Verb.EXPORT,)), asks(), False, False),
    "first day": (permit(valid_from_day=100), asks(day=100), True, False),
    "day before the first": (permit(valid_from_day=100), asks(day=99), False, False),
    "last day": (permit(valid_to_day=100), asks(day=100), True, False),
    "day after the last": (permit(valid_to_day=100), asks(day=101), False, False),
    "both": (permit(deny(purposes=(HRESCH,))), asks(purpose=HRESCH), True, True),
    "the exception of a denial": (deny(permit(organisations=("RX1",))), asks("RX1"), True, False),
    "not the exception of a denial": (deny(permit(organisations=("RX1",))), asks("A1"), False, True),
    "the second of two": (deny(permit(organisations=("A1",)), permit(purposes=(TREAT,))), asks(), True, False),
    "the second denial": (permit(deny(organisations=("A1",)), deny(purposes=(TREAT,))), asks(), True, True),
    "nothing": (deny(labels=("s|PSY",)), asks(), False, False),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_a_gate_answers(name: str) -> None:
    tree, request, may, surely = ASKED[name]
    assert (may_permit(gate(tree), request), surely_denies(gate(tree), request)) == (may, surely)


def test_the_person_is_not_read() -> None:
    opened = gate(deny(permit(persons=(b"p" * 32,), organisations=("RX1",))))
    for person in (b"", b"p" * 16, b"q" * 16):
        request = msgspec.structs.replace(asks(), person=person)
        assert (may_permit(opened, request), surely_denies(opened, request)) == (True, False)


# Bounds: sixteen stay exact, the seventeenth widens permits and exceptions and drops sure denials.


def on_day(day: int, **criteria: object) -> dict[str, object]:
    return {"valid_from_day": day, "valid_to_day": day, **criteria}


def test_sixteen_organisations_are_kept() -> None:
    opened = gate(deny(permit(organisations=codes(0, 16), purposes=(TREAT,)), organisations=codes(0, 16)))
    assert opened.may_permit == (Condition(codes(0, 16), (), (TREAT,)),)
    assert opened.surely_denies == (SureDenial(Condition(codes(0, 16)), opened.may_permit),)


def test_seventeen_organisations_of_a_permit_become_any() -> None:
    opened = gate(permit(organisations=codes(0, 17), purposes=(TREAT,)))
    assert opened == Gate((Condition((), (), (TREAT,)),))


def test_seventeen_organisations_of_an_exception_become_any() -> None:
    opened = gate(deny(permit(organisations=codes(0, 17), purposes=(TREAT,))))
    assert opened.surely_denies == (SureDenial(ANYTHING, (Condition((), (), (TREAT,)),)),)


def test_seventeen_organisations_of_an_exception_may_leave_nothing_of_the_denial() -> None:
    assert gate(deny(permit(organisations=codes(0, 17)))) == Gate((ANYTHING,))


def test_seventeen_organisations_drop_a_sure_denial() -> None:
    assert gate(permit(deny(organisations=codes(0, 17)))) == Gate((ANYTHING,))


def test_sixteen_permits_are_kept() -> None:
    opened = gate(deny(*(permit(**on_day(day)) for day in range(16)), organisations=("A1",)))
    assert opened.may_permit == tuple(Condition(("A1",), **on_day(day)) for day in range(16))


def test_of_more_permits_the_last_become_one() -> None:
    opened = gate(deny(*(permit(**on_day(day)) for day in range(20)), organisations=("A1",)))
    kept = tuple(Condition(("A1",), **on_day(day)) for day in range(15))
    rest = Condition(("A1",), valid_from_day=15, valid_to_day=19)
    assert opened.may_permit == (*kept, rest)
    assert opened.surely_denies == (SureDenial(Condition(("A1",)), (*kept, rest)),)


def test_the_rest_becomes_the_narrowest_condition_that_covers_it() -> None:
    early = [permit(organisations=("A1",), **on_day(day)) for day in range(15)]
    later = [
        permit(organisations=("B1",), role_classes=(CLINICAL,), purposes=(TREAT,), **on_day(30)),
        permit(organisations=("C1",), role_classes=(RESEARCH,), **on_day(40)),
    ]
    assert gate(deny(*early, *later)).may_permit[15:] == (
        Condition(("B1", "C1"), (CLINICAL, RESEARCH), (), (), 30, 40),
    )


def test_the_rest_names_any_organisation_when_it_would_name_too_many_and_is_condensed_again() -> None:
    days = {code: day for day, code in enumerate(codes(0, 32))} | {"X000": 20}
    opened = gate(deny(*(permit(organisations=(code,), **on_day(day)) for code, day in days.items())))
    rest = Condition((), valid_from_day=15, valid_to_day=31)  # sorts first, and covers that of X000
    assert opened.may_permit == (rest, *(Condition((f"X{day:03}",), **on_day(day)) for day in range(1, 15)))
    check_gate(opened)


def test_sixteen_sure_denials_are_kept_and_no_more() -> None:
    for count in (16, 17, 40):
        opened = gate(permit(*(deny(**on_day(day)) for day in range(count))))
        assert opened.surely_denies == tuple(SureDenial(Condition(**on_day(day))) for day in range(16))


def test_an_overflowing_gate_is_still_right() -> None:
    tree = permit(*(deny(**on_day(day)) for day in range(40)))
    assert surely_denies(gate(tree), asks(day=15))
    assert not surely_denies(gate(tree), asks(day=16))
    assert may_permit(gate(tree), asks(day=16))


def test_bytes_drop_sure_denials_from_the_end_and_no_permit() -> None:
    groups = [tuple(f"LONG{number:03}" for number in range(start, start + 16)) for start in (0, 16, 32)]
    days = [deny(*(permit(organisations=group, verbs=(1,)) for group in groups), **on_day(day)) for day in range(12)]
    opened = gate(permit(*days))
    assert opened.may_permit == (ANYTHING,)
    kept = len(opened.surely_denies)
    assert 0 < kept < 12
    assert [denial.condition for denial in opened.surely_denies] == [Condition(**on_day(day)) for day in range(kept)]
    assert all(len(denial.exceptions) == 3 for denial in opened.surely_denies)
    one_more = SureDenial(Condition(**on_day(kept)), opened.surely_denies[0].exceptions)
    exceptions = [Condition(each.organisations, verbs=(1,), **on_day(kept)) for each in one_more.exceptions]
    larger = Gate(opened.may_permit, (*opened.surely_denies, SureDenial(one_more.condition, tuple(exceptions))))
    assert len(encode(opened)) <= GATE_BYTES_MAX < len(encode(larger))


def fullest_condition(place: int) -> Condition:
    organisations = tuple(f"X{place:02}{number:09}" for number in range(16))
    roles, purposes, verbs = tuple(RoleClass), tuple(Purpose), tuple(Verb)
    return Condition(organisations, roles, purposes, verbs, LAST_DAY - 1, LAST_DAY)


@pytest.mark.promise("L6")
def test_the_largest_gates() -> None:
    permits_alone = Gate(tuple(fullest_condition(place) for place in range(16)))
    check_gate(permits_alone)
    assert len(encode(permits_alone)) == 3_925
    days = [Condition(**on_day(day)) for day in range(16)]
    most = Gate(tuple(days), tuple(SureDenial(day, tuple(days)) for day in days))
    check_gate(most)
    assert steps(most) == STEPS_MAX == 288


@pytest.mark.parametrize(
    ("of", "want"),
    [
        (Gate(), 0),
        (Gate((ANYTHING,)), 1),
        (Gate((), (SureDenial(ANYTHING),)), 1),
        (Gate((ANYTHING,), (SureDenial(ANYTHING, (Condition(("A1",)), Condition(("B1",)))),)), 4),
    ],
)
def test_steps_count_the_conditions(of: Gate, want: int) -> None:
    assert steps(of) == want


# From outside.

LATE = Condition(valid_from_day=5)
REFUSED = {
    "17 permits": (Gate(tuple(Condition(**on_day(day)) for day in range(17))),
                   "expected at most 16 entries, came 17 in may permit: split it or use fewer"),
    "17 sure denials": (Gate((), tuple(SureDenial(Condition(**on_day(day))) for day in range(17))),
                        "expected at most 16 entries, came 17 in surely denies"),
    "17 exceptions": (Gate((), (SureDenial(ANYTHING, tuple(Condition(**on_day(day)) for day in range(17))),)),
                      "expected at most 16 entries, came 17 in exceptions of surely denies 0"),
    "17 organisations of a permit": (Gate((Condition(codes(0, 17)),)), "at most 16 organisations, came 17"),
    "17 organisations of a denial": (Gate((), (SureDenial(Condition(codes(0, 17))),)), "at most 16 organisations"),
    "17 organisations of an exception": (
        Gate((), (SureDenial(ANYTHING, (Condition(codes(0, 17)),)),)), "in exceptions of surely denies 0 0"),
    "permits out of order": (Gate((LATE, ANYTHING)), "entries sorted and each once, came place 1 out of order"),
    "permits twice": (Gate((LATE, LATE)), "entries sorted and each once"),
    "denials out of order": (Gate((), (SureDenial(LATE), SureDenial(ANYTHING))), "place 1 out of order in surely"),
    "denials twice": (Gate((), (SureDenial(LATE), SureDenial(LATE))), "entries sorted and each once"),
    "exceptions out of order": (Gate((), (SureDenial(ANYTHING, (LATE, ANYTHING)),)), "entries sorted and each once"),
    "organisations out of order": (Gate((Condition(("B1", "A1")),)), "organisations sorted"),
    "words for an organisation": (Gate((Condition(("PATIENT IS ILL",)),)), "2 to 12 characters A-Z or 0-9"),
    "words in a denial": (Gate((), (SureDenial(Condition(("ill",))),)), "2 to 12 characters A-Z or 0-9"),
    "words in an exception": (Gate((), (SureDenial(ANYTHING, (Condition(("ill",)),)),)), "A-Z or 0-9"),
    "purposes twice": (Gate((Condition((), (), (TREAT, TREAT)),)), "purposes sorted"),
    "role classes out of order": (Gate((Condition((), (RESEARCH, CLINICAL)),)), "role_classes sorted"),
    "verbs out of order": (Gate((Condition((), (), (), (Verb.EXPORT, Verb.READ)),)), "verbs sorted"),
    "validity that ends before it starts": (Gate((Condition(valid_from_day=2, valid_to_day=1),)), "came 2 to 1 in may"),
    "validity before the first day": (Gate((Condition(valid_from_day=FIRST_DAY - 1),)), "validity in days"),
    "validity after the last day": (Gate((Condition(valid_to_day=LAST_DAY + 1),)), "validity in days"),
    "validity of an exception": (Gate((), (SureDenial(ANYTHING, (Condition(valid_to_day=-1),)),)), "validity in days"),
    "too many bytes": (
        Gate(tuple(fullest_condition(place) for place in range(16)), (SureDenial(fullest_condition(0)),)),
        "expected a gate of at most 4096 bytes, came 4172: use fewer"),
}  # fmt: skip


@pytest.mark.promise("P1", "L6")
@pytest.mark.parametrize("name", REFUSED)
def test_gates_from_outside_that_are_refused(name: str) -> None:
    refused, text = REFUSED[name]
    with pytest.raises(ProvisionInvalid, match=re.escape(text)):
        check_gate(refused)


def test_a_gate_of_exactly_the_bound_is_allowed_and_of_one_byte_more_refused() -> None:
    permits = tuple(fullest_condition(place) for place in range(16))
    organisations = tuple(f"X{number:011}" for number in range(12))
    two, three = (Gate(permits, (SureDenial(Condition(organisations, verbs=tuple(Verb)[:n])),)) for n in (2, 3))
    assert (len(encode(two)), len(encode(three))) == (GATE_BYTES_MAX, GATE_BYTES_MAX + 1)
    check_gate(two)
    with pytest.raises(ProvisionInvalid, match="came 4097"):
        check_gate(three)


@pytest.mark.parametrize(
    "data",
    [b"\x91\x90", b"\x92\x90\x90\x90", b"\x92\x90\xc0", encode(Gate((Condition((), (9,)),))), b"\x92\x91\x90\x90"],
)
def test_bytes_that_are_not_a_gate_are_refused_by_the_decoder(data: bytes) -> None:
    with pytest.raises(EncodingInvalid):
        decoder(Gate).decode(data)


def test_golden_bytes_of_a_gate() -> None:
    want = Gate(
        (Condition(("A81001",), (CLINICAL,), (TREAT,), (Verb.READ,), 0, 20_600),),
        (SureDenial(Condition((), (), (HRESCH,)), (Condition(("RX1",), (), (HRESCH,)),)),),
    )
    data = bytes.fromhex(
        "92 91 96 91a6413831303031 9101 9101 9101 00 cd5078"
        "91 92 96 90 90 9106 90 00 ce002cc0a0 91 96 91a3525831 90 9106 90 00 ce002cc0a0"
    )
    assert encode(want) == data
    assert decoder(Gate).decode(data) == want
    assert len(want.may_permit) <= ENTRIES_MAX
