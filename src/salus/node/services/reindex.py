"""Reindex: make the search index from what is in the vault: of a node that gets one, or comes back from a backup."""

from collections.abc import Iterator

from salus.clinical.fhir.subjects import SHARED
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Pseudonym, RecordId
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.projections import search_index
from salus.node.projections.resources import DIRECTORY, NewVersion, name_of
from salus.node.services.deposit import METADATA
from salus.vault.vault import Record

INDEXED = (Kind.RECORD, Kind.DIRECTORY)


def reindex(node: Node) -> Iterator[int]:
    """Index every relationship's newest records that are not indexed yet; yield how many records each has.

    Raises:
        Unavailable, Damaged: as the vault says; what was indexed before stays.
    """
    assert node.has_index, "a node without a table [fhir] has no index"
    nobodys = documents.directory_relationship(node.chain)
    for relationship in node.vault.relationships():
        newest: dict[bytes, Record] = {}
        for record in node.vault.records(relationship):
            if documents.kind_of(record) in INDEXED:
                newest[record.record_id] = max(newest.get(record.record_id, record), record, key=lambda it: it.version)
        whose = DIRECTORY if relationship == nobodys else Pseudonym(relationship)
        versions = [found for each in newest.values() if (found := _version(node, whose, each)) is not None]
        with node.vault.database.writing() as connection:
            search_index.take_in(connection, node, versions, is_change=False)
        yield len(versions)


def _version(node: Node, whose: Pseudonym, record: Record) -> NewVersion | None:
    """What the index takes in of a record; None for an organisation or a colleague in a chart, whom nobody finds."""
    metadata: CommittedFields = METADATA.decode(record.metadata)
    name = name_of(metadata)
    if whose and name.partition("/")[0] in SHARED:
        return None
    body = b"".join(node.vault.open(record.record_id, record.version))
    return NewVersion(RecordId(record.record_id), record.version, whose, name, record.staged_at_s, body)
