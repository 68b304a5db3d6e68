"""Erase: destroy what is kept of a person, and say so on the ledger, so that every holder follows (P5).

The tombstone is committed first: from that block on nothing is released. What was released before is anchored and
closed, at both ends; then the key goes, and with it the lines of the release journals; then the bytes, then the
projections. A restore replays tombstones before it serves.
"""

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from salus.contracts import patients, records
from salus.contracts.access import End
from salus.contracts.records import EraseRelationship
from salus.contracts.residuals import reason
from salus.crypto.sealing import new_key
from salus.ledger.identifiers import PermitId, Pseudonym
from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import Refused
from salus.node.projections import resources
from salus.node.projections.permits import follow
from salus.node.services.anchor import anchor


def erase(node: Node, pseudonym: Pseudonym, *, within_s: int = 0) -> int:
    """Erase a relationship; return how many sealed objects there were.

    Args:
        within_s: the epoch root is renewed within this time; 0 renews it at once.

    Raises:
        Refused: the ledger says no to the tombstone.
        NotNow: the ledger is away; nothing more was done than it has: ask again.
    """
    if not is_erased(node, pseudonym):
        why = reason("erased at the custodian", new_key())
        message = EraseRelationship(pseudonym=pseudonym, custodian=node.organisation, commitment=why.root())
        node.submit(message)
    _conclude(node, [pseudonym])
    return destroy(node, pseudonym, within_s=within_s)


def is_erased(node: Node, pseudonym: Pseudonym) -> bool:
    """Tell whether a relationship has a tombstone."""
    with node.engine.snapshot() as reader:
        return records.is_erased(reader, pseudonym)


_OF_A_RELATIONSHIP = (
    schema.entries,
    schema.batches,
    schema.identities,
    schema.enrolments,
    schema.take_overs,
    schema.notices,
    schema.patient_notices,
    schema.wishes,
    schema.accounts,
    schema.sign_ins,
    schema.passkeys,
    schema.helped,
    schema.recovery_shares,
    schema.signing_devices,
    schema.signing_shares,
    schema.signings,
    schema.collected,
    schema.looks,
    schema.grants,
    schema.bearers,
    schema.subscriptions,
    schema.subscription_events,
    schema.roster_members,
    schema.health_links,
    schema.health_link_uses,
)


def destroy(node: Node, pseudonym: Pseudonym, *, within_s: int = 0) -> int:
    """Destroy keys, bytes and projections of a relationship, whoever its custodian is.

    A permit that is not closed yet stays noted until it is; what was anchored of it then stands (R5). In the step in
    which permits go, who received something is noted, to be asked for a statement; a holder notes that it has erased.
    """
    count = node.vault.erase_relationship(pseudonym, within_s=within_s)
    permits = schema.permits
    with node.engine.snapshot() as reader:
        relationship = patients.relationship_of(reader, pseudonym)
    is_custodian = relationship is not None and relationship.custodian == node.organisation
    with node.vault.database.writing() as connection:
        if is_custodian:
            _note_holders(connection, node, pseudonym)
        resources.forget_relationships(connection, [pseudonym])
        for table in _OF_A_RELATIONSHIP:
            connection.execute(delete(table).where(table.c.pseudonym == pseudonym))
        gone = connection.execute(
            delete(permits).where((permits.c.pseudonym == pseudonym) & (permits.c.closed == schema.CLOSED))
        ).rowcount
        if not is_custodian and count + gone > 0:
            _note_statement(connection, node, pseudonym, node.organisation, next_s=schema.NEVER_S)
    node.vault.database.forget()
    return count


def follow_tombstones(node: Node) -> int:
    """Destroy what this node still holds under erased pseudonyms, its own or received; return how many there were.

    Called every few minutes, and by a restore before it serves.
    """
    columns, noted, signing_in = schema.permits.c, schema.notices.c.pseudonym, schema.accounts.c.pseudonym
    on_roster = schema.roster_members.c.pseudonym
    with node.vault.database.reading() as connection:
        closed = connection.scalars(select(columns.pseudonym).where(columns.closed == schema.CLOSED).distinct()).all()
        of_notices = connection.scalars(select(noted).where(noted != b"").distinct()).all()
        of_accounts = connection.scalars(select(signing_in).where(signing_in != b"")).all()
        of_rosters = connection.scalars(select(on_roster).where(on_roster != b"").distinct()).all()
    held = sorted({*node.vault.relationships(), *closed, *of_notices, *of_accounts, *of_rosters})
    with node.engine.snapshot() as reader:
        erased = [Pseudonym(each) for each in held if records.is_erased(reader, Pseudonym(each))]
    destroy_erased(node, erased)
    return len(erased)


def destroy_erased(node: Node, pseudonyms: Sequence[Pseudonym]) -> None:
    """Close what this node has open under pseudonyms that have a tombstone, then destroy what it holds."""
    _conclude(node, pseudonyms)
    for pseudonym in pseudonyms:
        destroy(node, pseudonym)


def is_held(node: Node, pseudonym: Pseudonym) -> bool:
    """Tell whether anything is kept here under a pseudonym."""
    if node.vault.holds(pseudonym):
        return True
    with node.vault.database.reading() as connection:
        return any(
            connection.scalar(select(table.c.pseudonym).where(table.c.pseudonym == pseudonym).limit(1)) is not None
            for table in (*_OF_A_RELATIONSHIP, schema.permits, schema.resources)
        )


def _note_holders(connection: Connection, node: Node, pseudonym: Pseudonym) -> None:
    columns = schema.permits.c
    received = (
        (columns.pseudonym == pseudonym) & (columns.end == End.CUSTODIAN) & (columns.counterpart != node.organisation)
    )
    for holder in connection.scalars(select(columns.counterpart).where(received).distinct()).all():
        _note_statement(connection, node, pseudonym, holder, next_s=node.clock())


def _note_statement(connection: Connection, node: Node, pseudonym: Pseudonym, holder: str, *, next_s: int) -> None:
    """Note that a holder owes a statement; what is noted of it already stays, also what another worker has noted."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {"pseudonym": pseudonym, "holder": holder, "since_s": node.clock(), "tries": 0, "next_s": next_s}
    connection.execute(dialect.insert(schema.erasures).values(**row, statement=b"").on_conflict_do_nothing())


def _conclude(node: Node, pseudonyms: Sequence[Pseudonym]) -> None:
    """Anchor what was released of relationships and close their permits, while their receipts can still be read."""
    if not pseudonyms:
        return
    follow(node)
    columns = schema.permits.c
    with node.vault.database.reading() as connection:
        still_open = connection.scalars(
            select(columns.permit).where(columns.pseudonym.in_(pseudonyms) & (columns.closed != schema.CLOSED))
        ).all()
    with suppress(Refused):  # of another permit; this one is closed, or stays noted until it can be
        anchor(node, close=frozenset(PermitId(permit) for permit in still_open))
