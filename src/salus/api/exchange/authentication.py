"""Authentication: who sent a request, proved from its header fields alone, before a byte of its body is kept.

Promises: a request is a current member's, made for this node and this path within half a minute, or a device's with a
key of its own; whom it names in any field that is not signed does not matter.
"""

import hmac
from collections.abc import Iterable

from salus.api.exchange.admission import WINDOW_S
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.http_signatures import MessageUnsigned, SignedRequest, gather, read_request
from salus.node.members import LedgerDirectory, Member


class Authentication:
    """Checks requests to one node against the newest block of its ledger."""

    def __init__(self, node: Node) -> None:
        self._organisation = node.organisation
        self._directory = LedgerDirectory(node.chain, node.engine, node.clock)

    def read(self, raw_fields: Iterable[tuple[bytes, bytes]], route: str) -> SignedRequest:
        """Read who a request claims to be. Raises Refused (SIGNATURE_UNFIT) or NotNow."""
        own, _ = self._directory.look_up(self._organisation)
        try:
            return read_request(gather(raw_fields), path=own.path(route))
        except MessageUnsigned as error:
            raise Refused(Refusal.SIGNATURE_UNFIT, str(error)) from error

    def require(self, request: SignedRequest) -> int:
        """Check a request; return the present, Unix seconds.

        1. It is for this node.
        2. Its time is within half a minute of the present: the later of local clock and block time.
        3. A member signed with the http key that it has now, and is not suspended.
        4. The signature holds.

        Raises:
            Refused: SIGNATURE_UNFIT or SENDER_UNKNOWN.
            NotNow: the ledger does not answer.
        """
        head = request.head
        if head.recipient != self._organisation:  # 1
            raise Refused(Refusal.SIGNATURE_UNFIT, f"expected a request for {self._organisation}: it is another's")
        member, now_s = self._directory.look_up(head.sender or self._organisation)
        if abs(now_s - request.created_s) > WINDOW_S:  # 2
            raise Refused(
                Refusal.SIGNATURE_UNFIT, f"expected a request made within {WINDOW_S} s of {now_s}: set the clock"
            )
        if head.sender:
            _require_current(member, request.key, now_s)  # 3
        try:
            request.verify()  # 4
        except MessageUnsigned as error:
            raise Refused(Refusal.SIGNATURE_UNFIT, str(error)) from error
        return now_s


def _require_current(member: Member, key: bytes, now_s: int) -> None:
    if not hmac.compare_digest(member.http_key, key):
        raise Refused(Refusal.SIGNATURE_UNFIT, "expected the sender's registered http key: it is not, or no longer")
    if now_s < member.suspended_until_s:
        raise Refused(Refusal.SENDER_UNKNOWN, "the sender is suspended: nothing is answered until that ends")
