"""The log: roots and paths of RFC 9162 for every size that it ever had, out of rows that are only ever appended."""

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.crypto import merkle
from salus.crypto.hashing import EMPTY_ROOT, leaf_hash
from salus.crypto.merkle import verify_consistency, verify_inclusion
from salus.ledger.log import ROW_HASH_COUNT, Log, row_key
from tests.ledger.tree_by_definition import MemoryRows

pytestmark = pytest.mark.promise("L1", "L5")

LEAVES = [leaf_hash(b"leaf %d" % number) for number in range(130)]
VECTORS = json.loads((Path(__file__).parent / "vectors" / "log.json").read_bytes())

batches = st.lists(st.integers(0, 45), max_size=6)


def filled(*sizes: int) -> tuple[Log, MemoryRows]:
    """A log to which so many of LEAVES were appended, batch by batch."""
    rows = MemoryRows()
    log = Log(rows, 0)
    for size in sizes:
        rows.take(log.append([leaf_hash(b"leaf %d" % number) for number in range(log.size, log.size + size)]))
    return log, rows


def test_an_empty_log() -> None:
    log, rows = filled()
    assert (log.size, log.root(), log.root_at(0), rows) == (0, EMPTY_ROOT, EMPTY_ROOT, {})
    assert (log.append([]), log.size) == ({}, 0)


def test_root_at_every_size() -> None:
    log, _ = filled(len(LEAVES))
    assert [log.root_at(size) for size in range(131)] == [merkle.root(LEAVES[:size]) for size in range(131)]
    assert log.root() == log.root_at(130)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64, 65, 129, 130])
def test_inclusion_of_every_leaf_at_an_earlier_size(size: int) -> None:
    log, _ = filled(100, 30)
    root = merkle.root(LEAVES[:size])
    for index in range(size):
        path = log.inclusion(index, size)
        assert path == merkle.inclusion_path(LEAVES[:size], index)
        verify_inclusion(leaf_hash=LEAVES[index], index=index, size=size, path=path, root=root)


@pytest.mark.parametrize("new_size", [1, 2, 3, 7, 8, 9, 64, 65, 130])
def test_consistency_of_every_earlier_size(new_size: int) -> None:
    log, _ = filled(30, 100)
    for old_size in range(1, new_size + 1):
        path = log.consistency(old_size, new_size)
        assert path == merkle.consistency_path(LEAVES[:new_size], old_size)
        verify_consistency(
            old_size=old_size,
            old_root=log.root_at(old_size),
            new_size=new_size,
            new_root=log.root_at(new_size),
            path=path,
        )


@given(batches)
@settings(max_examples=80, deadline=None)
def test_rows_do_not_depend_on_the_batches(sizes: list[int]) -> None:
    log, rows = filled(*sizes)
    at_once, fresh_rows = filled(sum(sizes))
    assert (log.root(), log.size, rows) == (at_once.root(), at_once.size, fresh_rows)


@given(batches)
@settings(max_examples=40, deadline=None)
def test_a_restart_after_any_batch_goes_on(sizes: list[int]) -> None:
    rows, size = MemoryRows(), 0
    for count in sizes:
        log = Log(rows, size)
        rows.take(log.append([leaf_hash(b"leaf %d" % number) for number in range(size, size + count)]))
        size = log.size
    going_on, going_on_rows = filled(*sizes)
    assert (Log(rows, size).root(), rows) == (going_on.root(), going_on_rows)


@given(batches, st.data())
@settings(max_examples=40, deadline=None)
def test_a_reader_of_an_older_size_sees_the_log_of_then(sizes: list[int], data: st.DataObject) -> None:
    log, rows = filled(*sizes)
    older = data.draw(st.integers(0, log.size))
    assert Log(rows, older).root() == log.root_at(older) == filled(older)[0].root()


def test_rows_only_ever_grow() -> None:
    versions = [dict(filled(size)[1]) for size in range(80)]
    for before, after in pairwise(versions):
        assert all(after[key].startswith(row) for key, row in before.items())
        assert sum(map(len, after.values())) > sum(map(len, before.values()))
    full = versions[-1]
    assert sorted(full) == [row_key(number) for number in range(len(full))]
    assert {len(full[key]) for key in sorted(full)[:-1]} == {32 * ROW_HASH_COUNT}


def test_rows_hold_each_complete_subtree_in_the_order_in_which_it_was_completed() -> None:
    _, rows = filled(130)
    nodes = [
        merkle.root(LEAVES[end - (1 << level) : end])
        for end in range(1, 131)
        for level in range(8)
        if end % (1 << level) == 0
    ]
    assert b"".join(rows[key] for key in sorted(rows)) == b"".join(nodes)


def test_an_append_writes_the_last_row_and_those_behind_it() -> None:
    log, rows = filled(60)
    last = max(rows)
    assert set(log.append([leaf_hash(b"leaf 60")])) <= {last, row_key(int.from_bytes(last, "big") + 1)}


def test_work_grows_with_the_logarithm() -> None:
    _, rows = filled(100, 30)

    class Counting:
        reads = 0

        def get(self, key: bytes) -> bytes | None:
            self.reads += 1
            return rows.get(key)

    counting = Counting()
    reader = Log(counting, 130)
    assert counting.reads == 2  # 130 = 128 + 2
    reader.inclusion(5, 130)
    reader.consistency(77, 130)
    assert counting.reads < 2 + 3 * 8


@pytest.mark.parametrize("size", [1, 2, 31, 32, 130])
def test_missing_rows_stop_the_machine(size: int) -> None:
    with pytest.raises(AssertionError, match="shorter than its size"):
        Log(MemoryRows(), size)


def test_a_leaf_hash_of_another_length_stops_the_machine() -> None:
    with pytest.raises(AssertionError, match="32 bytes"):
        Log(MemoryRows(), 0).append([b"short"])


OUTSIDE = {
    "root_at beyond the size": ("root_at", (9,)),
    "inclusion beyond the size": ("inclusion", (0, 9)),
    "inclusion of no leaf": ("inclusion", (8, 8)),
    "consistency from nothing": ("consistency", (0, 8)),
    "consistency backwards": ("consistency", (8, 7)),
    "consistency beyond the size": ("consistency", (8, 9)),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_sizes_that_the_log_never_had_stop_the_machine(name: str) -> None:
    method, arguments = OUTSIDE[name]
    log, _ = filled(8)
    with pytest.raises(AssertionError):
        getattr(log, method)(*arguments)


# Golden rows and paths, for a second implementation (docs/spec/log.md)


def golden() -> tuple[Log, MemoryRows]:
    rows = MemoryRows()
    log = Log(rows, 0)
    leaves = [hashlib.sha256(b"\x00" + bytes.fromhex(leaf)).digest() for leaf in VECTORS["leaves"]]
    rows.take(log.append(leaves))
    return log, rows


def test_golden_rows_and_roots() -> None:
    log, rows = golden()
    assert [[key.hex(), row.hex()] for key, row in sorted(rows.items())] == VECTORS["rows"]
    assert [log.root_at(size).hex() for size in range(log.size + 1)] == VECTORS["roots"]


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=lambda case: f"{case['index']} of {case['size']}")
def test_golden_inclusion(case: dict[str, Any]) -> None:
    log, _ = golden()
    assert [node.hex() for node in log.inclusion(case["index"], case["size"])] == case["path"]


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=lambda case: f"{case['old']} to {case['new']}")
def test_golden_consistency(case: dict[str, Any]) -> None:
    log, _ = golden()
    assert [node.hex() for node in log.consistency(case["old"], case["new"])] == case["path"]
