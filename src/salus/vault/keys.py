"""The key table: each relationship's key, wrapped under the epoch root, and the renewals that make erasure final.

Promises: a key that was dropped from the table opens nothing once the root is renewed, whatever backups hold (P5);
a crash at any point leaves one root in force; a damaged row is named and costs nobody else. Keys are unwrapped for
one transaction at a time and never kept, so that an erasure by one worker counts for all at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, replace
from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from salus.crypto.hashing import tag_prefix, tagged
from salus.crypto.hpke import seal_to
from salus.crypto.sealing import SealBroken, new_key, unwrap, wrap
from salus.vault.errors import Damaged, NoSuchRelationship, NotEmpty
from salus.vault.root_files import Root, RootFiles
from salus.vault.schema import epoch, keys

PAGE_ROWS: Final = 1000
_EPOCH_ID: Final = 1

# Built once: SQLAlchemy takes longer to put a statement together than SQLite takes to answer it.
# Ordered, so that two workers never wait for each other's locks in a circle.
_KEYS: Final = (
    select(keys).where(keys.c.relationship.in_(bindparam("page", expanding=True))).order_by(keys.c.relationship)
)
_REWRAP: Final = (
    update(keys)
    .where(keys.c.relationship == bindparam("of"))
    .values(generation=bindparam("new_generation"), wrapped_key=bindparam("new_wrapped_key"))
)
_SHARED_KEYS: Final = _KEYS.with_for_update(read=True)
_SHARED_GENERATION: Final = select(epoch.c.generation).where(epoch.c.id == _EPOCH_ID).with_for_update(read=True)


class Epoch(Struct, frozen=True, array_like=True):
    """Which root is in force, since when, and when it must be renewed at the latest (Unix seconds)."""

    generation: int
    root_check: bytes
    renewed_at_s: int
    renew_by_s: int


class KeyRow(Struct, frozen=True, array_like=True):
    """One relationship's key as it is stored; `number` counts its renewals."""

    relationship: bytes
    generation: int
    number: int
    wrapped_key: bytes
    patient_key: bytes
    patient_slot: bytes

    @property
    def bound(self) -> bytes:
        """What the wrapped key is bound to: all the row's other columns."""
        return tagged(
            "salus/vault/relationship-key/1",
            self.relationship,
            self.generation.to_bytes(8, "big"),
            self.number.to_bytes(8, "big"),
            self.patient_key,
            self.patient_slot,
        )

    def unwrap(self, root: Root) -> bytes:
        """The relationship key; raises `Damaged`."""
        try:
            return unwrap(root.secret, self.wrapped_key, self.bound)
        except SealBroken as error:
            raise Damaged(f"key of relationship {self.relationship.hex()}", str(error)) from error

    def wrapping(self, root: Root, key: bytes) -> "KeyRow":
        """This row with a key wrapped under a root."""
        row = replace(self, generation=root.generation)
        return replace(row, wrapped_key=wrap(root.secret, key, row.bound))


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewal of the root did; the keys of `damaged` could not be opened before it either."""

    generation: int
    rewrapped: int
    damaged: tuple[bytes, ...] = field(default=())


class KeyTable:
    """The table and its root; every method works within the transaction that is given."""

    def __init__(self, roots: RootFiles, *, clock: Callable[[], int], epoch_s: int) -> None:
        self.roots = roots
        self._clock = clock
        self._epoch_s = epoch_s
        self._root: Root | None = None

    def prepare(self, connection: Connection) -> None:
        """Make the first root in a new database.

        Raises:
            NotEmpty: key files without their key table: creating here would end what they open.
        """
        if read_epoch(connection) is not None:
            return
        if self.roots.exist():
            raise NotEmpty(
                "there are key files but the database has no key table: restore it first, or name other key files"
            )
        self.roots.unstage()
        root = Root.new(1)
        self.roots.stage(root)
        connection.execute(insert(epoch).values(id=_EPOCH_ID, **self._epoch_values(root)))

    def root(self, connection: Connection, *, generation: int | None = None) -> Root:
        """The root in force; `generation`, when known from a key row, saves a look at the epoch row."""
        if self._root is None or self._root.generation != generation:
            now = present_epoch(connection)
            if self._root is None or (self._root.generation, self._root.check) != (now.generation, now.root_check):
                self._root = self.roots.find(now.generation, now.root_check)
        return self._root

    def key(self, connection: Connection, relationship: bytes, *, lock: bool = False) -> tuple[KeyRow, bytes]:
        """One relationship's row and key; raises `NoSuchRelationship`, `Damaged`."""
        statement = select(keys).where(keys.c.relationship == relationship)
        found = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
        if found is None:
            raise NoSuchRelationship(f"no key of relationship {relationship.hex()}: nothing is stored for it here")
        row = KeyRow(*found)
        return row, row.unwrap(self.root(connection, generation=row.generation))

    def keys_for_reading(self, connection: Connection, relationships: Iterable[bytes]) -> dict[bytes, bytes]:
        """Those of these keys that are in the table; raises `Damaged` for one that does not open."""
        rows = {row.relationship: row for row in self._rows(connection, sorted(relationships))}
        return self.unwrapped(connection, rows)

    def unwrapped(self, connection: Connection, rows: Mapping[bytes, KeyRow]) -> dict[bytes, bytes]:
        """The keys of these rows, which were read in the same transaction; raises `Damaged`."""
        return {
            relationship: row.unwrap(self.root(connection, generation=row.generation))
            for relationship, row in rows.items()
        }

    def has(self, connection: Connection, relationship: bytes) -> bool:
        """Whether a relationship is in the table."""
        here = select(keys.c.relationship).where(keys.c.relationship == relationship)
        return connection.scalar(here) is not None

    def relationships(self, connection: Connection) -> list[bytes]:
        """Every relationship in the table, in order."""
        return list(connection.scalars(select(keys.c.relationship).order_by(keys.c.relationship)))

    def keys_for_writing(self, connection: Connection, relationships: Sequence[bytes]) -> dict[bytes, bytes]:
        """The keys of these relationships, made where there were none, and kept from renewal until the commit."""
        root, wanted = self._locked_root(connection), sorted(set(relationships))
        found = list(self._rows(connection, wanted, share=True))
        absent = sorted(set(wanted) - {row.relationship for row in found})
        if absent:
            self._insert_new(connection, root, absent)
            found += self._rows(connection, absent, share=True)
        return {row.relationship: row.unwrap(root) for row in found}

    def renew_key(self, connection: Connection, relationship: bytes) -> tuple[bytes, bytes]:
        """Give a relationship a new key, for the patient too; returns (old, new). Its slots are the caller's."""
        self._locked_root(connection)
        row, old = self.key(connection, relationship, lock=True)
        new = new_key()
        self._store(connection, replace(row, number=row.number + 1), new)
        return old, new

    def set_patient_key(self, connection: Connection, relationship: bytes, public: bytes) -> bytes:
        """Seal a relationship's key to its patient's HPKE key, now and after each renewal; returns the slot."""
        self._locked_root(connection)
        row, key = self.key(connection, relationship, lock=True)
        return self._store(connection, replace(row, patient_key=public), key).patient_slot

    def drop(self, connection: Connection, relationship: bytes) -> bool:
        """Remove a relationship's row; True when there was one. Final once the root is renewed."""
        done = connection.execute(delete(keys).where(keys.c.relationship == relationship))
        return done.rowcount > 0

    def renew_within(self, connection: Connection, within_s: int) -> None:
        """Note that the root must be renewed at the latest `within_s` seconds from now."""
        deadline = self._clock() + within_s
        connection.execute(update(epoch).where(epoch.c.renew_by_s > deadline).values(renew_by_s=deadline))

    def is_renewal_due(self, connection: Connection) -> bool:
        """Whether the time to renew has come."""
        return self._clock() >= present_epoch(connection).renew_by_s

    def renew_root(self, connection: Connection) -> Renewal:
        """Wrap every key under a new root, in the caller's transaction; the old root is destroyed by `settle` after.

        1. finish whatever an earlier renewal left; 2. stage the new root in both files; 3. rewrap; 4. name the new
        root in the epoch row. The commit decides which root is in force.
        """
        # 1
        now = present_epoch(connection, lock=True)
        self.roots.settle(now.generation, now.root_check)
        old, new = self.roots.find(now.generation, now.root_check), Root.new(now.generation + 1)
        # 2
        self.roots.stage(new)
        # 3
        rewrapped, damaged = 0, list[bytes]()
        for page in key_pages(connection):
            good, bad = _rewrapped(page, old, new)
            if good:
                connection.execute(_REWRAP, [_rewrap_values(row) for row in good])
            rewrapped, damaged = rewrapped + len(good), damaged + bad
        # 4
        connection.execute(update(epoch).values(**self._epoch_values(new)))
        return Renewal(new.generation, rewrapped, tuple(damaged))

    def settle(self, connection: Connection) -> None:
        """Bring the key files to the root in force, destroying every other."""
        now = present_epoch(connection, lock=True)
        self.roots.settle(now.generation, now.root_check)
        self._root = self.roots.find(now.generation, now.root_check)

    def adopt(self, connection: Connection, restored: Epoch) -> None:
        """Take the epoch of a restored key table; raises `RootGone` unless the key files hold its root."""
        self.roots.find(restored.generation, restored.root_check)
        connection.execute(insert(epoch).values(id=_EPOCH_ID, **asdict(restored)))

    def _locked_root(self, connection: Connection) -> Root:
        # PostgreSQL: a shared lock on the epoch row makes a renewal wait for us. SQLite has one writer anyway.
        return self.root(connection, generation=connection.scalar(_SHARED_GENERATION))

    def _rows(self, connection: Connection, relationships: Sequence[bytes], *, share: bool = False) -> Iterator[KeyRow]:
        for start in range(0, len(relationships), PAGE_ROWS):
            page = {"page": relationships[start : start + PAGE_ROWS]}
            for found in connection.execute(_SHARED_KEYS if share else _KEYS, page):
                yield KeyRow(*found)

    def _insert_new(self, connection: Connection, root: Root, relationships: Sequence[bytes]) -> None:
        rows = [KeyRow(each, root.generation, 1, b"", b"", b"").wrapping(root, new_key()) for each in relationships]
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        # another worker may have made one of them since we looked: then its key is the key
        connection.execute(dialect.insert(keys).on_conflict_do_nothing(), [asdict(row) for row in rows])

    def _store(self, connection: Connection, row: KeyRow, key: bytes) -> KeyRow:
        if row.patient_key:
            row = replace(row, patient_slot=seal_to(row.patient_key, key, info=patient_info(row.relationship)))
        row = row.wrapping(self.root(connection), key)
        here = keys.c.relationship == row.relationship
        changed = {name: value for name, value in asdict(row).items() if name != "relationship"}
        connection.execute(update(keys).where(here).values(**changed))
        return row

    def _epoch_values(self, root: Root) -> dict[str, Any]:
        now_s = self._clock()
        return {
            "generation": root.generation,
            "root_check": root.check,
            "renewed_at_s": now_s,
            "renew_by_s": now_s + self._epoch_s,
        }


def read_epoch(connection: Connection, *, lock: bool = False) -> Epoch | None:
    """The epoch row, None in a new database; `lock` keeps every other writer of the key table waiting."""
    columns = epoch.c.generation, epoch.c.root_check, epoch.c.renewed_at_s, epoch.c.renew_by_s
    statement = select(*columns).where(epoch.c.id == _EPOCH_ID)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else Epoch(*row)


def present_epoch(connection: Connection, *, lock: bool = False) -> Epoch:
    """The epoch row of a vault that has been opened; raises `Damaged` when it is missing."""
    found = read_epoch(connection, lock=lock)
    if found is None:
        raise Damaged(epoch.name, "the row of the epoch is missing: restore the key table")
    return found


def patient_info(relationship: bytes) -> bytes:
    """The HPKE `info` of a patient slot: tag ‖ relationship."""
    return tag_prefix("salus/vault/patient-slot/1") + relationship


def key_pages(connection: Connection) -> Iterator[list[KeyRow]]:
    """All key rows in order, a page at a time."""
    after = b""
    while page := _page_after(connection, after):
        yield page
        after = page[-1].relationship


def _page_after(connection: Connection, after: bytes) -> list[KeyRow]:
    statement = select(keys).where(keys.c.relationship > after).order_by(keys.c.relationship).limit(PAGE_ROWS)
    return [KeyRow(*found) for found in connection.execute(statement)]


def _rewrapped(page: Sequence[KeyRow], old: Root, new: Root) -> tuple[list[KeyRow], list[bytes]]:
    good, bad = [], []
    for row in page:
        try:
            good.append(row.wrapping(new, row.unwrap(old)))
        except Damaged:
            bad.append(row.relationship)  # it opened no more under the old root: nothing is lost here
    return good, bad


def _rewrap_values(row: KeyRow) -> dict[str, Any]:
    return {"of": row.relationship, "new_generation": row.generation, "new_wrapped_key": row.wrapped_key}
