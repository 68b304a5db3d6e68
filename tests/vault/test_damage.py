"""A changed byte in any column, object or key file is named by `fsck`, and is never returned by an opening."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Table, delete, insert, select, update

from salus.crypto.hpke import HpkeKey, HpkeSuite
from salus.crypto.sealing import segment_span
from salus.vault import schema
from salus.vault.deposits import Deposit
from salus.vault.errors import Damaged, Rejected
from salus.vault.fsck import Finding, fsck
from tests.vault.sample_vault import LARGE, SMALL, SampleVault, deposit, identifier, opened

# Notes to ourselves: nothing that is opened depends on them, and the ledger or the clock puts them right again.
NOTES = {
    "vault_schema.version": "read at each start: a newer one is refused, see test_bad_days",
    "vault_epoch.renewed_at_s": "for people",
    "vault_epoch.renew_by_s": "when to renew next",
    "vault_records.registered": "whether the ledger has it; the ledger knows",
    "vault_records.staged_at_s": "which orphans are old",
    "vault_pending.object_name": "what to sweep; a strange name is an object of no record",
    "vault_pending.since_s": "when to sweep",
}
BOUND = [
    pytest.param(table, column, id=f"{table.name}.{column.name}")
    for table in schema.metadata.sorted_tables
    for column in table.columns
    if f"{table.name}.{column.name}" not in NOTES
]


def test_every_column_is_bound_or_a_note() -> None:
    columns = {f"{table.name}.{column.name}" for table in schema.metadata.sorted_tables for column in table.columns}
    assert set(NOTES) <= columns
    assert len(BOUND) == len(columns) - len(NOTES) >= 20


def flipped(value: Any) -> Any:
    """The value with one bit changed, in its last byte."""
    if isinstance(value, int):
        return value ^ 1
    if isinstance(value, str):
        return value[:-1] + ("1" if value[-1] == "0" else "0")
    return value[:-1] + bytes((value[-1] ^ 1,)) if value else b"\1"


def flip_in_row(sample: SampleVault, table: Table, column: Column[Any]) -> None:
    """Change one value of the first row of a table."""
    keys = list(table.primary_key.columns)
    with sample.database.writing() as connection:
        row = connection.execute(select(table).order_by(*keys)).mappings().first()
        assert row is not None
        here = [key == row[key.name] for key in keys]
        done = connection.execute(update(table).where(*here).values({column.name: flipped(row[column.name])}))
        assert done.rowcount == 1


@pytest.fixture
def made(sample: SampleVault) -> list[Deposit]:
    """Two records, one of them large, and one patient key, so that no column is empty."""
    deposits = [deposit("r", "small", SMALL), deposit("r", "large", LARGE)]
    sample.vault.deposit_many(deposits)
    sample.vault.set_patient_key(identifier("r"), HpkeKey.from_seed(HpkeSuite.HYBRID, bytes(32)).public)
    assert list(fsck(sample.vault)) == []
    return deposits


def nothing_false_is_returned(sample: SampleVault, made: list[Deposit]) -> int:
    """Open everything; returns how many openings were refused."""
    refused = 0
    for each in made:
        try:
            found = opened(sample.vault, each), sample.vault.record(*each.key).metadata
        except Rejected:
            refused += 1
        else:
            assert found == (each.content, each.metadata)
    return refused


@pytest.mark.parametrize(("table", "column"), BOUND)
def test_a_changed_column_is_found(sample: SampleVault, made: list[Deposit], table: Table, column: Column[Any]) -> None:
    flip_in_row(sample, table, column)
    findings = list(fsck(sample.vault))
    assert findings
    refused = nothing_false_is_returned(sample, made)
    # the epoch row is read again when a root is looked for: a worker that has it goes on
    assert refused > 0 or table is schema.epoch


@pytest.mark.parametrize("column", ["generation", "root_check"])
def test_a_changed_epoch_is_refused_at_start(sample: SampleVault, made: list[Deposit], column: str) -> None:
    flip_in_row(sample, schema.epoch, schema.epoch.c[column])
    assert [finding.part for finding in fsck(sample.vault)] == ["epoch root"]
    with pytest.raises(Rejected, match="wrapped under root"):
        sample.reopen()


@pytest.mark.parametrize("table", [schema.keys, schema.slots, schema.objects, schema.epoch, schema.records], ids=str)
def test_a_lost_row_is_found(sample: SampleVault, made: list[Deposit], table: Table) -> None:
    with sample.database.writing() as connection:
        connection.execute(delete(table))
    assert list(fsck(sample.vault))
    refused = nothing_false_is_returned(sample, made)
    assert refused > 0 or table is schema.epoch


def object_file(sample: SampleVault) -> Path:
    (path,) = [path for path in (sample.folder / "objects").rglob("*") if path.is_file()]
    return path


def change(position: int) -> Callable[[bytearray], object]:
    def flip(content: bytearray) -> None:
        content[position] ^= 0x80

    return flip


SECOND_START, _ = segment_span(LARGE, 1)
OBJECT_FAULTS = {
    "first byte": (change(0), "segment 0 of 4"),
    "last byte of segment 0": (change(SECOND_START - 1), "segment 0 of 4"),
    "first byte of segment 1": (change(SECOND_START), "segment 1 of 4"),
    "last byte": (change(-1), "segment 3 of 4"),
    "cut by one byte": (lambda content: content.pop(), "object"),
    "empty": (lambda content: content.clear(), "object"),
}


@pytest.mark.promise("R6")
@pytest.mark.parametrize(("fault", "named"), OBJECT_FAULTS.values(), ids=OBJECT_FAULTS)
def test_a_changed_object_is_named(
    sample: SampleVault, made: list[Deposit], fault: Callable[[bytearray], object], named: str
) -> None:
    path = object_file(sample)
    content = bytearray(path.read_bytes())
    fault(content)
    path.write_bytes(content)
    (finding,) = fsck(sample.vault)
    assert (finding.part, finding.record_id, finding.version) == (named, *made[1].key)
    assert made[1].record_id.hex() in str(finding)
    with pytest.raises(Damaged) as refusal:
        opened(sample.vault, made[1])
    assert (refusal.value.part, refusal.value.record_id) == (named, made[1].record_id)
    assert opened(sample.vault, made[0]) == made[0].content


def test_surplus_behind_an_object_is_named_and_never_returned(sample: SampleVault, made: list[Deposit]) -> None:
    with object_file(sample).open("ab") as file:
        file.write(b"surplus")
    (finding,) = fsck(sample.vault)
    assert (finding.part, finding.record_id) == ("object", made[1].record_id)
    assert opened(sample.vault, made[1]) == made[1].content


def test_a_lost_object_is_named(sample: SampleVault, made: list[Deposit]) -> None:
    object_file(sample).unlink()
    assert list(fsck(sample.vault)) == [Finding("object", "missing", *made[1].key)]
    with pytest.raises(Damaged, match="object: missing"):
        opened(sample.vault, made[1])


def test_two_objects_that_changed_places_are_found(sample: SampleVault) -> None:
    batch = [deposit("r", f"record {number}", LARGE) for number in range(2)]
    sample.vault.deposit_many(batch)
    one, two = [path for path in (sample.folder / "objects").rglob("*") if path.is_file()]
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    assert {finding.record_id for finding in fsck(sample.vault)} == {each.record_id for each in batch}
    assert nothing_false_is_returned(sample, batch) == 2


def test_two_rows_that_changed_places_are_found(sample: SampleVault) -> None:
    batch = [deposit("r", f"record {number}") for number in range(2)]
    sample.vault.deposit_many(batch)
    with sample.database.writing() as connection:
        ids = [each.record_id for each in batch]
        for old, new in ((ids[0], b"between"), (ids[1], ids[0]), (b"between", ids[1])):
            here = schema.records.c.record_id == old
            connection.execute(update(schema.records).where(here).values(record_id=new))
    assert len(list(fsck(sample.vault))) == 2
    assert nothing_false_is_returned(sample, batch) == 2


def test_what_belongs_to_no_record_is_named(sample: SampleVault, made: list[Deposit]) -> None:
    name, small = "ab" * 16, "cd" * 16
    sample.objects.put(name, [b"left behind"])
    with sample.database.writing() as connection:
        connection.execute(insert(schema.objects).values(name=small, sealed=b"left behind"))
    parts = {(finding.part, finding.words) for finding in fsck(sample.vault)}
    assert parts == {("object", f"{name} belongs to no record"), ("small object", f"{small} belongs to no record")}


def test_a_lost_root_is_said_once_and_the_bytes_are_still_checked(sample: SampleVault, made: list[Deposit]) -> None:
    path = object_file(sample)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for place in sample.roots.places:
        place.write_bytes(bytes(100))
    other_worker = sample.vault
    other_worker.keys._root = None  # as a worker that has not read the root yet
    parts = [(finding.part, finding.record_id) for finding in fsck(other_worker)]
    assert parts == [("epoch root", b""), ("segment 3 of 4", made[1].record_id)]
