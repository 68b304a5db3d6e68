"""What the native API does, in one table: routes, the OpenAPI document and a test that walks both come from it."""

from typing import Any, Final

from salus.api.native.call import Call, Operation
from salus.api.smart.scopes import HISTORY, LEDGER, TICKETS
from salus.node.members import Standing, standing
from salus.node.services import ledger_reads, own_history, ticket_desk
from salus.node.services.ledger_reads import HeaderRead, MemberRead, OutcomeRead, ProofsRead
from salus.node.services.own_history import ReceiptName, ReceiptsRead
from salus.node.services.ticket_desk import TicketAsk, TicketGiven, TicketRead, TicketsRead

DIGEST: Final = "[0-9a-f]{64}"
PERMIT: Final = "[0-9a-f]{32}"
NUMBER: Final = "[0-9]{1,15}"


def _status(call: Call) -> Standing:
    return standing(call.node)


def _members(call: Call) -> tuple[MemberRead, ...]:
    return ledger_reads.members(call.node)


def _header(call: Call) -> HeaderRead:
    return ledger_reads.header(call.node, int(call.at["height"]))


def _outcome(call: Call) -> OutcomeRead:
    return ledger_reads.outcome(call.node, bytes.fromhex(call.at["transaction"]))


def _proofs(call: Call) -> ProofsRead:
    return ledger_reads.proofs(call.node, bytes.fromhex(call.at["transaction"]))


def _history(call: Call) -> bytes:
    return own_history.history_file(call.node, call.granted.login, call.granted.about)


def _receipts(call: Call) -> ReceiptsRead:
    return own_history.receipts(call.node, call.granted.login, call.granted.about)


def _receipt(call: Call) -> bytes:
    wanted = ReceiptName(call.at["permit"], int(call.at["part"]))
    return own_history.receipt_file(call.node, call.granted.login, call.granted.about, wanted)


def _give_ticket(call: Call) -> TicketGiven:
    who = call.granted
    return ticket_desk.give(call.node, who.login, who.about, call.body, audience=call.base)


def _tickets(call: Call) -> TicketsRead:
    return ticket_desk.tickets_of(call.node, call.granted.login, call.granted.about)


def _ticket(call: Call) -> TicketRead:
    return ticket_desk.ticket_of(call.node, call.granted.login, call.granted.about, call.at["ticket"])


def _end_ticket(call: Call) -> None:
    ticket_desk.end(call.node, call.granted.login, call.granted.about, call.at["ticket"])


def _about_one(name: str, path: str, words: str, handler: Any, gives: Any, **more: Any) -> Operation:
    return Operation(name, "GET", path, words, handler, gives, is_about_one=True, **more)


OPERATIONS: Final = (
    Operation("status", "GET", "/status", "Where this node's ledger stands.", _status, Standing),
    Operation("members", "GET", "/members", "The members of the network.", _members, tuple[MemberRead, ...], LEDGER),
    Operation(
        *("header", "GET", "/headers/{height}", "A signed header with its validators; 0 is the newest."),
        *(_header, HeaderRead, LEDGER),
        refuses=(404,),
        patterns={"height": NUMBER},
    ),
    Operation(
        *("outcome", "GET", "/outcomes/{transaction}", "What the ledger answered to a transaction of ours."),
        *(_outcome, OutcomeRead, LEDGER),
        refuses=(404,),
        patterns={"transaction": DIGEST},
    ),
    Operation(
        *("proofs", "GET", "/proofs/{transaction}", "A proof for each outcome of a transaction of ours."),
        *(_proofs, ProofsRead, LEDGER),
        refuses=(404,),
        patterns={"transaction": DIGEST},
    ),
    _about_one("history", "/history", "The patient's whole history, for `salus verify`.", _history, bytes,
               scope=HISTORY, refuses=(409,)),
    _about_one("receipts", "/receipts", "Which receipts there are of releases of the patient's records.", _receipts,
               ReceiptsRead, scope=HISTORY, refuses=(409,)),
    _about_one("receipt", "/receipts/{permit}/{part}", "One receipt, for `salus verify`.", _receipt, bytes,
               scope=HISTORY, refuses=(404, 409), patterns={"permit": PERMIT, "part": NUMBER}),
    _about_one("tickets", "/tickets", "The patient's tickets that the ledger has.", _tickets, TicketsRead,
               scope=TICKETS),
    Operation("give-ticket", "POST", "/tickets", "Put a ticket in force.", _give_ticket, TicketGiven, TICKETS,
              is_about_one=True, takes=TicketAsk, status=201, refuses=(409,)),
    _about_one("ticket", "/tickets/{ticket}", "One of the patient's tickets.", _ticket, TicketRead, scope=TICKETS,
               refuses=(404,), patterns={"ticket": DIGEST}),
    Operation("end-ticket", "DELETE", "/tickets/{ticket}", "End a ticket, and all that were made from it.",
              _end_ticket, None, TICKETS, is_about_one=True, status=204, refuses=(404, 409),
              patterns={"ticket": DIGEST}),
)  # fmt: skip
