"""The desk: what becomes of an authenticated request whose body has come; it works in threads of a pool.

Order: the body is the signed one and opens; the request is new; whoever sent it may ask this, and not too often; the
service answers; the answer is sealed and signed. A refusal before opening is said in plain words, one after it sealed.
"""

import time
from collections.abc import Generator
from dataclasses import dataclass, field

import structlog

from salus.api.exchange.admission import Admission
from salus.api.exchange.settings import ExchangeSettings
from salus.node.answer import answer
from salus.node.assemble import Node
from salus.node.envelopes import Envelopes, Reply
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import (
    Answer,
    Ask,
    DeviceAsk,
    HistoryAsk,
    MatchAsk,
    NotNowAnswer,
    RefusedAnswer,
    SignedMatchAsk,
    StreamAsk,
)
from salus.node.http_signatures import DEVICE, SignedRequest
from salus.node.sealed_bodies import OpenedAsk
from salus.node.sealed_streams import Frame

log = structlog.get_logger("salus.exchange")


def refused_name(refusal: int) -> str:
    """Return under which name a refusal is counted."""
    return f"refused {Refusal(refusal).name}"


@dataclass(frozen=True)
class Caller:
    """An authenticated request, when it was found to be so, and from where it came.

    Args:
        now_s: the present by ledger and clock, Unix seconds.
        address: network address; empty when it is not known.
    """

    request: SignedRequest
    now_s: int
    address: str = field(repr=False)

    @property
    def name(self) -> str:
        """The sender's code, or `device`."""
        return self.request.head.sender or DEVICE


class Desk:
    """Answers asks to one node."""

    def __init__(self, node: Node, admission: Admission, settings: ExchangeSettings) -> None:
        self._node = node
        self._admission = admission
        self._settings = settings
        self._envelopes = Envelopes(node)

    def require_room(self, caller: Caller) -> None:
        """Count a request against the rates of whoever sends it. Raises Refused (TOO_MANY) or NotNow."""
        limits = self._settings
        if caller.request.head.sender:
            self._count("asks", caller.name, limits.asks_per_minute)
        else:
            self._count("device asks", "", limits.device_asks_per_minute)
            self._count("address asks", caller.address, limits.address_asks_per_minute)

    def answer(self, caller: Caller, body: bytes) -> tuple[Reply, bool]:
        """Answer an ask; also tell whether it is a match, whose time must not speak. Raises Refused or NotNow."""
        began_ns = time.perf_counter_ns()
        opened = self._open(caller, body)
        came = self._answer(caller, opened.ask)
        reply = self._envelopes.seal(caller.request, opened, came)
        self._note(caller, opened.ask, came, began_ns)
        return reply, isinstance(opened.ask, MatchAsk | SignedMatchAsk)

    def stream(self, caller: Caller, body: bytes) -> Generator[Frame, None, None]:
        """Answer an ask for a stream with its frames. Raises Refused or NotNow before the first one."""
        opened = self._open(caller, body)
        ask = opened.ask
        if not isinstance(ask, StreamAsk) or not caller.request.head.sender:
            raise Refused(Refusal.MESSAGE_UNFIT, "expected a member's ask for a stream")
        self._admission.count(f"{type(ask).__name__} Stream")
        log.info("exchange.streaming", sender=caller.name, permit=ask.permit.hex(), part=ask.part, place=ask.place)
        return self._envelopes.frames(caller.request, opened, ask)

    def say(self, request: SignedRequest | None, error: Refused | NotNow) -> Reply:
        """Say an error in plain words."""
        name = refused_name(error.refusal) if isinstance(error, Refused) else f"refused {type(error).__name__}"
        self._admission.count(name)
        return self._envelopes.say(request, error)

    def _open(self, caller: Caller, body: bytes) -> OpenedAsk:
        request = caller.request
        opened = self._envelopes.open(request, body)
        # Only now: somebody who has seen the fields of a request, and not its body, cannot use up its nonce.
        who = request.head.sender or request.key.hex()
        self._admission.require_new(who, request.nonce, created_s=request.created_s, now_s=caller.now_s)
        return opened

    def _answer(self, caller: Caller, ask: Ask) -> Answer:
        try:
            self._require_allowed(caller, ask)
        except Refused as refused:
            return RefusedAnswer(refused.refusal, refused.words)
        except NotNow as error:
            return NotNowAnswer(str(error))
        return answer(self._node, caller.request.head.sender, ask)

    def _require_allowed(self, caller: Caller, ask: Ask) -> None:
        request = caller.request
        if isinstance(ask, HistoryAsk) and request.key != ask.session.session.session_key:
            raise Refused(Refusal.SESSION_UNFIT, "expected a request signed by the session's own key")
        if not request.head.sender and not isinstance(ask, DeviceAsk):
            raise Refused(Refusal.SENDER_UNKNOWN, "expected a member's signature: only members ask for records")
        if isinstance(ask, SignedMatchAsk):
            session_key = ask.ask.session.session.session_key.hex()
            self._count("session matches", session_key, self._settings.session_matches_per_minute)
            self._count("matches", caller.name, self._settings.matches_per_minute)

    def _count(self, kind: str, who: str, per_minute: int) -> None:
        self._admission.require_room(kind, who, per_minute=per_minute, now_us=time.time_ns() // 1000)

    def _note(self, caller: Caller, ask: Ask, came: Answer, began_ns: int) -> None:
        refusal = int(came.refusal) if isinstance(came, RefusedAnswer) else 0
        if isinstance(came, RefusedAnswer):
            self._admission.count(refused_name(came.refusal))
        self._admission.count(f"{type(ask).__name__} {type(came).__name__}")
        log.info(
            "exchange.answered",
            sender=caller.name,
            ask=type(ask).__name__,
            answer=type(came).__name__,
            refusal=refusal,
            took_us=(time.perf_counter_ns() - began_ns) // 1000,
        )
