"""The log of outcomes: an append-only RFC 9162 tree whose complete subtrees are rows in storage.

Each subtree's hash is written once, when its last leaf comes, behind those before it: so writes are sequential, and the
nodes of an old complete subtree are one run, of which its root is the last. Root and appending need only the right
edge, which is read in O(log n) steps at start; paths are read from the rows, for any size that the log ever had.
Never touches a disk: rows come through `LogRows`, changed rows are returned. `docs/spec/log.md` has every byte.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Protocol

from salus.crypto.hashing import EMPTY_ROOT, HASH_SIZE_BYTES, NODE_PREFIX, node_hash

ROW_HASH_COUNT = 31
"""Hashes in a full row: four such rows fill a page of the store."""
ROW_SIZE_BYTES = ROW_HASH_COUNT * HASH_SIZE_BYTES


class LogRows(Protocol):
    """The log's rows as the last append left them."""

    def get(self, key: bytes) -> bytes | None:
        """Return the row, or None when there is none."""


class Log:
    """A log of `size` leaves over its rows.

    Args:
        rows: each call reads what the append before returned.
        size: how many leaves the rows hold; a reader may name a smaller size and has the log of that time.
    """

    __slots__ = ("_peaks", "_rows", "size")

    def __init__(self, rows: LogRows, size: int) -> None:
        self._rows = rows
        self.size = size
        # Roots of the complete subtrees that make up the log, largest first.
        self._peaks = [self._stored(start, end) for start, end in _complete(0, size)]

    def append(self, leaf_hashes: Iterable[bytes]) -> dict[bytes, bytes]:
        """Append leaves, given by their RFC 9162 leaf hashes.

        Returns:
            The rows to store before the next append or proof: key → row.
        """
        number, offset = divmod(_position(self.size), ROW_HASH_COUNT)
        begun = (self._rows.get(row_key(number)) or b"")[: offset * HASH_SIZE_BYTES]
        assert len(begun) == offset * HASH_SIZE_BYTES, "the log's last row is shorter than its size"
        data = begun + b"".join(self._grow(leaf_hashes))
        return {
            row_key(number + place): data[at : at + ROW_SIZE_BYTES]
            for place, at in enumerate(range(0, len(data), ROW_SIZE_BYTES))
        }

    def root(self) -> bytes:
        """Return the root over all leaves (RFC 9162 2.1.1)."""
        return _fold(self._peaks)

    def root_at(self, size: int) -> bytes:
        """Return the root that the log had when it had `size` leaves."""
        assert 0 <= size <= self.size, f"no size {size} in a log of {self.size}"
        return self._root(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the path of leaf `index` to the root at `size`, lowest sibling first (RFC 9162 2.1.3.1)."""
        assert 0 <= index < size <= self.size, f"no leaf {index} at size {size} in a log of {self.size}"
        path = []
        start, end = 0, size
        while end - start > 1:
            middle = _middle(start, end)
            if index < middle:
                path.append(self._root(middle, end))
                end = middle
            else:
                path.append(self._root(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """Return the path that shows the log of `old_size` leaves, at least one, in that of `new_size`.

        RFC 9162 2.1.4.1. Empty when the sizes are equal.
        """
        assert 0 < old_size <= new_size <= self.size, f"no sizes {old_size}, {new_size} in a log of {self.size}"
        path = []
        start, end = 0, new_size
        while end > old_size:
            middle = _middle(start, end)
            if old_size <= middle:
                path.append(self._root(middle, end))
                end = middle
            else:
                path.append(self._root(start, middle))
                start = middle
        if start > 0:  # else the old log is this subtree, whose root the verifier has
            path.append(self._root(start, end))
        return path[::-1]

    def _grow(self, leaf_hashes: Iterable[bytes]) -> Iterator[bytes]:
        # Yields every node that becomes complete, in the order of positions.
        peaks, size = self._peaks, self.size
        for leaf in leaf_hashes:
            assert len(leaf) == HASH_SIZE_BYTES, "a leaf hash has 32 bytes"
            yield leaf
            node, carry = leaf, size
            while carry & 1:
                node = sha256(NODE_PREFIX + peaks.pop() + node).digest()
                yield node
                carry >>= 1
            peaks.append(node)
            size += 1
        self.size = size

    def _root(self, start: int, end: int) -> bytes:
        return _fold([self._stored(*subtree) for subtree in _complete(start, end)])

    def _stored(self, start: int, end: int) -> bytes:
        # The root of a complete subtree: the last node that its last leaf completed.
        number, offset = divmod(_position(end - 1) + (end - start).bit_length() - 1, ROW_HASH_COUNT)
        row = self._rows.get(row_key(number)) or b""
        node = row[offset * HASH_SIZE_BYTES : (offset + 1) * HASH_SIZE_BYTES]
        assert len(node) == HASH_SIZE_BYTES, "the log's rows are shorter than its size"
        return node


def row_key(number: int) -> bytes:
    """Return the key of row `number`, counted from zero: 8 bytes, big-endian."""
    return number.to_bytes(8, "big")


def _position(leaf: int) -> int:
    # How many nodes are complete before this leaf comes: two per leaf but one per complete subtree.
    return 2 * leaf - leaf.bit_count()


def _middle(start: int, end: int) -> int:
    # RFC 9162 2.1.1: the largest power of two smaller than the number of leaves goes to the left.
    return start + (1 << (end - start - 1).bit_length() - 1)


def _complete(start: int, end: int) -> Iterator[tuple[int, int]]:
    # The complete subtrees that make up a range of leaves which begins where a subtree of its size may begin.
    while start < end:
        size = 1 << (end - start).bit_length() - 1
        yield start, start + size
        start += size


def _fold(roots: list[bytes]) -> bytes:
    if not roots:
        return EMPTY_ROOT
    result = roots[-1]
    for root in reversed(roots[:-1]):
        result = node_hash(root, result)
    return result
