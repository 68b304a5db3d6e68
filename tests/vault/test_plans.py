"""What is looked up by key is found by index, however much is stored: SQLite's own plan of each statement says so."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, event

from salus.vault.database import Database
from salus.vault.deposits import Deposit
from salus.vault.rows import RecordKey
from salus.vault.vault import Vault
from tests.vault.sample_vault import SMALL, SampleVault, deposit

Keys = Sequence[RecordKey]
NEW = [deposit("r0", f"new {number}") for number in range(2)]
TASKS: dict[str, Callable[[Vault, Keys], object]] = {
    "deposit": lambda vault, _: vault.deposit_many(NEW),
    "deposit again": lambda vault, _: vault.deposit_many([deposit("r0", f"r0 record {SMALL}"), *NEW]),
    "register": lambda vault, keys: vault.register(keys),
    "open": lambda vault, keys: list(vault.open(*keys[0])),
    "open small": lambda vault, keys: vault.open_small(keys),
    "seal": lambda vault, keys: vault.sealed_many(keys),
    "tell": lambda vault, keys: vault.record_many(keys),
    "tell of a relationship": lambda vault, _: vault.records(NEW[0].relationship),
    "newest": lambda vault, keys: vault.newest_versions([record for record, _ in keys]),
    "slots": lambda vault, keys: vault.release_slots(keys, release_key=bytes(32), associated=[b""] * len(keys)),
    "erase a record": lambda vault, keys: vault.erase_record(keys[0][0], within_s=1),
    "erase a relationship": lambda vault, _: vault.erase_relationship(NEW[0].relationship, within_s=1),
}


@pytest.mark.parametrize("task", TASKS)
def test_nothing_walks_a_table(sample: SampleVault, task: str) -> None:
    made: list[Deposit] = sample.fill(sizes=(SMALL,))
    asked: list[tuple[str, Any]] = []
    this = threading.get_ident()

    def note(_connection: object, _cursor: object, words: str, values: Any, _context: object, many: bool) -> None:
        if threading.get_ident() == this:  # servers of other tests go on in threads of their own
            asked.append((words, values[0] if many else values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        TASKS[task](sample.vault, [each.key for each in made])
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert asked, "a task asks something"
    assert [step for words, values in asked for step in plan(sample.database, words, values) if walks(step)] == []


def plan(database: Database, words: str, values: Any) -> list[str]:
    if words.startswith("BEGIN"):
        return []
    with database.reading() as connection:
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", values)]


def walks(step: str) -> bool:
    return step.startswith(tuple(f"SCAN vault_{table}" for table in ("records", "slots", "objects", "keys")))
