"""Index entries: what stands for a record version in a registered batch, and the batch's tree.

The ledger has only the batch's root and the size of its tree. Entries and paths stay with custodian and patient and
travel with each release, where the receiver checks bytes against them before use (R6).
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.crypto.hashing import leaf_hash
from salus.crypto.merkle import Tree, verify_inclusion
from salus.ledger.encoding import encode
from salus.ledger.identifiers import CountField, Digest, DigestField, OptionalDigestField, RecordIdField

BATCH_ENTRIES_MAX = 4**8
PADDING_BYTES = 32


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One record version.

    Args:
        version: 1 for the first.
        metadata_root: commitment to the metadata's fields.
        content_root: salted root over the plaintext's segments.
        sealed_root: RFC 9162 root over the sealed segments; empty for an outside store.
        supersedes: hash of the entry before; empty for the first version.
    """

    record: RecordIdField
    version: Annotated[int, Meta(ge=1, lt=1 << 32)]
    metadata_root: DigestField
    content_root: DigestField
    sealed_root: OptionalDigestField
    supersedes: OptionalDigestField


class PlacedEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An entry with the path that shows it in its batch."""

    entry: Entry
    batch_root: DigestField
    batch_size: CountField
    index: CountField
    path: tuple[DigestField, ...]

    def verify(self) -> None:
        """Check the path. Raises ProofInvalid; that the root is registered is for the caller to check."""
        verify_inclusion(
            leaf_hash=entry_hash(self.entry),
            index=self.index,
            size=self.batch_size,
            path=self.path,
            root=self.batch_root,
        )


def entry_hash(entry: Entry) -> Digest:
    """Return the hash that names an entry: the leaf hash of its canonical bytes."""
    return Digest(leaf_hash(encode(entry)))


def batch_size(entry_count: int) -> int:
    """Return the size of the tree that hides how many entries there are: the next power of four."""
    assert 0 < entry_count <= BATCH_ENTRIES_MAX, f"expected 1 to {BATCH_ENTRIES_MAX} entries, came {entry_count}"
    size = 1
    while size < entry_count:
        size *= 4
    return size


def place_entries(entries: Sequence[Entry], *, padding: Sequence[bytes]) -> list[PlacedEntry]:
    """Build a batch's tree and return each entry with its path, in the order given.

    Leaves are ordered by hash, so that an entry's place does not tell how many entries there are.

    Args:
        padding: `batch_size(len(entries)) - len(entries)` times 32 random bytes.
    """
    size = batch_size(len(entries))
    assert len(padding) == size - len(entries), f"expected {size - len(entries)} padding leaves, came {len(padding)}"
    hashes = [entry_hash(entry) for entry in entries]
    leaves = sorted([*hashes, *(leaf_hash(each) for each in padding)])
    place = {leaf: index for index, leaf in enumerate(leaves)}
    tree = Tree(leaves)
    batch_root = Digest(tree.root())
    return [
        PlacedEntry(entry, batch_root, size, place[leaf], tuple(Digest(h) for h in tree.path(place[leaf])))
        for entry, leaf in zip(entries, hashes, strict=True)
    ]
