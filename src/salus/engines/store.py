"""The ledger's store: spaces of rows in one LMDB environment, one durable transaction per block (L2, L4).

Promises: `write` stores all changes or none, and returns only when they are on the disk; a full map grows, under
readers of other processes too; a snapshot is one block. One process writes, which `FolderLock` makes sure of; any
number read. py-lmdb gives a process one environment per folder: open it after a fork, never before.
"""

import errno
import fcntl
import logging
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import lmdb

from salus.engines.base import StartRefused, Unavailable
from salus.ledger.state import LEAVES, SPACES, Changes

BLOCKS = "blocks"
"""Space of the block bodies: height → the transactions, for blocks that have any; kept 90 days."""
HEADERS = "headers"
"""Space of the signed headers: height → CometBFT's `SignedHeader`; kept as long as the bodies."""
EVIDENCE = "evidence"
"""Space of the evidence: height → what validators did wrong, for blocks that have any; kept as long as the bodies."""
ENGINE = "engine"
"""Space of two rows: which engine wrote the store, in which format; and, if the ledger was sealed, at which height."""
ENGINE_SPACES = (BLOCKS, HEADERS, EVIDENCE, ENGINE)
APPENDED = frozenset({LEAVES, BLOCKS})
"""Spaces whose keys only grow: rows go behind the last one, which fills pages. (A header may be written twice.)"""

MAP_SIZE_BYTES = 1 << 30
READERS_MAX = 1024
IDLE_WAIT_S = 10.0
"""How long growing the map waits for this process's own snapshots, which last milliseconds."""
_DISK_FULL_BYTES = 1 << 20

log = logging.getLogger("salus.engines")


class DiskFull(Unavailable):
    """Nothing of the block was stored: the disk is full."""


class FolderLock:
    """Held by the one process that may write a folder; the kernel drops it when the process dies.

    Raises:
        StartRefused: another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(folder / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise StartRefused(
                f"expected to be the only ledger process on {folder}, another one runs: stop it first"
            ) from error

    @property
    def held(self) -> bool:
        """Tell whether it was not released yet."""
        return self._descriptor >= 0

    def release(self) -> None:
        """Let another process have the folder."""
        os.close(self._descriptor)
        self._descriptor = -1


class LmdbSnapshot:
    """All spaces as of one block."""

    __slots__ = ("_databases", "_transaction")

    def __init__(self, transaction: "lmdb.Transaction[bytes]", databases: "Mapping[str, lmdb._Database]") -> None:
        self._transaction = transaction
        self._databases = databases

    def get(self, space: str, key: bytes) -> bytes | None:
        """Return the row, or None when there is none."""
        return self._transaction.get(key, db=self._databases[space])

    def first_keys(self, space: str, *, below: bytes, limit: int) -> list[bytes]:
        """Return at most `limit` keys smaller than `below`, in ascending order."""
        keys: list[bytes] = []
        with self._transaction.cursor(self._databases[space]) as cursor:
            for key in cursor.iternext(keys=True, values=False):
                if key >= below or len(keys) == limit:
                    break
                keys.append(key)
        return keys

    def last_key(self, space: str) -> bytes | None:
        """Return the greatest key; None in an empty space."""
        with self._transaction.cursor(self._databases[space]) as cursor:
            return cursor.key() if cursor.last() else None

    def items(self, space: str, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, row) in ascending order, from the first key that is not below `start`."""
        with self._transaction.cursor(self._databases[space]) as cursor:
            if cursor.set_range(start) if start else cursor.first():
                yield from cursor.iternext()


class _Environment:
    """One LMDB environment of this process, whose map is only replaced while no transaction is open."""

    def __init__(self, environment: lmdb.Environment) -> None:
        self.inner = environment
        self._idle = threading.Condition()
        self._open_count = 0
        self._resizing = False
        self._closed = False

    def close(self) -> None:
        """Let go of the files once the snapshots of this process have ended; later ones are Unavailable."""
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: self._open_count == 0, IDLE_WAIT_S)
            self.inner.close()

    @contextmanager
    def transaction(self) -> "Iterator[lmdb.Transaction[bytes]]":
        """One read transaction. Raises Unavailable when the map stays locked."""
        transaction = self._begin()
        try:
            yield transaction
        finally:
            transaction.abort()
            with self._idle:
                self._open_count -= 1
                if self._open_count == 0:
                    self._idle.notify_all()

    def _begin(self) -> "lmdb.Transaction[bytes]":
        with self._idle:
            if self._resizing and not self._idle.wait_for(lambda: not self._resizing, IDLE_WAIT_S):
                raise Unavailable("the map is being replaced: try later")
            if self._closed:
                raise Unavailable("the ledger's store is closed: start the ledger again")
            try:
                transaction = self.inner.begin()
            except lmdb.MapResizedError:  # the writing process made it larger
                self._resize(0)
                transaction = self.inner.begin()
            self._open_count += 1
            return transaction

    @property
    def is_resizing(self) -> bool:
        """Tell whether somebody waits to replace the map."""
        return self._resizing

    def resize(self, size_bytes: int) -> None:
        """Give the map another size; 0 adopts the one that the writer gave it."""
        with self._idle:
            self._resize(size_bytes)

    def _resize(self, size_bytes: int) -> None:
        # LMDB moves the map: a transaction of this process that is still open would read freed memory.
        self._resizing = True
        try:
            if not self._idle.wait_for(lambda: self._open_count == 0, IDLE_WAIT_S):
                raise Unavailable(f"expected snapshots to end within {IDLE_WAIT_S:.0f} s: one was kept open")
            self.inner.set_mapsize(size_bytes)
        finally:
            self._resizing = False
            self._idle.notify_all()


class LmdbStore:
    """The writer's store: rows as of the last `write`, for one thread; `snapshot` for the others.

    Args:
        folder: created when absent; the caller holds its `FolderLock`.
        map_size_bytes: to begin with; it doubles when it is full.
        durable: False only for a copy that nobody relies on (`fsck`).
    """

    def __init__(self, folder: Path, *, map_size_bytes: int = MAP_SIZE_BYTES, durable: bool = True) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        inner = _open(folder, map_size_bytes=map_size_bytes, sync=durable, readonly=False)
        inner.reader_check()  # slots of readers that were killed keep old pages from being used again
        self._environment = _Environment(inner)
        self._databases = {space: inner.open_db(space.encode()) for space in _all_spaces()}
        self._transaction = inner.begin()
        self._now = LmdbSnapshot(self._transaction, self._databases)

    def close(self) -> None:
        """Let go of the files once snapshots have ended."""
        self._transaction.abort()
        self._environment.close()

    def get(self, space: str, key: bytes) -> bytes | None:
        """Return the row as of the last write, or None when there is none."""
        return self._transaction.get(key, db=self._databases[space])

    def first_keys(self, space: str, *, below: bytes, limit: int) -> list[bytes]:
        """Return at most `limit` keys smaller than `below`, in ascending order."""
        return self._now.first_keys(space, below=below, limit=limit)

    def last_key(self, space: str) -> bytes | None:
        """Return the greatest key; None in an empty space."""
        return self._now.last_key(space)

    def items(self, space: str, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, row) in ascending order, from the first key that is not below `start`."""
        return self._now.items(space, start=start)

    @property
    def is_growing(self) -> bool:
        """Tell whether the map waits for snapshots to end: whoever keeps a long one gives it up."""
        return self._environment.is_resizing

    @contextmanager
    def snapshot(self) -> Iterator[LmdbSnapshot]:
        """One short read of one block, from any thread."""
        with self._environment.transaction() as transaction:
            yield LmdbSnapshot(transaction, self._databases)

    def write(self, changes: Changes) -> None:
        """Store all changes in one durable transaction, or none.

        Raises:
            DiskFull: nothing was stored; the store goes on serving what it has.
            lmdb.Error: the disk failed in another way; whether the block is stored is known after a new start.
        """
        ordered = {space: sorted(rows.items()) for space, rows in changes.items()}
        while True:
            try:
                self._write_once(ordered)
                break
            except lmdb.MapFullError:
                self._grow()
            except lmdb.Error as error:
                if not self._is_disk_full(error):
                    raise
                raise DiskFull(f"expected room on the disk of {self.folder}, it is full: free some") from error
        self._renew()

    def clear_dead_readers(self) -> int:
        """Free the slots of readers that died inside a transaction; return how many there were."""
        return self._environment.inner.reader_check()

    def _write_once(self, ordered: Mapping[str, Sequence[tuple[bytes, bytes | None]]]) -> None:
        with self._environment.inner.begin(write=True) as transaction:
            for space, rows in ordered.items():
                _write_space(transaction, self._databases[space], rows, append=space in APPENDED)

    def _grow(self) -> None:
        size_bytes = 2 * self._environment.inner.info()["map_size"]
        log.info("store.map_grown size_bytes=%d", size_bytes)
        self._transaction.abort()
        try:
            self._environment.resize(size_bytes)
        finally:
            self._renew()

    def _renew(self) -> None:
        # Not counted among the snapshots: only the writing thread replaces the map, and it ends this one first.
        self._transaction.abort()
        self._transaction = self._environment.inner.begin()
        self._now = LmdbSnapshot(self._transaction, self._databases)

    def _is_disk_full(self, error: lmdb.Error) -> bool:
        # LMDB reports a page that was only partly written as EIO: the room that is left tells the two apart.
        if isinstance(error, lmdb.DiskError) or error.code == errno.ENOSPC:
            return True
        return error.code == errno.EIO and shutil.disk_usage(self.folder).free < _DISK_FULL_BYTES


class LmdbReader:
    """A read-only view of a ledger that another process writes: open it after the fork that makes a worker."""

    def __init__(self, folder: Path) -> None:
        try:
            inner = _open(folder, map_size_bytes=0, sync=True, readonly=True)
            self._databases = {space: inner.open_db(space.encode(), create=False) for space in _all_spaces()}
        except lmdb.Error as error:
            raise Unavailable(f"expected a ledger in {folder} ({error}): start the ledger process first") from error
        self._environment = _Environment(inner)

    @contextmanager
    def snapshot(self) -> Iterator[LmdbSnapshot]:
        """One short read of one block; adopts the map that the writer has grown meanwhile."""
        with self._environment.transaction() as transaction:
            yield LmdbSnapshot(transaction, self._databases)

    def close(self) -> None:
        """Let go of the files once snapshots have ended."""
        self._environment.close()


def height_key(height: int) -> bytes:
    """Return the key of a height: 8 bytes, big-endian, so that rows are in order."""
    return height.to_bytes(8, "big")


def _all_spaces() -> tuple[str, ...]:
    return (*SPACES, *ENGINE_SPACES)


def _open(folder: Path, *, map_size_bytes: int, sync: bool, readonly: bool) -> lmdb.Environment:
    return lmdb.open(
        str(folder),
        map_size=map_size_bytes,
        max_dbs=len(_all_spaces()),
        max_readers=READERS_MAX,
        mode=0o600,
        sync=sync,
        readonly=readonly,
        create=not readonly,
    )


def _write_space(
    transaction: "lmdb.Transaction[bytes]",
    database: "lmdb._Database",
    rows: Sequence[tuple[bytes, bytes | None]],
    *,
    append: bool,
) -> None:
    kept = [(key, row) for key, row in rows if row is not None]
    if len(kept) < len(rows):
        for key, row in rows:
            if row is None:
                transaction.delete(key, db=database)
    _consumed, added = transaction.cursor(database).putmulti(kept, append=append)
    assert not append or added == len(kept), "appended keys must be greater than those stored"
