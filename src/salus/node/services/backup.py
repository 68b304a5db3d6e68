"""Backup: a node's data without a key, its key table without a root, and the restore that joins the two (DESIGN §6).

A data backup is a new folder: the vault's sealed records, the node's own tables but the identity map, the release
journals. The organisation's own keys and the two root files are in neither backup: they are copied by hand, apart.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, insert, select

from salus.ledger.identifiers import Pseudonym
from salus.node import opening, schema
from salus.node.assemble import Node
from salus.node.config import NodeSettings
from salus.node.projections import cursors
from salus.node.services import enrol, erase, take_over
from salus.node.services.reindex import reindex
from salus.vault import backups, durable
from salus.vault import schema as vault_schema
from salus.vault.backups import Exported, Restored
from salus.vault.database import Database
from salus.vault.errors import BackupBroken, NotEmpty
from salus.vault.frames import read_frames, write_frames
from salus.vault.key_backups import export_keys

MAGIC: Final = b"salus node backup 1\n"
VAULT: Final = "vault"
TABLES: Final = "tables"
JOURNALS: Final = (opening.RELEASED, opening.RECEIVED)
KEPT: Final = (
    schema.entries,
    schema.batches,
    schema.permits,
    schema.notices,
    schema.erasures,
    schema.apps,
    schema.accounts,
    schema.sign_ins,
    schema.passkeys,
    schema.signing_devices,
    schema.signing_shares,
    schema.helped,
    schema.recovery_shares,
    schema.roster_members,
)
"""The identity map is not among them: it is rebuilt from what is sealed (DESIGN §3)."""
PAGE_ROWS: Final = 500
DATA: Final = "backup data"
KEYS: Final = "backup keys"


@dataclass(frozen=True)
class RestoredNode:
    """What a restore brought back, and what it did before the node may serve.

    Args:
        entry_count: index entries with their paths.
        erased_count: relationships that the ledger says were erased since the backup; erased again.
        patient_count: people in the rebuilt identity map.
    """

    records: Restored
    entry_count: int
    erased_count: int
    patient_count: int


_Row = dict[str, Any]


class _Page(msgspec.Struct, frozen=True, array_like=True):
    table: str
    rows: list[list[Any]]


def back_up_data(node: Node, folder: Path, place: Path) -> Exported:
    """Copy everything that is not a key into a new folder, while the node goes on.

    The journals first, since the keys of their lines are in the vault; then the vault; the tables after it: whatever
    they say of a record that is not in the copy is left out when it is restored.

    Args:
        folder: the node's own.
        place: the backup's, which must not be there yet.

    Raises:
        NotEmpty: `place` is there already.
        Unavailable: database, object store or disk; nothing is left at `place`.
    """
    if place.exists():
        raise NotEmpty(f"{place} is there already: name a new folder for each backup")
    part = durable.part_of(place)
    shutil.rmtree(part, ignore_errors=True)
    durable.make_folder(part)
    for name in JOURNALS:
        _copy_journals(folder / name, part / name)
    exported = backups.export_data(node.vault, part / VAULT)
    with node.vault.database.snapshot() as connection:
        write_frames(part / TABLES, MAGIC, _pages(connection))
    durable.move(part, place)
    _note(node, DATA)
    return exported


def back_up_keys(node: Node, file: Path) -> None:
    """Write the key table, wrapped and without any root, in the place of an older one."""
    export_keys(node.vault.database, file)
    _note(node, KEYS)


def backed_up_s(node: Node, what: str) -> int:
    """Return when DATA or KEYS of a node were backed up last, Unix seconds; 0 for never. A restore forgets it."""
    return cursors.position(node, what)


def restore_node(folder: Path, settings: NodeSettings, *, data: Path, keys: Path) -> RestoredNode:
    """Fill an empty node from a data backup and a key backup, and make it fit to serve.

    1. The vault's records that the key backup has slots for; then tables and journals that belong to them.
    2. Follow the ledger's tombstones: what was erased since the backup is erased again (P5), and so is a key that its
       patient has taken over since.
    3. Rebuild the identity map, and the search index where the node has one.

    Args:
        folder: the node's, with its settings, the organisation's keys and the root files in their places.
        data: a folder of `back_up_data`.
        keys: a file of `back_up_keys`, as a rule a newer one.

    Raises:
        NotEmpty: the node holds something already.
        RootGone: the key backup is of an epoch whose root was destroyed.
        BackupBroken: a file is cut short or changed.
        Unavailable, NotNow: the ledger is away: without its tombstones nothing may be served.
    """
    if any(any((folder / name).glob("*")) for name in JOURNALS):
        raise NotEmpty(f"{folder} has release journals already: restore into an empty node")
    for _ in _read_pages(data / TABLES):
        pass  # whatever is wrong with the backup is found before anything is written
    database = Database(settings.database)
    try:
        restored = backups.restore(
            data=data / VAULT,
            keys=keys,
            database=database,
            objects=opening.open_objects(settings),
            roots=opening.root_files(settings),
        )
        with database.writing() as connection:
            schema.prepare(connection)
            entry_count = _fill(connection, _read_pages(data / TABLES))
    finally:
        database.close()
    for name in JOURNALS:
        _copy_journals(data / name, folder / name)  # 1
    with opening.open_node(folder) as node:
        erased_count = erase.follow_tombstones(node)  # 2
        take_over.destroy_outdated_keys(node, [Pseudonym(each) for each in node.vault.relationships()])
        if node.has_index:
            sum(reindex(node))  # 3
        return RestoredNode(restored, entry_count, erased_count, enrol.rebuild_identities(node))


def _pages(connection: Connection) -> Iterator[bytes]:
    for table in KEPT:
        rows = connection.execution_options(yield_per=PAGE_ROWS).execute(select(table))
        for page in rows.partitions(PAGE_ROWS):
            yield msgspec.msgpack.encode(_Page(str(table.name), [list(row) for row in page]))


def _read_pages(path: Path) -> Iterator[tuple[Table, list[_Row]]]:
    """Yield the rows of the backup's tables. Raises BackupBroken."""
    tables = {str(table.name): table for table in KEPT}
    for frame in read_frames(path, MAGIC):
        try:
            page = msgspec.msgpack.decode(frame, type=_Page)
            table = tables[page.table]
            yield table, [dict(zip(table.c.keys(), row, strict=True)) for row in page.rows]
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            raise BackupBroken(f"{path} is of another version: restore with the release that wrote it") from error


def _fill(connection: Connection, pages: Iterator[tuple[Table, list[_Row]]]) -> int:
    count = 0
    for table, found in pages:
        rows = _with_records(connection, found) if table is schema.entries else found
        count += len(rows) if table is schema.entries else 0
        if rows:
            connection.execute(insert(table), rows)
    _drop_empty_batches(connection, schema.batches)
    return count


def _with_records(
    connection: Connection, rows: list[dict[str, bytes | int | str]]
) -> list[dict[str, bytes | int | str]]:
    """Entries whose record came back: the others were erased, or deposited after the vault was copied."""
    columns = vault_schema.records.c
    ids = [row["record_id"] for row in rows]
    found = connection.execute(select(columns.record_id, columns.version).where(columns.record_id.in_(ids))).all()
    known = {(row.record_id, row.version) for row in found}
    return [row for row in rows if (row["record_id"], row["version"]) in known]


def _drop_empty_batches(connection: Connection, batches: Table) -> None:
    held = select(schema.entries.c.batch_root).distinct()
    connection.execute(batches.delete().where(batches.c.batch_root.not_in(held)))


def _note(node: Node, what: str) -> None:
    with node.vault.database.writing() as connection:
        cursors.move(connection, what, node.clock())


def _copy_journals(source: Path, target: Path) -> None:
    durable.make_folder(target)
    for path in sorted(source.glob("*.journal")):
        durable.write(target / path.name, [path.read_bytes()])
