"""The store: all of a block or nothing, one block per snapshot, a map that grows under readers, a disk that is full."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from salus.engines.base import StartRefused, Unavailable
from salus.engines.store import BLOCKS, DiskFull, FolderLock, LmdbReader, LmdbStore, height_key
from salus.ledger.state import EXPIRY, INDEXES, LEAVES, STATE, Changes
from tests.engines.child import ROOT

SMALL_BYTES = 1 << 20
LONG_ROW = bytes(200_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LmdbStore]:
    opened = LmdbStore(tmp_path, map_size_bytes=SMALL_BYTES)
    yield opened
    opened.close()


def numbered(count: int, row: bytes) -> Changes:
    return {STATE: {b"key %03d" % number: row for number in range(count)}}


def test_what_was_written_is_read_back(store: LmdbStore) -> None:
    store.write({STATE: {b"b": b"2", b"a": b"1"}, INDEXES: {b"a": b"other space"}})
    assert (store.get(STATE, b"a"), store.get(STATE, b"b"), store.get(INDEXES, b"a")) == (b"1", b"2", b"other space")
    assert store.get(INDEXES, b"b") is None


def test_none_deletes_and_deleting_nothing_is_nothing(store: LmdbStore) -> None:
    store.write({STATE: {b"a": b"1", b"b": b"2"}})
    store.write({STATE: {b"a": None, b"never": None, b"c": b"3"}})
    assert list(store.items(STATE)) == [(b"b", b"2"), (b"c", b"3")]


def test_keys_come_in_order_below_a_limit(store: LmdbStore) -> None:
    store.write({EXPIRY: {height_key(number): b"" for number in (5, 1, 9, 3)}})
    assert store.first_keys(EXPIRY, below=height_key(6), limit=10) == [height_key(1), height_key(3), height_key(5)]
    assert store.first_keys(EXPIRY, below=height_key(6), limit=2) == [height_key(1), height_key(3)]
    assert store.first_keys(EXPIRY, below=height_key(1), limit=2) == []


def test_items_start_where_they_are_asked_to(store: LmdbStore) -> None:
    store.write({STATE: {b"a": b"1", b"c": b"3"}})
    assert list(store.items(STATE, start=b"b")) == [(b"c", b"3")]
    assert list(store.items(STATE, start=b"d")) == []
    assert list(store.items(INDEXES)) == []


@pytest.mark.parametrize("space", [LEAVES, BLOCKS])
def test_a_space_that_only_grows_refuses_an_older_key(store: LmdbStore, space: str) -> None:
    store.write({space: {height_key(2): b"row"}})
    with pytest.raises(AssertionError):
        store.write({space: {height_key(1): b"row"}})
    assert list(store.items(space)) == [(height_key(2), b"row")]


@pytest.mark.promise("L4")
def test_a_snapshot_is_one_block(store: LmdbStore) -> None:
    store.write({STATE: {b"a": b"old"}})
    with store.snapshot() as before:
        store.write({STATE: {b"a": b"new"}})
        assert before.get(STATE, b"a") == b"old"
        with store.snapshot() as after:
            assert after.get(STATE, b"a") == b"new"


@pytest.mark.promise("L2")
def test_rows_survive_closing(tmp_path: Path) -> None:
    first = LmdbStore(tmp_path, map_size_bytes=SMALL_BYTES)
    first.write(numbered(30, LONG_ROW))
    first.close()
    again = LmdbStore(tmp_path, map_size_bytes=SMALL_BYTES)  # a smaller map than the file
    assert len(list(again.items(STATE))) == 30
    again.close()


def test_a_full_map_grows(store: LmdbStore) -> None:
    store.write(numbered(30, LONG_ROW))
    assert len(list(store.items(STATE))) == 30


def test_growing_waits_for_snapshots_and_new_ones_wait_for_growing(store: LmdbStore) -> None:
    store.write({STATE: {b"small": b"1"}})
    opened, ended = threading.Event(), threading.Event()
    seen: list[bytes | None] = []

    def read() -> None:
        with store.snapshot() as snapshot:
            opened.set()
            ended.wait(0.2)
            seen.append(snapshot.get(STATE, b"small"))

    reader = threading.Thread(target=read)
    reader.start()
    opened.wait()
    store.write(numbered(30, LONG_ROW))
    reader.join()
    assert seen == [b"1"]
    with store.snapshot() as after:
        assert len(list(after.items(STATE))) == 30 + 1


def test_a_snapshot_that_stays_open_makes_growing_unavailable(
    store: LmdbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salus.engines.store.IDLE_WAIT_S", 0.05)
    with store.snapshot(), pytest.raises(Unavailable, match="snapshots to end"):
        store.write(numbered(30, LONG_ROW))
    store.write(numbered(30, LONG_ROW))
    assert len(list(store.items(STATE))) == 30


def test_closing_waits_for_snapshots(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path)
    store.write({STATE: {b"a": b"1"}})
    opened = threading.Event()
    seen: list[bytes | None] = []

    def read() -> None:
        with store.snapshot() as snapshot:
            opened.set()
            time.sleep(0.1)
            seen.append(snapshot.get(STATE, b"a"))

    reader = threading.Thread(target=read)
    reader.start()
    opened.wait()
    store.close()
    reader.join()
    assert seen == [b"1"]
    with pytest.raises(Unavailable, match="store is closed"), store.snapshot():
        pass


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    with pytest.raises(StartRefused, match="another one runs"):
        FolderLock(tmp_path)
    first.release()
    FolderLock(tmp_path).release()


def test_no_ledger_is_unavailable_to_readers(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="start the ledger process"):
        LmdbReader(tmp_path / "nothing")


class ReadingProcess:
    """Another process with a read-only view, told line by line what to do (see `reader.py`)."""

    def __init__(self, folder: Path) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.engines.reader", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, line: str) -> str:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()
        return self._child.stdout.readline().strip()

    def kill(self) -> None:
        self._child.kill()
        self._child.communicate()


@pytest.fixture
def reading(store: LmdbStore) -> Iterator[ReadingProcess]:
    child = ReadingProcess(store.folder)
    yield child
    child.kill()


@pytest.mark.services
def test_a_reader_in_another_process_adopts_a_grown_map(store: LmdbStore, reading: ReadingProcess) -> None:
    store.write({STATE: {b"small": b"1"}})
    assert reading.ask("count") == "1"
    store.write(numbered(30, LONG_ROW))
    assert reading.ask("count") == "31"


@pytest.mark.services
def test_a_map_grows_under_a_snapshot_of_another_process(store: LmdbStore, reading: ReadingProcess) -> None:
    store.write({STATE: {b"small": b"1"}})
    assert reading.ask("hold") == "held"
    store.write(numbered(30, LONG_ROW))
    assert reading.ask("count held") == "1"
    assert reading.ask("release") == "released"
    assert reading.ask("count") == "31"


@pytest.mark.services
def test_a_reader_killed_in_a_transaction_is_cleared(store: LmdbStore, reading: ReadingProcess) -> None:
    store.write({STATE: {b"small": b"1"}})
    assert reading.ask("hold") == "held"
    assert store.clear_dead_readers() == 0
    reading.kill()
    assert store.clear_dead_readers() == 1
    assert store.clear_dead_readers() == 0


@pytest.mark.services
@pytest.mark.promise("L2", "L4")
def test_a_full_disk_stores_nothing_of_the_block_and_goes_on(small_disk: Path) -> None:
    store = LmdbStore(small_disk / "ledger", map_size_bytes=SMALL_BYTES << 6)
    store.write({STATE: {b"first": b"1"}})
    with pytest.raises(DiskFull, match="free some"):
        store.write({STATE: {b"second": b"2"}, INDEXES: {b"%d" % number: LONG_ROW for number in range(60)}})
    assert list(store.items(STATE)) == [(b"first", b"1")]
    assert list(store.items(INDEXES)) == []
    store.write({STATE: {b"third": b"3"}})
    assert [key for key, _ in store.items(STATE)] == [b"first", b"third"]
    store.close()
