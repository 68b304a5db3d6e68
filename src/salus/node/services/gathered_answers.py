"""Gathered answers: what others told of a patient is thrown away when the patient decides otherwise.

Answers of other custodians are kept for all workers while somebody looks (`collect`). Promises: from a decision here
on, what was told before is shown to nobody, and an answer that is on its way has no row to go to. An emergency passes
what patients decide, so what came in one stays for its hour; but where this organisation has no records of the patient,
an emergency's answers look like all others in their last quarter of an hour, and go.
"""

from sqlalchemy import delete, select

from salus.ledger.identifiers import Pseudonym
from salus.node import schema
from salus.node.assemble import Node
from salus.node.services.request import DURATION_S


def forget(node: Node, pseudonym: Pseudonym) -> int:
    """Forget what others told of a patient, in every session; return how many answers.

    An emergency is known by its own records, which are kept beside others' answers, or by a time box that is longer
    than every other.
    """
    columns = schema.collected.c
    own = select(columns.collection).where((columns.custodian == node.organisation) & (columns.pseudonym == pseudonym))
    is_usual = (columns.until_s <= node.clock() + DURATION_S) & columns.collection.not_in(own)
    with node.vault.database.writing() as connection:
        return connection.execute(delete(schema.collected).where((columns.pseudonym == pseudonym) & is_usual)).rowcount
