"""Several workers on one database: they start together, deposit the same and other records, and lose nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from salus.vault.database import Database
from salus.vault.fsck import fsck
from tests.conftest import ROOT
from tests.vault.conftest import DATABASES
from tests.vault.sample_vault import MEDIUM, SMALL, SampleVault, deposit, identifier, outcome

COUNT = 40


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
        _, errors = worker.communicate(timeout=60)
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
    while any(worker.poll() is None for worker in workers):
        victim = deposit(f"r{rounds % 5}", f"victim {rounds}")
        sample.vault.deposit(victim)
        sample.vault.erase_record(victim.record_id)
        sample.vault.erase_relationship(identifier(f"gone {rounds}"))
        assert outcome(sample.vault, victim) == "NoSuchRecord"
        rounds += 1
    ended_well(workers)
    assert rounds > 1
    for number in range(COUNT):
        size = MEDIUM if number % 10 == 0 else SMALL
        for name in ["one", "two", "shared"]:
            assert outcome(sample.vault, deposit(f"r{number % 5}", f"{name} {number}", size)) == "opens"
    assert list(fsck(sample.vault)) == []
    sample.database.close()
