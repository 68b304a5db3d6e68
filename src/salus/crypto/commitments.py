"""Salted commitments to fields and to content, opened one by one to whom they concern.

A commitment on the ledger must say nothing of what it commits to (P1), not even to somebody who guesses: so each
field has its own 32 random bytes, kept off the ledger and destroyed on erasure (P2). Content is committed to in
segments of 1 MiB under one salt of the record. Promises: what opens under a root is what was committed, at its place
in a list of its length.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from salus.crypto.hashing import Bytes, leaf_hash, tagged
from salus.crypto.merkle import Frontier, ProofInvalid, Tree, root, root_from_path

SALT_SIZE_BYTES: Final = 32
FIELDS_MAX: Final = 1 << 32
CONTENT_SEGMENT_SIZE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, repr=False)
class FieldOpening:
    """What shows one field of a committed list: its salt, its bytes, its place, and the path to the root."""

    salt: bytes
    field: bytes
    index: int
    size: int
    path: tuple[bytes, ...]

    def verify(self, root: bytes) -> None:
        """Check that this field is at its place, in a list of its size, under the root; raises `ProofInvalid`."""
        if len(self.salt) != SALT_SIZE_BYTES:
            raise ProofInvalid(f"a salt has {SALT_SIZE_BYTES} bytes, got {len(self.salt)}")
        if self.size > FIELDS_MAX:
            raise ProofInvalid(f"a list has at most {FIELDS_MAX} fields, got {self.size}")
        leaf = leaf_hash(field_leaf(self.salt, self.field))
        if _fields_root(root_from_path(leaf, self.index, self.size, self.path), self.size) != root:
            raise ProofInvalid(f"field {self.index} of {self.size} leads to another root")


@dataclass(frozen=True, slots=True, repr=False)
class FieldTree:
    """A list of fields with their salts, in an order fixed by whoever defines the list."""

    salts: tuple[bytes, ...]
    fields: tuple[bytes, ...]

    def __post_init__(self) -> None:
        assert len(self.salts) == len(self.fields), f"{len(self.salts)} salts for {len(self.fields)} fields"
        assert len(self.fields) <= FIELDS_MAX, f"a list has at most {FIELDS_MAX} fields, got {len(self.fields)}"
        assert len(set(self.salts)) == len(self.salts), "each field has its own salt"

    def root(self) -> bytes:
        """What may stand on the ledger: the RFC 9162 root over the salted fields, hashed with their number."""
        return _fields_root(root(self._leaf_hashes()), len(self.fields))

    def open(self, index: int) -> FieldOpening:
        """Show field `index` and nothing of the others."""
        return self.open_many([index])[0]

    def open_many(self, indexes: Sequence[int]) -> list[FieldOpening]:
        """Show several fields, hashing the list once."""
        tree, size = Tree(self._leaf_hashes()), len(self.fields)
        return [
            FieldOpening(self.salts[index], self.fields[index], index, size, tuple(tree.path(index)))
            for index in indexes
        ]

    def _leaf_hashes(self) -> Sequence[bytes]:
        return [leaf_hash(field_leaf(salt, value)) for salt, value in zip(self.salts, self.fields, strict=True)]


class ContentRoot:
    """The root over a plaintext's segments of 1 MiB while it passes by in chunks of any size."""

    __slots__ = ("_frontier", "_mac", "_room_bytes", "_salt")

    def __init__(self, salt: bytes) -> None:
        _check_salt(salt)
        self._salt = salt
        self._frontier = Frontier()
        self._open_segment()

    def add(self, chunk: Bytes) -> None:
        """Take in the next bytes of the plaintext."""
        rest = memoryview(chunk).cast("B")
        while len(rest):
            if self._room_bytes == 0:
                self._frontier.add(leaf_hash(self._mac.digest()))
                self._open_segment()
            taken = rest[: self._room_bytes]
            self._mac.update(taken)
            self._room_bytes -= len(taken)
            rest = rest[len(taken) :]

    def root(self) -> bytes:
        """The RFC 9162 root over the segments so far. Empty content is one empty segment."""
        whole = self._frontier.copy()
        whole.add(leaf_hash(self._mac.digest()))
        return whole.root()

    def _open_segment(self) -> None:
        self._mac = hmac.new(self._salt, self._frontier.size.to_bytes(8, "big"), hashlib.sha256)
        self._room_bytes = CONTENT_SEGMENT_SIZE_BYTES


def field_leaf(salt: bytes, field: bytes) -> bytes:
    """The tree leaf of one field: HMAC-SHA-256(salt, field); the salt has 32 bytes."""
    _check_salt(salt)
    return hmac.digest(salt, field, "sha256")


def content_root(salt: bytes, content: Bytes) -> bytes:
    """The root over content that is in memory already: leaves HMAC-SHA-256(salt, index (8, big-endian) ‖ segment)."""
    running = ContentRoot(salt)
    running.add(content)
    return running.root()


def _fields_root(tree_root: bytes, size: int) -> bytes:
    # RFC 9162 proves a place only to somebody who knows the size of the tree: leaf 4 of 5 and its path prove as well
    # that it is leaf 1 of 2. A log signs its size beside its root; a list of fields has it inside.
    return tagged("salus/fields/1", size.to_bytes(8, "big"), tree_root)


def _check_salt(salt: bytes) -> None:
    assert len(salt) == SALT_SIZE_BYTES, f"a salt has {SALT_SIZE_BYTES} bytes, got {len(salt)}"
