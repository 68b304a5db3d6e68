"""Log, tree, indexes and expiry entries: each is computed again from what it is made of."""

from collections.abc import Iterator

import msgspec

from salus.crypto.hashing import leaf_hash
from salus.engines.base import Founding, Snapshot
from salus.engines.fsck.findings import Finding, compare
from salus.engines.rebuilding import all_tables, expiry_of, index_rows, log_over, tree_over
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.machine import Meta, leaf_key
from salus.ledger.state import EXPIRY, INDEXES, LEAVES, LOG, STATE, TREE


def check_log(snapshot: Snapshot, meta: Meta) -> Iterator[Finding]:
    """Yield what is wrong with the leaves and the subtree hashes over them."""
    size = 0
    hashes: list[bytes] = []
    for key, leaf in snapshot.items(LEAVES):
        if key != leaf_key(size):
            yield Finding(LEAVES, key, f"expected leaf {size}")
            return
        hashes.append(leaf_hash(leaf))
        size += 1
    root, rows = log_over(hashes)
    if size != meta.log_size or root != meta.log_root:
        yield Finding(LEAVES, b"", f"{size} leaves do not give the log's root of {meta.log_size}")
    yield from compare(LOG, sorted(rows.items()), snapshot.items(LOG))


def check_tree(snapshot: Snapshot, meta: Meta) -> Iterator[Finding]:
    """Yield what is wrong with the proved rows and the tree over them."""
    root, rows = tree_over(dict(snapshot.items(STATE)))
    if root != meta.tree_root:
        yield Finding(STATE, b"", "the rows of the proved tables do not give the tree's root")
    yield from compare(TREE, sorted(rows.items()), snapshot.items(TREE))


def check_indexes(snapshot: Snapshot, founding: Founding) -> Iterator[Finding]:
    """Yield what is wrong with the folds of the leaves."""
    leaves = ((int.from_bytes(key, "big"), leaf) for key, leaf in snapshot.items(LEAVES))
    try:
        rows = index_rows(founding, leaves)
    except EncodingInvalid as error:
        yield Finding(LEAVES, b"", f"a leaf is no outcome of these contracts: {error}")
        return
    yield from compare(INDEXES, sorted(rows.items()), snapshot.items(INDEXES))


def check_expiry(snapshot: Snapshot, founding: Founding) -> Iterator[Finding]:
    """Yield what is wrong with the entries by which rows expire."""
    tables = all_tables(founding)
    expected: list[tuple[bytes, bytes]] = []
    for key, row in snapshot.items(STATE):
        table = tables.get(key.partition(b"\x00")[0].decode(errors="replace"))
        if table is None:
            yield Finding(STATE, key, "a row of no table of these contracts")
            continue
        try:
            expected += expiry_of(table, key, row)
        except msgspec.DecodeError as error:
            yield Finding(STATE, key, f"no row of table {table.name}: {error}")
    yield from compare(EXPIRY, sorted(expected), snapshot.items(EXPIRY))
