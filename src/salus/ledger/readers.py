"""How the machine reads a store: one space of it, each row once, or nothing at all."""

from collections.abc import Iterator

from salus.ledger.state import Store, rows_under


class Rows:
    """One space of a store, as the tree and the log read it."""

    def __init__(self, store: Store, space: str) -> None:
        self._store = store
        self._space = space

    def get(self, key: bytes) -> bytes | None:
        """Return the row, or None when there is none."""
        return self._store.get(self._space, key)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, row) in ascending order."""
        return self._store.items(self._space)


class ReadOnce:
    """Rows as of one block, each fetched from the store once: many transactions of a block ask for the same."""

    __slots__ = ("_rows", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: dict[tuple[str, bytes], bytes | None] = {}

    def get(self, space: str, key: bytes) -> bytes | None:
        """Return the row, or None when there is none."""
        place = (space, key)
        if place not in self._rows:
            self._rows[place] = self._store.get(space, key)
        return self._rows[place]

    def under(self, space: str, prefix: bytes) -> dict[bytes, bytes]:
        """Return the rows whose keys begin with the prefix, in ascending order."""
        return rows_under(self._store, space, prefix)


class Nothing:
    """A reader without rows."""

    def get(self, _space: str, _key: bytes, /) -> bytes | None:
        """Return None."""
        return None
