"""Log, tree, indexes and expiry entries: each is computed again from what it is made of."""

from collections.abc import Iterable, Iterator

import msgspec

from salus.crypto.hashing import leaf_hash
from salus.engines.base import Founding, Snapshot
from salus.engines.fsck.findings import Finding, compare
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.log import Log
from salus.ledger.machine import MACHINE, Meta, leaf_key
from salus.ledger.state import EXPIRY, INDEXES, LEAVES, LOG, STATE, TREE, Table, expiry_key
from salus.ledger.tree import Tree


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
    log = Log(_NO_ROWS, 0)
    rows = log.append(hashes)
    if size != meta.log_size or log.root() != meta.log_root:
        yield Finding(LEAVES, b"", f"{size} leaves do not give the log's root of {meta.log_size}")
    yield from compare(LOG, sorted(rows.items()), snapshot.items(LOG))


def check_tree(snapshot: Snapshot, meta: Meta) -> Iterator[Finding]:
    """Yield what is wrong with the proved rows and the tree over them."""
    tree = Tree(_NO_ROWS)
    rows = tree.update(dict(snapshot.items(STATE)))
    if tree.root != meta.tree_root:
        yield Finding(STATE, b"", "the rows of the proved tables do not give the tree's root")
    expected = sorted((key, row) for key, row in rows.items() if row is not None)
    yield from compare(TREE, expected, snapshot.items(TREE))


def check_indexes(snapshot: Snapshot, founding: Founding) -> Iterator[Finding]:
    """Yield what is wrong with the folds of the leaves."""
    machine = founding.machine(_Empty())
    leaves = ((int.from_bytes(key, "big"), leaf) for key, leaf in snapshot.items(LEAVES))
    try:
        rows = machine.refold(leaves)
    except EncodingInvalid as error:
        yield Finding(LEAVES, b"", f"a leaf is no outcome of these contracts: {error}")
        return
    expected = sorted((key, row) for key, row in rows.items() if row is not None)
    yield from compare(INDEXES, expected, snapshot.items(INDEXES))


class _Empty:
    """A store without rows."""

    def get(self, _space: str, _key: bytes, /) -> bytes | None:
        return None

    def first_keys(self, _space: str, *, below: bytes, limit: int) -> list[bytes]:  # noqa: ARG002 -- of the protocol
        return []

    def items(self, _space: str, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:  # noqa: ARG002
        return iter(())


def check_expiry(snapshot: Snapshot, founding: Founding) -> Iterator[Finding]:
    """Yield what is wrong with the entries by which rows expire."""
    tables = {name: table for contract in (MACHINE, *founding.contracts) for name, table in contract.tables.items()}
    expected: list[tuple[bytes, bytes]] = []
    for key, row in snapshot.items(STATE):
        table = tables.get(key.partition(b"\x00")[0].decode(errors="replace"))
        if table is None:
            yield Finding(STATE, key, "a row of no table of these contracts")
            continue
        try:
            expected += _expiry_of(table, key, row)
        except msgspec.DecodeError as error:
            yield Finding(STATE, key, f"no row of table {table.name}: {error}")
    yield from compare(EXPIRY, sorted(expected), snapshot.items(EXPIRY))


def _expiry_of(table: Table[object, object], key: bytes, row: bytes) -> list[tuple[bytes, bytes]]:
    value = table.decode(row)
    return [(expiry_key(table.expires_at_s(value), key), b"")] if table.expires_at_s else []


class _NoRows:
    def get(self, _key: bytes, /) -> bytes | None:
        return None

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        return ()


_NO_ROWS = _NoRows()
