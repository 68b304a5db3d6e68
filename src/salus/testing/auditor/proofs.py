"""Checking proofs as docs/spec/tree.md and log.md say; each function returns the root to which a proof leads."""

from typing import Final

from salus.testing.auditor.hashes import EMPTY_SUBTREE, leaf_hash, node_hash, sha256

HASH_BYTES: Final = 32


class NoProof(Exception):
    """The proof is not in its one form, or does not prove what it should."""


def tree_root_of(key: bytes, row: bytes | None, *, bitmap: bytes, siblings: bytes, other: bytes) -> bytes:
    """Return the root under which a key has a row or, for None, has none. Raises NoProof."""
    bits = "".join(f"{byte:08b}" for byte in bitmap).rstrip("0")
    if len(bitmap) > HASH_BYTES or bitmap[-1:] == b"\x00" or len(siblings) != HASH_BYTES * bits.count("1"):
        raise NoProof("siblings and bitmap do not fit")
    path = f"{int.from_bytes(sha256(key), 'big'):0256b}"
    subtree = _lowest(key, row, other, path, len(bits))
    taken = len(siblings)
    for depth in range(len(bits), 0, -1):
        sibling = EMPTY_SUBTREE
        if bits[depth - 1] == "1":
            taken -= HASH_BYTES
            sibling = siblings[taken : taken + HASH_BYTES]
            if sibling == EMPTY_SUBTREE:
                raise NoProof("an empty sibling that is written out")
        is_right = path[depth - 1] == "1"
        subtree = node_hash(sibling, subtree) if is_right else node_hash(subtree, sibling)
    return subtree


def _lowest(key: bytes, row: bytes | None, other: bytes, path: str, depth: int) -> bytes:
    if row is not None:
        if other or not key or not row:
            raise NoProof("no proof of presence")
        return sha256(b"\x00" + sha256(key) + sha256(row))
    if not other:
        return EMPTY_SUBTREE
    others = f"{int.from_bytes(other[:HASH_BYTES], 'big'):0256b}"
    if len(other) != 2 * HASH_BYTES or others == path or others[:depth] != path[:depth]:
        raise NoProof("no proof of absence")
    return sha256(b"\x00" + other)


def log_root_of(leaf: bytes, *, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root of a log of so many leaves in which this is the one at an index. Raises NoProof."""
    if not 0 <= index < size:
        raise NoProof("no such leaf")
    root, left = _climb(leaf_hash(leaf), index, size, list(path))
    if left:
        raise NoProof("the path is too long")
    return root


def _climb(leaf: bytes, index: int, size: int, path: list[bytes]) -> tuple[bytes, list[bytes]]:
    """The root of a subtree of so many leaves, and what is left of the path; its last hash is the highest."""
    if size == 1:
        return leaf, path
    if not path:
        raise NoProof("the path is too short")
    k = 1 << (size - 1).bit_length() - 1
    sibling = path.pop()
    if index < k:
        root, left = _climb(leaf, index, k, path)
        return node_hash(root, sibling), left
    root, left = _climb(leaf, index - k, size - k, path)
    return node_hash(sibling, root), left
