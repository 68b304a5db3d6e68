"""State: proved tables, and the indexes that are folds of the log (DESIGN §4).

A table's row is in the sparse tree under `contract.table` ‖ 0x00 ‖ canonical key, so every right can be proved to be in
force or absent. An index is never proved: it can be rebuilt from the leaves, and only a fold writes it.
Nothing here touches a disk: a `Reader` gives the rows of the last block, an `Overlay` holds what a block adds.
"""

from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Generic, Protocol, TypeVar, cast

from salus.ledger.encoding import decoder, encode

K = TypeVar("K")
V = TypeVar("V")

STATE = "state"
"""Space of the proved rows: tree key → row."""
INDEXES = "indexes"
"""Space of the folds: index name ‖ 0x00 ‖ key → row."""
EXPIRY = "expiry"
"""Space of what will expire: 8-byte seconds ‖ tree key → empty."""
LEAVES = "leaves"
"""Space of the log's leaves: 8-byte index → leaf."""
TREE = "tree"
"""Space of the sparse tree's own rows."""
LOG = "log"
"""Space of the log's subtree hashes."""
META = "meta"
"""Space of the machine's own single rows: height, sizes, roots."""
SPACES = (STATE, INDEXES, EXPIRY, LEAVES, TREE, LOG, META)

Changes = dict[str, dict[bytes, bytes | None]]
"""space → key → row, or None where the row goes: what one block writes, all in one durable step."""


class Reader(Protocol):
    """Rows as of one block."""

    def get(self, space: str, key: bytes, /) -> bytes | None:
        """Return the row, or None when there is none."""


class Store(Reader, Protocol):
    """A reader that can also say which keys come first, and list a space."""

    def first_keys(self, space: str, *, below: bytes, limit: int) -> list[bytes]:
        """Return at most `limit` keys smaller than `below`, in ascending order."""

    def items(self, space: str, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, row) in ascending order, from the first key that is not below `start`."""


class Lister(Reader, Protocol):
    """A reader that can also list the few rows of a table that a rule has to look through."""

    def under(self, space: str, prefix: bytes, /) -> dict[bytes, bytes]:
        """Return the rows whose keys begin with the prefix, in ascending order."""


def rows_under(store: Store, space: str, prefix: bytes) -> dict[bytes, bytes]:
    """Return the rows of a store whose keys begin with the prefix, in ascending order."""
    return dict(takewhile(lambda item: item[0].startswith(prefix), store.items(space, start=prefix)))


class Overlay:
    """Rows written on top of a reader, kept until the layer below takes them or they are dropped."""

    __slots__ = ("below", "rows")

    def __init__(self, below: Reader) -> None:
        self.below = below
        self.rows: Changes = {}

    def under(self, space: str, prefix: bytes) -> dict[bytes, bytes]:
        """Return the newest rows whose keys begin with the prefix, in ascending order; below must be a lister."""
        found: dict[bytes, bytes | None] = dict(cast("Lister", self.below).under(space, prefix))
        found.update((key, row) for key, row in self.rows.get(space, {}).items() if key.startswith(prefix))
        return {key: row for key, row in sorted(found.items()) if row is not None}

    def get(self, space: str, key: bytes) -> bytes | None:
        """Return the newest row; None when it is absent or was deleted."""
        rows = self.rows.get(space)
        if rows is not None and key in rows:
            return rows[key]
        return self.below.get(space, key)

    def put(self, space: str, key: bytes, row: bytes | None) -> None:
        """Write a row; None deletes it."""
        rows = self.rows.get(space)
        if rows is None:
            self.rows[space] = {key: row}
        else:
            rows[key] = row

    def absorb(self, above: "Overlay") -> None:
        """Take over all rows of the overlay above."""
        for space, rows in above.rows.items():
            if space in self.rows:
                self.rows[space].update(rows)
            else:
                self.rows[space] = rows


class WriteGuard(Protocol):
    """What a table asks before it is touched: the context of the running handler."""

    def get(self, space: str, key: bytes, /) -> bytes | None:
        """Return the row, or None when there is none."""

    def put(self, space: str, key: bytes, row: bytes | None, /) -> None:
        """Write a row."""

    def check_write(self, contract: str) -> None:
        """Assert that the running contract may write this contract's tables."""


class Table(Generic[K, V]):
    """A proved table of one contract.

    Args:
        contract: the name of the only contract that writes it.
        name: one word; with the contract's it makes the prefix of every key.
        value: the row's type, a frozen msgspec Struct.
        expires_at_s: tells when a row may be removed by the machine's sweep; None for rows that stay.
    """

    def __init__(
        self, contract: str, name: str, value: type[V], *, expires_at_s: Callable[[V], int] | None = None
    ) -> None:
        self.contract = contract
        self.name = f"{contract}.{name}"
        self.expires_at_s = expires_at_s
        self._prefix = self.name.encode() + b"\x00"
        self._decoder = decoder(value)

    def key(self, key: K) -> bytes:
        """Return the key under which the row is in the tree."""
        return self._prefix + encode(key)

    def decode(self, row: bytes) -> V:
        """Parse a row of our own; raises msgspec.DecodeError for bytes that no table wrote."""
        value: V = self._decoder.inner.decode(row)
        return value

    def get(self, reader: Reader, key: K) -> V | None:
        """Return the row; None when there is none."""
        row = reader.get(STATE, self.key(key))
        return None if row is None else self.decode(row)

    def under(self, lister: Lister, start: bytes = b"") -> list[tuple[bytes, V]]:
        """Return (encoded key, row) of all rows whose encoded key begins so, in ascending order of the keys."""
        rows = lister.under(STATE, self._prefix + start)
        return [(key[len(self._prefix) :], self.decode(row)) for key, row in rows.items()]

    def put(self, context: WriteGuard, key: K, value: V) -> None:
        """Write a row; the machine asserts that the running contract owns the table."""
        context.check_write(self.contract)
        self._forget_expiry(context, key)
        place = self.key(key)
        context.put(STATE, place, encode(value))
        if self.expires_at_s is not None:
            context.put(EXPIRY, expiry_key(self.expires_at_s(value), place), b"")

    def delete(self, context: WriteGuard, key: K) -> None:
        """Remove a row, if it is there."""
        context.check_write(self.contract)
        self._forget_expiry(context, key)
        context.put(STATE, self.key(key), None)

    def _forget_expiry(self, context: WriteGuard, key: K) -> None:
        if self.expires_at_s is None:
            return
        old = self.get(context, key)
        if old is not None:
            context.put(EXPIRY, expiry_key(self.expires_at_s(old), self.key(key)), None)


class Index(Generic[K, V]):
    """A fold of the log: where something is, for readers; nobody's right depends on its proof."""

    def __init__(self, contract: str, name: str, value: type[V]) -> None:
        self.name = f"{contract}.{name}"
        self._prefix = self.name.encode() + b"\x00"
        self._decoder = decoder(value)

    def key(self, key: K) -> bytes:
        """Return the key of the row within the space of indexes."""
        return self._prefix + encode(key)

    def get(self, reader: Reader, key: K) -> V | None:
        """Return the row; None when there is none."""
        row = reader.get(INDEXES, self.key(key))
        if row is None:
            return None
        value: V = self._decoder.inner.decode(row)
        return value

    def put(self, overlay: Overlay, key: K, value: V) -> None:
        """Write a row; only folds call this."""
        overlay.put(INDEXES, self.key(key), encode(value))


def expiry_key(expires_at_s: int, place: bytes) -> bytes:
    """Order rows by when they expire, then by key, so that the sweep has one order everywhere (L1)."""
    return expires_at_s.to_bytes(8, "big") + place


def iterate(changes: Changes) -> Iterator[tuple[str, bytes, bytes | None]]:
    """Yield every change in one fixed order: spaces as listed, keys ascending."""
    for space in SPACES:
        rows = changes.get(space, {})
        for key in sorted(rows):
            yield space, key, rows[key]
