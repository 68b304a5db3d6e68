"""Gathered answers: what others told of a patient is thrown away when the patient decides otherwise.

Answers of other custodians are kept for all workers while somebody looks (`collect`). Promises: from a decision here
on, what was told before is shown to nobody, and an answer that is on its way has no row to go to. An emergency passes
what patients decide, so what came in one stays for its hour.
"""

from sqlalchemy import delete, select

from salus.ledger.identifiers import Pseudonym
from salus.node import schema
from salus.node.assemble import Node


def forget(node: Node, pseudonym: Pseudonym) -> int:
    """Forget what others told of a patient, in every session; return how many answers.

    An emergency is known by this organisation's own answer, which is kept beside others', also where it is empty.
    """
    columns = schema.collected.c
    own = select(columns.collection).where((columns.custodian == node.organisation) & (columns.pseudonym == pseudonym))
    usual = (columns.pseudonym == pseudonym) & columns.collection.not_in(own)
    with node.vault.database.writing() as connection:
        return connection.execute(delete(schema.collected).where(usual)).rowcount
