"""Merkle trees of RFC 9162 over lists of leaf hashes: roots, inclusion paths, consistency paths, and their checks.

CometBFT's trees have the same shape and the same empty root, so one set of functions serves both.
Promises: every check either returns the checked value or raises `ProofInvalid`; sizes and path lengths are checked
exactly, so one claim has one valid path. Never keeps leaves itself: callers own the lists.
"""

from collections.abc import Sequence

from salus.crypto.hashing import EMPTY_ROOT, HASH_SIZE_BYTES, node_hash


class ProofInvalid(Exception):
    """A Merkle proof does not prove its claim; the message says which part was wrong."""


class Frontier:
    """The roots of the complete subtrees on the right edge: a tree's root while it grows, in O(log n) memory."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self._peaks: list[bytes] = []
        self.size = 0

    def add(self, leaf_hash: bytes) -> None:
        """Append one leaf hash (32 bytes)."""
        carry, size = leaf_hash, self.size
        while size & 1:
            carry = node_hash(self._peaks.pop(), carry)
            size >>= 1
        self._peaks.append(carry)
        self.size += 1

    def copy(self) -> "Frontier":
        """One that grows apart from this one."""
        twin = Frontier()
        twin._peaks, twin.size = self._peaks.copy(), self.size
        return twin

    def root(self) -> bytes:
        """The RFC 9162 root over what was added so far."""
        if not self._peaks:
            return EMPTY_ROOT
        result = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            result = node_hash(peak, result)
        return result


class Tree:
    """A whole tree in memory, for a list of which many leaves are to be proved: each path costs O(log n)."""

    __slots__ = ("_levels",)

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        level = list(leaf_hashes)
        self._levels = [level]
        while len(level) > 1:
            level = _level_above(level)
            self._levels.append(level)

    def root(self) -> bytes:
        """The RFC 9162 root (2.1.1); of no leaves, SHA-256 of the empty string."""
        top = self._levels[-1]
        return top[0] if top else EMPTY_ROOT

    def path(self, index: int) -> list[bytes]:
        """The sibling hashes from leaf `index` up to the root (RFC 9162 2.1.3.1)."""
        assert 0 <= index < len(self._levels[0]), f"no leaf {index} in a tree of {len(self._levels[0])}"
        path: list[bytes] = []
        for level in self._levels[:-1]:
            if (index ^ 1) < len(level):
                path.append(level[index ^ 1])
            index >>= 1
        return path


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes (RFC 9162 2.1.1); of none, SHA-256 of the empty string."""
    return Tree(leaf_hashes).root()


def inclusion_path(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The sibling hashes from leaf `index` up to the root (RFC 9162 2.1.3.1); for many leaves make a `Tree`."""
    return Tree(leaf_hashes).path(index)


def root_from_path(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a leaf and its path lead to (RFC 9162 2.1.3.2).

    Args:
        leaf_hash: hash of the leaf, 32 bytes.
        index: position of the leaf, from 0.
        size: number of leaves in the tree.
        path: sibling hashes, lowest first.

    Raises:
        ProofInvalid: index outside the tree, a hash of the wrong length, or a path of the wrong length.
    """
    # RFC 9162 2.1.3.2 step 1
    if not 0 <= index < size:
        raise ProofInvalid(f"leaf index {index} is outside a tree of size {size}")
    _check_lengths(leaf_hash, *path)
    # steps 2 to 4
    position, last, result = index, size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            raise ProofInvalid(f"path of {len(path)} hashes is too long for leaf {index} of {size}")
        if position & 1 or position == last:
            result = node_hash(sibling, result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        position, last = position >> 1, last >> 1
    # step 5
    if last != 0:
        raise ProofInvalid(f"path of {len(path)} hashes is too short for leaf {index} of {size}")
    return result


def verify_inclusion(*, leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf is at `index` in the tree of `size` leaves with this root; raises `ProofInvalid`."""
    if root_from_path(leaf_hash, index, size, path) != root:
        raise ProofInvalid(f"path of leaf {index} of {size} leads to another root")


def consistency_path(leaf_hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """The hashes that show that the first `old_size` leaves (at least one) are a prefix of all (RFC 9162 2.1.4.1).

    Empty when the old tree is the present one.
    """
    assert 0 < old_size <= len(leaf_hashes), f"no tree of {old_size} in one of {len(leaf_hashes)}"
    return _subproof(old_size, leaf_hashes, whole=True)


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree with `old_root` is a prefix of the tree with `new_root` (RFC 9162 2.1.4.2).

    An empty old tree is refused: it is a prefix of every tree, so a proof would say nothing.

    Raises:
        ProofInvalid: sizes out of order, wrong roots, or a path of the wrong length.
    """
    _check_lengths(old_root, new_root, *path)
    if not 0 < old_size <= new_size:
        raise ProofInvalid(f"old size {old_size} is not between 1 and new size {new_size}")
    if old_size == new_size:
        # RFC 9162 2.1.4.2: equal sizes are judged by their roots alone
        if path or old_root != new_root:
            raise ProofInvalid(f"two roots, or a path, for one size {old_size}")
    elif _roots_from_path(old_size, old_root, new_size, path) != (old_root, new_root):
        raise ProofInvalid(f"path from size {old_size} to {new_size} leads to other roots")


def _roots_from_path(old_size: int, old_root: bytes, new_size: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    # RFC 9162 2.1.4.2 step 2: a complete old tree is its own first node and is left out of the path
    nodes = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    if not nodes:
        raise ProofInvalid(f"path from size {old_size} to {new_size} is empty")
    # steps 3 and 4
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    # step 5
    old = new = nodes[0]
    # step 6
    for node in nodes[1:]:
        if last == 0:
            raise ProofInvalid(f"path from size {old_size} to {new_size} is too long")
        if position & 1 or position == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, node)
        position, last = position >> 1, last >> 1
    # step 7
    if last != 0:
        raise ProofInvalid(f"path from size {old_size} to {new_size} is too short")
    return old, new


def _subproof(old_size: int, leaf_hashes: Sequence[bytes], *, whole: bool) -> list[bytes]:
    # RFC 9162 2.1.4.1 SUBPROOF; `whole` says that the old tree is this very subtree, whose root the verifier has
    size = len(leaf_hashes)
    if old_size == size:
        return [] if whole else [root(leaf_hashes)]
    split = 1 << (size - 1).bit_length() - 1
    if old_size <= split:
        return [*_subproof(old_size, leaf_hashes[:split], whole=whole), root(leaf_hashes[split:])]
    return [*_subproof(old_size - split, leaf_hashes[split:], whole=False), root(leaf_hashes[:split])]


def _level_above(level: list[bytes]) -> list[bytes]:
    # Pairing from the left and lifting an odd last node gives the RFC's largest-power-of-two split at every level.
    above = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    if len(level) & 1:
        above.append(level[-1])
    return above


def _check_lengths(*hashes: bytes) -> None:
    for value in hashes:
        if len(value) != HASH_SIZE_BYTES:
            raise ProofInvalid(f"a hash must have {HASH_SIZE_BYTES} bytes, got {len(value)}")
