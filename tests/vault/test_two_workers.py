"""Several workers on one database: they start together, deposit the same and other records, and lose nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from salus.vault import rows
from salus.vault.database import Database
from salus.vault.fsck import fsck
from salus.vault.rows import RecordRow, SlotRow
from salus.vault.vault import EPOCH_S, Vault
from tests.conftest import ROOT
from tests.vault.conftest import DATABASES
from tests.vault.sample_vault import MEDIUM, SMALL, SampleVault, deposit, identifier, outcome

COUNT = 40
ROUNDS_MIN = 3


def start_workers(url: str, folder: Path, names: list[str]) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.vault.worker", url, str(folder)]
    return [
        subprocess.Popen(
            [*command, name, str(COUNT)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for name in names
    ]


def ended_well(workers: list[subprocess.Popen[str]]) -> None:
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors


@pytest.mark.services
@pytest.mark.promise("L2")
@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_workers_that_start_together_on_an_empty_vault_share_it(url: str, tmp_path: Path) -> None:
    names = ["one", "two", "three"]
    ended_well(start_workers(url, tmp_path, names))
    sample = SampleVault(Database(url), tmp_path)
    for number in range(COUNT):
        size = MEDIUM if number % 10 == 0 else SMALL
        for name in [*names, "shared"]:
            assert outcome(sample.vault, deposit(f"r{number % 5}", f"{name} {number}", size)) == "opens"
    assert len(sample.vault.relationships()) == 5
    assert len(sample.vault.orphans(1 << 40)) == COUNT
    assert list(fsck(sample.vault)) == []
    sample.database.close()


@pytest.mark.services
@pytest.mark.promise("L2", "P5")
@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_renewals_and_erasures_go_on_between_deposits(url: str, tmp_path: Path) -> None:
    sample = SampleVault(Database(url), tmp_path)
    workers = start_workers(url, tmp_path, ["one", "two"])
    rounds = 0
    while rounds < ROUNDS_MIN or any(worker.poll() is None for worker in workers):
        victim = deposit(f"r{rounds % 5}", f"victim {rounds}")
        sample.vault.deposit(victim)
        sample.vault.erase_record(victim.record_id)
        sample.vault.erase_relationship(identifier(f"gone {rounds}"))
        assert outcome(sample.vault, victim) == "NoSuchRecord"
        rounds += 1
    ended_well(workers)
    for number in range(COUNT):
        size = MEDIUM if number % 10 == 0 else SMALL
        for name in ["one", "two", "shared"]:
            assert outcome(sample.vault, deposit(f"r{number % 5}", f"{name} {number}", size)) == "opens"
    assert list(fsck(sample.vault)) == []
    sample.database.close()


def ends_or_waits(worker: threading.Thread, database: Database) -> None:
    """Until the worker has ended or is seen to wait for a lock; SQLite cannot be asked, there some time must do."""
    with database.reading() as connection:
        can_be_asked = connection.dialect.name == "postgresql"
    end_s = time.monotonic() + (20 if can_be_asked else 0.3)
    waits = False
    while worker.is_alive() and not waits and time.monotonic() < end_s:
        worker.join(0.02)
        if can_be_asked:
            with database.reading() as connection:
                waits = connection.scalar(text(LOCKED)) > 0


LOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
MEANWHILE: dict[str, tuple[Callable[[Vault], object], str]] = {
    "the root is renewed": (lambda other: other.renew_root(), "opens"),
    "a sibling is erased": (lambda other: other.erase_record(identifier("sibling")), "opens"),
    # no change to the epoch row, so that only the lock on the key counts
    "a sibling is erased, the root later": (
        lambda other: other.erase_record(identifier("sibling"), within_s=2 * EPOCH_S),
        "opens",
    ),
    "the relationship is erased, the root later": (
        lambda other: other.erase_relationship(identifier("r"), within_s=2 * EPOCH_S),
        "NoSuchRecord",
    ),
    "the relationship is erased": (lambda other: other.erase_relationship(identifier("r")), "NoSuchRecord"),
}


@pytest.mark.promise("P5")
@pytest.mark.parametrize("url", DATABASES, indirect=True)
@pytest.mark.parametrize(("meanwhile", "after"), MEANWHILE.values(), ids=MEANWHILE)
@pytest.mark.parametrize("first", ["new", "known"])
def test_what_changes_keys_waits_for_a_deposit_in_progress(
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[Vault], object],
    after: str,
    first: str,
) -> None:
    """The deposit has its relationship's key in hand and has not stored its slots when another worker begins."""
    sample, others = SampleVault(Database(url), tmp_path), Database(url)
    if first == "known":
        sample.vault.deposit(deposit("r", "sibling"))
    other = Vault(others, sample.objects, sample.roots, clock=sample.clock)
    insert_all, worker = rows.insert_all, threading.Thread(target=lambda: meanwhile(other))

    def slowly(connection: Connection, stored: Sequence[tuple[RecordRow, SlotRow]]) -> None:
        if worker.ident is None:
            worker.start()
            ends_or_waits(worker, others)
        insert_all(connection, stored)

    monkeypatch.setattr(rows, "insert_all", slowly)
    made = deposit("r", "record")
    sample.vault.deposit(made)
    worker.join()
    # with a new relationship there is nothing to lock yet, and its erasure may come first
    assert outcome(sample.reopen(), made) in ({after} if first == "known" else {after, "opens"})
    assert list(fsck(sample.vault)) == []
    others.close()
    sample.database.close()
