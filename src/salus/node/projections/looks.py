"""Who asked for the records of this organisation's patients, and which officers looked, folded from the ledger (U2).

A row says nothing that the ledger does not say; who a person is, it has as a keyed hash, once that is known. So a long
history costs a few statements. Rows go with an erasure and are made again from the ledger: no backup has them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, Table, and_, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from salus.contracts import patients, records
from salus.contracts.access import AccessDenied, AccessPermitted, Basis, ReleasesCommitted
from salus.contracts.evidence import Event, decode_outcome, permit_of
from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.ledger.machine import read_leaf, read_meta
from salus.ledger.outcomes import Outcome, decode_leaf
from salus.ledger.state import Reader
from salus.node import schema
from salus.node.assemble import Node
from salus.node.projections import cursors

CURSOR: Final = "looks"
LEAVES_MAX: Final = 20_000
"""How many leaves are folded in one step, so that no read of the ledger stays open for long."""
_COLUMNS: Final = schema.looks.c
_PERSON: Final = func.coalesce(_COLUMNS.person, b"")
_LEARN: Final = (
    update(schema.looks)
    .where((_COLUMNS.pseudonym == bindparam("of")) & (_COLUMNS.number == bindparam("at")))
    .values(
        kind=bindparam("is_kind"),
        requester=bindparam("by"),
        person=bindparam("is_person"),
        is_helper=bindparam("helps"),
    )
)


class LookKind(IntEnum):
    """What an event is. Numbers are permanent: they are in the database."""

    ASKED = 1
    NOTED = 2
    """A match, or an officer's look: its note says which."""
    OFFICER = 3


class LookRow(msgspec.Struct, frozen=True):
    """One event of a patient's history.

    Args:
        number: its place in the log.
        requester: who asked; role_class, purpose, verb: as the ledger has them, 0 for a note.
        reason: why it was refused; 0 where it was not.
        name: the permit, by which its request is kept; of a note, its root.
        person: a keyed hash of whoever asked; empty for nobody known, None as long as nobody has looked.
    """

    pseudonym: bytes
    number: int
    at_s: int
    kind: int
    requester: str
    role_class: int
    purpose: int
    verb: int
    reason: int
    broke_glass: int
    name: bytes
    person: bytes | None = None
    is_helper: int = 0

    @property
    def is_patient_side(self) -> bool:
        """Whether the patient asked, or somebody who helps them."""
        return (self.role_class, self.purpose) == (RoleClass.PATIENT_SIDE, Purpose.PATRQT)

    @property
    def is_own(self) -> bool:
        """Whether the patient asked themself."""
        return self.is_patient_side and not self.is_helper


@dataclass(frozen=True)
class Wanted:
    """Which looks are wanted; a field that is empty, or 0, asks for nothing.

    Args:
        with_own: whether the patient's own are among them.
        person: a keyed hash; requester: an organisation's code.
        from_s, until_s: Unix seconds, the last not included; upto: a place of the log, included.
    """

    with_own: bool = False
    is_refused: bool = False
    is_emergency: bool = False
    person: bytes = b""
    requester: str = ""
    from_s: int = 0
    until_s: int = 0
    upto: int = 0

    def fits(self, row: LookRow) -> bool:
        """Whether a row is wanted."""
        return all(
            (
                self.with_own or not row.is_own,
                not self.is_refused or row.reason,
                not self.is_emergency or row.broke_glass,
                not self.person or row.person == self.person,
                not self.requester or row.requester == self.requester,
                row.at_s >= self.from_s,
                not self.until_s or row.at_s < self.until_s,
                not self.upto or row.number <= self.upto,
            )
        )

    def condition(self) -> ColumnElement[bool]:
        """The same as a condition on the table."""
        is_own = and_(
            _COLUMNS.role_class == RoleClass.PATIENT_SIDE,
            _COLUMNS.purpose == Purpose.PATRQT,
            _COLUMNS.is_helper == 0,
        )
        asked = [
            (not self.with_own, ~is_own),
            (self.is_refused, _COLUMNS.reason != 0),
            (self.is_emergency, _COLUMNS.broke_glass != 0),
            (self.person, _COLUMNS.person == self.person),
            (self.requester, _COLUMNS.requester == self.requester),
            (self.until_s, _COLUMNS.at_s < self.until_s),
            (self.upto, _COLUMNS.number <= self.upto),
        ]
        return and_(_COLUMNS.at_s >= self.from_s, *(condition for is_asked, condition in asked if is_asked))


@dataclass(frozen=True)
class Group:
    """Looks that one line says: the newest of them, and how many they are."""

    number: int
    count: int


def follow(node: Node) -> bool:
    """Take in what the ledger has that was not seen yet, a step of it; return whether that was all."""
    start = cursors.position(node, CURSOR)
    with node.engine.snapshot() as reader:
        meta = read_meta(reader)
        assert meta is not None, "a node reads a ledger that has begun"
        end = min(meta.log_size, start + LEAVES_MAX)
        if start == end:
            return True
        found = list(_found(node, reader, range(start, end)))
    # An erasure destroys rows after its tombstone: whoever writes after that sees the tombstone here.
    with node.vault.database.writing() as connection, node.engine.snapshot() as reader:
        erased = {each for each in {row.pseudonym for row in found} if records.is_erased(reader, Pseudonym(each))}
        kept = [msgspec.structs.asdict(each) for each in found if each.pseudonym not in erased]
        _insert(connection, schema.looks, kept)
        _insert(connection, schema.cursors, [{"name": CURSOR, "position": 0}])
        cursors.move(connection, CURSOR, end)
    return end == meta.log_size


def groups_of(node: Node, pseudonym: bytes, wanted: Wanted, *, hours: int) -> list[Group]:
    """Return a patient's looks in groups, the newest first: one person's within some hours, for one reason."""
    same = (_COLUMNS.at_s // (hours * 3600), *_same(_COLUMNS, _PERSON))
    newest = func.max(_COLUMNS.number)
    grouped = select(newest, func.count()).where(_shown(pseudonym), wanted.condition()).group_by(*same)
    with node.vault.database.reading() as connection:
        return [Group(*row) for row in connection.execute(grouped.order_by(newest.desc())).all()]


def groups_in(rows: Iterable[LookRow], wanted: Wanted, *, hours: int) -> list[Group]:
    """Return rows that are in no table in the same groups."""
    keys: Counter[tuple[object, ...]] = Counter()
    newest: dict[tuple[object, ...], int] = {}
    for each in rows:
        if wanted.fits(each):
            key = _line(each, hours)
            keys[key] += 1
            newest[key] = max(newest.get(key, 0), each.number)
    return [Group(newest[key], count) for key, count in keys.items()]


def beside(node: Node, row: LookRow, *, hours: int) -> list[int]:
    """Return the places of all looks of one line, that of one of them among them, the newest first."""
    line = zip((_COLUMNS.at_s // (hours * 3600), *_same(_COLUMNS, _PERSON)), _line(row, hours), strict=True)
    wanted = select(_COLUMNS.number).where(_shown(row.pseudonym), *(column == value for column, value in line))
    with node.vault.database.reading() as connection:
        return list(connection.scalars(wanted.order_by(_COLUMNS.number.desc())).all())


def beside_in(rows: Iterable[LookRow], row: LookRow, *, hours: int) -> list[int]:
    """Return the same of rows that are in no table."""
    return sorted((each.number for each in rows if _line(each, hours) == _line(row, hours)), reverse=True)


def rows_of(node: Node, pseudonym: bytes, numbers: Sequence[int]) -> list[LookRow]:
    """Return some rows of a patient."""
    return _rows(node, select(schema.looks).where(_shown(pseudonym) & _COLUMNS.number.in_(numbers)))


def newest_of_each(node: Node, pseudonym: bytes, *, most: int) -> list[LookRow]:
    """Return the newest row of each person who is known, of those who looked last."""
    newest = func.max(_COLUMNS.number)
    known = _shown(pseudonym) & (_PERSON != b"")
    each = select(newest).where(known).group_by(_COLUMNS.person).order_by(newest.desc()).limit(most)
    return _rows(node, select(schema.looks).where(_shown(pseudonym) & _COLUMNS.number.in_(each)))


def requesters_of(node: Node, pseudonym: bytes) -> list[str]:
    """Return whose people looked."""
    with node.vault.database.reading() as connection:
        return list(connection.scalars(select(_COLUMNS.requester).where(_shown(pseudonym)).distinct()).all())


def newest_number_of(node: Node, pseudonym: bytes) -> int:
    """Return the place of the newest look; 0 for none."""
    with node.vault.database.reading() as connection:
        return connection.scalar(select(func.max(_COLUMNS.number)).where(_shown(pseudonym))) or 0


def unknown(node: Node, *, since_s: int, most: int) -> list[LookRow]:
    """Return the newest rows of which nobody has looked who it was."""
    return _unknown(node, _COLUMNS.at_s >= since_s, most)


def unknown_of(node: Node, pseudonym: bytes, *, most: int) -> list[LookRow]:
    """Return the newest of one patient of which nobody has looked who it was."""
    return _unknown(node, _COLUMNS.pseudonym == pseudonym, most)


def learn(node: Node, known: Sequence[LookRow]) -> None:
    """Keep of rows who it was."""
    if known:
        values = [
            {"of": each.pseudonym, "at": each.number, "is_kind": each.kind}
            | {"by": each.requester, "is_person": each.person, "helps": each.is_helper}
            for each in known
        ]
        with node.vault.database.writing() as connection:
            connection.execute(_LEARN, values)


def row_of(event: Event) -> LookRow | None:
    """Return the row of an event; None for one that is nobody's look."""
    said = event.outcome
    match said:
        case AccessPermitted():
            broke_glass = said.purpose is Purpose.BTG or said.basis is Basis.EMERGENCY
            return _asked(event, said, reason=0, broke_glass=broke_glass, person=None)
        case AccessDenied():
            return _asked(event, said, reason=said.reason, broke_glass=said.purpose is Purpose.BTG, person=b"")
        case ReleasesCommitted() if not said.permit:
            kind, at_s = LookKind.NOTED, event.leaf.time_s
            return LookRow(said.pseudonym, event.index, at_s, kind, "", 0, 0, Verb.READ, 0, 0, said.root)
    return None


def _asked(
    event: Event, said: AccessPermitted | AccessDenied, *, reason: int, broke_glass: bool, person: bytes | None
) -> LookRow:
    return LookRow(
        pseudonym=said.pseudonym,
        number=event.index,
        at_s=event.leaf.time_s,
        kind=LookKind.ASKED,
        requester=said.requester,
        role_class=said.role_class,
        purpose=said.purpose,
        verb=said.verb,
        reason=reason,
        broke_glass=broke_glass,
        name=permit_of(event.leaf),
        person=person,
    )


def _unknown(node: Node, which: ColumnElement[bool], most: int) -> list[LookRow]:
    wanted = select(schema.looks).where(_COLUMNS.person.is_(None) & which).order_by(_COLUMNS.number.desc())
    return _rows(node, wanted.limit(most))


def _rows(node: Node, wanted: Select[Any]) -> list[LookRow]:
    with node.vault.database.reading() as connection:
        return [LookRow(*row) for row in connection.execute(wanted).all()]


def _shown(pseudonym: bytes) -> ColumnElement[bool]:
    return and_(_COLUMNS.pseudonym == pseudonym, _COLUMNS.kind != LookKind.NOTED)


def _line(row: LookRow, hours: int) -> tuple[object, ...]:
    """What looks of one line have in common, with the hours in which they were."""
    return row.at_s // (hours * 3600), *_same(row, row.person or b"")


def _same(of: Any, person: object) -> tuple[Any, ...]:
    """What looks of one line have in common, of a row or of the table."""
    return of.kind, of.requester, of.role_class, person, of.is_helper, of.purpose, of.verb, of.reason


def _insert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; those that another worker has inserted stay as they are."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    if rows:
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def _found(node: Node, reader: Reader, indexes: range) -> Iterator[LookRow]:
    for index in indexes:
        encoded = read_leaf(reader, index)
        assert encoded is not None, "leaves are kept as long as the ledger"
        leaf = decode_leaf(encoded)
        outcome = decode_outcome(leaf)
        row = None if outcome is None else row_of(Event(index, leaf, outcome))
        if row is not None and _custodian(reader, outcome) == node.organisation:
            yield row


def _custodian(reader: Reader, outcome: Outcome | None) -> OrganisationId | None:
    """Whose patient an event is about."""
    match outcome:
        case AccessPermitted() | AccessDenied():
            return outcome.custodian
        case ReleasesCommitted():
            relationship = patients.relationship_of(reader, outcome.pseudonym)
            return None if relationship is None else relationship.custodian
    return None
