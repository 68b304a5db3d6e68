"""The vault of one custodian: deposit sealed records, open them, release their keys, erase them.

Promises: a deposit is durable when its answer comes, and the same bytes again get the same answer; what is read was
checked against the root that the index holds; erasing destroys keys first and bytes after (P5), and yesterday's
backups do not bring back what was erased. Knows nothing of who may read: that is decided before it is asked.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from salus.crypto.merkle import inclusion_path
from salus.crypto.sealing import SealBroken, open_sealed, open_stream, wrap
from salus.vault import rows, schema
from salus.vault.database import Database
from salus.vault.deposits import (
    Deposit,
    Deposited,
    Unlocked,
    deposited,
    rewrapped_slots,
    same_again,
    unlock,
)
from salus.vault.drivers.object_driver import ObjectDriver
from salus.vault.errors import Damaged, NoSuchRecord, NoSuchRelationship, RecordExists
from salus.vault.key_backups import export_keys
from salus.vault.keys import KeyTable, Renewal
from salus.vault.reading import Reading, check_segment
from salus.vault.root_files import RootFiles
from salus.vault.rows import Locked, RecordKey
from salus.vault.staging import FIRST_SECOND, Staging, delete_claimed

EPOCH_S: Final = 86_400
ORPHANS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Record:
    """A stored record version, with its metadata opened; `registered` is our note that the ledger has it."""

    relationship: bytes
    record_id: bytes
    version: int
    associated: bytes
    sealed_root: bytes
    content_root: bytes
    content_salt: bytes = field(repr=False)
    size_bytes: int
    segment_count: int
    metadata: bytes = field(repr=False)
    registered: bool
    staged_at_s: int


@dataclass(frozen=True, slots=True)
class AtHand:
    """A record version, and what opens it: the plaintext in pieces, as `Vault.open` gives it."""

    record: Record
    open: Callable[[], Iterator[bytes]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReleaseSlot:
    """A record's data key wrapped under a release key, 60 bytes, and the record's metadata."""

    slot: bytes
    metadata: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """One sealed segment, checked, with its path to the sealed root (RFC 9162 2.1.3.1)."""

    segment: bytes = field(repr=False)
    index: int
    count: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Orphan:
    """A record version that was staged and never registered: register it, or erase it."""

    relationship: bytes
    record_id: bytes
    version: int
    staged_at_s: int


def unix_now_s() -> int:
    """The wall clock in whole seconds."""
    return int(time.time())


class Vault:
    """The records and keys in one database, one object store and two key files; any number of workers may share them.

    Every method may raise `Unavailable` (nothing half done, try later) and `Damaged` (which names what was changed).
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectDriver,
        roots: RootFiles,
        *,
        clock: Callable[[], int] = unix_now_s,
        epoch_s: int = EPOCH_S,
        key_backup: Path | None = None,
    ) -> None:
        """Open the vault, making tables and first root when there are none, and finish a renewal that was cut off.

        Args:
            database: made after forking.
            objects: where sealed objects above 64 KiB go.
            roots: the two key files.
            clock: Unix seconds.
            epoch_s: the root is renewed at the latest this many seconds after the last time.
            key_backup: a file that gets the new key table at each renewal before the old root is destroyed, so that
                there is no moment without a key backup that opens; None leaves key backups to the operator.

        Raises:
            SchemaNewer, NotEmpty, RootGone, KeyFilesDisagree, KeyFileExposed: as their texts say.
        """
        self.database = database
        self.objects = objects
        self.keys = KeyTable(roots, clock=clock, epoch_s=epoch_s)
        self.reading = Reading(database, objects)
        self._staging = Staging(database, objects, self.keys)
        self._clock = clock
        self._key_backup = key_backup
        with database.writing() as connection:
            schema.prepare(connection)
            self.keys.prepare(connection)
        self._finish_renewal()
        with database.reading() as connection:
            self.keys.root(connection)

    def deposit(self, deposit: Deposit) -> Deposited:
        """Stage one record version; see `deposit_many`."""
        return self.deposit_many([deposit])[0]

    def deposit_many(self, deposits: Sequence[Deposit]) -> list[Deposited]:
        """Stage record versions durably, all or none, in one transaction; `register` them when the ledger has them.

        Raises:
            RecordExists: one is stored with other bytes, or two of them have one key.
            TooLarge, SizeWrong: of one of them.
        """
        keys = [deposit.key for deposit in deposits]
        if len(set(keys)) < len(keys):
            raise RecordExists("two deposits of one batch are for the same record version: send the second later")
        with self.database.reading() as connection:
            known = {each.row.key: each for each in self._unlock(connection, rows.find_locked(connection, keys))}
        answers = {each.key: same_again(each, known[each.key]) for each in deposits if each.key in known}
        new = [each for each in deposits if each.key not in known]
        for sealed in self._staging.stage(new, self._clock()) if new else ():
            answers[sealed.row.key] = deposited(sealed.row, sealed.content_salt, is_new=True)
        return [answers[key] for key in keys]

    def register(self, versions: Sequence[RecordKey], within: Connection | None = None) -> None:
        """Note that the ledger has these (record id, version); unknown ones are passed over.

        Args:
            within: a transaction of the caller's on this database; None begins one.
        """
        with nullcontext(within) if within is not None else self.database.writing() as connection:
            rows.mark_registered(connection, versions)

    def record(self, record_id: bytes, version: int) -> Record:
        """A record version with its metadata; raises `NoSuchRecord`."""
        return _record(self._find(record_id, version))

    def record_many(self, versions: Sequence[RecordKey]) -> list[Record]:
        """Record versions with their metadata, in the order asked for; raises `NoSuchRecord`."""
        return [_record(each) for each in self._find_all(versions)]

    def at_hand(self, versions: Sequence[RecordKey]) -> list[AtHand]:
        """Record versions with their metadata and how each is opened, in the order asked for; raises `NoSuchRecord`.

        The sealed bytes of small ones come along, in the same statement: ask for pages, not for whole histories.
        """
        found = self._find_all(versions, with_small=True)
        return [AtHand(_record(each), partial(self._opened, each)) for each in found]

    def newest_versions(self, record_ids: Sequence[bytes]) -> dict[bytes, int]:
        """The newest stored version of each of these records; those that are not stored are left out."""
        with self.database.reading() as connection:
            return rows.newest_versions(connection, record_ids)

    def records(self, relationship: bytes) -> list[Record]:
        """All record versions of a relationship, in the order of their ids; none when there are none."""
        with self.database.reading() as connection:
            found = self._unlock(connection, rows.locked_of_relationship(connection, relationship))
        return [_record(each) for each in found]

    def relationships(self) -> list[bytes]:
        """Every relationship that has a key here, in order."""
        with self.database.reading() as connection:
            return self.keys.relationships(connection)

    def holds(self, relationship: bytes) -> bool:
        """Whether a relationship has a key here."""
        with self.database.reading() as connection:
            return self.keys.has(connection, relationship)

    def open(self, record_id: bytes, version: int) -> Iterator[bytes]:
        """The plaintext in pieces of about 1 MiB, each checked; whole only when the iterator ends without an error.

        Raises:
            NoSuchRecord: at once, or while it is read when the record is erased meanwhile.
        """
        return self._opened(self._find(record_id, version))

    def open_small(self, versions: Sequence[RecordKey]) -> dict[RecordKey, bytes]:
        """The whole plaintexts of those of these record versions that are stored; of small ones in one statement."""
        opened = {}
        for each in self._find_some(versions, with_small=True):
            with suppress(NoSuchRecord):  # a large one, erased meanwhile
                opened[each.row.key] = b"".join(self._opened(each))
        return opened

    def sealed_segments(self, record_id: bytes, version: int) -> Iterator[bytes]:
        """The sealed object in its segments, each checked against the root, for a release; raises `NoSuchRecord`."""
        found = self._find(record_id, version)
        return self.reading.segments(found.row, sealed=found.sealed)

    def sealed_many(self, versions: Sequence[RecordKey]) -> list[bytes]:
        """Whole sealed objects, checked, in the order asked for; small ones in one statement; raises `NoSuchRecord`."""
        found = self._find_all(versions, with_small=True)
        return [b"".join(self.reading.segments(each.row, sealed=each.sealed)) for each in found]

    def sealed_segment(self, record_id: bytes, version: int, index: int) -> SealedSegment:
        """One sealed segment (from 0) with its inclusion path under the sealed root; raises `NoSuchRecord`."""
        found = self._find(record_id, version)
        row = found.row
        assert 0 <= index < row.segment_count, f"no segment {index} in an object of {row.segment_count}"
        (segment,) = self.reading.segments(row, [index], sealed=found.sealed)
        return SealedSegment(segment, index, row.segment_count, tuple(inclusion_path(row.leaf_hashes, index)))

    def release_slots(
        self, versions: Sequence[RecordKey], *, release_key: bytes, associated: Sequence[bytes]
    ) -> list[ReleaseSlot]:
        """The data keys of records wrapped under one release key, with their metadata; raises `NoSuchRecord`.

        Args:
            release_key: 32 bytes, new for each release.
            associated: what each slot is bound to: record, version and sealed root, as the exchange encodes them.
        """
        found = self._find_all(versions)
        return [
            ReleaseSlot(wrap(release_key, each.data_key, bound), each.metadata)
            for each, bound in zip(found, associated, strict=True)
        ]

    def set_patient_key(self, relationship: bytes, public: bytes) -> bytes:
        """Seal the relationship's key to its patient, now and whenever it is renewed.

        Args:
            public: the patient's HPKE public key of this relationship, hybrid suite.

        Raises:
            NoSuchRelationship: nothing was deposited for it yet, or it was erased.
            KeyInvalid: nothing can be sealed to this key.

        Returns:
            The patient slot; `info` is `keys.patient_info(relationship)`.
        """
        with self.database.writing() as connection:
            return self.keys.set_patient_key(connection, relationship, public)

    def patient_slot(self, relationship: bytes) -> bytes:
        """The relationship's key sealed to its patient; empty while no patient key is set."""
        with self.database.reading() as connection:
            return self.keys.key(connection, relationship)[0].patient_slot

    def erase_relationship(self, relationship: bytes, *, within_s: int = 0) -> int:
        """Destroy a relationship's key and all its records; returns how many record versions there were.

        Args:
            within_s: the root is renewed within this time, by `renew_root_if_due`; 0 renews it before returning.
                Until then a copy of the key table from before still opens under the present root.
        """
        with self.database.writing() as connection:
            self.keys.renew_within(connection, within_s)
            # the row first: deposits that hold it are waited for, and are then found among the records
            self.keys.drop(connection, relationship)
            gone = [row for row, _ in rows.of_relationship(connection, relationship)]
            rows.delete_records(connection, gone)
            rows.delete_slots_of(connection, relationship)
        self._after_erasing(within_s)
        return len(gone)

    def erase_record(self, record_id: bytes, *, version: int | None = None, within_s: int = 0) -> int:
        """Destroy one record, or one version of it, and renew its relationship's key; returns how many versions.

        Args:
            version: None means every version.
            within_s: as for `erase_relationship`.
        """
        with self.database.writing() as connection:
            self.keys.renew_within(connection, within_s)
            found = [row for row, _ in rows.of_record(connection, record_id)]
            gone = [row for row in found if version in (None, row.version)]
            rows.delete_records(connection, gone)
            for relationship in sorted({row.relationship for row in gone}):
                self._renew_key(connection, relationship)
        self._after_erasing(within_s)
        return len(gone)

    def discard(self, versions: Sequence[RecordKey]) -> None:
        """Remove record versions that came to nothing, before anybody was told of them; unknown ones are passed over.

        Their relationship's key stays as it is, so this is no erasure.
        """
        with self.database.writing() as connection:
            rows.delete_records(connection, [each.row for each in rows.find_locked(connection, versions)])

    def renew_root(self) -> Renewal:
        """Wrap every relationship key under a new root and destroy the old one.

        From here on no key table copied before opens anything: back the key table up at once (see `key_backup`).
        """
        with self.database.writing() as connection:
            renewal = self.keys.renew_root(connection)
        self._finish_renewal()
        return renewal

    def renew_root_if_due(self) -> Renewal | None:
        """To be called now and then: finish what is half done, renew when the time has come; None when it has not."""
        self._finish_renewal()
        with self.database.reading() as connection:
            due = self.keys.is_renewal_due(connection)
        return self.renew_root() if due else None

    def orphans(self, before_s: int) -> list[Orphan]:
        """The oldest record versions, at most 1000, staged before a time (Unix seconds) and never registered."""
        with self.database.reading() as connection:
            waiting = rows.staged_before(connection, before_s, ORPHANS_MAX)
        return [Orphan(row.relationship, row.record_id, row.version, row.staged_at_s) for row in waiting]

    def sweep(self, before_s: int = 0) -> int:
        """Delete objects that were erased, and those of deposits begun before a time and cut off; returns how many.

        What an erasure left in the database's log goes, too, where somebody was reading then.

        Args:
            before_s: Unix seconds; a deposit that is still being written and began earlier counts as cut off and
                fails, so leave large ones their hours. 0 deletes what was erased and nothing else.
        """
        swept = 0
        while True:
            with self.database.writing() as connection:
                names = rows.claim_pending(connection, max(before_s, FIRST_SECOND))
            if not names:
                self.database.forget()
                return swept
            swept += delete_claimed(self.database, self.objects, names)

    def _find(self, record_id: bytes, version: int) -> Unlocked:
        return self._find_all([(record_id, version)], with_small=True)[0]

    def _find_some(self, versions: Sequence[RecordKey], *, with_small: bool = False) -> list[Unlocked]:
        with self.database.reading() as connection:
            return self._unlock(connection, rows.find_locked(connection, versions, with_small=with_small))

    def _find_all(self, versions: Sequence[RecordKey], *, with_small: bool = False) -> list[Unlocked]:
        found = {each.row.key: each for each in self._find_some(versions, with_small=with_small)}
        missing = next((key for key in versions if key not in found), None)
        if missing is not None:
            raise NoSuchRecord(f"record {missing[0].hex()} version {missing[1]} is not stored here, or was erased")
        return [found[key] for key in versions]

    def _unlock(self, connection: Connection, locked: Sequence[Locked]) -> list[Unlocked]:
        keys = self.keys.unwrapped(connection, {each.key.relationship: each.key for each in locked if each.key})
        return [unlock((each.row, each.slot), keys.get(each.row.relationship), sealed=each.sealed) for each in locked]

    def _renew_key(self, connection: Connection, relationship: bytes) -> None:
        try:
            old, new = self.keys.renew_key(connection, relationship)
        except (NoSuchRelationship, Damaged):
            return  # then its other records did not open before either, and there is nothing to wrap again
        rows.replace_slots(connection, rewrapped_slots(rows.slots_of(connection, relationship), old, new))

    def _after_erasing(self, within_s: int) -> None:
        if within_s == 0:
            self.renew_root()
        self.sweep()

    def _finish_renewal(self) -> None:
        if self.keys.roots.settled():
            return
        if self._key_backup is not None:
            export_keys(self.database, self._key_backup)
        with self.database.writing() as connection:
            self.keys.settle(connection)

    def _opened(self, found: Unlocked) -> Iterator[bytes]:
        try:
            if found.sealed is not None:  # a small one, of one segment
                check_segment(found.row, 0, found.sealed)
                yield open_sealed(found.data_key, found.sealed, found.row.associated)
                return
            segments = self.reading.segments(found.row)
            yield from open_stream(found.data_key, segments, found.row.associated)
        except SealBroken as error:
            raise Damaged("object", str(error)).of_record(*found.row.key) from error


def _record(found: Unlocked) -> Record:
    row = found.row
    return Record(
        relationship=row.relationship,
        record_id=row.record_id,
        version=row.version,
        associated=row.associated,
        sealed_root=row.sealed_root,
        content_root=row.content_root,
        content_salt=found.content_salt,
        size_bytes=row.size_bytes,
        segment_count=row.segment_count,
        metadata=found.metadata,
        registered=bool(row.registered),
        staged_at_s=row.staged_at_s,
    )
