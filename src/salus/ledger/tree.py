"""The proved tables as one compact sparse Merkle tree, in the format that ICS-23 calls `SmtSpec`.

A key is at the path SHA-256(key). A leaf is SHA-256(0x00 ‖ path ‖ SHA-256(value)), an inner node is
SHA-256(0x01 ‖ left ‖ right), an empty subtree is 32 zero bytes, a subtree with one leaf is that leaf. So the root is a
function of the rows alone, never of the order in which they came (L1).

The lowest subtrees, those with at most four leaves, are *buckets*: rows in storage that carry their own hash, so that a
start reads them and hashes nothing but the nodes above, which live in memory. Whether a subtree is a bucket follows
from its number of leaves; so the stored rows, too, are a function of the state.
Never touches a disk: rows come through `BucketRows`, changed rows are returned. `docs/spec/tree.md` has every byte.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Protocol

from salus.crypto.hashing import HASH_SIZE_BYTES, LEAF_PREFIX, NODE_PREFIX
from salus.ledger.tree_proof import DEPTH_MAX, EMPTY, LEAF_SIZE_BYTES, TreeProof, tree_proof

# Small buckets are rehashed sooner, large ones make memory and start smaller: measured in docs/spec/tree.md.
BUCKET_LEAVES_MAX = 4

_ROOT_NODE = 1
_EMPTY_PAIR = NODE_PREFIX + EMPTY + EMPTY
_RIGHT = 1 + HASH_SIZE_BYTES
_LEAF_BITS = 8 * LEAF_SIZE_BYTES

_Leaves = dict[bytes, bytes]  # path → path ‖ value hash
_Buckets = dict[int, _Leaves]  # node → its leaves
_Rows = dict[bytes, bytes | None]
_Levels = dict[int, dict[int, bytes]]  # depth → node → its new hash


class BucketRows(Protocol):
    """The tree's rows as the last update left them."""

    def get(self, key: bytes) -> bytes | None:
        """Return the row, or None when there is none."""

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """Return all keys and rows, in any order; read once, at start."""


class Tree:
    """The nodes above the buckets in memory, the buckets in storage; `root` is the root of the last update.

    A node has the number whose binary form is 1 followed by the bits of its path: the root is 1, below n are 2n and
    2n + 1.

    Args:
        rows: each update reads what the update before returned.
    """

    __slots__ = ("_depth_guess", "_pairs", "_rows", "root")

    def __init__(self, rows: BucketRows) -> None:
        self._rows = rows
        # node → 0x01 ‖ hash of left ‖ hash of right, for each subtree with more leaves than a bucket
        self._pairs: dict[int, bytes] = {}
        self._depth_guess = 0
        self.root = EMPTY
        fresh: _Levels = {}
        for key, row in rows.items():
            node = int.from_bytes(key, "big")
            fresh.setdefault(node.bit_length() - 1, {})[node] = row[:HASH_SIZE_BYTES]
        self._rehash(fresh)

    def update(self, changes: Mapping[bytes, bytes | None]) -> _Rows:
        """Write a whole block's rows at once.

        1. Sort the changes into buckets. 2. Apply them. 3. Merge neighbours that became small. 4. Split what became
        large. 5. Hash what changed, each node once.

        Args:
            changes: key → value, neither of them empty; None where the key goes.

        Returns:
            The bucket rows to store before the next update: key → row; None where the row goes.
        """
        rows: _Rows = {}
        buckets: _Buckets = {}
        shrunk = []
        for node, changed in self._sorted_into_buckets(changes).items():  # 1
            leaves = buckets[node] = self._read(node)
            size = len(leaves)
            _apply(changed, leaves)  # 2
            if len(leaves) < size:
                shrunk.append(node)
        for node in shrunk:
            self._merge_upwards(node, buckets, rows)  # 3
        self._split_large(buckets, rows)  # 4
        self._rehash(_hashed(buckets, rows))  # 5
        return rows

    def prove(self, key: bytes) -> TreeProof:
        """Prove what the root says of a key: that it has its value, or that it is absent."""
        path = sha256(key).digest()
        bits = int.from_bytes(path, "big") | 1 << DEPTH_MAX
        siblings = []
        node, depth = _ROOT_NODE, 0
        while (pair := self._pairs.get(node)) is not None:
            depth += 1
            node = bits >> DEPTH_MAX - depth
            siblings.append(pair[1:_RIGHT] if node & 1 else pair[_RIGHT:])
        leaves = sorted(self._read(node).values())
        while len(leaves) > 1:
            halves = _halves(leaves, depth)
            depth += 1
            side = bits >> DEPTH_MAX - depth & 1
            siblings.append(_subtree_hash(halves[1 - side], depth))
            leaves = halves[side]
        other = leaves[0] if leaves and not leaves[0].startswith(path) else b""
        return tree_proof(siblings, other)

    def _sorted_into_buckets(self, changes: Mapping[bytes, bytes | None]) -> dict[int, dict[bytes, bytes | None]]:
        buckets: dict[int, dict[bytes, bytes | None]] = {}
        pairs, guess = self._pairs, self._depth_guess
        for key, value in changes.items():
            assert key, "ICS-23 proves no empty key"
            assert value != b"", "ICS-23 proves no empty value"
            path = sha256(key).digest()
            bits = int.from_bytes(path, "big") | 1 << DEPTH_MAX
            # The bucket is the first node on the way down that has no pair; most are near one depth: start there.
            depth = guess
            node = bits >> DEPTH_MAX - depth
            while node in pairs:
                depth += 1
                node = bits >> DEPTH_MAX - depth
            while node > 1 and node >> 1 not in pairs:
                node >>= 1
            leaf = None if value is None else path + sha256(value).digest()
            if node in buckets:
                buckets[node][path] = leaf
            else:
                buckets[node] = {path: leaf}
        return buckets

    def _read(self, node: int) -> _Leaves:
        row = self._rows.get(row_key(node))
        return {} if row is None else {row[at : at + 32]: row[at : at + 64] for at in range(32, len(row), 64)}

    def _merge_upwards(self, node: int, buckets: _Buckets, rows: _Rows) -> None:
        # A neighbour with a pair has too many leaves; should it shrink as well, it starts from its own side.
        while node > _ROOT_NODE and node in buckets and node ^ 1 not in self._pairs:
            beside = buckets[node ^ 1] if node ^ 1 in buckets else self._read(node ^ 1)
            if len(buckets[node]) + len(beside) > BUCKET_LEAVES_MAX:
                return
            merged = buckets.pop(node) | beside
            buckets.pop(node ^ 1, None)
            rows[row_key(node)] = rows[row_key(node ^ 1)] = None
            node >>= 1
            del self._pairs[node]
            buckets[node] = merged

    def _split_large(self, buckets: _Buckets, rows: _Rows) -> None:
        large = [node for node, leaves in buckets.items() if len(leaves) > BUCKET_LEAVES_MAX]
        while large:
            node = large.pop()
            leaves = sorted(buckets.pop(node).values())
            rows[row_key(node)] = None
            self._pairs[node] = _EMPTY_PAIR
            for child, half in zip((2 * node, 2 * node + 1), _halves(leaves, node.bit_length() - 1), strict=True):
                buckets[child] = {leaf[:HASH_SIZE_BYTES]: leaf for leaf in half}
                if len(half) > BUCKET_LEAVES_MAX:
                    large.append(child)

    def _rehash(self, fresh: _Levels) -> None:
        # From the lowest level upwards, so that each parent is hashed once.
        if not fresh:
            return
        pairs = self._pairs
        self._depth_guess = max(fresh, key=lambda depth: len(fresh[depth]))
        for depth in range(max(fresh), 0, -1):
            above: dict[int, bytes] = {}
            for node, subtree in fresh.pop(depth, {}).items():
                parent = node >> 1
                pair = pairs.get(parent, _EMPTY_PAIR)
                above[parent] = pairs[parent] = (
                    pair[:_RIGHT] + subtree if node & 1 else NODE_PREFIX + subtree + pair[_RIGHT:]
                )
            for parent, pair in above.items():
                above[parent] = sha256(pair).digest()
            fresh[depth - 1] = above | fresh.get(depth - 1, {})
        self.root = fresh[0][_ROOT_NODE]


def row_key(node: int) -> bytes:
    """Return the key of a bucket's row: the node's number, big-endian, without leading zeros."""
    return node.to_bytes((node.bit_length() + 7) // 8, "big")


def leaves_of(row: bytes) -> list[bytes]:
    """Return the leaves of a bucket's row in order, 64 bytes each: path ‖ value hash."""
    return [row[at : at + LEAF_SIZE_BYTES] for at in range(HASH_SIZE_BYTES, len(row), LEAF_SIZE_BYTES)]


def is_sound(key: bytes, row: bytes) -> bool:
    """Tell whether a stored row is what its own leaves make it: the part of `fsck` that no root shows."""
    node, leaves = int.from_bytes(key, "big"), leaves_of(row)
    depth = node.bit_length() - 1
    return (
        len(row) == HASH_SIZE_BYTES + LEAF_SIZE_BYTES * len(leaves)
        and 0 < len(leaves) <= BUCKET_LEAVES_MAX
        and leaves == sorted({leaf[:HASH_SIZE_BYTES]: leaf for leaf in leaves}.values())
        and all(int.from_bytes(leaf, "big") >> _LEAF_BITS - depth | 1 << depth == node for leaf in leaves)
        and row[:HASH_SIZE_BYTES] == _subtree_hash(leaves, depth)
    )


def _apply(changed: Mapping[bytes, bytes | None], leaves: _Leaves) -> None:
    for path, leaf in changed.items():
        if leaf is None:
            leaves.pop(path, None)
        else:
            leaves[path] = leaf


def _hashed(buckets: _Buckets, rows: _Rows) -> _Levels:
    # Adds the buckets' rows to `rows`, returns their hashes.
    fresh: _Levels = {}
    for node, unordered in buckets.items():
        depth = node.bit_length() - 1
        leaves = sorted(unordered.values())
        subtree = _subtree_hash(leaves, depth)
        fresh.setdefault(depth, {})[node] = subtree
        rows[row_key(node)] = subtree + b"".join(leaves) if leaves else None
    return fresh


def _subtree_hash(leaves: list[bytes], depth: int) -> bytes:
    # Ordered leaves of one subtree whose root is at `depth`; `fork` is the depth of the node that parts them.
    count = len(leaves)
    if count < 2:
        return sha256(LEAF_PREFIX + leaves[0]).digest() if count else EMPTY
    bits = int.from_bytes(leaves[0], "big")
    fork = _LEAF_BITS - (bits ^ int.from_bytes(leaves[-1], "big")).bit_length()
    if count == 2:
        left, right = sha256(LEAF_PREFIX + leaves[0]).digest(), sha256(LEAF_PREFIX + leaves[1]).digest()
    else:
        lower, upper = _halves(leaves, fork)
        left, right = _subtree_hash(lower, fork + 1), _subtree_hash(upper, fork + 1)
    result = sha256(NODE_PREFIX + left + right).digest()
    for shift in range(_LEAF_BITS - fork, _LEAF_BITS - depth):
        result = sha256(NODE_PREFIX + EMPTY + result if bits >> shift & 1 else NODE_PREFIX + result + EMPTY).digest()
    return result


def _halves(leaves: list[bytes], depth: int) -> tuple[list[bytes], list[bytes]]:
    # Parts ordered leaves by the bit that follows the first `depth` bits of their paths.
    byte, mask = depth >> 3, 0x80 >> (depth & 7)
    for at, leaf in enumerate(leaves):
        if leaf[byte] & mask:
            return leaves[:at], leaves[at:]
    return leaves, []
