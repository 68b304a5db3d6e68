"""The fold of looks: whole, each once; who it was, as soon as that is known; gone with an erasure."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest
from sqlalchemy import func, select

from salus.clinical.nhs_number import NhsNumber
from salus.contracts.gathering import read_trail
from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.ledger.identifiers import Pseudonym
from salus.node import schema
from salus.node.assemble import Node
from salus.node.people import OpenSession, certify_person, open_session
from salus.node.projections import looks as projection
from salus.node.projections.looks import LookKind, LookRow, Wanted
from salus.node.services import looks
from salus.node.services.enrol import enrol
from salus.node.services.erase import erase
from salus.node.services.release import keep_request
from salus.node.services.request import Granted, Wish, request
from salus.testing.world import HOSPITAL, PRACTICE, World, world

HOURS = 12
CASES = 200
ALL = Wanted(with_own=True)
SOMEBODY = Pseudonym(b"somebody" * 2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as started:
        yield started


def _patient(made: World, number: str = "9990000018") -> Pseudonym:
    return enrol(made.hospital, NhsNumber(number), "1968-03-14")


def _session(node: Node, name: str) -> OpenSession:
    person = certify_person(node, name=name, role="GP", registration=name, role_class=RoleClass.CLINICAL)
    return open_session(person.key, person.certificate, custodian=HOSPITAL, from_s=node.clock())


def _asks(node: Node, session: OpenSession, patient: Pseudonym, purpose: Purpose = Purpose.TREAT) -> Granted | None:
    came = request(node, session, Wish(patient, HOSPITAL, RoleClass.CLINICAL, purpose, justification="why"))
    return came if isinstance(came, Granted) else None


def _trail(made: World, patient: Pseudonym) -> list[LookRow]:
    with made.hospital.engine.snapshot() as reader:
        found = [projection.row_of(each) for each in read_trail(reader, patient)]
    return [each for each in found if each is not None]


def _kept(node: Node, patient: Pseudonym) -> int:
    with node.vault.database.reading() as connection:
        theirs = select(func.count()).where(schema.looks.c.pseudonym == patient)
        return int(connection.scalar(theirs) or 0)


def test_the_fold_has_every_look_and_takes_each_once(made: World) -> None:
    node, patient = made.hospital, _patient(made)
    here, there = _session(node, "Dr Here"), _session(made.practice, "Dr There")
    _asks(node, here, patient)
    _asks(made.practice, there, patient)  # refused: nothing lets them
    _asks(made.practice, there, patient, Purpose.BTG)
    for _ in range(3):
        assert projection.follow(node)
    want = _trail(made, patient)
    got = projection.rows_of(node, patient, [each.number for each in want])
    assert sorted(got, key=lambda each: each.number) == want
    assert [each.reason != 0 for each in want] == [False, True, False]
    assert [each.broke_glass for each in want] == [False, False, True]
    assert _kept(made.practice, patient) == 0
    assert projection.follow(made.practice)
    assert _kept(made.practice, patient) == 0  # it is no patient of theirs


def test_who_it_was_is_found_out_once_the_request_is_kept(made: World) -> None:
    node, patient = made.hospital, _patient(made, "9990000026")
    session = _session(node, "Dr Later")
    granted = _asks(node, session, patient)
    assert granted is not None
    (line,) = _lines(node, patient)
    assert line.person.name == ""
    keep_request(node, granted.permit, patient, granted.residual)
    (line,) = _lines(node, patient)
    assert (line.person.name, line.person.justification) == ("Dr Later", "why")
    (person,) = looks.Looks(node, patient).people()
    assert len(_lines(node, patient, Wanted(person=person))) == 1


def test_a_look_of_which_it_is_found_out_at_this_moment_who_it_was_stands_alone(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker finds it out between two statements of a page: it is on another line then."""
    node, patient, rows_of = made.hospital, _patient(made, "9990000050"), projection.rows_of
    granted = _asks(node, _session(node, "Dr Now"), patient)
    assert granted is not None
    found = looks.Looks(node, patient)
    (line,) = found.lines(found.groups(ALL, hours=HOURS))

    def and_then(*arguments: object) -> list[LookRow]:
        rows = rows_of(*arguments)  # type: ignore[arg-type]
        keep_request(node, granted.permit, patient, granted.residual)
        looks.Looks(node, patient)
        return rows

    monkeypatch.setattr(projection, "rows_of", and_then)
    assert found.beside(line.look, hours=HOURS) == []


def test_a_look_that_will_never_be_known_is_looked_up_no_more(made: World) -> None:
    node, patient = made.hospital, _patient(made, "9990000034")
    _asks(node, _session(node, "Dr Never"), patient)
    now_s = node.clock()
    (line,) = _lines(node, patient)
    assert projection.unknown_of(node, patient, most=9)
    object.__setattr__(node, "clock", lambda: now_s + looks.GIVEN_UP_S + 60)
    try:
        (line,) = _lines(node, patient)
    finally:
        object.__setattr__(node, "clock", lambda: now_s)
    assert line.person.name == ""
    assert projection.unknown_of(node, patient, most=9) == []


@pytest.mark.promise("P5")
def test_an_erasure_takes_the_rows_and_no_later_fold_brings_one_back(made: World) -> None:
    node, patient = made.hospital, _patient(made, "9990000042")
    session = _session(node, "Dr Here")
    _asks(node, session, patient)
    looks.keep_up(node)
    assert _kept(node, patient) == 1
    erase(node, patient)
    assert _kept(node, patient) == 0
    _asks(node, session, patient)  # refused, and an event all the same
    looks.keep_up(node)
    assert _kept(node, patient) == 0


def test_the_table_and_rows_beside_it_give_the_same_groups(made: World) -> None:
    """Whatever is wanted: what is in no table, another custodian's, is grouped by other code."""
    seed = 20261129
    chance, node = random.Random(seed), made.hospital
    rows = [_row(chance, number) for number in range(1, 400)]
    with node.vault.database.writing() as connection:
        connection.execute(schema.looks.insert(), [msgspec.structs.asdict(each) for each in rows])
    for case in range(CASES):
        wanted = _wanted(chance, rows)
        want = sorted(projection.groups_in(rows, wanted, hours=HOURS), key=lambda each: -each.number)
        assert projection.groups_of(node, SOMEBODY, wanted, hours=HOURS) == want, (seed, case, wanted)


def _row(chance: random.Random, number: int) -> LookRow:
    is_patient = chance.random() < 0.3
    return LookRow(
        pseudonym=SOMEBODY,
        number=number,
        at_s=1_000_000 + number * 1_800,
        kind=LookKind.ASKED,
        requester=chance.choice([HOSPITAL, PRACTICE]),
        role_class=RoleClass.PATIENT_SIDE if is_patient else RoleClass.CLINICAL,
        purpose=Purpose.PATRQT if is_patient else chance.choice([Purpose.TREAT, Purpose.BTG]),
        verb=Verb.READ,
        reason=chance.choice([0, 0, 10]),
        broke_glass=chance.choice([0, 0, 1]),
        name=bytes([number % 256]),
        person=chance.choice([None, b"", b"a" * 16, b"b" * 16]),
        is_helper=int(is_patient and chance.random() < 0.5),
    )


def _wanted(chance: random.Random, rows: list[LookRow]) -> Wanted:
    def some(value: object) -> object:
        return value if chance.random() < 0.3 else type(value)()

    ends = sorted(chance.choice(rows).at_s for _ in range(2))
    return Wanted(
        with_own=chance.random() < 0.5,
        is_refused=chance.random() < 0.2,
        is_emergency=chance.random() < 0.2,
        person=some(b"a" * 16),  # type: ignore[arg-type]
        requester=some(str(PRACTICE)),  # type: ignore[arg-type]
        from_s=some(ends[0]),  # type: ignore[arg-type]
        until_s=some(ends[1]),  # type: ignore[arg-type]
        upto=some(chance.choice(rows).number),  # type: ignore[arg-type]
    )


def _lines(node: Node, patient: Pseudonym, wanted: Wanted = ALL) -> list[looks.Line]:
    found = looks.Looks(node, patient)
    return found.lines(found.groups(wanted, hours=HOURS))
