"""Backups of the key table: relationship keys and slots, all wrapped, and never a root.

Promises: such a file opens nothing without the key files of its own epoch. Once the root is renewed it is worthless,
which is what makes an erasure final (P5); so a new one is taken at each renewal.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, insert

from salus.vault import rows
from salus.vault.database import Database
from salus.vault.errors import BackupBroken
from salus.vault.frames import read_frames, write_frames
from salus.vault.keys import Epoch, KeyRow, KeyTable, key_pages, present_epoch
from salus.vault.rows import SlotRow
from salus.vault.schema import keys, slots

T = TypeVar("T")

MAGIC: Final = b"salus key table backup 1\n"


def export_keys(database: Database, path: Path) -> None:
    """Write the whole key table as it is at one moment to a file, durably, in the place of an older one."""
    with database.snapshot() as connection:
        write_frames(path, MAGIC, _frames(connection))


def import_keys(connection: Connection, table: KeyTable, path: Path) -> int:
    """Fill an empty key table from a backup; returns how many slots there are.

    Raises:
        RootGone: the key files do not hold the root that it was wrapped under.
        BackupBroken: the file is not a whole one.
    """
    frames = read_frames(path, MAGIC)
    table.adopt(connection, decoded(next(frames, b""), Epoch))
    slot_count = 0
    for frame in frames:
        if frame[:1] == b"k":
            connection.execute(insert(keys), [asdict(row) for row in decoded(frame[1:], list[KeyRow])])
        else:
            page = decoded(frame[1:], list[SlotRow])
            connection.execute(insert(slots), [asdict(slot) for slot in page])
            slot_count += len(page)
    return slot_count


def decoded(body: bytes, kind: type[T]) -> T:
    """A frame's content; raises `BackupBroken` when it is something else."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise BackupBroken(f"a frame of the backup is not {kind}: it was written by another version") from error


def _frames(connection: Connection) -> Iterator[bytes]:
    yield msgspec.msgpack.encode(present_epoch(connection))
    for page in key_pages(connection):
        yield b"k" + msgspec.msgpack.encode(page)
    for slot_page in rows.slot_pages(connection):
        yield b"s" + msgspec.msgpack.encode(slot_page)
