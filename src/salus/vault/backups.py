"""Backups of the data, which hold no key, and the restore that joins one with a backup of the key table.

Promises: a data backup alone opens nothing, and neither does one with the keys of today for what was erased meanwhile
(P5). A backup is whole or absent. After a restore, erasures that the ledger knows are done again before serving: that
is the caller's part.
"""

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection

from salus.crypto.sealing import segment_span
from salus.vault import durable, rows, schema
from salus.vault.database import Database
from salus.vault.drivers.folder import Folder
from salus.vault.drivers.object_driver import ObjectDriver
from salus.vault.drivers.sql import SqlRows
from salus.vault.errors import BackupBroken, Damaged, Missing, NoSuchRecord, NotEmpty
from salus.vault.frames import read_frames, write_frames
from salus.vault.key_backups import decoded, import_keys
from salus.vault.keys import KeyTable, read_epoch
from salus.vault.reading import check_segment
from salus.vault.root_files import RootFiles
from salus.vault.rows import Place, RecordRow
from salus.vault.vault import EPOCH_S, Vault, unix_now_s

MAGIC: Final = b"salus vault data backup 1\n"
ROWS_FILE: Final = "rows"
OBJECTS_FOLDER: Final = "objects"


@dataclass(frozen=True, slots=True)
class Exported:
    """What a data backup took, and the records whose bytes could not be copied."""

    record_count: int
    damaged: tuple[rows.RecordKey, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore brought back.

    `left_out`: records of the data backup without a slot in the key backup, erased meanwhile as a rule.
    `missing`: slots of the key backup whose record is not in the data backup, deposited after it as a rule.
    """

    record_count: int
    left_out: tuple[rows.RecordKey, ...]
    missing: tuple[rows.RecordKey, ...]


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    """One record of a data backup; `sealed` is empty for an object, which is a file beside."""

    row: RecordRow
    sealed: bytes


def export_data(vault: Vault, folder: Path) -> Exported:
    """Copy every sealed record as it is at one moment, without any key, into a new folder.

    Records whose bytes are not those that were stored are named and left out; records erased while it runs too.

    Raises:
        NotEmpty: the folder is there already.
    """
    if folder.exists():
        raise NotEmpty(f"{folder} is there already: name a new folder for each backup")
    part = durable.part_of(folder)
    shutil.rmtree(part, ignore_errors=True)
    durable.make_folder(part)
    export = _Export(vault, Folder(part / OBJECTS_FOLDER))
    with vault.database.snapshot() as connection:
        write_frames(part / ROWS_FILE, MAGIC, export.frames(connection))
    durable.move(part, folder)
    return Exported(export.record_count, tuple(export.damaged))


def restore(*, data: Path, keys: Path, database: Database, objects: ObjectDriver, roots: RootFiles) -> Restored:
    """Fill an empty vault from a data backup and a backup of the key table, in one transaction.

    Args:
        data: the folder of `export_data`.
        keys: the file of `export_keys`, as a rule a newer one than `data`.
        database, objects, roots: those of the vault, which is opened afterwards.

    Raises:
        NotEmpty: the database holds a vault already.
        RootGone: the key backup is of an epoch whose root was destroyed.
        BackupBroken: a file is cut short or changed.
    """
    table = KeyTable(roots, clock=unix_now_s, epoch_s=EPOCH_S)
    frames = read_frames(data / ROWS_FILE, MAGIC)
    with database.writing() as connection:
        schema.prepare(connection)
        if read_epoch(connection) is not None:
            raise NotEmpty("the database holds a vault already: restore into an empty one")
        import_keys(connection, table, keys)
        taken = _Import(connection, objects, Folder(data / OBJECTS_FOLDER))
        for page in _in_pages(frames):
            taken.take(page)
        return Restored(taken.record_count, tuple(taken.left_out), tuple(rows.slots_without_records(connection)))


class _Export:
    """The state of one data backup while it runs."""

    def __init__(self, vault: Vault, folder: Folder) -> None:
        self._vault = vault
        self._folder = folder
        self.record_count = 0
        self.damaged: list[rows.RecordKey] = []

    def frames(self, connection: Connection) -> Iterator[bytes]:
        """The frames of all records; objects are copied beside as they come."""
        after: rows.RecordKey = (b"", 0)
        while page := [row for row, _ in rows.page_after(connection, after)]:
            small = SqlRows(connection).read_all([row.object_name for row in page if row.place == Place.ROW])
            for row in page:
                if (frame := self._frame(row, small)) is not None:
                    self.record_count += 1
                    yield msgspec.msgpack.encode(frame)
            after = page[-1].key

    def _frame(self, row: RecordRow, small: Mapping[str, bytes]) -> _Frame | None:
        try:
            if row.place == Place.ROW:
                sealed = small.get(row.object_name, b"")
                check_segment(row, 0, sealed)
                return _Frame(row, sealed)
            self._folder.put(row.object_name, self._vault.reading.segments(row))
            return _Frame(row, b"")
        except NoSuchRecord:
            return None
        except Damaged:
            self.damaged.append(row.key)
            return None


class _Import:
    """The state of one restore while it runs."""

    def __init__(self, connection: Connection, objects: ObjectDriver, folder: Folder) -> None:
        self._connection = connection
        self._objects = objects
        self._folder = folder
        self.record_count = 0
        self.left_out: list[rows.RecordKey] = []

    def take(self, frames: Sequence[_Frame]) -> None:
        """Store those records that the key backup has slots for."""
        with_slots = rows.keys_with_slots(self._connection, [frame.row.key for frame in frames])
        wanted = [frame for frame in frames if frame.row.key in with_slots]
        self.left_out += [frame.row.key for frame in frames if frame.row.key not in with_slots]
        small = [(frame.row.object_name, frame.sealed) for frame in wanted if frame.row.place == Place.ROW]
        SqlRows(self._connection).put_new(small)
        for frame in wanted:
            if frame.row.place == Place.OBJECT:
                self._objects.put(frame.row.object_name, self._copied(frame.row))
        rows.insert_records(self._connection, [frame.row for frame in wanted])
        self.record_count += len(wanted)

    def _copied(self, row: RecordRow) -> Iterator[bytes]:
        spans = [segment_span(row.size_bytes, index) for index in range(row.segment_count)]
        try:
            for index, segment in enumerate(self._folder.read(row.object_name, spans)):
                check_segment(row, index, segment)
                yield segment
        except (Missing, Damaged) as error:
            raise BackupBroken(f"object {row.object_name} of the backup is missing or changed: {error}") from error


def _in_pages(frames: Iterator[bytes]) -> Iterator[list[_Frame]]:
    while page := [decoded(frame, _Frame) for frame in itertools.islice(frames, rows.PAGE_ROWS)]:
        yield page
