"""Everything that follows from the proved rows and the leaves: tree, log, indexes, expiry entries.

`fsck` compares what is stored with it; a snapshot holds only rows and leaves, and the rest is made again from them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from salus.engines.base import Founding
from salus.ledger.log import Log
from salus.ledger.machine import MACHINE
from salus.ledger.state import Table, expiry_key, rows_under
from salus.ledger.tree import Tree

Rows = dict[bytes, bytes]
Tables = Mapping[str, Table[Any, Any]]


def tree_over(rows: Mapping[bytes, bytes]) -> tuple[bytes, Rows]:
    """Return the root of the sparse tree over proved rows, and the tree's own rows."""
    tree = Tree(_NO_ROWS)
    made = tree.update(dict(rows))
    return tree.root, {key: row for key, row in made.items() if row is not None}


def log_over(hashes: Sequence[bytes]) -> tuple[bytes, Rows]:
    """Return the root of the log over leaf hashes, and the log's own rows."""
    log = Log(_NO_ROWS, 0)
    made = log.append(list(hashes))
    return log.root(), dict(made)


def index_rows(founding: Founding, leaves: Iterable[tuple[int, bytes]]) -> Rows:
    """Fold (log index, leaf) pairs. Raises EncodingInvalid for a leaf that is no outcome of these contracts."""
    made = founding.machine(MadeStore({})).refold(leaves)
    return {key: row for key, row in made.items() if row is not None}


def all_tables(founding: Founding) -> Tables:
    """Return the proved tables by the name that begins their keys."""
    return {name: table for contract in (MACHINE, *founding.contracts) for name, table in contract.tables.items()}


def expiry_of(table: Table[Any, Any], key: bytes, row: bytes) -> list[tuple[bytes, bytes]]:
    """Return the expiry entry of a row, if its table has them. Raises msgspec.DecodeError for no row of the table."""
    value = table.decode(row)
    return [(expiry_key(table.expires_at_s(value), key), b"")] if table.expires_at_s else []


class _NoRows:
    def get(self, _key: bytes, /) -> bytes | None:
        return None

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        return ()


_NO_ROWS = _NoRows()


class MadeStore:
    """A store of rows that were made and are not stored yet."""

    def __init__(self, rows: Mapping[str, Rows]) -> None:
        self._rows = {space: dict(sorted(each.items())) for space, each in rows.items()}

    def get(self, space: str, key: bytes, /) -> bytes | None:
        """Return the row, or None when there is none."""
        return self._rows.get(space, {}).get(key)

    def first_keys(self, space: str, *, below: bytes, limit: int) -> list[bytes]:
        """Return at most `limit` keys smaller than `below`, in ascending order."""
        return [key for key in self._rows.get(space, {}) if key < below][:limit]

    def items(self, space: str, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, row) in ascending order, from the first key that is not below `start`."""
        return (item for item in self._rows.get(space, {}).items() if item[0] >= start)

    def under(self, space: str, prefix: bytes, /) -> dict[bytes, bytes]:
        """Return the rows whose keys begin with the prefix, in ascending order."""
        return rows_under(self, space, prefix)
