"""Audit: a patient's own history here, with the proofs, and every receipt with the patient's view of it."""

from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.exchange import HistoryAnswer, HistoryAsk
from salus.node.services.identify import check_patient_session


def answer_history(node: Node, ask: HistoryAsk) -> HistoryAnswer:
    """Answer a patient's device. Raises Refused: SESSION_UNFIT."""
    with node.engine.snapshot() as reader:
        check_patient_session(reader, ask.pseudonym, ask.session, custodian=node.organisation, time_s=node.clock())
    return HistoryAnswer(history(node, ask.pseudonym))


def history(node: Node, pseudonym: Pseudonym) -> bytes:
    """Return the bundle of a pseudonym's history and receipts."""
    raise NotImplementedError(pseudonym)
