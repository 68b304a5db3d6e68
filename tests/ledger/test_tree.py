"""The sparse tree: its root by definition, whatever the history; its rows; its proofs."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.crypto.merkle import ProofInvalid
from salus.ledger import tree as tree_module
from salus.ledger import tree_proof as proof_module
from salus.ledger.encoding import encode
from salus.ledger.tree import BUCKET_LEAVES_MAX, Tree, is_sound, leaves_of
from salus.ledger.tree_proof import EMPTY, TreeProof, verify_absent, verify_present
from tests.ledger import tree_by_definition
from tests.ledger.tree_by_definition import MemoryRows, root_by_definition

pytestmark = pytest.mark.promise("L1", "L5")

Table = dict[bytes, bytes]
Changes = dict[bytes, bytes | None]

keys = st.integers(0, 60).map(lambda number: b"consent.choices\x00%d" % number)
blocks = st.lists(st.dictionaries(keys, st.none() | st.binary(min_size=1, max_size=3), max_size=40), max_size=6)


def keyed(count: int, *, start: int = 0) -> Table:
    return {b"key %d" % number: b"value %d" % number for number in range(start, start + count)}


def built(*all_changes: Changes) -> tuple[Tree, MemoryRows, Table]:
    """A tree after these blocks, its rows, and the table that it should stand for."""
    rows, table = MemoryRows(), MemoryRows()
    tree = Tree(rows)
    for changes in all_changes:
        rows.take(tree.update(changes))
        table.take(changes)
    return tree, rows, table


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 9, 16, 17, 100, 1000])
def test_root_is_the_one_of_the_definition(count: int) -> None:
    tree, _, table = built({**keyed(count)})
    assert tree.root == root_by_definition(table)


def test_root_of_nothing_and_of_one_row() -> None:
    tree, rows, _ = built({b"key": b"value"})
    path, value_hash = hashlib.sha256(b"key").digest(), hashlib.sha256(b"value").digest()
    assert tree.root == hashlib.sha256(b"\x00" + path + value_hash).digest()
    assert rows == {b"\x01": tree.root + path + value_hash}
    rows.take(tree.update({b"key": None}))
    assert (tree.root, rows) == (bytes(32), {})


def test_an_empty_block_changes_nothing() -> None:
    tree, _, _ = built({**keyed(50)})
    root = tree.root
    assert (tree.update({}), tree.root) == ({}, root)


@given(blocks)
@settings(max_examples=150, deadline=None)
def test_root_and_rows_depend_on_the_table_alone(history: list[Changes]) -> None:
    tree, rows, table = built(*history)
    at_once, fresh_rows, _ = built({**table})
    one_by_one, single_rows, _ = built(*({key: table[key]} for key in sorted(table, reverse=True)))
    assert tree.root == at_once.root == one_by_one.root == root_by_definition(table)
    assert rows == fresh_rows == single_rows


@given(blocks)
@settings(max_examples=60, deadline=None)
def test_a_restart_after_any_block_gives_the_same_tree(history: list[Changes]) -> None:
    rows, tree = MemoryRows(), Tree(MemoryRows())
    for changes in history:
        tree = Tree(rows)
        rows.take(tree.update(changes))
        assert Tree(rows).root == tree.root
    going_on, _, _ = built(*history)
    assert tree.root == going_on.root


@given(blocks)
@settings(max_examples=60, deadline=None)
def test_rows_are_sound_and_no_larger_than_a_bucket(history: list[Changes]) -> None:
    _, rows, table = built(*history)
    assert all(is_sound(key, row) for key, row in rows.items())
    assert sum(len(leaves_of(row)) for row in rows.values()) == len(table)
    parents = {int.from_bytes(key, "big") >> 1 for key in rows}
    assert all(leaf_count_below(parent, rows) > BUCKET_LEAVES_MAX for parent in parents - {0})


def leaf_count_below(node: int, rows: MemoryRows) -> int:
    numbers = {int.from_bytes(key, "big"): len(leaves_of(row)) for key, row in rows.items()}
    depth = node.bit_length()
    return sum(size for number, size in numbers.items() if number >> max(number.bit_length() - depth, 0) == node)


def test_a_damaged_row_is_not_sound() -> None:
    _, rows, _ = built({**keyed(12)})
    key, row = max(rows.items(), key=lambda each: len(each[1]))
    damaged = [row[:at] + bytes([row[at] ^ 1]) + row[at + 1 :] for at in range(len(row))]
    damaged += [row[:-1], row + row[-64:], row[:32], b""]
    assert [is_sound(key, each) for each in damaged] == [False] * len(damaged)
    assert not is_sound(b"\x00" + key[:-1] + bytes([key[-1] ^ 1]), row)


def test_a_change_touches_its_own_bucket_only() -> None:
    tree, _, _ = built({**keyed(2000)})
    assert len(tree.update({b"key 7": b"other"})) == 1


@pytest.mark.parametrize(("key", "value"), [(b"", b"value"), (b"key", b"")])
def test_empty_keys_and_values_stop_the_machine(key: bytes, value: bytes) -> None:
    with pytest.raises(AssertionError, match="ICS-23"):
        Tree(MemoryRows()).update({key: value})


def test_a_long_random_history() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    rows, table = MemoryRows(), MemoryRows()
    tree = Tree(rows)
    for _ in range(40):
        changes: Changes = {}
        for _ in range(chance.choice([1, 10, 200])):
            written = chance.randbytes(4) if chance.random() < 0.6 else None
            changes[b"key %d" % chance.randrange(800)] = written
        rows.take(tree.update(changes))
        table.take(changes)
        assert tree.root == root_by_definition(table)


# Paths that share long prefixes, which no test could find for SHA-256: the path of a key is the key's own last bytes.


class PathIsKey:
    def __init__(self, data: bytes) -> None:
        self._digest = data[4:] if data.startswith(b"path") else hashlib.sha256(data).digest()

    def digest(self) -> bytes:
        return self._digest


@pytest.fixture
def chosen_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tree_module, proof_module):
        monkeypatch.setattr(module, "sha256", PathIsKey)
    monkeypatch.setattr(tree_by_definition, "sha256", lambda data: PathIsKey(data).digest())


def close(*suffixes: int) -> Table:
    return {b"path" + suffix.to_bytes(32, "big"): b"value" for suffix in suffixes}


DEEP = {
    "two that part at the last bit": close(0, 1),
    "a full bucket at the last bits": close(0, 1, 2, 3),
    "one more than a bucket at the last bits": close(0, 1, 2, 3, 4),
    "a long run": close(*range(40)),
    "a chain of forks": close(*(1 << place for place in range(256))),
    "both ends": close(0, 1, 2, (1 << 256) - 1, (1 << 256) - 2, (1 << 256) - 3),
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.usefixtures("chosen_paths")
def test_paths_that_share_long_prefixes(name: str) -> None:
    table = DEEP[name]
    tree, rows, _ = built({**table})
    assert tree.root == root_by_definition(table) == Tree(rows).root
    for key in table:
        verify_present(tree.prove(key), root=tree.root, key=key, value=b"value")
        rows.take(tree.update({key: None}))
        verify_absent(tree.prove(key), root=tree.root, key=key)
    assert (tree.root, rows) == (EMPTY, {})


# Proofs


def verify(proof: TreeProof, *, root: bytes, key: bytes, value: bytes | None) -> None:
    if value is None:
        verify_absent(proof, root=root, key=key)
    else:
        verify_present(proof, root=root, key=key, value=value)


@given(blocks, keys)
@settings(max_examples=150, deadline=None)
def test_each_key_is_proved_present_or_absent_and_never_both(history: list[Changes], key: bytes) -> None:
    tree, _, table = built(*history)
    proof, value = tree.prove(key), table.get(key)
    verify(proof, root=tree.root, key=key, value=value)
    if value is None:
        with pytest.raises(ProofInvalid):
            verify_present(proof, root=tree.root, key=key, value=b"value")
    else:
        with pytest.raises(ProofInvalid):
            verify_present(proof, root=tree.root, key=key, value=value + b"x")
        with pytest.raises(ProofInvalid):
            verify_absent(proof, root=tree.root, key=key)


@given(blocks.filter(bool), keys)
@settings(max_examples=100, deadline=None)
def test_a_proof_holds_under_its_own_root_only(history: list[Changes], key: bytes) -> None:
    tree, rows, table = built(*history[:-1])
    proof, old_root, value = tree.prove(key), tree.root, table.get(key)
    rows.take(tree.update({**history[-1], b"new": b"row"}))
    assert tree.root != old_root
    with pytest.raises(ProofInvalid, match="another root"):
        verify(proof, root=tree.root, key=key, value=value)


def test_proofs_are_small() -> None:
    tree, _, _ = built({**keyed(10_000)})
    sizes = [len(encode(tree.prove(b"key %d" % number))) for number in range(0, 10_000, 97)]
    assert max(sizes) < 32 * 24
