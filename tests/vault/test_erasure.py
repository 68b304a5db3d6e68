"""Erasure: what was erased opens from nothing that is left, and everything else opens as before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salus.crypto.hpke import HpkeKey, HpkeSuite, open_with
from salus.crypto.sealing import SealBroken, open_sealed, unwrap
from salus.vault import rows
from salus.vault.backups import export_data, restore
from salus.vault.database import Database
from salus.vault.drivers.folder import Folder
from salus.vault.errors import Damaged, NoSuchRecord, NoSuchRelationship, RootGone, Unavailable
from salus.vault.fsck import fsck
from salus.vault.key_backups import export_keys
from salus.vault.keys import patient_info, present_epoch
from salus.vault.root_files import Root
from salus.vault.vault import Vault
from tests.vault.conftest import DATABASES
from tests.vault.sample_vault import LARGE, MEDIUM, SMALL, SampleVault, deposit, identifier, opened, outcome

pytestmark = pytest.mark.promise("P5")


@dataclass(frozen=True)
class Backups:
    """A data backup and a key backup of one moment."""

    data: Path
    keys: Path

    @classmethod
    def take(cls, sample: SampleVault, name: str) -> Backups:
        made = cls(sample.folder / f"{name}.data", sample.folder / f"{name}.keys")
        export_data(sample.vault, made.data)
        export_keys(sample.database, made.keys)
        return made


@pytest.fixture
def restored(sample: SampleVault, tmp_path: Path) -> Iterator[object]:
    """Call with a data and a key backup: the vault restored from them with the key files of now."""
    opened_databases = []

    def bring_back(data: Path, keys: Path) -> Vault:
        number = len(opened_databases)
        database = Database(f"sqlite:///{tmp_path}/restored{number}.db")
        opened_databases.append(database)
        objects = Folder(tmp_path / f"restored{number}")
        restore(data=data, keys=keys, database=database, objects=objects, roots=sample.roots)
        return Vault(database, objects, sample.roots, clock=sample.clock)

    yield bring_back
    for database in opened_databases:
        database.close()


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_an_erased_relationship_is_gone_and_the_others_are_untouched(sample: SampleVault) -> None:
    made = sample.fill()
    assert sample.vault.erase_relationship(identifier("r1")) == 3
    for each in made:
        erased = each.relationship == identifier("r1")
        assert outcome(sample.vault, each) == ("NoSuchRecord" if erased else "opens")
    assert sample.vault.records(identifier("r1")) == []
    assert sample.vault.relationships() == sorted([identifier("r0"), identifier("r2")])
    assert len(list(sample.objects.names())) == 4
    assert list(fsck(sample.reopen())) == []
    assert sample.vault.erase_relationship(identifier("r1")) == 0


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_an_erased_record_is_gone_in_all_versions_and_its_siblings_are_untouched(sample: SampleVault) -> None:
    victims = [deposit("r", "victim", SMALL), deposit("r", "victim", LARGE, version=2)]
    others = [deposit("r", "sibling", MEDIUM), deposit("r", "sibling two"), deposit("other", "other")]
    sample.vault.deposit_many(victims + others)
    assert sample.vault.erase_record(identifier("victim")) == 2
    assert {outcome(sample.vault, each) for each in victims} == {"NoSuchRecord"}
    assert {outcome(sample.vault, each) for each in others} == {"opens"}
    assert list(fsck(sample.vault)) == []
    assert sample.vault.erase_record(identifier("victim")) == 0


def test_one_version_may_be_erased_alone(sample: SampleVault) -> None:
    first, second = deposit("r", "record"), deposit("r", "record", version=2, seed="rejected")
    sample.vault.deposit_many([first, second])
    assert sample.vault.erase_record(first.record_id, version=2) == 1
    assert [outcome(sample.vault, each) for each in (first, second)] == ["opens", "NoSuchRecord"]


def test_yesterdays_data_with_todays_keys_opens_nothing_of_the_erased(sample: SampleVault, restored: object) -> None:
    made = sample.fill()
    yesterday = Backups.take(sample, "yesterday")
    sample.vault.erase_relationship(identifier("r1"))
    later = deposit("r0", "deposited after the data backup")
    sample.vault.deposit(later)
    today = Backups.take(sample, "today")
    vault = restored(yesterday.data, today.keys)  # type: ignore[operator]
    for each in made:
        erased = each.relationship == identifier("r1")
        assert outcome(vault, each) == ("NoSuchRecord" if erased else "opens")
    assert [finding.record_id for finding in fsck(vault)] == [later.record_id], "a slot without its record is said"


def test_yesterdays_keys_open_nothing_at_all_once_the_root_is_renewed(sample: SampleVault, restored: object) -> None:
    sample.fill()
    yesterday = Backups.take(sample, "yesterday")
    sample.vault.erase_relationship(identifier("r1"))
    for data in (yesterday.data, Backups.take(sample, "today").data):
        with pytest.raises(RootGone, match="restore the newest key backup"):
            restored(data, yesterday.keys)  # type: ignore[operator]


def test_survivors_come_back_with_yesterdays_data_after_one_record_was_erased(
    sample: SampleVault, restored: object
) -> None:
    made = sample.fill(relationships=2)
    yesterday = Backups.take(sample, "yesterday")
    sample.vault.erase_record(made[0].record_id)
    today = Backups.take(sample, "today")
    vault = restored(yesterday.data, today.keys)  # type: ignore[operator]
    assert [outcome(vault, each) for each in made] == ["NoSuchRecord"] + ["opens"] * 5


def stolen_rows(sample: SampleVault, record_id: bytes) -> tuple[Root, object, rows.Stored]:
    """What a thief copies before the erasure: the root in memory, the key row, the record with its slot."""
    with sample.database.reading() as connection:
        now = present_epoch(connection)
        stored = rows.of_record(connection, record_id)[0]
        row, _ = sample.vault.keys.key(connection, stored[0].relationship)
    return sample.roots.find(now.generation, now.root_check), row, stored


@pytest.mark.parametrize("erase", ["relationship", "record"])
def test_only_the_destroyed_root_would_open_a_stolen_copy(sample: SampleVault, erase: str) -> None:
    made = sample.fill(relationships=1, sizes=(SMALL, MEDIUM))[0]
    (sealed,) = list(sample.vault.sealed_segments(*made.key))
    old_root, key_row, (_, slot) = stolen_rows(sample, made.record_id)
    if erase == "relationship":
        sample.vault.erase_relationship(made.relationship)
    else:
        sample.vault.erase_record(made.record_id)
    with sample.database.reading() as connection:
        now = present_epoch(connection)
    new_root = sample.roots.find(now.generation, now.root_check)
    assert slot is not None
    with pytest.raises(Damaged):
        key_row.unwrap(new_root)  # type: ignore[attr-defined]
    # with the old root it would open: so it is the destruction of the root that counts
    data_key = unwrap(key_row.unwrap(old_root), slot.slot, slot.bound)  # type: ignore[attr-defined]
    assert open_sealed(data_key, sealed, made.associated) == made.content


def test_within_an_epoch_the_root_waits_and_is_then_renewed(sample: SampleVault) -> None:
    sample.fill(sizes=(SMALL,))
    sample.vault.erase_relationship(identifier("r0"), within_s=3600)
    sample.vault.erase_relationship(identifier("r1"), within_s=7200)
    with sample.database.reading() as connection:
        assert present_epoch(connection).generation == 1
    sample.clock.now_s += 3599
    assert sample.vault.renew_root_if_due() is None
    sample.clock.now_s += 1
    renewal = sample.reopen().renew_root_if_due()
    assert renewal is not None
    assert (renewal.generation, renewal.rewrapped) == (2, 1)
    sample.clock.now_s += 3600
    assert sample.vault.renew_root_if_due() is None


class OutOfReach(Folder):
    """A folder whose disk went away."""

    def delete(self, name: str) -> None:
        raise Unavailable("the disk went away")


def test_keys_go_first_and_bytes_follow_when_the_store_is_back(sample: SampleVault) -> None:
    made = sample.fill()
    reachable, sample.objects = sample.objects, OutOfReach(sample.folder / "objects")
    with pytest.raises(Unavailable):
        sample.reopen().erase_relationship(identifier("r1"))
    assert [outcome(sample.vault, each) for each in made[3:6]] == ["NoSuchRecord"] * 3
    with sample.database.reading() as connection:
        assert present_epoch(connection).generation == 2
    assert len(list(reachable.names())) == 6
    sample.objects = reachable
    assert sample.reopen().sweep(0) == 2
    assert len(list(reachable.names())) == 4


def test_an_erased_relationship_may_begin_again_with_a_new_key(sample: SampleVault) -> None:
    made = sample.fill(relationships=1, sizes=(SMALL,))[0]
    _, old_row, _ = stolen_rows(sample, made.record_id)
    sample.vault.erase_relationship(made.relationship)
    assert sample.vault.deposit(made).is_new
    new_root, new_row, _ = stolen_rows(sample, made.record_id)
    assert new_row.unwrap(new_root) != old_row  # type: ignore[attr-defined]
    assert outcome(sample.vault, made) == "opens"


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_a_patient_opens_by_the_patient_slot_until_the_record_is_erased(sample: SampleVault) -> None:
    patient = HpkeKey.from_seed(HpkeSuite.HYBRID, bytes(32))
    made = [deposit("r", "kept"), deposit("r", "erased")]
    with pytest.raises(NoSuchRelationship):
        sample.vault.set_patient_key(identifier("r"), patient.public)
    sample.vault.deposit_many(made)
    assert sample.vault.patient_slot(identifier("r")) == b""
    slot = sample.vault.set_patient_key(identifier("r"), patient.public)
    assert sample.vault.patient_slot(identifier("r")) == slot
    assert [opens_for_patient(sample, patient, slot, each.record_id) for each in made] == [True, True]
    _, _, erased = stolen_rows(sample, made[1].record_id)
    sample.vault.erase_record(made[1].record_id)
    new_slot = sample.vault.patient_slot(identifier("r"))
    assert new_slot != slot
    assert opens_for_patient(sample, patient, new_slot, made[0].record_id)
    assert not opens_slot(patient, new_slot, erased)
    sample.vault.renew_root()
    assert sample.vault.patient_slot(identifier("r")) == new_slot
    assert [outcome(sample.vault, each) for each in made] == ["opens", "NoSuchRecord"]


def opens_for_patient(sample: SampleVault, patient: HpkeKey, patient_slot: bytes, record_id: bytes) -> bool:
    _, _, stored = stolen_rows(sample, record_id)
    return opens_slot(patient, patient_slot, stored)


def opens_slot(patient: HpkeKey, patient_slot: bytes, stored: rows.Stored) -> bool:
    """Whether a patient with nothing but their own key, the patient slot and a record's slot gets the data key."""
    row, slot = stored
    assert slot is not None
    key = open_with(patient, patient_slot, info=patient_info(row.relationship))
    try:
        unwrap(key, slot.slot, slot.bound)
    except SealBroken:
        return False
    return True


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["deposit", "erase record", "erase relationship", "renew", "restart"]), st.integers(0, 5)
    ),
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_exactly_what_was_not_erased_opens(tmp_path_factory: object, steps: list[object]) -> None:
    folder = tmp_path_factory.mktemp("law")  # type: ignore[attr-defined]
    sample = SampleVault(Database(f"sqlite:///{folder}/vault.db"), folder)
    alive: set[int] = set()
    made = [deposit(f"r{number % 2}", f"record {number}", (SMALL, MEDIUM)[number // 3]) for number in range(6)]
    for step, number in steps:  # type: ignore[misc]
        if step == "deposit":
            sample.vault.deposit(made[number])
            alive.add(number)
        elif step == "erase record":
            sample.vault.erase_record(made[number].record_id)
            alive.discard(number)
        elif step == "erase relationship":
            sample.vault.erase_relationship(made[number].relationship)
            alive = {each for each in alive if each % 2 != number % 2}
        elif step == "renew":
            sample.vault.renew_root()
        else:
            sample.reopen()
    assert {number for number in range(6) if outcome(sample.vault, made[number]) == "opens"} == alive
    assert list(fsck(sample.vault)) == []
    sample.database.close()


def test_a_record_erased_while_it_is_read_ends_the_reading_or_is_read_whole(sample: SampleVault) -> None:
    made = deposit("r", "record", LARGE)
    sample.vault.deposit(made)
    begun = sample.vault.open(*made.key)
    sample.vault.erase_record(made.record_id)
    with pytest.raises(NoSuchRecord, match="erased meanwhile"):
        list(begun)
    with pytest.raises(NoSuchRecord):
        opened(sample.vault, made)
