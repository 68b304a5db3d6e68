"""Envelopes: the answering end of what `http_peers` sends: opens asks with the node's keys, seals and signs answers.

Promises: an ask is opened only when its body is the one that was signed; every answer to a request that could be read
is signed by the node's http key, sealed or plain. Never decides: who may ask is for `api/exchange`, what the answer is
for `salus.node.answer`.
"""

from collections.abc import Generator
from dataclasses import dataclass, field

from salus.contracts.membership import KeyUse
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, StreamAsk
from salus.node.http_signatures import MessageUnsigned, SignedRequest, check_digest, sign_answer
from salus.node.plain_answers import RETRY_AFTER_S, plain
from salus.node.sealed_bodies import OpenedAsk, Route, open_ask, seal_answer
from salus.node.sealed_streams import Frame, StreamSeal, answer_frames


@dataclass(frozen=True)
class Reply:
    """An answer as HTTP carries it."""

    status: int
    fields: dict[str, str]
    body: bytes = field(repr=False)


class Envelopes:
    """One node's envelopes; may be used from any thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._http_key = node.signing(KeyUse.HTTP)
        self._hpke_key = node.keys.hpke()

    def open(self, request: SignedRequest, body: bytes) -> OpenedAsk:
        """Open an ask. Raises Refused: SIGNATURE_UNFIT for another body, MESSAGE_UNFIT for what is no ask to us."""
        self.require_body(request, body)
        return open_ask(self._hpke_key, body, self._route(request))

    def seal(self, request: SignedRequest, opened: OpenedAsk, answer: Answer) -> Reply:
        """Seal and sign an answer."""
        body = seal_answer(
            answer, answer_key=opened.answer_key, route=self._route(request), ask_digest=request.head.digest
        )
        return self.sign(request, body)

    def require_body(self, request: SignedRequest, body: bytes) -> None:
        """Raise Refused (SIGNATURE_UNFIT) unless a body is the one that was signed."""
        try:
            check_digest(request.head.digest, body)
        except MessageUnsigned as error:
            raise Refused(Refusal.SIGNATURE_UNFIT, str(error)) from error

    def sign(self, request: SignedRequest, body: bytes) -> Reply:
        """Sign an answer that is not sealed."""
        return Reply(200, self._signed(request, 200, body), body)

    def say(self, request: SignedRequest | None, error: Refused | NotNow) -> Reply:
        """Say an error in plain words; signed, unless the request could not be read."""
        status, body = plain(error)
        fields = {"retry-after": str(RETRY_AFTER_S[status])} if status in RETRY_AFTER_S else {}
        return Reply(status, fields if request is None else fields | self._signed(request, status, body), body)

    def frames(self, request: SignedRequest, opened: OpenedAsk, ask: StreamAsk) -> Generator[Frame, None, None]:
        """Yield the frames of a stream; the last one says how it went."""
        seal = StreamSeal(request, self._route(request), opened.answer_key)
        return answer_frames(self._node, ask, seal, self._http_key)

    def _route(self, request: SignedRequest) -> Route:
        head = request.head
        return Route(self._node.chain, head.sender, head.recipient, head.path)

    def _signed(self, request: SignedRequest, status: int, body: bytes) -> dict[str, str]:
        return sign_answer(request, status=status, body=body, key=self._http_key, created_s=self._node.clock())
