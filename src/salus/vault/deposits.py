"""From a deposit to what is stored of it: sealed segments, roots, salted content root, sealed metadata, slots.

The plaintext passes through here (SECURITY.md, P3) in pieces and is kept nowhere.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from salus.crypto.commitments import SALT_SIZE_BYTES, ContentRoot
from salus.crypto.hashing import leaf_hash
from salus.crypto.merkle import root
from salus.crypto.sealing import (
    LengthWrong,
    SealBroken,
    new_key,
    open_sealed,
    seal,
    seal_stream,
    sealed_size,
    unwrap,
    wrap,
)
from salus.vault.drivers.sql import SMALL_SIZE_MAX_BYTES
from salus.vault.errors import Damaged, RecordExists, SizeWrong, TooLarge
from salus.vault.rows import Place, RecordKey, RecordRow, SlotRow, Stored

METADATA_SIZE_MAX_BYTES: Final = 1 << 18
ASSOCIATED_SIZE_MAX_BYTES: Final = 1 << 10
ID_SIZE_MAX_BYTES: Final = 64

Put = Callable[[str, Iterable[bytes]], None]


@dataclass(frozen=True, slots=True)
class Streamed:
    """Content that passes by once, in chunks of any size, with its whole size announced."""

    chunks: Iterable[bytes] = field(repr=False)
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """One record version to be stored.

    `associated` is what the sealed object is bound to (chain, record, version, as the caller encodes them) and is
    stored readable; `metadata` is stored sealed and given back as it came. `is_registered` is for what no ledger will
    ever register: it is never an orphan.
    """

    relationship: bytes
    record_id: bytes
    version: int
    associated: bytes
    metadata: bytes = field(repr=False)
    content: bytes | Streamed = field(repr=False)
    is_registered: bool = False

    def __post_init__(self) -> None:
        assert 0 < len(self.relationship) <= ID_SIZE_MAX_BYTES, "a relationship has 1 to 64 bytes"
        assert 0 < len(self.record_id) <= ID_SIZE_MAX_BYTES, "a record id has 1 to 64 bytes"
        assert 0 < self.version < 1 << 53, "versions count from 1"
        assert len(self.associated) <= ASSOCIATED_SIZE_MAX_BYTES, "associated data has at most 1 KiB"

    @property
    def key(self) -> RecordKey:
        """(record id, version)."""
        return self.record_id, self.version

    @property
    def size_bytes(self) -> int:
        """The content's size."""
        return self.content.size_bytes if isinstance(self.content, Streamed) else len(self.content)

    @property
    def chunks(self) -> Iterable[bytes]:
        """The content in pieces."""
        return self.content.chunks if isinstance(self.content, Streamed) else (self.content,)

    @property
    def place(self) -> Place:
        """Small sealed objects go to the database, others to the object store."""
        return Place.ROW if sealed_size(self.size_bytes) <= SMALL_SIZE_MAX_BYTES else Place.OBJECT


@dataclass(frozen=True, slots=True)
class Deposited:
    """What the index needs to know of a stored record version; `is_new` is false when it was stored before."""

    record_id: bytes
    version: int
    sealed_root: bytes
    content_root: bytes
    content_salt: bytes = field(repr=False)
    size_bytes: int
    segment_count: int
    staged_at_s: int
    is_new: bool


@dataclass(frozen=True, slots=True, repr=False)
class Sealed:
    """A deposit ready to be stored, apart from the wrapping of its keys."""

    row: RecordRow
    data_key: bytes
    metadata_key: bytes
    content_salt: bytes

    def slot(self, relationship_key: bytes) -> SlotRow:
        """The slots under a relationship's key."""
        bare = SlotRow(self.row.record_id, self.row.version, self.row.relationship, b"", b"")
        return _wrapped(bare, relationship_key, self.data_key, self.metadata_key)


@dataclass(frozen=True, slots=True, repr=False)
class Unlocked:
    """A stored record version with its keys unwrapped and its row checked against what it was sealed with."""

    row: RecordRow
    data_key: bytes
    content_salt: bytes
    metadata: bytes
    sealed: bytes | None = None
    """The sealed bytes as they were found beside the row, not yet checked; None when they have to be fetched."""


def seal_deposit(deposit: Deposit, *, name: str, put: Put, staged_at_s: int) -> Sealed:
    """Seal a deposit's content to `put` while it passes by, then its metadata.

    Raises:
        TooLarge: metadata above 256 KiB.
        SizeWrong: the content is not as long as announced; what was put is no object.
    """
    if len(deposit.metadata) > METADATA_SIZE_MAX_BYTES:
        raise TooLarge(f"metadata may have {METADATA_SIZE_MAX_BYTES} bytes, got {len(deposit.metadata)}")
    data_key, metadata_key, content_salt = new_key(), new_key(), new_key()
    content, leaves = ContentRoot(content_salt), list[bytes]()
    segments = seal_stream(data_key, _watched(deposit.chunks, content), deposit.size_bytes, deposit.associated)
    try:
        put(name, _noting_leaves(segments, leaves))
    except LengthWrong as error:
        raise SizeWrong(f"record {deposit.record_id.hex()}: {error}: send the right size") from error
    row = RecordRow(
        record_id=deposit.record_id,
        version=deposit.version,
        relationship=deposit.relationship,
        associated=deposit.associated,
        sealed_root=root(leaves),
        content_root=content.root(),
        size_bytes=deposit.size_bytes,
        segment_hashes=b"".join(leaves) if len(leaves) > 1 else b"",
        sealed_metadata=b"",
        place=deposit.place,
        object_name=name,
        registered=int(deposit.is_registered),
        staged_at_s=staged_at_s,
    )
    sealed_metadata = seal(metadata_key, content_salt + deposit.metadata, row.bound)
    return Sealed(replace(row, sealed_metadata=sealed_metadata), data_key, metadata_key, content_salt)


def unlock(stored: Stored, relationship_key: bytes | None, *, sealed: bytes | None = None) -> Unlocked:
    """Unwrap a record's keys and check its row; raises `Damaged`, also when its relationship has no key (None)."""
    row, slot = stored
    if relationship_key is None:
        raise Damaged("relationship key", "missing, or the row names another relationship").of_record(*row.key)
    if slot is None:
        raise Damaged("slot", "missing").of_record(*row.key)
    try:
        data_key, metadata_key = _unwrapped(slot, relationship_key)
    except SealBroken as error:
        raise Damaged("slot", str(error)).of_record(*row.key) from error
    try:
        opened = open_sealed(metadata_key, row.sealed_metadata, row.bound)
    except SealBroken as error:
        raise Damaged("row", f"the row or its metadata was changed ({error})").of_record(*row.key) from error
    return Unlocked(row, data_key, opened[:SALT_SIZE_BYTES], opened[SALT_SIZE_BYTES:], sealed)


def rewrapped_slots(old_slots: Sequence[SlotRow], old_key: bytes, new_key: bytes) -> list[SlotRow]:
    """Slots under a relationship's new key; one that did not open under the old key is left out, it is damaged."""
    new_slots = []
    for slot in old_slots:
        try:
            keys = _unwrapped(slot, old_key)
        except SealBroken:
            continue
        new_slots.append(_wrapped(slot, new_key, *keys))
    return new_slots


def same_again(deposit: Deposit, found: Unlocked) -> Deposited:
    """The stored answer, when the same bytes come again for the same record version.

    Raises:
        RecordExists: other bytes, another relationship, or other associated data.
    """
    row, content = found.row, ContentRoot(found.content_salt)
    size_bytes = 0
    for chunk in deposit.chunks:
        content.add(chunk)
        size_bytes += len(chunk)
    told = deposit.relationship, deposit.associated, size_bytes, content.root()
    if told != (row.relationship, row.associated, row.size_bytes, row.content_root):
        raise RecordExists(
            f"record {row.record_id.hex()} version {row.version} is stored with other content: deposit a new version"
        )
    return deposited(row, found.content_salt, is_new=False)


def deposited(row: RecordRow, content_salt: bytes, *, is_new: bool) -> Deposited:
    """The answer to a deposit."""
    return Deposited(
        row.record_id,
        row.version,
        row.sealed_root,
        row.content_root,
        content_salt,
        row.size_bytes,
        row.segment_count,
        row.staged_at_s,
        is_new,
    )


def _watched(chunks: Iterable[bytes], content: ContentRoot) -> Iterator[bytes]:
    for chunk in chunks:
        content.add(chunk)
        yield chunk


def _noting_leaves(segments: Iterable[bytes], leaves: list[bytes]) -> Iterator[bytes]:
    for segment in segments:
        leaves.append(leaf_hash(segment))
        yield segment


def _wrapped(slot: SlotRow, relationship_key: bytes, data_key: bytes, metadata_key: bytes) -> SlotRow:
    wrapped = wrap(relationship_key, data_key, slot.bound)
    return replace(slot, slot=wrapped, metadata_slot=wrap(relationship_key, metadata_key, slot.metadata_bound))


def _unwrapped(slot: SlotRow, relationship_key: bytes) -> tuple[bytes, bytes]:
    data_key = unwrap(relationship_key, slot.slot, slot.bound)
    return data_key, unwrap(relationship_key, slot.metadata_slot, slot.metadata_bound)
