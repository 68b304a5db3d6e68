"""Deposit: records in, sealed, committed to, registered in one batch (hop map in DESIGN §3).

A deposit is acknowledged when it is durable in the vault, readable here at once and by others after the commit. The
same bytes again are the same record; changed bytes of the same source are its next version.
"""

import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from salus.clinical.fhir.resources import Resource
from salus.contracts import record_metadata, records
from salus.contracts.provisions import EARLIEST_S, LATEST_S
from salus.contracts.record_metadata import Facts
from salus.contracts.records import RegisterBatch
from salus.crypto.sealing import new_key
from salus.ledger.encoding import decoder, encode
from salus.ledger.entries import PADDING_BYTES, Entry, PlacedEntry, batch_size, entry_hash, place_entries
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, Pseudonym, RecordId
from salus.node import documents, schema
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.services.enrol import relationship_secret
from salus.vault.deposits import Deposit, Deposited
from salus.vault.errors import NoSuchRecord
from salus.vault.vault import Record

PLACED = decoder(PlacedEntry)
METADATA = decoder(CommittedFields)
TEXTS_MAX = 512


@dataclass(frozen=True)
class Filed:
    """What became of one deposited resource; `is_new` is false when the same bytes were here before."""

    record: RecordId
    version: int
    is_new: bool


def deposit(node: Node, pseudonym: Pseudonym, resources: Sequence[Resource]) -> list[Filed]:
    """Deposit resources of one person and register them.

    1. Find each one's record and version.
    2. Seal them into the vault, all or none, durably: from here on the deposit is acknowledged.
    3. Place what is new in a batch and commit it.

    Raises:
        Refused: the relationship is unknown, or the ledger says no.
        NotNow: the ledger is away; the records are staged, and `redrive` registers them.
    """
    secret = relationship_secret(node, pseudonym)
    deposits = [_deposit(node, pseudonym, secret, resource) for resource in resources]  # 1
    unique = {each.key: each for each in deposits}
    answers = dict(zip(unique, node.vault.deposit_many(list(unique.values())), strict=True))  # 2
    new = [answer for answer in answers.values() if answer.is_new]
    if new:
        register(node, pseudonym, [(answer.record_id, answer.version) for answer in new])  # 3
    return [_filed(answers[each.key]) for each in deposits]


def register(node: Node, pseudonym: Pseudonym, versions: Sequence[tuple[bytes, int]]) -> None:
    """Place staged record versions in one batch, keep the paths, and commit the batch."""
    entries = [_entry(node, node.vault.record(*version)) for version in versions]
    padding = [secrets.token_bytes(PADDING_BYTES) for _ in range(batch_size(len(entries)) - len(entries))]
    placed = place_entries(entries, padding=padding)
    _keep_placed(node, pseudonym, placed)
    commit_batch(node, pseudonym, placed[0].batch_root, placed[0].batch_size)


def commit_batch(node: Node, pseudonym: Pseudonym, root: Digest, size: int) -> None:
    """Commit a kept batch, unless the ledger has it, and mark its records as registered."""
    with node.engine.snapshot() as reader:
        is_known = records.batch(reader, pseudonym, root) is not None
    if not is_known:
        node.submit(RegisterBatch(pseudonym=pseudonym, custodian=node.organisation, root=root, size=size))
    with node.vault.database.writing() as connection:
        of_batch = (schema.batches.c.pseudonym == pseudonym) & (schema.batches.c.batch_root == root)
        connection.execute(update(schema.batches).where(of_batch).values(committed=1))
        versions = connection.execute(
            select(schema.entries.c.record_id, schema.entries.c.version).where(schema.entries.c.batch_root == root)
        ).all()
    node.vault.register([(record, version) for record, version in versions])


def redrive(node: Node) -> int:
    """Finish what a crash or an absent ledger left: commit kept batches, batch staged records; return how many."""
    with node.vault.database.reading() as connection:
        waiting = connection.execute(select(schema.batches).where(schema.batches.c.committed == 0)).all()
    for row in waiting:
        commit_batch(node, Pseudonym(row.pseudonym), Digest(row.batch_root), row.size)
    staged: dict[Pseudonym, list[tuple[bytes, int]]] = {}
    for orphan in node.vault.orphans(node.clock() + 1):
        if documents.kind_of(node.vault.record(orphan.record_id, orphan.version)) is Kind.RECORD:
            staged.setdefault(Pseudonym(orphan.relationship), []).append((orphan.record_id, orphan.version))
    for pseudonym, versions in staged.items():
        register(node, pseudonym, versions)
    return len(waiting) + len(staged)


def placed_entries(node: Node, pseudonym: Pseudonym) -> list[PlacedEntry]:
    """Return the index entries of a relationship with their paths, ordered by record and version."""
    columns = schema.entries.c
    with node.vault.database.reading() as connection:
        rows = connection.scalars(
            select(columns.placed).where(columns.pseudonym == pseudonym).order_by(columns.record_id, columns.version)
        ).all()
    return [PLACED.decode(row) for row in rows]


def _keep_placed(node: Node, pseudonym: Pseudonym, placed: Iterable[PlacedEntry]) -> None:
    rows = [
        {
            "record_id": each.entry.record,
            "version": each.entry.version,
            "pseudonym": pseudonym,
            "batch_root": each.batch_root,
            "placed": encode(each),
            "size": each.batch_size,
        }
        for each in placed
    ]
    with node.vault.database.writing() as connection:
        connection.execute(
            insert(schema.batches).values(
                pseudonym=pseudonym, batch_root=rows[0]["batch_root"], size=rows[0]["size"], committed=0
            )
        )
        connection.execute(insert(schema.entries), [{k: v for k, v in row.items() if k != "size"} for row in rows])


def _entry(node: Node, record: Record) -> Entry:
    metadata: CommittedFields = METADATA.decode(record.metadata)
    return Entry(
        record=RecordId(record.record_id),
        version=record.version,
        metadata_root=metadata.root(),
        content_root=Digest(record.content_root),
        sealed_root=Digest(record.sealed_root),
        supersedes=_before(node, record),
    )


def _before(node: Node, record: Record) -> Digest:
    if record.version == 1:
        return Digest(b"")
    columns = schema.entries.c
    with node.vault.database.reading() as connection:
        row = connection.scalar(
            select(columns.placed).where(
                (columns.record_id == record.record_id) & (columns.version == record.version - 1)
            )
        )
    if row is None:
        return Digest(b"")
    before: PlacedEntry = PLACED.decode(row)
    return entry_hash(before.entry)


def _deposit(node: Node, pseudonym: Pseudonym, secret: bytes, resource: Resource) -> Deposit:
    record = _record_id(secret, resource)
    version = _version(node, record, resource.body)
    facts = record_metadata.commit_facts(_facts(resource), secret=new_key())
    return Deposit(
        relationship=pseudonym,
        record_id=record,
        version=version,
        associated=documents.associated(node.chain, Kind.RECORD, record, version),
        metadata=encode(facts),
        content=resource.body,
    )


def _record_id(secret: bytes, resource: Resource) -> RecordId:
    """The same source resource is the same record; one without an id is named by its bytes."""
    source = f"{resource.type}/{resource.id}".encode() if resource.id else resource.body
    return RecordId(hmac.digest(secret, source, "sha256")[:16])


def _version(node: Node, record: RecordId, body: bytes) -> int:
    version = 0
    while True:
        try:
            newest = b"".join(node.vault.open(record, version + 1))
        except NoSuchRecord:
            return version + 1
        version += 1
        if newest == body:
            return version


def _facts(resource: Resource) -> Facts:
    metadata = resource.metadata
    return Facts(
        classes=(metadata.resource_type,),
        codes=metadata.codes[:TEXTS_MAX],
        labels=metadata.labels,
        period_from_s=EARLIEST_S if metadata.period_from_s is None else metadata.period_from_s,
        period_to_s=LATEST_S if metadata.period_to_s is None else metadata.period_to_s,
        title=metadata.title or "",
    )


def _filed(answer: Deposited) -> Filed:
    return Filed(RecordId(answer.record_id), answer.version, answer.is_new)
