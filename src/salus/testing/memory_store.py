"""A store in memory: what a machine reads and writes, without a disk. It passes for the engines' store in tests."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from salus.ledger.state import Changes


class MemoryStore:
    """Rows by space, keys in order; `write` takes what a block changed, all at once."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[bytes, bytes]] = {}
        self._keys: dict[str, list[bytes]] = {}

    def get(self, space: str, key: bytes, /) -> bytes | None:
        """Return the row, or None when there is none."""
        return self.rows.get(space, {}).get(key)

    def first_keys(self, space: str, *, below: bytes, limit: int) -> list[bytes]:
        """Return at most `limit` keys smaller than `below`, in ascending order."""
        keys = self._keys.get(space, [])
        return keys[: min(limit, bisect_left(keys, below))]

    def items(self, space: str, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, row) in ascending order, from the first key that is not below `start`."""
        keys = self._keys.get(space, [])
        for key in keys[bisect_left(keys, start) :]:
            yield key, self.rows[space][key]

    def write(self, changes: Changes) -> None:
        """Take a block's changes."""
        for space, rows in changes.items():
            for key, row in rows.items():
                self._put(space, key, row)

    def _put(self, space: str, key: bytes, row: bytes | None) -> None:
        rows, keys = self.rows.setdefault(space, {}), self._keys.setdefault(space, [])
        if row is None:
            if rows.pop(key, None) is not None:
                del keys[bisect_left(keys, key)]
            return
        if key not in rows:
            insort(keys, key)
        rows[key] = row
