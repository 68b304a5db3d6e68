"""Erase: destroy what is kept of a person, and say so on the ledger, so that every holder follows (P5).

The tombstone is committed first: from that block on nothing is released. Then the key goes, then the bytes, then the
projections. A restore replays tombstones before it serves.
"""

from sqlalchemy import delete

from salus.contracts import records
from salus.contracts.records import EraseRelationship
from salus.contracts.residuals import reason
from salus.crypto.sealing import new_key
from salus.ledger.identifiers import Pseudonym
from salus.node import schema
from salus.node.assemble import Node


def erase(node: Node, pseudonym: Pseudonym, *, within_s: int = 0) -> int:
    """Erase a relationship; return how many sealed objects there were.

    Args:
        within_s: the epoch root is renewed within this time; 0 renews it at once.
    """
    with node.engine.snapshot() as reader:
        is_marked = records.is_erased(reader, pseudonym)
    if not is_marked:
        why = reason("erased at the custodian", new_key())
        message = EraseRelationship(pseudonym=pseudonym, custodian=node.organisation, commitment=why.root())
        node.submit(message)
    return destroy(node, pseudonym, within_s=within_s)


def destroy(node: Node, pseudonym: Pseudonym, *, within_s: int = 0) -> int:
    """Destroy keys, bytes and projections of a relationship, whoever its custodian is."""
    count = node.vault.erase_relationship(pseudonym, within_s=within_s)
    with node.vault.database.writing() as connection:
        for table in (schema.entries, schema.batches, schema.identities, schema.enrolments, schema.permits):
            connection.execute(delete(table).where(table.c.pseudonym == pseudonym))
    return count


def follow_tombstones(node: Node) -> int:
    """Destroy what this node still holds under erased pseudonyms, its own or received; return how many there were.

    Called every few minutes, and by a restore before it serves.
    """
    with node.engine.snapshot() as reader:
        erased = [
            Pseudonym(relationship)
            for relationship in node.vault.relationships()
            if records.is_erased(reader, Pseudonym(relationship))
        ]
    for pseudonym in erased:
        destroy(node, pseudonym)
    return len(erased)
