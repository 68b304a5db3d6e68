"""The permits that concern this organisation, as custodian or requester: those it has to anchor and to close.

The same pass over the log notes which of its patients questioned an access.

Folded from the ledger, not from what this node happened to be asked: so every permit gets its closing CommitReleases,
also one that was never used (DESIGN §6). Releases in continuity have no permit on the ledger and are added by hand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from salus.contracts import patients
from salus.contracts.access import AccessPermitted, Challenged, End, Permit
from salus.contracts.evidence import decode_outcome, permit_of
from salus.crypto.hashing import EMPTY_ROOT
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym
from salus.ledger.machine import read_leaf, read_meta
from salus.ledger.outcomes import DONE, Leaf, decode_leaf
from salus.ledger.state import Reader
from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.notices import note_challenge
from salus.node.projections import cursors

CURSOR = "permits"
LEAVES_MAX = 20_000
"""How many leaves are folded in one step, so that no read of the ledger stays open for long."""

# Built once: SQLAlchemy takes longer to put a statement together than SQLite takes to answer it.
_THIS = (schema.permits.c.permit == bindparam("permit")) & (schema.permits.c.end == bindparam("end"))
_CLOSED = select(schema.permits.c.closed).where(_THIS)
_KNOWN = select(schema.permits.c.end).where(_THIS)
_INSERT = insert(schema.permits)


@dataclass(frozen=True)
class _Found:
    """What a leaf says that concerns this organisation."""

    index: int
    leaf: Leaf
    outcome: AccessPermitted | Challenged


def follow(node: Node) -> int:
    """Take in what the ledger has that was not seen yet; return how many permits were new."""
    count = 0
    while True:
        with node.engine.snapshot() as reader:
            meta = read_meta(reader)
            assert meta is not None, "a node reads a ledger that has begun"
            start = cursors.position(node, CURSOR)
            end = min(meta.log_size, start + LEAVES_MAX)
            found = list(_found(node.organisation, reader, range(start, end)))
        with node.vault.database.writing() as connection:
            count += sum(_take_in(connection, node.organisation, each) for each in found)
            cursors.move(connection, CURSOR, end)
        if end == meta.log_size:
            return count


def add_continuity(node: Node, permit: PermitId, terms: Permit) -> None:
    """Note a release in continuity; it is anchored with an empty permit."""
    row = _row(permit, End.CUSTODIAN, terms.pseudonym, terms.requester, terms.until_s)
    with node.vault.database.writing() as connection:
        _insert(connection, {**row, "anchored_as": b""})


def mark_closing(node: Node, closing: Sequence[tuple[PermitId, End]]) -> None:
    """Note, durably, that ends of permits are being closed; from here on `require_not_closing` refuses them."""
    if not closing:
        return
    columns = schema.permits.c
    with node.vault.database.writing() as connection:
        for permit, end in closing:
            this = (columns.permit == permit) & (columns.end == end) & (columns.closed == schema.OPEN)
            connection.execute(update(schema.permits).where(this).values(closed=schema.CLOSING))


def require_not_closing(node: Node, permit: PermitId, end: End) -> None:
    """Raise Refused (PERMIT_DEAD) when this end of a permit is being closed, or is closed.

    Asked after the receipt is in the journal: who closes marks first and reads the journal after, so one of the two
    sees the other, and no slot is used whose receipt the last anchor does not have (R5).
    """
    with node.vault.database.reading() as connection:
        found = connection.scalar(_CLOSED, {"permit": permit, "end": end})
    if found:  # None: the ledger's permit was not folded in yet, and nobody closes what is not
        raise Refused(Refusal.PERMIT_DEAD, "this end of the permit is closed: ask for a new one")


def _found(organisation: OrganisationId, reader: Reader, indexes: range) -> Iterator[_Found]:
    for index in indexes:
        encoded = read_leaf(reader, index)
        assert encoded is not None, "leaves are kept as long as the ledger"
        leaf = decode_leaf(encoded)
        outcome = decode_outcome(leaf) if leaf.code == DONE else None
        match outcome:
            case AccessPermitted() if organisation in (outcome.custodian, outcome.requester):
                yield _Found(index, leaf, outcome)
            case Challenged():
                relationship = patients.relationship_of(reader, outcome.pseudonym)
                if relationship is not None and relationship.custodian == organisation:
                    yield _Found(index, leaf, outcome)


def _take_in(connection: Connection, organisation: OrganisationId, found: _Found) -> int:
    """Take in what a leaf says; return how many permits were new."""
    outcome, permit = found.outcome, permit_of(found.leaf)
    if isinstance(outcome, Challenged):
        note_challenge(connection, outcome.pseudonym, leaf=found.index, at_s=found.leaf.time_s)
        return 0
    if outcome.custodian == organisation:  # who asks itself has one end
        row = _row(permit, End.CUSTODIAN, outcome.pseudonym, outcome.requester, outcome.until_s)
    else:
        row = _row(permit, End.REQUESTER, outcome.pseudonym, outcome.custodian, outcome.until_s)
    return _insert(connection, row)


def _row(permit: PermitId, end: End, pseudonym: Pseudonym, counterpart: OrganisationId, until_s: int) -> dict[str, Any]:
    return {
        "permit": permit,
        "end": end,
        "pseudonym": pseudonym,
        "counterpart": counterpart,
        "until_s": until_s,
        "anchored_as": permit,
        "anchored_root": EMPTY_ROOT,
        "closed": schema.OPEN,
    }


def _insert(connection: Connection, row: dict[str, Any]) -> int:
    if connection.scalar(_KNOWN, {"permit": row["permit"], "end": row["end"]}) is not None:
        return 0
    connection.execute(_INSERT, row)
    return 1
