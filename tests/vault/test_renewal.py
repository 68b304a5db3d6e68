"""Renewing the root: one root in force after a crash at any point, survivors open, what came before opens nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from salus.vault import schema
from salus.vault.backups import export_data, restore
from salus.vault.database import Database
from salus.vault.drivers.folder import Folder
from salus.vault.errors import KeyFilesDisagree, NotEmpty, RootGone, Unavailable
from salus.vault.fsck import fsck
from salus.vault.key_backups import export_keys
from salus.vault.keys import KeyTable, present_epoch
from salus.vault.root_files import Root
from salus.vault.vault import EPOCH_S, Vault
from tests.vault.conftest import DATABASES
from tests.vault.killing import STRIDES, points, run_and_kill
from tests.vault.sample_vault import LARGE, MEDIUM, SMALL, SampleVault, deposit, identifier, opened, outcome


def roots_on_disk(sample: SampleVault) -> list[Root]:
    """Every root that any file of the key folders holds, whatever its name."""
    files = [path for place in sample.roots.places for path in place.parent.iterdir()]
    return [root for path in files if (root := Root.parse(path.read_bytes()))]


def generation(sample: SampleVault) -> int:
    with sample.database.reading() as connection:
        return present_epoch(connection).generation


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_every_record_opens_after_a_renewal(sample: SampleVault) -> None:
    made = sample.fill()
    renewal = sample.vault.renew_root()
    assert (renewal.generation, renewal.rewrapped, renewal.damaged) == (2, 3, ())
    assert {outcome(sample.vault, each) for each in made} == {"opens"}
    assert {outcome(sample.reopen(), each) for each in made} == {"opens"}
    assert [root.generation for root in roots_on_disk(sample)] == [2, 2]


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_another_worker_goes_on_after_a_renewal(sample: SampleVault) -> None:
    made, worker = sample.fill(), sample.vault
    sample.reopen().renew_root()
    assert {outcome(worker, each) for each in made} == {"opens"}
    later = deposit("r9", "later")
    worker.deposit(later)
    assert outcome(sample.vault, later) == "opens"


@pytest.mark.promise("P5")
def test_a_kill_at_any_point_of_a_renewal_leaves_one_root_in_force(sample: SampleVault) -> None:
    made = sample.fill(sizes=(SMALL,))
    seen = set()
    for point in points(1):
        before = generation(sample)
        killed = run_and_kill(lambda: renew_in_child(sample), point)
        seen.add(generation(sample) - before)
        assert {outcome(sample.reopen(), each) for each in made} == {"opens"}
        assert [root.generation for root in roots_on_disk(sample)] == [generation(sample)] * 2
        if not killed:
            break
    assert seen == {0, 1}, "some points lie before the decision, some after"
    assert point > 20
    assert list(fsck(sample.vault)) == []


def renew_in_child(sample: SampleVault) -> None:
    # a connection must not be carried over a fork
    database = Database(f"sqlite:///{sample.folder}/vault.db")
    Vault(database, sample.objects, sample.roots, clock=sample.clock, **sample.settings).renew_root()


@pytest.mark.parametrize("stride", STRIDES)
def test_a_renewal_on_top_of_an_unfinished_one_never_loses_the_root_in_force(sample: SampleVault, stride: int) -> None:
    """The root in force lies only in the `.next` files, and a worker that never restarts begins another renewal."""
    made = sample.fill(sizes=(SMALL,))
    for point in points(stride):
        with sample.database.writing() as connection:
            sample.vault.keys.renew_root(connection)
        killed = run_and_kill(lambda: renew_without_settling(sample), point)
        assert {outcome(sample.reopen(), each) for each in made} == {"opens"}
        if not killed:
            break
    assert point > 15


def renew_without_settling(sample: SampleVault) -> None:
    keys = KeyTable(sample.roots, clock=sample.clock, epoch_s=EPOCH_S)
    with Database(f"sqlite:///{sample.folder}/vault.db").writing() as connection:
        keys.renew_root(connection)


@pytest.mark.parametrize("stride", STRIDES)
def test_a_kill_at_any_point_of_the_first_start_can_be_repeated(tmp_path: Path, stride: int) -> None:
    for point in points(stride):
        folder = tmp_path / str(point)
        folder.mkdir()
        killed = run_and_kill(lambda: start(folder), point)  # noqa: B023 - it runs before the loop goes on
        sample = start(folder)
        made = sample.fill(relationships=1, sizes=(SMALL,))
        assert {outcome(sample.vault, each) for each in made} == {"opens"}
        assert [root.generation for root in roots_on_disk(sample)] == [1, 1]
        sample.database.close()
        if not killed:
            break
    assert point > 10


def start(folder: Path) -> SampleVault:
    return SampleVault(Database(f"sqlite:///{folder}/vault.db"), folder)


@pytest.mark.parametrize("stride", STRIDES)
def test_a_kill_at_any_point_of_a_deposit_stores_all_or_nothing(sample: SampleVault, stride: int) -> None:
    stored = set()
    for point in points(stride):
        batch = [deposit(f"r{point}", f"{point} of {size}", size) for size in (SMALL, MEDIUM, LARGE)]
        killed = run_and_kill(lambda: deposit_in_child(sample, batch), point)  # noqa: B023 - it runs at once
        outcomes = {outcome(sample.reopen(), each) for each in batch}
        assert outcomes in ({"opens"}, {"NoSuchRecord"})
        stored |= outcomes
        sample.vault.sweep(sample.clock.now_s + 1)
        assert list(fsck(sample.vault)) == []
        assert [answer.is_new for answer in sample.vault.deposit_many(batch)] == [outcomes == {"NoSuchRecord"}] * 3
        if not killed:
            break
    assert stored == {"opens", "NoSuchRecord"}
    assert point > 20
    assert list((sample.folder / "objects" / "incoming").iterdir()) == []


def deposit_in_child(sample: SampleVault, batch: list[object]) -> None:
    database = Database(f"sqlite:///{sample.folder}/vault.db")
    Vault(database, sample.objects, sample.roots, clock=sample.clock).deposit_many(batch)  # type: ignore[arg-type]


@pytest.mark.promise("P5")
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("erase", ["relationship", "record"])
def test_a_kill_at_any_point_of_an_erasure_can_be_repeated(sample: SampleVault, erase: str, stride: int) -> None:
    survivors = [deposit("r", f"survivor {size}", size) for size in (SMALL, MEDIUM)]
    others = [deposit("other", "other", SMALL)]
    sample.vault.deposit_many(others)
    for point in points(stride):
        sample.vault.deposit_many(survivors)
        victims = [deposit("r", "victim", SMALL), deposit("r", "victim", LARGE, version=2)]
        sample.vault.deposit_many(victims)
        killed = run_and_kill(lambda: ERASE[erase](vault_in_child(sample)), point)
        vault = sample.reopen()
        assert len({outcome(vault, each) for each in victims}) == 1, "both or none"
        ERASE[erase](vault)
        assert {outcome(vault, each) for each in victims} == {"NoSuchRecord"}
        left = {outcome(vault, each) for each in survivors}
        assert left == ({"opens"} if erase == "record" else {"NoSuchRecord"})
        assert {outcome(vault, each) for each in others} == {"opens"}
        assert list(fsck(vault)) == []
        if not killed:
            break
    assert point > 20


ERASE: dict[str, Callable[[Vault], int]] = {
    "relationship": lambda vault: vault.erase_relationship(identifier("r")),
    "record": lambda vault: vault.erase_record(identifier("victim")),
}


def vault_in_child(sample: SampleVault) -> Vault:
    return Vault(Database(f"sqlite:///{sample.folder}/vault.db"), sample.objects, sample.roots, clock=sample.clock)


def test_the_root_is_renewed_when_the_epoch_is_over(sample: SampleVault) -> None:
    assert sample.vault.renew_root_if_due() is None
    sample.clock.now_s += EPOCH_S - 1
    assert sample.vault.renew_root_if_due() is None
    sample.clock.now_s += 1
    renewal = sample.vault.renew_root_if_due()
    assert renewal is not None
    assert renewal.generation == 2
    assert sample.vault.renew_root_if_due() is None


def test_a_damaged_key_does_not_keep_the_others_from_renewal(sample: SampleVault) -> None:
    made = sample.fill(sizes=(SMALL,))
    bad = identifier("r1")
    with sample.database.writing() as connection:
        connection.execute(update(schema.keys).where(schema.keys.c.relationship == bad).values(wrapped_key=bytes(60)))
    renewal = sample.vault.renew_root()
    assert (renewal.rewrapped, renewal.damaged) == (2, (bad,))
    assert [outcome(sample.vault, each) for each in made] == ["opens", "Damaged", "opens"]


def test_a_lost_key_file_is_named_and_comes_back_by_a_copy(sample: SampleVault) -> None:
    made = sample.fill(sizes=(SMALL,))
    first, second = sample.roots.places
    second.unlink()
    with pytest.raises(KeyFilesDisagree, match="copy the good file over it"):
        sample.reopen()
    second.write_bytes(first.read_bytes())
    second.chmod(0o600)
    assert {outcome(sample.reopen(), each) for each in made} == {"opens"}


def test_key_files_without_their_table_are_never_written_over(sample: SampleVault, tmp_path: Path) -> None:
    empty = Database(f"sqlite:///{tmp_path}/other.db")
    before = [place.read_bytes() for place in sample.roots.places]
    with pytest.raises(NotEmpty, match="restore it first"):
        Vault(empty, sample.objects, sample.roots)
    assert [place.read_bytes() for place in sample.roots.places] == before
    empty.close()


def test_each_renewal_leaves_a_key_backup_that_opens(database: Database, tmp_path: Path) -> None:
    backup = tmp_path / "keys.backup"
    sample = SampleVault(database, tmp_path, key_backup=backup)
    sample.fill(sizes=(SMALL,))
    for _ in range(2):
        sample.vault.renew_root()
        empty = Database(f"sqlite:///{tmp_path}/restored{generation(sample)}.db")
        data = tmp_path / f"data{generation(sample)}"
        export_data(sample.vault, data)
        restored = restore(data=data, keys=backup, database=empty, objects=Folder(tmp_path / "o"), roots=sample.roots)
        assert restored.record_count == 3
        empty.close()


def test_the_old_root_stays_until_the_key_backup_is_written(database: Database, tmp_path: Path) -> None:
    backup = tmp_path / "not mounted" / "keys.backup"
    sample = SampleVault(database, tmp_path, key_backup=tmp_path / "keys.backup")
    made = sample.fill(sizes=(SMALL,))
    export_keys(database, tmp_path / "older.backup")
    sample.settings["key_backup"] = backup
    vault = sample.reopen()
    with pytest.raises(Unavailable, match="not mounted"):
        vault.renew_root()
    assert {root.generation for root in roots_on_disk(sample)} == {1, 2}
    assert {outcome(vault, each) for each in made} == {"opens"}
    with pytest.raises(Unavailable, match="not mounted"):
        vault.renew_root_if_due()
    backup.parent.mkdir()
    assert vault.renew_root_if_due() is None
    assert {root.generation for root in roots_on_disk(sample)} == {2}
    assert backup.exists()


def test_a_table_from_before_the_renewal_is_refused_with_the_reason(sample: SampleVault, tmp_path: Path) -> None:
    sample.fill(sizes=(SMALL,))
    with sample.database.reading() as connection:
        old = present_epoch(connection)
    sample.vault.renew_root()
    with sample.database.writing() as connection:
        values = {"generation": old.generation, "root_check": old.root_check}
        connection.execute(update(schema.epoch).values(**values))
    with pytest.raises(RootGone, match=r"wrapped under root 1, .* hold root 2"):
        sample.reopen()


def test_a_committed_renewal_is_finished_by_the_next_start(sample: SampleVault) -> None:
    made = sample.fill(sizes=(SMALL,))
    with sample.database.writing() as connection:
        sample.vault.keys.renew_root(connection)
    assert {root.generation for root in roots_on_disk(sample)} == {1, 2}
    assert {opened(sample.vault, each) for each in made} == {each.content for each in made}
    sample.reopen()
    assert {root.generation for root in roots_on_disk(sample)} == {2}
