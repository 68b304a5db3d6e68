"""Looking at everything the vault holds: what was changed, lost, or stands for nothing.

Promises: every stored byte that an opening depends on is checked, and what is wrong is named; changes nothing.
Works page by page beside the vault's normal use, and looks twice before it says that something is missing.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from salus.crypto.commitments import ContentRoot
from salus.crypto.merkle import root
from salus.crypto.sealing import SealBroken, open_stream
from salus.vault import rows
from salus.vault.deposits import Unlocked, unlock
from salus.vault.drivers.sql import SqlRows
from salus.vault.errors import Damaged, KeyFilesDisagree, Missing, NoSuchRecord, RootGone
from salus.vault.keys import KeyRow, key_pages, present_epoch
from salus.vault.reading import check_segment
from salus.vault.rows import Place, RecordRow, Stored
from salus.vault.vault import Vault

# Sealed objects of one page are read between two looks at the database.
_PAGE_ROWS: Final = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; `record_id` is empty where no record is concerned."""

    part: str
    words: str
    record_id: bytes = b""
    version: int = 0

    def __str__(self) -> str:
        where = f"record {self.record_id.hex()} version {self.version}: " if self.record_id else ""
        return f"{where}{self.part}: {self.words}"


def fsck(vault: Vault) -> Iterator[Finding]:
    """Check the root, every key, every record with its bytes, and that nothing else lies about.

    Raises:
        Unavailable: the database or the object store cannot be read; nothing is known then.
    """
    yield from _root_findings(vault)
    yield from _key_findings(vault)
    yield from _record_findings(vault)
    yield from _slots_without_records(vault)
    yield from _objects_without_records(vault)


def _root_findings(vault: Vault) -> Iterator[Finding]:
    try:
        with vault.database.reading() as connection:
            now = present_epoch(connection)
        vault.keys.roots.find(now.generation, now.root_check)
    except (RootGone, KeyFilesDisagree, Damaged) as error:
        yield Finding("epoch root", str(error))


def _key_findings(vault: Vault) -> Iterator[Finding]:
    with vault.database.snapshot() as connection:
        for page in key_pages(connection):
            yield from (Finding(*fault) for row in page if (fault := _key_fault(vault, connection, row)))


def _key_fault(vault: Vault, connection: Connection, row: KeyRow) -> tuple[str, str] | None:
    try:
        row.unwrap(vault.keys.root(connection))
    except Damaged as error:
        return error.part, error.words
    except (RootGone, KeyFilesDisagree):
        return None  # said once, of the root
    return None


@dataclass(frozen=True, slots=True)
class _Page:
    """Some records with what is needed to open them, all of one moment; `keys` is None while there is no root."""

    stored: list[Stored]
    keys: dict[bytes, bytes] | None
    small: dict[str, bytes]


def _record_findings(vault: Vault) -> Iterator[Finding]:
    after: rows.RecordKey = (b"", 0)
    while (page := _page_after(vault, after)).stored:
        for stored in page.stored:
            yield from _shape_findings(stored[0])
            yield from _content_findings(vault, page, stored)
        after = page.stored[-1][0].key


def _page_after(vault: Vault, after: rows.RecordKey) -> _Page:
    with vault.database.snapshot() as connection:
        stored = rows.page_after(connection, after, limit=_PAGE_ROWS)
        small = [row.object_name for row, _ in stored if row.place == Place.ROW]
        keys = _keys_that_open(vault, connection, {row.relationship for row, _ in stored})
        return _Page(stored, keys, SqlRows(connection).read_all(small))


def _keys_that_open(vault: Vault, connection: Connection, relationships: set[bytes]) -> dict[bytes, bytes] | None:
    keys: dict[bytes, bytes] = {}
    for relationship in relationships:
        try:
            keys |= vault.keys.keys_for_reading(connection, [relationship])
        except Damaged:
            continue  # said of the key
        except (RootGone, KeyFilesDisagree):
            return None  # said of the root
    return keys


def _shape_findings(row: RecordRow) -> Iterator[Finding]:
    leaves = row.leaf_hashes
    if root(leaves) != row.sealed_root or len(leaves) != row.segment_count:
        yield Finding("row", "the hashes of the segments do not lead to the sealed root", *row.key)
    if row.registered not in (0, 1) or row.staged_at_s < 0:
        yield Finding("row", f"registered {row.registered}, staged at {row.staged_at_s} is nonsense", *row.key)


def _content_findings(vault: Vault, page: _Page, stored: Stored) -> Iterator[Finding]:
    row, found = stored[0], None
    try:
        if page.keys is not None:
            found = unlock(stored, page.keys.get(row.relationship))
    except Damaged as error:
        yield Finding(error.part, error.words, *row.key)
    try:
        _check_object(vault, page, row, found)
    except NoSuchRecord:
        return  # erased while we were looking
    except Damaged as error:
        yield Finding(error.part, error.words, *row.key)


def _check_object(vault: Vault, page: _Page, row: RecordRow, found: Unlocked | None) -> None:
    if row.place == Place.ROW:
        sealed = page.small.get(row.object_name)
        size_bytes, segments = -1 if sealed is None else len(sealed), _small_segment(row, sealed)
    else:
        size_bytes, segments = vault.reading.size(row), vault.reading.segments(row)
    # surplus bytes behind the last segment would be read by nobody, and found by nobody but us
    if size_bytes >= 0 and size_bytes != row.sealed_size_bytes:
        raise Damaged("object", f"should have {row.sealed_size_bytes} bytes, has {size_bytes}")
    if found is None:
        for _ in segments:
            pass
    else:
        _check_content(found, segments)


def _small_segment(row: RecordRow, sealed: bytes | None) -> Iterator[bytes]:
    if sealed is None:
        raise Damaged("object", "missing")
    check_segment(row, 0, sealed)
    yield sealed


def _check_content(found: Unlocked, segments: Iterator[bytes]) -> None:
    content = ContentRoot(found.content_salt)
    try:
        for piece in open_stream(found.data_key, segments, found.row.associated):
            content.add(piece)
    except SealBroken as error:
        raise Damaged("object", str(error)) from error
    if content.root() != found.row.content_root:
        raise Damaged("content", "does not lead to the content root")


def _in_pages(names: Iterable[str]) -> Iterator[list[str]]:
    source = iter(names)
    while page := list(itertools.islice(source, _PAGE_ROWS)):
        yield page


def _slots_without_records(vault: Vault) -> Iterator[Finding]:
    with vault.database.reading() as connection:
        strays = rows.slots_without_records(connection)
    yield from (Finding("slot", "there is no record for it: restore the data, or erase it", *key) for key in strays)


def _objects_without_records(vault: Vault) -> Iterator[Finding]:
    with vault.database.snapshot() as connection:
        small = SqlRows(connection)
        for page in _in_pages(small.names()):
            known = rows.names_of_records(connection, page, Place.ROW)
            yield from (Finding("small object", f"{name} belongs to no record") for name in page if name not in known)
    for page in _in_pages(vault.objects.names()):
        with vault.database.reading() as connection:
            known = rows.names_of_records(connection, page, Place.OBJECT) | rows.names_pending(connection, page)
        for name in page:
            if name not in known and _is_still_there(vault, name):
                yield Finding("object", f"{name} belongs to no record")


def _is_still_there(vault: Vault, name: str) -> bool:
    try:
        vault.objects.size(name)
    except Missing:
        return False
    return True
