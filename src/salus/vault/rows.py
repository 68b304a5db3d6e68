"""Record rows and their slots: what is stored of a record version beside its sealed bytes, and how it is looked up.

Promises: every column that never changes is bound into the sealed metadata, so a changed one is found at the next look
(`registered` and `staged_at_s` are notes to ourselves and bound to nothing). Works within the transaction given.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    null,
    select,
    tuple_,
    update,
)

from salus.crypto.hashing import HASH_SIZE_BYTES, tagged
from salus.crypto.sealing import sealed_size, segment_count
from salus.vault.keys import KeyRow
from salus.vault.schema import keys, objects, pending, records, slots

PAGE_ROWS: Final = 500

T = TypeVar("T")


RecordKey = tuple[bytes, int]
"""(record id, version)."""


class Place(IntEnum):
    """Where the sealed bytes of a record lie."""

    ROW = 1
    OBJECT = 2


class RecordRow(Struct, frozen=True, array_like=True):
    """One version of one record as it is stored; the order of fields is that of the table."""

    record_id: bytes
    version: int
    relationship: bytes
    associated: bytes
    sealed_root: bytes
    content_root: bytes
    size_bytes: int
    segment_hashes: bytes
    sealed_metadata: bytes
    place: int
    object_name: str
    registered: int
    staged_at_s: int

    @property
    def bound(self) -> bytes:
        """What the sealed metadata is bound to: every other column that never changes."""
        return tagged(
            "salus/vault/record/1",
            self.record_id,
            self.version.to_bytes(8, "big"),
            self.relationship,
            self.associated,
            self.sealed_root,
            self.content_root,
            self.size_bytes.to_bytes(8, "big"),
            self.segment_hashes,
            bytes((self.place,)),
            self.object_name.encode("ascii"),
        )

    @property
    def key(self) -> RecordKey:
        """(record id, version)."""
        return self.record_id, self.version

    @property
    def segment_count(self) -> int:
        """How many sealed segments the object has."""
        return segment_count(self.size_bytes)

    @property
    def sealed_size_bytes(self) -> int:
        """The size of the sealed object."""
        return sealed_size(self.size_bytes)

    @property
    def leaf_hashes(self) -> list[bytes]:
        """The RFC 9162 leaf hash of each sealed segment; of a single one it is the root itself."""
        joined = self.segment_hashes or self.sealed_root
        return [joined[start : start + HASH_SIZE_BYTES] for start in range(0, len(joined), HASH_SIZE_BYTES)]


class SlotRow(Struct, frozen=True, array_like=True):
    """The wrapped data key and metadata key of one record version."""

    record_id: bytes
    version: int
    relationship: bytes
    slot: bytes
    metadata_slot: bytes

    @property
    def key(self) -> RecordKey:
        """(record id, version)."""
        return self.record_id, self.version

    @property
    def bound(self) -> bytes:
        """What the data key is bound to."""
        return self._bound("salus/vault/slot/1")

    @property
    def metadata_bound(self) -> bytes:
        """What the metadata key is bound to."""
        return self._bound("salus/vault/metadata-slot/1")

    def _bound(self, tag: str) -> bytes:
        return tagged(tag, self.record_id, self.version.to_bytes(8, "big"), self.relationship)


@dataclass(frozen=True, slots=True, repr=False)
class Locked:
    """A record version with all that opening it needs, as of one moment.

    `slot` and `key` are None where they are missing, which is damage; `sealed` holds the sealed bytes where they were
    asked for and lie in the database.
    """

    row: RecordRow
    slot: SlotRow | None
    key: KeyRow | None
    sealed: bytes | None


# Built once: SQLAlchemy takes longer to put a statement together than SQLite takes to answer it.
_BESIDE: Final = (slots.c.record_id == records.c.record_id) & (slots.c.version == records.c.version)
_RECORD_KEY: Final = tuple_(records.c.record_id, records.c.version)
_SLOT_COLUMNS: Final = slots.c.relationship.label("slot_relationship"), slots.c.slot, slots.c.metadata_slot
_WITH_SLOTS: Final = records.outerjoin(slots, _BESIDE)
_STORED: Final = (
    select(*records.c, *_SLOT_COLUMNS).select_from(_WITH_SLOTS).order_by(records.c.record_id, records.c.version)
)
_RECORD_WIDTH: Final = len(records.c)
_KEY_START: Final = _RECORD_WIDTH + len(_SLOT_COLUMNS)
_WITH_KEYS: Final = _WITH_SLOTS.outerjoin(keys, keys.c.relationship == records.c.relationship)
_WITH_OBJECTS: Final = _WITH_KEYS.outerjoin(objects, objects.c.name == records.c.object_name)
_LOCKED: Final = select(*records.c, *_SLOT_COLUMNS, *keys.c, null()).select_from(_WITH_KEYS)
_LOCKED_WHOLE: Final = select(*records.c, *_SLOT_COLUMNS, *keys.c, objects.c.sealed).select_from(_WITH_OBJECTS)


def _among(table: Table) -> ColumnElement[bool]:
    """Whether a row's key is one of those given by `_keys`."""
    # SQLite has no index for a list of pairs, and would walk the whole table: the ids alone lead it there.
    ids = table.c.record_id.in_(bindparam("record_ids", expanding=True))
    return ids & tuple_(table.c.record_id, table.c.version).in_(bindparam("keys", expanding=True))


_AMONG: Final = _among(records)
_ONE: Final = (records.c.record_id == bindparam("record_id")) & (records.c.version == bindparam("version"))
_FIND_LOCKED: Final = _LOCKED.where(_AMONG)
_FIND_WHOLE: Final = _LOCKED_WHOLE.where(_AMONG)
_FIND_ONE_LOCKED: Final = _LOCKED.where(_ONE)
_FIND_ONE_WHOLE: Final = _LOCKED_WHOLE.where(_ONE)
_LOCKED_OF_RELATIONSHIP: Final = _LOCKED.where(records.c.relationship == bindparam("relationship")).order_by(
    records.c.record_id, records.c.version
)
_EXISTS: Final = select(records.c.version).where(_ONE)
_NEWEST: Final = (
    select(records.c.record_id, func.max(records.c.version))
    .where(records.c.record_id.in_(bindparam("record_ids", expanding=True)))
    .group_by(records.c.record_id)
)
_DELETE_RECORDS: Final = delete(records).where(_AMONG)
_DELETE_SLOTS: Final = delete(slots).where(_among(slots))
_WITH_SLOT: Final = select(slots.c.record_id, slots.c.version).where(_among(slots))
_MARK_REGISTERED: Final = update(records).where(_AMONG).values(registered=1)
_INSERT_RECORDS: Final = insert(records)
_INSERT_SLOTS: Final = insert(slots)
_OF_RECORD: Final = _STORED.where(records.c.record_id == bindparam("record_id"))
_OF_RELATIONSHIP: Final = _STORED.where(records.c.relationship == bindparam("relationship"))
_AFTER: Final = _STORED.where(tuple_(bindparam("record_id"), bindparam("version")) < _RECORD_KEY)

Stored = tuple[RecordRow, SlotRow | None]
"""A record and its slot; None means that the slot is missing, which is damage."""


def is_stored(connection: Connection, record_id: bytes, version: int) -> bool:
    """Whether a record version is stored."""
    return connection.scalar(_EXISTS, {"record_id": record_id, "version": version}) is not None


def find_locked(connection: Connection, keys: Sequence[RecordKey], *, with_small: bool = False) -> list[Locked]:
    """Those of these record versions that are stored, in any order.

    Args:
        with_small: bring the sealed bytes of those that lie in the database, in the same statement.
    """
    if len(keys) == 1:  # a list of keys is written into the statement anew each time, which takes as long as the look
        ((record_id, version),) = keys
        statement = _FIND_ONE_WHOLE if with_small else _FIND_ONE_LOCKED
        return list(_locked(connection, statement, record_id=record_id, version=version))
    statement = _FIND_WHOLE if with_small else _FIND_LOCKED
    return [locked for page in pages(keys) for locked in _locked(connection, statement, **_keys(page))]


def locked_of_relationship(connection: Connection, relationship: bytes) -> list[Locked]:
    """All record versions of a relationship with what opening them needs, in order."""
    return list(_locked(connection, _LOCKED_OF_RELATIONSHIP, relationship=relationship))


def newest_versions(connection: Connection, record_ids: Sequence[bytes]) -> dict[bytes, int]:
    """The newest version of each of these records that is stored."""
    return {
        record_id: version
        for page in pages(record_ids)
        for record_id, version in connection.execute(_NEWEST, {"record_ids": page})
    }


def of_record(connection: Connection, record_id: bytes) -> list[Stored]:
    """All versions of a record, in order."""
    return list(_stored(connection, _OF_RECORD, record_id=record_id))


def of_relationship(connection: Connection, relationship: bytes) -> list[Stored]:
    """All record versions of a relationship, in order."""
    return list(_stored(connection, _OF_RELATIONSHIP, relationship=relationship))


def page_after(connection: Connection, after: RecordKey, *, limit: int = PAGE_ROWS) -> list[Stored]:
    """The next page of all record versions, in order; start with `(b"", 0)`."""
    record_id, version = after
    return list(_stored(connection, _AFTER.limit(limit), record_id=record_id, version=version))


def slots_of(connection: Connection, relationship: bytes) -> list[SlotRow]:
    """The slots of a relationship, in order."""
    statement = select(slots).where(slots.c.relationship == relationship)
    return [SlotRow(*each) for each in connection.execute(statement.order_by(slots.c.record_id, slots.c.version))]


def slot_pages(connection: Connection) -> Iterator[list[SlotRow]]:
    """All slots in order, a page at a time."""
    after: RecordKey = (b"", 0)
    while page := _slots_after(connection, after):
        yield page
        after = page[-1].key


def insert_all(connection: Connection, stored: Sequence[tuple[RecordRow, SlotRow]]) -> None:
    """Store new rows with their slots."""
    insert_records(connection, [row for row, _ in stored])
    if stored:
        connection.execute(_INSERT_SLOTS, [asdict(slot) for _, slot in stored])


def insert_records(connection: Connection, new: Sequence[RecordRow]) -> None:
    """Store new rows whose slots are there."""
    if new:
        connection.execute(_INSERT_RECORDS, [asdict(row) for row in new])


def replace_slots(connection: Connection, changed: Sequence[SlotRow]) -> None:
    """Put newly wrapped slots in the place of the old ones."""
    for page in pages(changed):
        delete_slots(connection, [slot.key for slot in page])
        connection.execute(insert(slots), [asdict(slot) for slot in page])


def delete_slots_of(connection: Connection, relationship: bytes) -> None:
    """Remove the slots of a relationship, also those without a record."""
    connection.execute(delete(slots).where(slots.c.relationship == relationship))


def delete_slots(connection: Connection, keys: Sequence[RecordKey]) -> None:
    """Remove the slots of these record versions."""
    for page in pages(keys):
        connection.execute(_DELETE_SLOTS, _keys(page))


def delete_records(connection: Connection, rows: Sequence[RecordRow]) -> None:
    """Remove rows with their slots and small objects; names of large objects become pending, to be deleted after."""
    for page in pages(rows):
        keys = [row.key for row in page]
        connection.execute(_DELETE_RECORDS, _keys(keys))
        small = [row.object_name for row in page if row.place == Place.ROW]
        connection.execute(delete(objects).where(objects.c.name.in_(small)))
        add_pending(connection, [row.object_name for row in page if row.place == Place.OBJECT], since_s=0)
        delete_slots(connection, keys)


def mark_registered(connection: Connection, keys: Sequence[RecordKey]) -> None:
    """Note that the ledger has these record versions."""
    for page in pages(keys):
        connection.execute(_MARK_REGISTERED, _keys(page))


def staged_before(connection: Connection, before_s: int, limit: int) -> list[RecordRow]:
    """The oldest record versions, staged before a time, that the ledger is not known to have."""
    waiting = (records.c.registered == 0) & (records.c.staged_at_s < before_s)
    ordered = select(records).where(waiting).order_by(records.c.staged_at_s, records.c.record_id, records.c.version)
    return [RecordRow(*found) for found in connection.execute(ordered.limit(limit))]


def slots_without_records(connection: Connection) -> list[RecordKey]:
    """The keys of slots that no record stands beside."""
    statement = select(slots.c.record_id, slots.c.version).select_from(slots.outerjoin(records, _BESIDE))
    return [(each.record_id, each.version) for each in connection.execute(statement.where(records.c.version.is_(None)))]


def keys_with_slots(connection: Connection, keys: Sequence[RecordKey]) -> set[RecordKey]:
    """Those of these record versions that have a slot."""
    found = (connection.execute(_WITH_SLOT, _keys(page)) for page in pages(keys))
    return {(each.record_id, each.version) for page in found for each in page}


def add_pending(connection: Connection, names: Iterable[str], *, since_s: int) -> None:
    """Note names of objects that no record stands for: being written (`since_s`), or to be deleted (0)."""
    rows = [{"object_name": name, "since_s": since_s} for name in names]
    if rows:
        connection.execute(insert(pending), rows)


def take_pending(connection: Connection, names: Sequence[str], *, since_s: int) -> int:
    """Remove notes of one time; returns how many were there."""
    return sum(connection.execute(delete(pending).where(_noted(page, since_s))).rowcount for page in pages(names))


def claim_pending(connection: Connection, before_s: int) -> list[str]:
    """Turn the oldest names noted before a time into names to be deleted, and return them.

    Whoever was still writing one finds its note changed and stores no record for it.
    """
    statement = select(pending.c.object_name).where(pending.c.since_s < before_s)
    oldest = statement.order_by(pending.c.since_s, pending.c.object_name).limit(PAGE_ROWS)
    return claim_names(connection, list(connection.scalars(oldest)))


def claim_names(connection: Connection, names: Sequence[str]) -> list[str]:
    """Turn noted names into names to be deleted, and return those that were noted."""
    connection.execute(update(pending).where(pending.c.object_name.in_(names)).values(since_s=0))
    return sorted(names_pending(connection, names))


def names_of_records(connection: Connection, names: Sequence[str], place: Place) -> set[str]:
    """Those names of objects that a record stands for."""
    statement = select(records.c.object_name).where(records.c.object_name.in_(names), records.c.place == place)
    return set(connection.scalars(statement))


def names_pending(connection: Connection, names: Sequence[str]) -> set[str]:
    """Those names of objects that are being written or to be deleted."""
    return set(connection.scalars(select(pending.c.object_name).where(pending.c.object_name.in_(names))))


def pages(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a sequence into pages that a statement can take."""
    for start in range(0, len(items), PAGE_ROWS):
        yield items[start : start + PAGE_ROWS]


def _keys(page: Sequence[RecordKey]) -> dict[str, Any]:
    return {"record_ids": sorted({record_id for record_id, _ in page}), "keys": page}


def _noted(names: Sequence[str], since_s: int) -> ColumnElement[bool]:
    return pending.c.object_name.in_(names) & (pending.c.since_s == since_s)


def _stored(connection: Connection, statement: Select[Any], **values: Any) -> Iterator[Stored]:
    for found in connection.execute(statement, values):
        row = RecordRow(*found[:_RECORD_WIDTH])
        yield row, _slot(row, found[_RECORD_WIDTH:])


def _locked(connection: Connection, statement: Select[Any], **values: Any) -> Iterator[Locked]:
    for found in connection.execute(statement, values):
        row = RecordRow(*found[:_RECORD_WIDTH])
        key = found[_KEY_START:-1]
        yield Locked(
            row=row,
            slot=_slot(row, found[_RECORD_WIDTH:_KEY_START]),
            key=None if None in key else KeyRow(*key),
            sealed=found[-1],
        )


def _slot(row: RecordRow, wrapped: Sequence[Any]) -> SlotRow | None:
    return None if None in wrapped else SlotRow(row.record_id, row.version, *wrapped)


def _slots_after(connection: Connection, after: RecordKey) -> list[SlotRow]:
    here = tuple_(slots.c.record_id, slots.c.version) > tuple_(*after)
    statement = select(slots).where(here).order_by(slots.c.record_id, slots.c.version).limit(PAGE_ROWS)
    return [SlotRow(*each) for each in connection.execute(statement)]
