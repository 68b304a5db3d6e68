"""The desk for own proofs: what becomes of an authenticated request to `/ledger/1`, in threads of the exchange's pool.

Order: a member sent it, and not too often; the body is the signed one; it is new; the node answers; the answer is
signed. Every refusal is plain and signed.
"""

import time

import structlog

from salus.api.exchange.admission import Admission
from salus.api.exchange.desk import Caller
from salus.node.assemble import Node
from salus.node.envelopes import Envelopes, Reply
from salus.node.errors import Refusal, Refused
from salus.node.ledger_answers import answer_member

log = structlog.get_logger("salus.ledger_api")


class LedgerDesk:
    """Answers one node's requests for own proofs.

    Args:
        per_minute: requests of one member; each is at most a submission or 256 proofs.
    """

    def __init__(self, node: Node, admission: Admission, *, per_minute: int) -> None:
        self._node = node
        self._admission = admission
        self._per_minute = per_minute
        self._envelopes = Envelopes(node)

    def require_room(self, caller: Caller) -> None:
        """Count a request. Raises Refused: SENDER_UNKNOWN for a device, TOO_MANY; NotNow."""
        member = caller.request.head.sender
        if not member:
            raise Refused(Refusal.SENDER_UNKNOWN, "expected a member's signature: a device asks its custodian")
        now_us = time.time_ns() // 1000
        self._admission.require_room("own proofs", member, per_minute=self._per_minute, now_us=now_us)

    def answer(self, caller: Caller, path: str, body: bytes) -> Reply:
        """Answer one request. Raises Refused or NotNow."""
        request, member = caller.request, caller.request.head.sender
        self._envelopes.require_body(request, body)
        self._admission.require_new(member, request.nonce, created_s=request.created_s, now_s=caller.now_s)
        told = answer_member(self._node, member, path, body)
        log.info("ledger_api.answered", sender=member, path=path)
        return self._envelopes.sign(request, told)
