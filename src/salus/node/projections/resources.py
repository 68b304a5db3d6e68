"""The FHIR resources that this node holds, by type and logical id: where each one's newest version is, and whose it is.

Folded from the vault's records when they are placed in the index; thrown away and built again at any time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select

from salus.contracts.record_metadata import classes_of, ids_of
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Pseudonym, RecordId
from salus.node import schema
from salus.node.assemble import Node
from salus.node.projections.search_rows import Keyed
from salus.vault.rows import RecordKey

DIRECTORY = Pseudonym(b"")
"""Stands for the relationship of a resource that is about no patient."""
LISTED_MAX = 500
"""How many values one statement names: databases bound it."""

_COLUMNS = schema.resources.c
_BY_ID = select(schema.resources).where(
    (_COLUMNS.logical_id == bindparam("logical_id")) & (_COLUMNS.type == bindparam("type"))
)
_INSERT = insert(schema.resources).returning(_COLUMNS.row, _COLUMNS.record_id, _COLUMNS.version)
_BY_RECORD = select(_COLUMNS.row, _COLUMNS.record_id, _COLUMNS.version).where(
    _COLUMNS.record_id.in_(bindparam("records", expanding=True))
)
VALUE_TABLES = (schema.tokens, schema.texts, schema.ranges)


@dataclass(frozen=True)
class Found:
    """A resource as the projection knows it; `pseudonym` is DIRECTORY where it is about no patient."""

    row: int
    record: RecordId
    version: int
    pseudonym: Pseudonym
    type: str
    logical_id: str
    updated_s: int
    is_deleted: bool

    @property
    def key(self) -> RecordKey:
        """(record id, version) in the vault."""
        return self.record, self.version


@dataclass(frozen=True)
class NewVersion:
    """A record version that was placed, to be folded in; `body` is empty where it says that the resource is gone."""

    record: RecordId
    version: int
    pseudonym: Pseudonym
    name: str
    updated_s: int
    body: bytes = field(repr=False)

    @property
    def key(self) -> RecordKey:
        """(record id, version) in the vault."""
        return self.record, self.version

    @property
    def type(self) -> str:
        """The FHIR type."""
        return self.name.partition("/")[0]

    @property
    def logical_id(self) -> str:
        """The id within the type; a record without one has its record id."""
        return self.name.partition("/")[2] or self.record.hex()


def name_of(metadata: CommittedFields) -> str:
    """Return `Type/id` of a record by its metadata; the type alone when its source gave it no id."""
    ids = ids_of(metadata)
    return ids[0].decode() if ids else classes_of(metadata)[0]


def find(node: Node, type_name: str, logical_id: str) -> Found | None:
    """Return a resource by type and id, deleted or not; None when this node never had it."""
    return next(iter(find_all(node, [(type_name, logical_id)])), None)


def find_all(node: Node, names: Iterable[tuple[str, str]]) -> list[Found]:
    """Return the resources of these types and ids that this node has, in this order."""
    with node.vault.database.reading() as connection:
        rows = [
            connection.execute(_BY_ID, {"type": type_name, "logical_id": logical_id}).first()
            for type_name, logical_id in names
        ]
    return [found(row) for row in rows if row is not None]


def find_records(node: Node, records: Sequence[RecordId]) -> dict[RecordId, Found]:
    """Return the resources of these records that this node has, by record."""
    rows: dict[RecordId, Found] = {}
    with node.vault.database.reading() as connection:
        for part in in_parts(records):
            for row in connection.execute(select(schema.resources).where(_COLUMNS.record_id.in_(part))):
                rows[RecordId(row.record_id)] = found(row)
    return rows


def patients_after(node: Node, pseudonym: bytes, limit: int) -> list[Pseudonym]:
    """Return the relationships that have, or had, a Patient here, in order, after one of them; empty begins."""
    these = (_COLUMNS.pseudonym > pseudonym) & (_COLUMNS.type == "Patient")
    in_order = select(_COLUMNS.pseudonym).where(these).distinct().order_by(_COLUMNS.pseudonym).limit(limit)
    with node.vault.database.reading() as connection:
        return [Pseudonym(each) for each in connection.scalars(in_order)]


def count_patients(node: Node) -> int:
    """Return how many relationships have, or had, a Patient here."""
    count = select(func.count(_COLUMNS.pseudonym.distinct())).where(_COLUMNS.type == "Patient")
    with node.vault.database.reading() as connection:
        return connection.scalar(count) or 0


def patient_id(node: Node, pseudonym: bytes) -> str:
    """Return the logical id of a relationship's Patient; empty for none."""
    patient = patient_of(node, pseudonym)
    return "" if patient is None else patient.logical_id


def patient_of(node: Node, pseudonym: bytes) -> Found | None:
    """Return a relationship's Patient, the newest where there are several; None for none."""
    this = (_COLUMNS.pseudonym == pseudonym) & (_COLUMNS.type == "Patient") & (_COLUMNS.deleted == 0)
    with node.vault.database.reading() as connection:
        row = connection.execute(select(schema.resources).where(this).order_by(_COLUMNS.row.desc()).limit(1)).first()
    return None if row is None else found(row)


def directory_of(node: Node, types: Sequence[str], beginning: str) -> list[tuple[str, str]]:
    """Return type and id of what the directory has of some types, by the beginning of their ids."""
    ours = (_COLUMNS.pseudonym == DIRECTORY) & _COLUMNS.type.in_(types) & (_COLUMNS.deleted == 0)
    these = select(_COLUMNS.type, _COLUMNS.logical_id).where(ours & _COLUMNS.logical_id.startswith(beginning))
    with node.vault.database.reading() as connection:
        return [(row.type, row.logical_id) for row in connection.execute(these)]


def names_of(node: Node, records: Iterable[bytes]) -> dict[bytes, str]:
    """Return `Type/id` of records, by their ids, as far as they are resources here."""
    wanted = _COLUMNS.record_id.in_(bindparam("records", expanding=True))
    with node.vault.database.reading() as connection:
        return {
            row.record_id: f"{row.type}/{row.logical_id}"
            for part in in_parts(sorted(records))
            for row in connection.execute(select(schema.resources).where(wanted), {"records": part})
        }


def fold(connection: Connection, keyed: Keyed, versions: Sequence[NewVersion]) -> dict[RecordKey, int]:
    """Take in new versions; return the row of each that is now the newest of its resource.

    What an older version was found by is forgotten.
    """
    newest = {each.record: each for each in sorted(versions, key=lambda each: each.version)}
    known = _known(connection, list(newest))
    stale = [row for record, (row, version) in known.items() if version < newest[record].version]
    fresh = [each for record, each in newest.items() if record not in known or known[record][1] < each.version]
    forget(connection, stale)
    if not fresh:
        return {}
    rows = connection.execute(_INSERT, [_row(each, keyed) for each in fresh])
    return {(RecordId(row.record_id), row.version): row.row for row in rows}


def forget(connection: Connection, rows: Sequence[int]) -> None:
    """Delete resources and all that they are found by."""
    for part in in_parts(rows):
        for table in VALUE_TABLES:
            connection.execute(delete(table).where(table.c.row.in_(part)))
        connection.execute(delete(schema.resources).where(_COLUMNS.row.in_(part)))


def forget_relationships(connection: Connection, pseudonyms: Sequence[Pseudonym]) -> None:
    """Delete everything of relationships that are being erased (P5)."""
    for part in in_parts(pseudonyms):
        forget(connection, connection.scalars(select(_COLUMNS.row).where(_COLUMNS.pseudonym.in_(part))).all())


def in_parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut what a statement names into parts that databases accept."""
    return (values[start : start + LISTED_MAX] for start in range(0, len(values), LISTED_MAX))


def found(row: Row[Any]) -> Found:
    """Return a row of the table as a value."""
    return Found(
        row=row.row,
        record=RecordId(row.record_id),
        version=row.version,
        pseudonym=Pseudonym(row.pseudonym),
        type=row.type,
        logical_id=row.logical_id,
        updated_s=row.updated_s,
        is_deleted=bool(row.deleted),
    )


def _known(connection: Connection, records: Sequence[RecordId]) -> dict[RecordId, tuple[int, int]]:
    known = {}
    for part in in_parts(records):
        for row in connection.execute(_BY_RECORD, {"records": part}):
            known[RecordId(row.record_id)] = (row.row, row.version)
    return known


def _row(version: NewVersion, keyed: Keyed) -> dict[str, Any]:
    return {
        "record_id": version.record,
        "version": version.version,
        "pseudonym": version.pseudonym,
        "type": version.type,
        "logical_id": version.logical_id,
        "reference": keyed.reference(version.type, version.logical_id),
        "updated_s": version.updated_s,
        "deleted": int(not version.body),
    }
