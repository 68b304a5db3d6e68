"""What a crash, an absent ledger or a second worker leaves half done, and how it is finished (L2)."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import select

from salus.clinical.fhir.resources import parse
from salus.contracts import patients, records
from salus.contracts.records import BatchRegistered
from salus.engines.base import Unavailable
from salus.ledger.encoding import decoder
from salus.ledger.entries import entry_hash
from salus.ledger.identifiers import Pseudonym
from salus.ledger.outcomes import TransactionResult, decode_leaf
from salus.ledger.state import LEAVES
from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.fsck import check_node
from salus.node.services import deposit as service
from salus.node.services.deposit import deposit, placed_entries, redrive
from salus.node.services.enrol import enrol, find, finish_enrolments
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, World, world

BORN = "1980-02-29"
_BATCH = decoder(BatchRegistered)


@pytest.fixture
def two(tmp_path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


class Fate:
    """An engine whose submissions meet with a fate; everything else is the real one."""

    def __init__(self, node: Node, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None):
        self._engine, self._before, self._after = node.engine, before, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def submit(self, raw: bytes) -> TransactionResult:
        self._before()
        result = self._engine.submit(raw)
        self._after()
        return result


def away() -> None:
    raise Unavailable("no ledger")


def with_fate(node: Node, **fates: Callable[[], None]) -> Node:
    return dataclasses.replace(node, engine=Fate(node, **fates))


def observation(name: str, text: str = "") -> bytes:
    return json.dumps({"resourceType": "Observation", "id": name, "status": "final", "note": text}).encode()


def filed(node: Node, pseudonym: Pseudonym, *bodies: bytes) -> Sequence[service.Filed]:
    return deposit(node, pseudonym, [parse(body) for body in bodies])


def batches_on_ledger(node: Node) -> list[BatchRegistered]:
    with node.engine.snapshot() as snapshot:
        leaves = [decode_leaf(row) for _, row in snapshot.items(LEAVES)]
    return [_BATCH.decode(leaf.data) for leaf in leaves if leaf.data[1:4] == b"\xcd\x01\x2d"]


def enrolled_on_ledger(node: Node) -> int:
    with node.engine.snapshot() as reader:
        return sum(1 for each in node.vault.relationships() if patients.relationship_of(reader, Pseudonym(each)))


@pytest.mark.promise("L2")
@pytest.mark.parametrize("fate", ["before", "after"])
def test_an_enrolment_without_an_answer_is_continued(two: World, fate: str) -> None:
    number = kept_nhs_number(1)
    with pytest.raises(NotNow):
        enrol(with_fate(two.hospital, **{fate: away}), number, BORN)
    assert find(two.hospital, number) is None
    if fate == "before":
        enrol(two.hospital, number, BORN)
    else:
        assert finish_enrolments(two.hospital) == 1
    assert find(two.hospital, number) is not None
    assert two.hospital.vault.relationships() == [find(two.hospital, number)]
    assert list(check_node(two.hospital, two.folder / HOSPITAL.lower())) == []


def test_a_person_whose_enrolment_reached_the_ledger_is_enrolled(two: World) -> None:
    number = kept_nhs_number(1)
    with pytest.raises(NotNow):
        enrol(with_fate(two.hospital, after=away), number, BORN)
    with pytest.raises(Refused) as refused:
        enrol(two.hospital, number, BORN)
    assert refused.value.refusal is Refusal.ALREADY_ENROLLED
    assert find(two.hospital, number) is not None


def test_two_workers_enrol_one_person_once(two: World) -> None:
    number = kept_nhs_number(1)
    other = with_fate(two.hospital, before=lambda: second.append(enrol(two.hospital, number, BORN)))
    second: list[Pseudonym] = []
    assert [enrol(other, number, BORN)] == second
    assert enrolled_on_ledger(two.hospital) == 1
    assert find(two.hospital, number) == second[0]


def test_a_worker_that_comes_when_another_has_just_finished_enrols_nobody_again(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Found by the kill harness, seed 2007: not in the map yet when it looked, and no longer claimed when it claimed.
    number = kept_nhs_number(1)

    def find_and_be_late(node: Node, wanted: object) -> None:
        monkeypatch.undo()
        enrol(node, number, BORN)

    monkeypatch.setattr("salus.node.services.enrol.find", find_and_be_late)
    with pytest.raises(Refused) as refused:
        enrol(two.hospital, number, BORN)
    assert refused.value.refusal is Refusal.ALREADY_ENROLLED
    assert enrolled_on_ledger(two.hospital) == 1


def test_a_corrected_date_of_birth_does_not_continue_what_was_wrong(two: World) -> None:
    number = kept_nhs_number(1)
    with pytest.raises(NotNow):
        enrol(with_fate(two.hospital, before=away), number, "1908-02-29")
    pseudonym = enrol(two.hospital, number, BORN)
    assert two.hospital.vault.relationships() == [pseudonym]


@pytest.mark.promise("L2")
@pytest.mark.parametrize("fate", ["before", "after"])
def test_a_deposit_without_an_answer_is_registered_once(two: World, fate: str) -> None:
    pseudonym = enrol(two.hospital, kept_nhs_number(1), BORN)
    with pytest.raises(NotNow):
        filed(with_fate(two.hospital, **{fate: away}), pseudonym, observation("a"), observation("b"))
    redrive(two.hospital)
    assert redrive(two.hospital) == 0
    assert len(batches_on_ledger(two.hospital)) == 1
    assert [record.registered for record in two.hospital.vault.records(pseudonym)].count(False) == 0


def test_what_is_committed_and_not_marked_is_marked(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # Found by the kill harness, seed 974537: redrive placed the records again, and failed for ever.
    pseudonym = enrol(two.hospital, kept_nhs_number(1), BORN)
    with monkeypatch.context() as patched:
        patched.setattr(type(two.hospital.vault), "register", lambda *_: None)
        filed(two.hospital, pseudonym, observation("a"))
    redrive(two.hospital)
    assert redrive(two.hospital) == 0
    assert len(batches_on_ledger(two.hospital)) == 1


def test_a_worker_that_finishes_what_another_is_at_places_nothing_twice(two: World) -> None:
    pseudonym = enrol(two.hospital, kept_nhs_number(1), BORN)
    other = with_fate(two.hospital, before=lambda: redrive(two.hospital, age_s=1) and None)
    filed(other, pseudonym, observation("a"))
    busy = with_fate(two.hospital, before=lambda: redrive(two.hospital) and None)
    filed(busy, pseudonym, observation("b"))
    with two.hospital.vault.database.reading() as connection:
        assert len(connection.execute(select(schema.batches)).all()) == 2
    assert len(placed_entries(two.hospital, pseudonym)) == 2
    assert redrive(two.hospital) == 0


def test_a_batch_that_the_ledger_refuses_keeps_no_other_from_it(two: World) -> None:
    erased, other = (enrol(two.hospital, kept_nhs_number(place), BORN) for place in (1, 2))
    for pseudonym in (erased, other):
        with pytest.raises(NotNow):
            filed(with_fate(two.hospital, before=away), pseudonym, observation("a"))
    two.hospital.submit(
        records.EraseRelationship(pseudonym=erased, custodian=HOSPITAL, commitment=bytes(32))  # type: ignore[arg-type]
    )
    with pytest.raises(Refused):
        redrive(two.hospital)
    assert [batch.pseudonym for batch in batches_on_ledger(two.hospital)] == [other]
    assert all(record.registered for record in two.hospital.vault.records(other))


def test_two_versions_of_one_deposit_are_one_behind_the_other(two: World) -> None:
    pseudonym = enrol(two.hospital, kept_nhs_number(1), BORN)
    filed(two.hospital, pseudonym, observation("a", "first"), observation("a", "second"))
    first, second = (placed.entry for placed in placed_entries(two.hospital, pseudonym))
    assert second.supersedes == entry_hash(first)
