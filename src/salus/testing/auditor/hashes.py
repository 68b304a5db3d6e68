"""Hashes of docs/spec/machine.md, tree.md and log.md, each from its definition, and the roots from all rows."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

EMPTY_LOG_ROOT: Final = hashlib.sha256(b"").digest()
EMPTY_SUBTREE: Final = bytes(32)


def sha256(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def leaf_hash(data: bytes) -> bytes:
    """RFC 9162 2.1.1."""
    return sha256(b"\x00" + data)


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162 2.1.1; the sparse tree's inner node is the same."""
    return sha256(b"\x01" + left + right)


def tagged(tag: str, *parts: bytes) -> bytes:
    """SHA-256 over the tag's length and the tag, and each part's length and the part."""
    data = bytes([len(tag)]) + tag.encode("ascii")
    return sha256(data + b"".join(len(part).to_bytes(8, "big") + part for part in parts))


def log_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over all leaves (log.md)."""
    if not leaf_hashes:
        return EMPTY_LOG_ROOT
    if len(leaf_hashes) == 1:
        return leaf_hashes[0]
    k = 1
    while k * 2 < len(leaf_hashes):
        k *= 2
    return node_hash(log_root(leaf_hashes[:k]), log_root(leaf_hashes[k:]))


class LogRoot:
    """The root of a log that grows: the roots of its complete subtrees, the largest first."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []

    def append(self, leaf: bytes) -> None:
        """Add the hash of one leaf."""
        size, root = 1, leaf
        while self._peaks and self._peaks[-1][0] == size:
            root = node_hash(self._peaks.pop()[1], root)
            size *= 2
        self._peaks.append((size, root))

    def root(self) -> bytes:
        """The root now: the largest power of two below the size is on the left (log.md)."""
        if not self._peaks:
            return EMPTY_LOG_ROOT
        root = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def tree_root(rows: Mapping[bytes, bytes]) -> bytes:
    """The root over all rows (tree.md)."""
    leaves = sorted((sha256(key), sha256(value)) for key, value in rows.items())
    return _subtree(leaves, 0)


def _subtree(leaves: Sequence[tuple[bytes, bytes]], depth: int) -> bytes:
    if not leaves:
        return EMPTY_SUBTREE
    if len(leaves) == 1:
        path, value_hash = leaves[0]
        return sha256(b"\x00" + path + value_hash)
    split = next((place for place, (path, _) in enumerate(leaves) if _bit(path, depth)), len(leaves))
    return node_hash(_subtree(leaves[:split], depth + 1), _subtree(leaves[split:], depth + 1))


def _bit(path: bytes, depth: int) -> int:
    return path[depth // 8] >> 7 - depth % 8 & 1


def app_hash(*, tree: bytes, log_size: int, log: bytes) -> bytes:
    """The app hash (machine.md)."""
    return tagged("salus/app-hash/1", tree, log_size.to_bytes(8, "big"), log)
