"""Handing a relationship to its patient: the key that was held here goes, wherever whoever began it is killed (U3)."""

import dataclasses
from pathlib import Path

import pytest

from salus.contracts import patients
from salus.contracts.patients import Holder
from salus.crypto.signing import SigningKey
from salus.engines.base import Unavailable
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import NotNow, Refused
from salus.node.services import enrol, take_over
from salus.node.upkeep import TASKS
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL
from tests.node.one_day import BORN, Day

pytestmark = pytest.mark.promise("U3")


class Killed(BaseException):
    """The process is gone."""


class KilledAfter:
    """An engine behind which the process dies when the ledger has the message."""

    def __init__(self, engine: object) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def submit(self, raw: bytes) -> None:
        self._engine.submit(raw)  # type: ignore[attr-defined]
        raise Killed


class Away(KilledAfter):
    """An engine that takes nothing."""

    def submit(self, _raw: bytes) -> None:
        raise Unavailable("no ledger")


def held(node: Node, day: Day) -> bytes | None:
    return documents.find(node.vault, Kind.PSEUDONYM_KEY, day.ann)


def redrive(node: Node) -> None:
    (task,) = [each for each in TASKS if each.name == "redrive"]
    task.work(node)


def test_the_key_that_was_held_is_gone(day: Day) -> None:
    (choice,) = take_over.take_over(day.hospital, day.ann, SigningKey.generate())
    assert choice[0] == day.choice
    assert held(day.hospital, day) is None
    with pytest.raises(Refused):
        enrol.custodian_held_key(day.hospital, day.ann)
    assert take_over.finish_take_overs(day.hospital) == 0


@pytest.mark.parametrize("where", ["commit", "erase", "forget"])
def test_killed_after_the_commit_whoever_comes_next_destroys_the_key(
    day: Day, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, hospital = SigningKey.generate(), day.hospital
    if where == "commit":
        hospital = dataclasses.replace(hospital, engine=KilledAfter(hospital.engine))
    with monkeypatch.context() as patched:
        if where == "erase":
            patched.setattr(type(hospital.vault), "erase_record", killed)
        if where == "forget":
            patched.setattr(take_over, "_forget", killed)
        with pytest.raises(Killed):
            take_over.take_over(hospital, day.ann, key)
    assert (held(day.hospital, day) is None) == (where == "forget")
    again = day.restart(HOSPITAL)
    redrive(again)
    assert held(again, day) is None
    assert take_over.finish_take_overs(again) == 0
    with day.world.engine.snapshot() as reader:
        relationship = patients.relationship_of(reader, day.ann)
    assert relationship is not None
    assert (relationship.key, relationship.holder) == (key.public, Holder.PATIENT)


def killed(*_: object, **__: object) -> None:
    raise Killed


def test_what_never_reached_the_ledger_leaves_the_key(day: Day) -> None:
    cut_off = dataclasses.replace(day.hospital, engine=Away(day.hospital.engine))
    with pytest.raises(NotNow):
        take_over.take_over(cut_off, day.ann, SigningKey.generate())
    redrive(day.hospital)
    assert held(day.hospital, day) is not None
    take_over.take_over(day.hospital, day.ann, SigningKey.generate())
    assert held(day.hospital, day) is None


def test_a_key_that_a_backup_brings_back_is_destroyed_before_the_node_serves(day: Day) -> None:
    old = held(day.hospital, day)
    assert old is not None
    bob = enrol.enrol(day.hospital, kept_nhs_number(1), BORN)
    take_over.take_over(day.hospital, day.ann, SigningKey.generate())
    documents.keep(day.hospital.vault, day.hospital.chain, day.ann, Kind.PSEUDONYM_KEY, day.ann, old)
    assert take_over.destroy_outdated_keys(day.hospital, [day.ann, bob]) == 1
    assert held(day.hospital, day) is None
    assert enrol.custodian_held_key(day.hospital, bob)


def test_a_database_of_before_gets_the_table_that_came_later(day: Day, tmp_path: Path) -> None:
    with day.hospital.vault.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE node_take_overs")
    assert take_over.finish_take_overs(day.restart(HOSPITAL)) == 0
