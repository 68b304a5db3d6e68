"""Backups: whole or absent, without keys, checked before use, and brought back into an empty vault only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from salus.vault import schema
from salus.vault.backups import Exported, Restored, export_data, restore
from salus.vault.database import Database
from salus.vault.drivers.folder import Folder
from salus.vault.errors import BackupBroken, NotEmpty, RootGone
from salus.vault.fsck import fsck
from salus.vault.key_backups import export_keys
from salus.vault.root_files import RootFiles
from salus.vault.vault import Vault
from tests.vault.conftest import DATABASES
from tests.vault.killing import STRIDES, points, run_and_kill
from tests.vault.sample_vault import SMALL, SampleVault, deposit, identifier, outcome


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    yield database
    database.close()


def bring_back(sample: SampleVault, empty: Database) -> Restored:
    """Restore `data` and `keys` of the sample's folder into an empty database."""
    places = {"data": sample.folder / "data", "keys": sample.folder / "keys"}
    return restore(**places, database=empty, objects=Folder(sample.folder / "restored"), roots=sample.roots)


def back_up(sample: SampleVault) -> Exported:
    export_keys(sample.database, sample.folder / "keys")
    return export_data(sample.vault, sample.folder / "data")


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_a_vault_comes_back_from_its_two_backups(sample: SampleVault, empty: Database) -> None:
    made = sample.fill()
    sample.vault.register([made[0].key])
    assert back_up(sample) == Exported(9, ())
    assert bring_back(sample, empty) == Restored(9, (), ())
    vault = Vault(empty, Folder(sample.folder / "restored"), sample.roots, clock=sample.clock)
    assert {outcome(vault, each) for each in made} == {"opens"}
    assert [vault.record(*each.key) for each in made] == [sample.vault.record(*each.key) for each in made]
    assert list(fsck(vault)) == []


@pytest.mark.promise("P5")
def test_no_key_is_in_a_data_backup_and_no_root_in_a_key_backup(sample: SampleVault) -> None:
    sample.fill()
    back_up(sample)
    data = b"".join(path.read_bytes() for path in (sample.folder / "data").rglob("*") if path.is_file())
    key_table = (sample.folder / "keys").read_bytes()
    root = sample.vault.keys.roots.places[0].read_bytes()[27:59]
    with sample.database.reading() as connection:
        wrapped = [*connection.scalars(select(schema.keys.c.wrapped_key))]
        wrapped += connection.scalars(select(schema.slots.c.slot))
        wrapped += connection.scalars(select(schema.slots.c.metadata_slot))
        sealed = list(connection.scalars(select(schema.records.c.sealed_metadata)))
    assert len(wrapped) == 3 + 9 + 9
    assert not any(key in data for key in wrapped)
    assert all(key in key_table for key in wrapped)
    assert root not in data + key_table
    assert all(each in data for each in sealed)
    assert not any(each in key_table for each in sealed)


def test_what_was_erased_or_added_between_the_two_is_told(sample: SampleVault, empty: Database) -> None:
    made = sample.fill(relationships=2, sizes=(SMALL, 100_000))
    export_data(sample.vault, sample.folder / "data")
    sample.vault.erase_record(made[0].record_id)
    sample.vault.erase_record(made[1].record_id)
    later = deposit("r1", "later")
    sample.vault.deposit(later)
    export_keys(sample.database, sample.folder / "keys")
    told = bring_back(sample, empty)
    assert (told.record_count, set(told.left_out), told.missing) == (2, {made[0].key, made[1].key}, (later.key,))
    assert len(list(Folder(sample.folder / "restored").names())) == 1


def test_a_damaged_object_is_named_and_left_out(sample: SampleVault, empty: Database) -> None:
    made = sample.fill(relationships=1)
    path = next(path for path in (sample.folder / "objects").rglob("*") if path.is_file())
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    exported = back_up(sample)
    assert (exported.record_count, len(exported.damaged)) == (2, 1)
    assert exported.damaged[0] in [each.key for each in made]
    assert bring_back(sample, empty).missing == exported.damaged


def test_a_restore_is_into_an_empty_vault_only(sample: SampleVault) -> None:
    made = sample.fill(relationships=1)
    back_up(sample)
    with pytest.raises(NotEmpty, match="restore into an empty one"):
        bring_back(sample, sample.database)
    assert {outcome(sample.vault, each) for each in made} == {"opens"}
    with pytest.raises(NotEmpty, match="name a new folder"):
        export_data(sample.vault, sample.folder / "data")


def test_a_restore_with_other_key_files_is_refused(sample: SampleVault, empty: Database, tmp_path: Path) -> None:
    sample.fill(relationships=1)
    back_up(sample)
    other = SampleVault(Database(f"sqlite:///{tmp_path}/other.db"), tmp_path / "other")
    roots = RootFiles(*other.roots.places)
    places = {"data": sample.folder / "data", "keys": sample.folder / "keys"}
    with pytest.raises(RootGone):
        restore(**places, database=empty, objects=Folder(tmp_path / "restored"), roots=roots)
    other.database.close()
    assert bring_back(sample, empty).record_count == 3, "what was refused left nothing behind"


@pytest.mark.parametrize("file", ["keys", "data/rows"])
@pytest.mark.parametrize("where", [0, 25, 40, 0.3, 0.5, 0.9, -33, -1])
@pytest.mark.parametrize("fault", ["flip", "cut"])
def test_a_broken_backup_file_is_refused_before_anything_is_used(
    sample: SampleVault, empty: Database, file: str, where: float, fault: str
) -> None:
    sample.fill(relationships=2, sizes=(SMALL,))
    back_up(sample)
    path = sample.folder / file
    content = bytearray(path.read_bytes())
    position = int(where * len(content)) if isinstance(where, float) else where
    if fault == "cut":
        del content[position:]
    else:
        content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(BackupBroken, match=path.name):
        bring_back(sample, empty)
    assert list(Folder(sample.folder / "restored").names()) == []


def test_a_changed_object_of_a_backup_is_refused(sample: SampleVault, empty: Database) -> None:
    sample.fill(relationships=1)
    back_up(sample)
    path = next(path for path in (sample.folder / "data" / "objects").rglob("*") if path.is_file())
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(BackupBroken, match=path.name):
        bring_back(sample, empty)
    path.write_bytes(whole)
    assert bring_back(sample, empty).record_count == 3, "what was refused left nothing behind"


@pytest.mark.parametrize("stride", STRIDES)
def test_a_kill_at_any_point_leaves_a_whole_backup_or_none(sample: SampleVault, stride: int) -> None:
    sample.fill(relationships=1)
    export_keys(sample.database, sample.folder / "keys")
    for point in points(stride):
        data = sample.folder / "data"
        killed = run_and_kill(lambda: export_in_child(sample), point)
        if data.exists():
            empty = Database(f"sqlite:///{sample.folder}/empty{point}.db")
            assert bring_back(sample, empty).record_count == 3
            empty.close()
            data.rename(sample.folder / f"data{point}")
        if not killed:
            break
    assert point > 10


def export_in_child(sample: SampleVault) -> None:
    database = Database(f"sqlite:///{sample.folder}/vault.db")
    export_data(Vault(database, sample.objects, sample.roots, clock=sample.clock), sample.folder / "data")


def test_a_backup_taken_while_others_work_is_of_one_moment(sample: SampleVault, empty: Database) -> None:
    """Between the page of rows and the object that it names, the record is erased and another is stored."""
    made = sample.fill(relationships=2)

    class Busy(Folder):
        def read(self, name: str, spans: object) -> Iterator[bytes]:
            if not erased:
                erased.append(sample.vault.erase_relationship(identifier("r0")))
                sample.vault.deposit(deposit("r1", "while it ran"))
            return super().read(name, spans)  # type: ignore[arg-type]

    erased: list[int] = []
    busy = Vault(sample.database, Busy(sample.folder / "objects"), sample.roots, clock=sample.clock)
    exported = export_data(busy, sample.folder / "data")
    assert erased == [3]
    assert exported.damaged == ()
    export_keys(sample.database, sample.folder / "keys")
    told = bring_back(sample, empty)
    assert told.missing == (deposit("r1", "while it ran").key,)
    vault = Vault(empty, Folder(sample.folder / "restored"), sample.roots, clock=sample.clock)
    assert [outcome(vault, each) for each in made] == ["NoSuchRecord"] * 3 + ["opens"] * 3
