"""The auditor's proof checks take every proof of the ledger's tree and log, and none that was changed."""

import pytest

from salus.crypto.hashing import leaf_hash
from salus.ledger.log import Log
from salus.ledger.tree import Tree
from salus.testing.auditor.hashes import log_root, tree_root
from salus.testing.auditor.proofs import NoProof, log_root_of, tree_root_of

ROWS = {b"table\x00" + bytes([number]): b"row %d" % number for number in range(40)}
LEAVES = [b"leaf %d" % number for number in range(21)]


@pytest.mark.promise("L5")
@pytest.mark.parametrize("key", [*ROWS, b"absent", b"table\x00\xff"], ids=lambda key: key.hex())
def test_rows(key: bytes) -> None:
    rows: dict[bytes, bytes | None] = {}
    tree = Tree(rows)  # type: ignore[arg-type]
    rows.update(tree.update(dict(ROWS)))
    proof, row = tree.prove(key), ROWS.get(key)
    parts = {"bitmap": proof.bitmap, "siblings": proof.siblings, "other": proof.other}
    assert tree_root_of(key, row, **parts) == tree.root == tree_root(ROWS)
    assert root_or_none(key, b"another row", **parts) != tree.root
    for name, part in parts.items():
        if part:
            assert root_or_none(key, row, **{**parts, name: part[:-1] + bytes([part[-1] ^ 1])}) != tree.root


@pytest.mark.promise("L5")
@pytest.mark.parametrize("index", range(len(LEAVES)))
def test_leaves(index: int) -> None:
    log = Log({}, 0)
    rows = log.append([leaf_hash(leaf) for leaf in LEAVES])
    size = len(LEAVES)
    path = Log(rows, size).inclusion(index, size)
    root = log_root([leaf_hash(leaf) for leaf in LEAVES])
    assert log_root_of(LEAVES[index], index=index, size=size, path=path) == root == log.root()
    assert log_root_of(b"another", index=index, size=size, path=path) != root
    for wrong in (path[:-1], [*path, path[0]]):
        with pytest.raises(NoProof):
            log_root_of(LEAVES[index], index=index, size=size, path=wrong)


def root_or_none(key: bytes, row: bytes | None, **parts: bytes) -> bytes | None:
    try:
        return tree_root_of(key, row, **parts)
    except NoProof:
        return None
