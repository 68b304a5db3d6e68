"""Own history: a patient's events and receipts here, as files that they check without anybody's word (L5, R5).

For a session that a key of the pseudonym certified: the patient's own, or the custodian's for them, marked so; and for
a privacy officer, whose look each file has.
"""

import msgspec

from salus.ledger.bundles import HistoryBundle, decode_bundle, encode_bundle, receipts_of
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.exchange import HistoryAsk
from salus.node.services import audit, officers
from salus.node.services.respond import Login


class ReceiptName(msgspec.Struct, frozen=True):
    """By what a receipt is fetched: the permit's id in hexadecimal, and which part of its releases it is of."""

    permit: str
    part: int


class ReceiptsRead(msgspec.Struct, frozen=True):
    """The receipts of all releases in a history."""

    receipts: tuple[ReceiptName, ...]


def history_file(node: Node, login: Login, pseudonym: bytes) -> bytes:
    """Return the whole history as a file.

    Raises:
        Refused: SESSION_UNFIT for anybody but the patient and an officer; what `audit.history` says.
        NotNow: the ledger is away, or signs no header now.
    """
    if officers.is_officer(login):
        return encode_bundle(audit.read_for_officer(node, login.session, Pseudonym(pseudonym)))
    return audit.answer_history(node, HistoryAsk(Pseudonym(pseudonym), login.session.certified)).bundle


def receipts(node: Node, login: Login, pseudonym: bytes) -> ReceiptsRead:
    """Return which receipts there are. Raises as `history_file`."""
    bundle = _bundle(node, login, pseudonym)
    stated = [each.receipt.statement for each in bundle.receipts]
    return ReceiptsRead(tuple(ReceiptName(each.permit.hex(), each.part) for each in stated))


def receipt_file(node: Node, login: Login, pseudonym: bytes, wanted: ReceiptName) -> bytes:
    """Return one receipt as a file. Raises as `history_file`, and Refused (NOT_YOURS) where there is none."""
    for each in receipts_of(_bundle(node, login, pseudonym)):
        statement = each.opened.receipt.statement
        if (statement.permit.hex(), statement.part) == (wanted.permit, wanted.part):
            return encode_bundle(each)
    raise Refused(Refusal.NOT_YOURS, "expected the name of a receipt of yours: list them")


def _bundle(node: Node, login: Login, pseudonym: bytes) -> HistoryBundle:
    bundle = decode_bundle(history_file(node, login, pseudonym))
    assert isinstance(bundle, HistoryBundle), "what was just made"
    return bundle
