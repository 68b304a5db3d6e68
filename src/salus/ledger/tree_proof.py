"""Proofs under the root of the sparse tree: that a key has a value, or that it has none.

Promises: a check returns only if the claim follows from the root; each claim has one valid proof for one tree, because
every other form of the same hashes is refused. Needs no tree: `docs/spec/tree.md` is enough to write a second one.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Annotated

import msgspec

from salus.crypto.hashing import HASH_SIZE_BYTES, LEAF_PREFIX, NODE_PREFIX
from salus.crypto.merkle import ProofInvalid

EMPTY = bytes(HASH_SIZE_BYTES)
"""Stands for a subtree without leaves, and is the root of the empty tree."""
DEPTH_MAX = 256
LEAF_SIZE_BYTES = 2 * HASH_SIZE_BYTES


class TreeProof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """That a key has a value, or has none, under a root.

    Args:
        bitmap: bit i, counted from the highest bit of the first byte, says that the sibling at depth i + 1 is not
            empty. Its last set bit stands for the lowest sibling; the bytes end there.
        siblings: the siblings that are not empty, from the root downwards, 32 bytes each.
        other: when the key is absent because another leaf stands in its place, that leaf: path ‖ value hash,
            64 bytes; else empty.
    """

    bitmap: Annotated[bytes, msgspec.Meta(max_length=DEPTH_MAX // 8)]
    siblings: Annotated[bytes, msgspec.Meta(max_length=DEPTH_MAX * HASH_SIZE_BYTES)]
    other: Annotated[bytes, msgspec.Meta(max_length=LEAF_SIZE_BYTES)]


def tree_proof(siblings: Sequence[bytes], other: bytes) -> TreeProof:
    """Pack a proof from all siblings, from the root downwards, empty ones included."""
    bitmap = bytearray((len(siblings) + 7) // 8)
    for place, sibling in enumerate(siblings):
        if sibling != EMPTY:
            bitmap[place >> 3] |= 0x80 >> (place & 7)
    return TreeProof(bytes(bitmap), b"".join(sibling for sibling in siblings if sibling != EMPTY), other)


def siblings_upwards(proof: TreeProof) -> Iterator[tuple[int, bytes]]:
    """Yield (depth, sibling), the lowest first, empty siblings included.

    Raises:
        ProofInvalid: the proof is not in its one form.
    """
    depth = _depth(proof.bitmap)
    at = len(proof.siblings)
    if at != HASH_SIZE_BYTES * int.from_bytes(proof.bitmap, "big").bit_count():
        raise ProofInvalid(f"the bitmap does not promise {at} bytes of siblings")
    for place in range(depth - 1, -1, -1):
        if not proof.bitmap[place >> 3] & 0x80 >> (place & 7):
            yield place + 1, EMPTY
            continue
        sibling = proof.siblings[at - HASH_SIZE_BYTES : at]
        at -= HASH_SIZE_BYTES
        if sibling == EMPTY:
            raise ProofInvalid("an empty sibling is written out")
        yield place + 1, sibling


def verify_present(proof: TreeProof, *, root: bytes, key: bytes, value: bytes) -> None:
    """Check that `key` has `value` under `root`; raises `ProofInvalid`."""
    if not key or not value:
        raise ProofInvalid("the tree has no empty key and no empty value")
    if proof.other:
        raise ProofInvalid("a proof of absence does not prove presence")
    path = sha256(key).digest()
    leaf = sha256(LEAF_PREFIX + path + sha256(value).digest()).digest()
    if _root_from(proof, path, leaf) != root:
        raise ProofInvalid("the proof leads from this key and value to another root")


def verify_absent(proof: TreeProof, *, root: bytes, key: bytes) -> None:
    """Check that `key` has no value under `root`; raises `ProofInvalid`.

    Either the key's place is empty, or the one leaf of the subtree there is another key's.
    """
    path = sha256(key).digest()
    if _root_from(proof, path, _what_stands_there(proof, path)) != root:
        raise ProofInvalid("the proof leads from this absent key to another root")


def _what_stands_there(proof: TreeProof, path: bytes) -> bytes:
    if not proof.other:
        return EMPTY
    if len(proof.other) != LEAF_SIZE_BYTES:
        raise ProofInvalid(f"a leaf has {LEAF_SIZE_BYTES} bytes, got {len(proof.other)}")
    difference = int.from_bytes(path, "big") ^ int.from_bytes(proof.other[:HASH_SIZE_BYTES], "big")
    if difference == 0:
        raise ProofInvalid("the leaf that is shown is the key's own")
    if DEPTH_MAX - difference.bit_length() < _depth(proof.bitmap):
        raise ProofInvalid("the leaf that is shown stands in another place")
    return sha256(LEAF_PREFIX + proof.other).digest()


def _root_from(proof: TreeProof, path: bytes, subtree: bytes) -> bytes:
    for depth, sibling in siblings_upwards(proof):
        right = path[depth - 1 >> 3] & 0x80 >> (depth - 1 & 7)
        subtree = sha256(NODE_PREFIX + sibling + subtree if right else NODE_PREFIX + subtree + sibling).digest()
    return subtree


def _depth(bitmap: bytes) -> int:
    if not bitmap:
        return 0
    if len(bitmap) > DEPTH_MAX // 8 or bitmap[-1] == 0:
        raise ProofInvalid("the bitmap is longer than its last sibling")
    lowest = bitmap[-1] & -bitmap[-1]
    return 8 * len(bitmap) - lowest.bit_length() + 1
