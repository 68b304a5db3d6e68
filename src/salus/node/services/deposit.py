"""Deposit: records in, sealed, committed to, registered in one batch (hop map in DESIGN §3).

A deposit is acknowledged when it is durable in the vault, readable here at once and by others after the commit. The
same bytes again are the same record; changed bytes of the same source are its next version.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import BindParameter, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from salus.clinical.fhir.resources import Resource
from salus.clinical.fhir.subjects import SHARED
from salus.contracts import record_metadata, records
from salus.contracts.records import RegisterBatch
from salus.crypto.sealing import new_key
from salus.ledger.encoding import decoder, encode
from salus.ledger.entries import PADDING_BYTES, Entry, PlacedEntry, batch_size, entry_hash, place_entries
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, Pseudonym, RecordId
from salus.node import documents, schema
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.new_records import NewRecord, new_record
from salus.node.projections import search_index
from salus.node.projections.resources import DIRECTORY, NewVersion, name_of
from salus.node.services.enrol import record_secrets
from salus.vault.deposits import Deposit, Deposited
from salus.vault.errors import NoSuchRecord, RecordExists
from salus.vault.rows import RecordKey
from salus.vault.vault import Record

PLACED = decoder(PlacedEntry)
METADATA = decoder(CommittedFields)
RECORDS_ASKED = 500
"""How many record ids one statement names: databases bound it."""
STAGINGS_MAX = 5
BATCHES_TOGETHER = 128
"""How many registrations share one transaction, and so one signature."""

StoredVersion = tuple[Deposited | Record, CommittedFields]
"""A record version in the vault, and its metadata."""
Stored = Mapping[Pseudonym, Sequence[StoredVersion]]

# Built once: SQLAlchemy takes longer to put a statement together than SQLite takes to answer it.
_PLACED_OF = (
    select(schema.entries.c.placed)
    .where(schema.entries.c.pseudonym == bindparam("pseudonym"))
    .order_by(schema.entries.c.record_id, schema.entries.c.version)
)
_RECORD_IDS: BindParameter[bytes] = bindparam("record_ids", expanding=True)
_PLACED_VERSIONS = select(schema.entries.c.record_id, schema.entries.c.version, schema.entries.c.placed).where(
    (schema.entries.c.pseudonym == bindparam("pseudonym")) & schema.entries.c.record_id.in_(_RECORD_IDS)
)
_PLACED_VERSION = select(schema.entries.c.placed).where(
    (schema.entries.c.pseudonym == bindparam("pseudonym"))
    & (schema.entries.c.record_id == bindparam("record_id"))
    & (schema.entries.c.version == bindparam("version"))
)
_ROOTS: BindParameter[bytes] = bindparam("roots", expanding=True)
_MARK_COMMITTED = (
    update(schema.batches)
    .values(committed=1)
    .where(schema.batches.c.pseudonym == bindparam("of"), schema.batches.c.batch_root == bindparam("root"))
)
_VERSIONS = select(schema.entries.c.record_id, schema.entries.c.version).where(schema.entries.c.batch_root.in_(_ROOTS))


@dataclass(frozen=True)
class Batch:
    """A batch of one pseudonym: its root and the size of its tree."""

    pseudonym: Pseudonym
    root: Digest
    size: int


@dataclass(frozen=True)
class Filed:
    """What became of one deposited resource; `is_new` is false when the same bytes were here before."""

    record: RecordId
    version: int
    is_new: bool


@dataclass(frozen=True)
class ChartDeposit:
    """Records of one person, to be deposited under their pseudonym; under DIRECTORY those that are about nobody."""

    pseudonym: Pseudonym
    records: Sequence[NewRecord]


def deposit(node: Node, pseudonym: Pseudonym, resources: Sequence[Resource]) -> list[Filed]:
    """Deposit resources of one person; see `deposit_charts`."""
    return deposit_charts(node, [ChartDeposit(pseudonym, [new_record(each) for each in resources])])[0]


def deposit_charts(node: Node, charts: Sequence[ChartDeposit], *, marks: bool = True) -> list[list[Filed]]:
    """Deposit records of several people, each one's new ones as one batch, and register them.

    1. Find each one's record and version.
    2. Seal them into the vault, all or none, durably: from here on the deposit is acknowledged.
    3. Place what is new in batches, one for each person, and commit them.

    Args:
        marks: whether it is noted at once which batches the ledger has; else `mark_committed` does, later.

    Raises:
        Refused: a relationship is unknown, VERSION_UNFIT, or the ledger says no.
        NotNow: the ledger is away; the records are staged, and `redrive` registers them. Or other workers are
            depositing the same records all the time; nothing was stored.
    """
    deposits, unique, answers = _stage(node, charts)
    new: dict[Pseudonym, list[tuple[Deposited, CommittedFields]]] = {}
    for key, answer in answers.items():
        if answer.is_new:
            metadata = METADATA.decode(unique[key].metadata)
            new.setdefault(_owner(node, unique[key]), []).append((answer, metadata))
    bodies = {key: unique[key].content for key, answer in answers.items() if answer.is_new}
    _list_in_directory(node, new.pop(DIRECTORY, []), bodies)
    register(node, new, bodies, marks=marks)  # 3
    return [[_filed(answers[each.key]) for each in of_chart] for of_chart in deposits]


def _owner(node: Node, deposit: Deposit) -> Pseudonym:
    is_nobodys = deposit.relationship == documents.directory_relationship(node.chain)
    return DIRECTORY if is_nobodys else Pseudonym(deposit.relationship)


def _list_in_directory(node: Node, stored: Sequence[StoredVersion], bodies: Mapping[RecordKey, object]) -> None:
    """Index resources about nobody; the ledger hears nothing of them."""
    if stored and node.has_index:
        with node.vault.database.writing() as connection:
            search_index.take_in(connection, node, _new_versions(node, {DIRECTORY: stored}, bodies))


def _stage(
    node: Node, charts: Sequence[ChartDeposit]
) -> tuple[list[list[Deposit]], dict[RecordKey, Deposit], dict[RecordKey, Deposited]]:
    """Find versions and seal; once more when another worker took the next version of a record meanwhile."""
    for _ in range(STAGINGS_MAX):
        deposits = _deposits(node, charts)  # 1
        unique = {each.key: each for of_chart in deposits for each in of_chart}
        try:
            answers = node.vault.deposit_many(list(unique.values()))  # 2
        except RecordExists:
            continue
        return deposits, unique, dict(zip(unique, answers, strict=True))
    raise NotNow("other workers are depositing the same records: send them again")


def register(
    node: Node, stored: Stored, bodies: Mapping[RecordKey, object] = MappingProxyType({}), *, marks: bool = True
) -> None:
    """Place staged record versions in one batch for each pseudonym, keep the paths, and commit the batches.

    An earlier version that is staged still comes along, so that what supersedes it says so. What another worker has
    placed is not placed again; its batch is committed if it is not yet.

    Args:
        bodies: contents that are at hand; others are opened where the index needs them; marks: as `deposit_charts`.
    """
    before = _entries_before(node, stored)
    stored = {pseudonym: [*_staged_before(node, rows, before), *rows] for pseudonym, rows in stored.items()}
    known: dict[RecordKey, Batch] = {}
    fresh = _new_versions(node, stored, bodies) if node.has_index else []
    while not _keep_placed(node, placed := _placed(stored, before, known), fresh):
        known, before = _known(node, stored), _entries_before(node, stored)
    new = [Batch(pseudonym, rows[0].batch_root, rows[0].batch_size) for pseudonym, rows in placed.items()]
    commit_batches(node, [*new, *set(known.values())], marks=marks)


def commit_batches(node: Node, batches: Sequence[Batch], *, marks: bool = True) -> None:
    """Commit kept batches that the ledger does not have yet, many in a transaction; mark as `deposit_charts` does.

    Raises:
        Refused: the ledger says no to one; the others are committed and marked all the same.
        NotNow: the ledger is away.
    """
    refusals: list[Refused] = []
    there, unknown = _divide(node, batches)
    for start in range(0, len(unknown), BATCHES_TOGETHER):
        refusals += _commit_together(node, unknown[start : start + BATCHES_TOGETHER])
    if marks:
        _mark(node, _divide(node, batches)[0] if unknown else there)
    if refusals:
        raise refusals[0]


def _divide(node: Node, batches: Sequence[Batch]) -> tuple[list[Batch], list[Batch]]:
    """Those that the ledger has, and the others."""
    with node.engine.snapshot() as reader:
        has = [records.batch(reader, each.pseudonym, each.root) is not None for each in batches]
    return (
        [each for each, is_there in zip(batches, has, strict=True) if is_there],
        [each for each, is_there in zip(batches, has, strict=True) if not is_there],
    )


def _commit_together(node: Node, batches: Sequence[Batch]) -> list[Refused]:
    """Commit batches in one transaction or, if one of them is at fault, each by itself; return what was refused."""
    messages = [
        RegisterBatch(pseudonym=each.pseudonym, custodian=node.organisation, root=each.root, size=each.size)
        for each in batches
    ]
    try:
        node.submit(*messages)
    except Refused as refused:
        if len(messages) == 1:
            return [refused]
        return [each for batch in batches for each in _commit_together(node, [batch])]
    return []


def _mark(node: Node, batches: Sequence[Batch]) -> None:
    if not batches:
        return
    with node.vault.database.writing() as connection:
        connection.execute(_MARK_COMMITTED, [{"of": each.pseudonym, "root": each.root} for each in batches])
        versions = connection.execute(_VERSIONS, {"roots": [each.root for each in batches]}).all()
        node.vault.register([(record, version) for record, version in versions], connection)


def mark_committed(node: Node) -> int:
    """Note of kept batches that the ledger has them, and of their records; return of how many."""
    there, _ = _divide(node, _uncommitted(node, node.clock() + 1))
    for start in range(0, len(there), RECORDS_ASKED):
        _mark(node, there[start : start + RECORDS_ASKED])
    return len(there)


def redrive(node: Node, *, age_s: int = 0) -> int:
    """Finish what a crash or an absent ledger left: batch staged records, commit kept batches; return how many.

    Args:
        age_s: what is younger is left to the worker that is at it; 0 finishes everything.

    Raises:
        Refused: the ledger says no to some of it; all else is finished.
        NotNow: the ledger is away.
    """
    before_s = node.clock() + 1 - age_s
    mark_committed(node)
    waiting = _uncommitted(node, before_s)
    staged: dict[Pseudonym, Sequence[StoredVersion]] = {}
    for orphan in node.vault.orphans(before_s):
        record = node.vault.record(orphan.record_id, orphan.version)
        pseudonym = Pseudonym(orphan.relationship)
        staged[pseudonym] = [*staged.get(pseudonym, ()), (record, METADATA.decode(record.metadata))]
    try:
        commit_batches(node, waiting)
    finally:
        register(node, staged)
    return len(waiting) + len(staged)


def _uncommitted(node: Node, before_s: int) -> list[Batch]:
    """Batches kept before a time of which it is not noted that the ledger has them."""
    these = (schema.batches.c.committed == 0) & (schema.batches.c.kept_at_s < before_s)
    with node.vault.database.reading() as connection:
        rows = connection.execute(select(schema.batches).where(these)).all()
    return [Batch(Pseudonym(row.pseudonym), Digest(row.batch_root), row.size) for row in rows]


def placed_entries(node: Node, pseudonym: Pseudonym) -> list[PlacedEntry]:
    """Return the index entries of a relationship with their paths, ordered by record and version."""
    with node.vault.database.reading() as connection:
        rows = connection.scalars(_PLACED_OF, {"pseudonym": pseudonym}).all()
    return [PLACED.decode(row) for row in rows]


def placed_versions(node: Node, pseudonym: Pseudonym, versions: Sequence[RecordKey]) -> list[PlacedEntry]:
    """Return the index entries of record versions of a relationship, in the order asked for; unknown ones left out."""
    found = {}
    with node.vault.database.reading() as connection:
        if len(versions) == 1:  # as in vault/rows: a list is written into the statement anew each time
            ((record_id, version),) = versions
            one = {"pseudonym": pseudonym, "record_id": record_id, "version": version}
            return [PLACED.decode(each) for each in connection.scalars(_PLACED_VERSION, one)]
        for record_ids in _in_parts(sorted({record for record, _ in versions})):
            for row in connection.execute(_PLACED_VERSIONS, {"pseudonym": pseudonym, "record_ids": record_ids}):
                found[row.record_id, row.version] = row.placed
    return [PLACED.decode(found[key]) for key in versions if key in found]


def _placed(
    stored: Stored,
    before: Mapping[RecordKey, PlacedEntry],
    known: Mapping[RecordKey, Batch],
) -> dict[Pseudonym, list[PlacedEntry]]:
    """The entries of what is not placed yet, those of one pseudonym in one batch."""
    entries = {pseudonym: _entries(rows, before, known) for pseudonym, rows in stored.items()}
    return {pseudonym: _place(list(rows.values())) for pseudonym, rows in entries.items() if rows}


def _entries(
    stored: Sequence[StoredVersion],
    before: Mapping[RecordKey, PlacedEntry],
    known: Mapping[RecordKey, Batch],
) -> dict[RecordKey, Entry]:
    entries: dict[RecordKey, Entry] = {}
    for each, metadata in stored:
        if _key(each) not in known:
            earlier = (each.record_id, each.version - 1)
            placed = before.get(earlier)
            entries[_key(each)] = _entry(each, metadata, placed.entry if placed else entries.get(earlier))
    return entries


def _place(entries: Sequence[Entry]) -> list[PlacedEntry]:
    padding = [secrets.token_bytes(PADDING_BYTES) for _ in range(batch_size(len(entries)) - len(entries))]
    return place_entries(entries, padding=padding)


def _known(node: Node, stored: Stored) -> dict[RecordKey, Batch]:
    """The batches of those that have been placed."""
    wanted = {_key(each) for rows in stored.values() for each, _ in rows}
    columns = schema.entries.c
    both = select(columns.record_id, columns.version, schema.batches).join(
        schema.batches,
        (columns.pseudonym == schema.batches.c.pseudonym) & (columns.batch_root == schema.batches.c.batch_root),
    )
    found = {}
    with node.vault.database.reading() as connection:
        for record_ids in _in_parts(sorted({record for record, _ in wanted})):
            for row in connection.execute(both.where(columns.record_id.in_(record_ids))):
                if (row.record_id, row.version) in wanted:
                    batch = Batch(Pseudonym(row.pseudonym), Digest(row.batch_root), row.size)
                    found[row.record_id, row.version] = batch
    return found


def _in_parts(record_ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (record_ids[start : start + RECORDS_ASKED] for start in range(0, len(record_ids), RECORDS_ASKED))


def _key(stored: Deposited | Record) -> RecordKey:
    return stored.record_id, stored.version


def _new_versions(node: Node, stored: Stored, bodies: Mapping[RecordKey, object]) -> list[NewVersion]:
    """What the search index takes in of these record versions."""
    versions = []
    for pseudonym, rows in stored.items():
        for each, metadata in rows:
            body = bodies[_key(each)] if _key(each) in bodies else b"".join(node.vault.open(*_key(each)))
            assert isinstance(body, bytes), "a record is deposited whole"
            name = name_of(metadata)
            if pseudonym and name.partition("/")[0] in SHARED:
                continue  # an organisation or a colleague in a chart: whoever reads the chart needs it, nobody finds it
            versions.append(NewVersion(RecordId(each.record_id), each.version, pseudonym, name, each.staged_at_s, body))
    return versions


def _keep_placed(node: Node, placed: Mapping[Pseudonym, Sequence[PlacedEntry]], fresh: Sequence[NewVersion]) -> bool:
    """Keep batches and entries, all or none, with the index; False when another worker has placed one of them."""
    if not placed:
        return True
    now_s = node.clock()
    batches = [
        {
            "pseudonym": pseudonym,
            "batch_root": rows[0].batch_root,
            "size": rows[0].batch_size,
            "committed": 0,
            "kept_at_s": now_s,
        }
        for pseudonym, rows in placed.items()
    ]
    entries = [
        {
            "record_id": each.entry.record,
            "version": each.entry.version,
            "pseudonym": pseudonym,
            "batch_root": each.batch_root,
            "placed": encode(each),
        }
        for pseudonym, rows in placed.items()
        for each in rows
    ]
    try:
        with node.vault.database.writing() as connection:
            connection.execute(insert(schema.batches), batches)
            connection.execute(insert(schema.entries), entries)
            keys = {(each.entry.record, each.entry.version) for rows in placed.values() for each in rows}
            search_index.take_in(connection, node, [each for each in fresh if each.key in keys])
    except IntegrityError:
        return False
    return True


def _entry(stored: Deposited | Record, metadata: CommittedFields, earlier: Entry | None) -> Entry:
    return Entry(
        record=RecordId(stored.record_id),
        version=stored.version,
        metadata_root=metadata.root(),
        content_root=Digest(stored.content_root),
        sealed_root=Digest(stored.sealed_root),
        supersedes=entry_hash(earlier) if earlier is not None else Digest(b""),
    )


def _staged_before(
    node: Node,
    rows: Sequence[StoredVersion],
    before: Mapping[RecordKey, PlacedEntry],
) -> list[StoredVersion]:
    """The versions before these that are in the vault and in no batch, the first ones first."""
    has = {_key(each) for each, _ in rows} | set(before)
    found: list[StoredVersion] = []
    for each, _ in rows:
        for version in range(each.version - 1, 0, -1):
            if (each.record_id, version) in has:
                break
            with suppress(NoSuchRecord):  # a version that was erased
                record = node.vault.record(each.record_id, version)
                found.append((record, METADATA.decode(record.metadata)))
                has.add(_key(record))
    return sorted(found, key=lambda earlier: _key(earlier[0]))


def _entries_before(node: Node, stored: Stored) -> dict[RecordKey, PlacedEntry]:
    """The placed entries of the versions before these, where there are any."""
    later = [each.record_id for rows in stored.values() for each, _ in rows if each.version > 1]
    if not later:
        return {}
    columns = schema.entries.c
    with node.vault.database.reading() as connection:
        rows = connection.execute(
            select(columns.record_id, columns.version, columns.placed).where(columns.record_id.in_(later))
        ).all()
    return {(row.record_id, row.version): PLACED.decode(row.placed) for row in rows}


def _deposits(node: Node, charts: Sequence[ChartDeposit]) -> list[list[Deposit]]:
    own = iter(record_secrets(node, [chart.pseudonym for chart in charts if chart.pseudonym]))
    secrets_of_charts = [next(own) if chart.pseudonym else node.keys.lookup for chart in charts]
    named = [
        [(record.record_id(secret), record) for record in chart.records]
        for chart, secret in zip(charts, secrets_of_charts, strict=True)
    ]
    newest = node.vault.newest_versions([record for of_chart in named for record, _ in of_chart])
    return [
        _deposits_of(node, chart.pseudonym, of_chart, newest) for chart, of_chart in zip(charts, named, strict=True)
    ]


def _deposits_of(
    node: Node, pseudonym: Pseudonym, named: Sequence[tuple[RecordId, NewRecord]], newest: Mapping[bytes, int]
) -> list[Deposit]:
    deposits = []
    last: dict[RecordId, Deposit] = {}
    for record, new in named:
        earlier = last.get(record)
        _require_after(new, earlier.version if earlier else newest.get(record, 0))
        if earlier is not None and earlier.content == new.body:
            deposits.append(earlier)
            continue
        version = earlier.version + 1 if earlier else _version(node, record, newest.get(record, 0), new.body)
        last[record] = _deposit(node, pseudonym, record, version, new)
        deposits.append(last[record])
    return deposits


def _require_after(new: NewRecord, newest: int) -> None:
    if new.after is not None and new.after != newest:
        words = f"expected version {new.after} as the newest of this record, it has {newest}: read it again"
        raise Refused(Refusal.VERSION_UNFIT, words)


def _version(node: Node, record: RecordId, newest: int, body: bytes) -> int:
    """The newest version if it has these bytes, else the one after it."""
    if newest and b"".join(node.vault.open(record, newest)) == body:
        return newest
    return newest + 1


def _deposit(node: Node, pseudonym: Pseudonym, record: RecordId, version: int, new: NewRecord) -> Deposit:
    kind = Kind.RECORD if pseudonym else Kind.DIRECTORY
    return Deposit(
        relationship=pseudonym or documents.directory_relationship(node.chain),
        record_id=record,
        version=version,
        associated=documents.associated(node.chain, kind, record, version),
        metadata=encode(record_metadata.commit_facts(new.facts, secret=new_key())),
        content=new.body,
        is_registered=kind is Kind.DIRECTORY,
    )


def _filed(answer: Deposited) -> Filed:
    return Filed(RecordId(answer.record_id), answer.version, answer.is_new)
