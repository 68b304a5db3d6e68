"""The world fails: database gone, disk full, a newer schema, no database at all. Nothing is half done or lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from salus.vault import schema
from salus.vault.database import Database
from salus.vault.drivers.folder import Folder
from salus.vault.errors import Damaged, SchemaNewer, Unavailable
from salus.vault.fsck import fsck
from salus.vault.key_backups import export_keys
from salus.vault.root_files import RootFiles
from salus.vault.vault import Vault
from tests.conftest import absent
from tests.vault.sample_vault import LARGE, MEDIUM, SMALL, SampleVault, deposit, identifier, outcome
from tests.vault.servers import Absent, Postgres, postgres_programs

MIB = 1 << 20
TMPFS_SIZE_BYTES = 12 * MIB


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that a test may stop: the newest that is here."""
    for version in (18, 15):
        try:
            server = Postgres(postgres_programs(version))
        except Absent as reason:
            why = str(reason)
            continue
        yield server
        server.remove()
        return
    absent(why)


USES: dict[str, Callable[[SampleVault], object]] = {
    "deposit a row": lambda sample: sample.vault.deposit(deposit("r9", "new")),
    "deposit an object": lambda sample: sample.vault.deposit(deposit("r9", "new", MEDIUM)),
    "open": lambda sample: list(sample.vault.open(identifier(f"r0 record {SMALL}"), 1)),
    "records": lambda sample: sample.vault.records(identifier("r0")),
    "register": lambda sample: sample.vault.register([(identifier("x"), 1)]),
    "orphans": lambda sample: sample.vault.orphans(0),
    "sweep": lambda sample: sample.vault.sweep(),
    "erase": lambda sample: sample.vault.erase_relationship(identifier("r0")),
    "renew": lambda sample: sample.vault.renew_root(),
    "key backup": lambda sample: export_keys(sample.database, sample.folder / "keys"),
    "fsck": lambda sample: list(fsck(sample.vault)),
    "start": lambda sample: sample.reopen(),
}


@pytest.mark.services
def test_a_database_that_goes_away_is_unavailable_and_then_works_again(own_postgres: Postgres, tmp_path: Path) -> None:
    sample = SampleVault(Database(own_postgres.new_database()), tmp_path)
    made = sample.fill()
    own_postgres.stop()
    for use in USES.values():
        with pytest.raises(Unavailable, match="try again"):
            use(sample)
    own_postgres.start()
    assert {outcome(sample.vault, each) for each in made} == {"opens"}
    sample.vault.sweep(sample.clock.now_s + 1)
    assert list(fsck(sample.vault)) == []
    assert sample.vault.deposit(deposit("r9", "new", MEDIUM)).is_new
    sample.database.close()


@pytest.mark.services
def test_a_database_that_goes_away_within_a_deposit_leaves_nothing_that_is_not_swept(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    class GoesAway(Folder):
        def put(self, name: str, pieces: object) -> None:
            super().put(name, pieces)  # type: ignore[arg-type]
            own_postgres.stop()

    sample = SampleVault(Database(own_postgres.new_database()), tmp_path, GoesAway(tmp_path / "objects"))
    made = deposit("r", "record", MEDIUM)
    with pytest.raises(Unavailable):
        sample.vault.deposit(made)
    own_postgres.start()
    assert outcome(sample.vault, made) == "NoSuchRecord"
    assert sample.vault.sweep(sample.clock.now_s + 1) == 1
    assert list(sample.objects.names()) == []
    sample.database.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small tmpfs: the disk-full tests need root")
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_SIZE_BYTES}", "tmpfs", str(folder)]
    done = subprocess.run(mounting, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(folder: Path, *, leave_bytes: int) -> Path:
    """Take up the free space of a file system but for a rest; returns the file that does."""
    free = os.statvfs(folder)
    filler = folder / "filler"
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize - leave_bytes))
    return filler


def test_a_full_disk_of_objects_leaves_nothing_half_written(
    small_disk: Path, database: Database, tmp_path: Path
) -> None:
    sample = SampleVault(database, tmp_path, Folder(small_disk / "objects"))
    made = [deposit("r", f"record {number}", 2 * LARGE) for number in range(2)]
    sample.vault.deposit(made[0])
    with pytest.raises(Unavailable, match="No space left"):
        sample.vault.deposit(made[1])
    assert [outcome(sample.vault, each) for each in made] == ["opens", "NoSuchRecord"]
    assert list(fsck(sample.vault)) == []
    assert len([path for path in small_disk.rglob("*") if path.is_file()]) == 1
    sample.vault.erase_record(made[0].record_id)
    assert sample.vault.deposit(made[1]).is_new, "erasing made room"


def test_a_full_disk_of_the_database_leaves_nothing_half_written(small_disk: Path, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{small_disk}/vault.db")
    sample = SampleVault(database, tmp_path)
    made = sample.fill(sizes=(SMALL, MEDIUM))
    filler = fill_disk(small_disk, leave_bytes=100_000)
    batch = [deposit("r9", f"late {number} of {size}", size) for number in range(100) for size in (SMALL, MEDIUM)]
    with pytest.raises(Unavailable, match=r"disk is full|disk I/O error"):
        sample.vault.deposit_many(batch)
    assert {outcome(sample.vault, each) for each in batch} == {"NoSuchRecord"}
    assert {outcome(sample.vault, each) for each in made} == {"opens"}
    filler.unlink()
    sample.reopen().sweep(sample.clock.now_s + 1)
    assert list(fsck(sample.vault)) == []
    assert {answer.is_new for answer in sample.vault.deposit_many(batch)} == {True}
    database.close()


def test_a_full_disk_of_a_key_file_keeps_the_old_root(small_disk: Path, database: Database, tmp_path: Path) -> None:
    roots = RootFiles(tmp_path / "one" / "root", small_disk / "two" / "root")
    vault = Vault(database, Folder(tmp_path / "objects"), roots)
    made = deposit("r", "record")
    vault.deposit(made)
    filler = fill_disk(small_disk, leave_bytes=0)
    with pytest.raises(Unavailable, match="No space left"):
        vault.renew_root()
    assert outcome(vault, made) == "opens"
    assert roots.settled()
    filler.unlink()
    assert vault.renew_root().generation == 2
    assert outcome(vault, made) == "opens"


def test_a_newer_schema_is_refused_with_both_versions(sample: SampleVault) -> None:
    with sample.database.writing() as connection:
        connection.execute(update(schema.schema).values(version=schema.SCHEMA_VERSION + 1))
    with pytest.raises(SchemaNewer, match="reads vault schema 1, the database has 2: install a newer Salus"):
        sample.reopen()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vault.db").write_bytes(b"this is no database, and it is long enough to be looked at" * 100)
    with pytest.raises(Damaged, match="not a database"):
        SampleVault(Database(f"sqlite:///{tmp_path}/vault.db"), tmp_path)


def test_a_torn_database_is_damaged_not_unavailable(sample: SampleVault) -> None:
    sample.fill(sizes=(SMALL,))
    sample.database.close()
    path = sample.folder / "vault.db"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(Damaged, match="malformed"):
        sample.reopen()


def test_a_folder_that_is_not_mounted_is_unavailable(database: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match=r"Not a directory|File exists"):
        Folder(tmp_path / "file" / "objects")


@pytest.mark.services
@pytest.mark.promise("P4")
def test_messages_carry_identifiers_only(own_postgres: Postgres, tmp_path: Path) -> None:
    """What a failing statement was given never reaches a message."""
    sample = SampleVault(Database(own_postgres.new_database()), tmp_path)
    made = deposit("r", "record")
    sample.vault.deposit(made)
    own_postgres.stop()
    try:
        with pytest.raises(Unavailable) as refusal:
            sample.vault.deposit(deposit("r", "other"))
    finally:
        own_postgres.start()
    chain, error = [], refusal.value
    while error is not None:
        chain.append(str(error))
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    assert len(chain) >= 2
    given = ["metadata of ", made.record_id.hex(), repr(made.record_id)]
    assert not any(value in text for text in chain for value in given)
    assert "SELECT" not in str(refusal.value)
    sample.database.close()
