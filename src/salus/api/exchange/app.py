"""The exchange as a Starlette application: two routes that are sealed and signed, and one that says where the node is.

Beside them are the routes of `api/ledger`, which are signed and not sealed.

Promises: what is not authenticated gets a status and our own words, never an echo; a request that this node cannot
take on now is told so at once; no blocking work is done on the event loop but a look at the ledger's newest block.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from salus.api.exchange.admission import Admission
from salus.api.exchange.authentication import Authentication
from salus.api.exchange.bodies import BodyUnfit, discard_body, read_body, require_size
from salus.api.exchange.desk import Caller, Desk
from salus.api.exchange.frames_response import FramesResponse
from salus.api.exchange.settings import ExchangeSettings
from salus.api.ledger.desk import LedgerDesk
from salus.node.assemble import Node
from salus.node.caller_networks import network_of
from salus.node.envelopes import Reply
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.http_signatures import SignedRequest
from salus.node.ledger_answers import PATHS
from salus.node.members import standing
from salus.node.plain_answers import NOT_NOW, plain_body
from salus.node.pool import Pool
from salus.node.sealed_bodies import ASK_PATH, STREAM_PATH

STATUS_PATH: Final = "/exchange/1/status"
CLOSE: Final = {"connection": "close"}

T = TypeVar("T")

log = structlog.get_logger("salus.exchange")


class Declined(Exception):
    """A request that is answered in plain words.

    Args:
        request: what it says of itself; None when that could not be read.
    """

    def __init__(self, request: SignedRequest | None, error: Refused | NotNow) -> None:
        super().__init__(str(error))
        self.request = request
        self.error = error


class Exchange:
    """The routes of one node."""

    def __init__(self, node: Node, settings: ExchangeSettings) -> None:
        self._node = node
        self._settings = settings
        self._admission = Admission(settings.folder)
        self._authentication = Authentication(node)
        self._desk = Desk(node, self._admission, settings)
        self._ledger_desk = LedgerDesk(node, self._admission, per_minute=settings.own_proofs_per_minute)
        self._asks = Pool(settings.threads, waiting_max=settings.waiting_max)
        self._streams = Pool(settings.streams_max, waiting_max=0)

    def app(self) -> Starlette:
        """Return the application."""
        routes = [
            Route(ASK_PATH, self.ask, methods=["POST"]),
            Route(STREAM_PATH, self.stream, methods=["POST"]),
            Route(STATUS_PATH, self.status, methods=["GET"]),
            *(Route(path, self.own_proofs, methods=["POST"]) for path in PATHS),
        ]
        handlers = {
            Declined: self._say,
            BodyUnfit: _say_unfit,
            ClientDisconnect: _say_gone,
            HTTPException: _say_unknown,
            Exception: _say_failed,
        }
        app = Starlette(routes=routes, exception_handlers=handlers)
        app.router.redirect_slashes = False  # a redirect would send the caller to whatever Host says
        return app

    async def ask(self, http: Request) -> Response:
        """Answer one sealed ask."""
        caller = await self._admit(http, ASK_PATH, self._desk)
        body = await read_body(http, timeout_s=self._settings.body_s)
        came_s = time.monotonic()
        reply, is_match = await self._declining(caller, self._asks, lambda: self._desk.answer(caller, body))
        if is_match:
            await asyncio.sleep(_until_next_step(time.monotonic() - came_s, self._settings.match_step_ms / 1000))
        return _response(reply)

    async def stream(self, http: Request) -> Response:
        """Answer with the frames of one stream."""
        caller = await self._admit(http, STREAM_PATH, self._desk)
        body = await read_body(http, timeout_s=self._settings.body_s)
        frames = await self._declining(caller, self._asks, lambda: self._desk.stream(caller, body))
        try:
            self._streams.take()
        except NotNow as error:
            raise Declined(caller.request, error) from error
        return FramesResponse(frames, self._streams)

    async def own_proofs(self, http: Request) -> Response:
        """Answer a member that runs no ledger process."""
        path = http.scope["path"]
        caller = await self._admit(http, path, self._ledger_desk)
        body = await read_body(http, timeout_s=self._settings.body_s)
        return _response(
            await self._declining(caller, self._asks, lambda: self._ledger_desk.answer(caller, path, body))
        )

    async def status(self, _http: Request) -> Response:
        """Tell organisation, chain, height and the age of the newest header, and nothing else."""
        try:
            return Response(msgspec.json.encode(standing(self._node)), media_type="application/json")
        except NotNow as error:
            raise Declined(None, error) from error

    async def _admit(self, http: Request, route: str, desk: Desk | LedgerDesk) -> Caller:
        """Return who sends a request, from its fields alone. Raises Declined or BodyUnfit."""
        require_size(http)
        request = None
        try:
            if http.scope["query_string"]:
                raise Refused(Refusal.MESSAGE_UNFIT, "expected a path without a query")
            request = self._authentication.read(http.headers.raw, route)
            caller = Caller(request, self._authentication.require(request), _network(http))
            desk.require_room(caller)
        except (Refused, NotNow) as error:
            await discard_body(http)
            raise Declined(request, error) from error
        return caller

    async def _declining(self, caller: Caller, pool: Pool, work: Callable[[], T]) -> T:
        try:
            return await pool.run(work)
        except (Refused, NotNow) as error:
            raise Declined(caller.request, error) from error

    async def _say(self, _http: Request, declined: Exception) -> Response:
        assert isinstance(declined, Declined)
        error = declined.error
        log.info("exchange.declined", refusal=error.refusal.name if isinstance(error, Refused) else "NOT_NOW")
        return _response(self._desk.say(declined.request, error))

    def counts(self) -> dict[str, int]:
        """Return what all workers of this node answered and refused since the machine started, by name."""
        return self._admission.counts()

    def close(self) -> None:
        """Let the threads finish, and let go of what was seen."""
        self._asks.close()
        self._streams.close()
        self._admission.close()


async def _say_unfit(_http: Request, error: Exception) -> Response:
    assert isinstance(error, BodyUnfit)
    return _plain(error.status, Refusal.MESSAGE_UNFIT, str(error), CLOSE)


async def _say_unknown(_http: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _plain(
        error.status_code, Refusal.MESSAGE_UNFIT, "expected a path and a method of the exchange", error.headers
    )


async def _say_failed(_http: Request, _error: Exception) -> Response:
    return _plain(500, NOT_NOW, "this node has failed: try later, and tell its operator")


async def _say_gone(_http: Request, _error: Exception) -> Response:
    return _plain(400, NOT_NOW, "the caller went away")


def _plain(status: int, refusal: int, words: str, fields: Mapping[str, str] | None = None) -> Response:
    return Response(plain_body(refusal, words), status, fields, media_type="application/json")


def _response(reply: Reply) -> Response:
    kind = "application/octet-stream" if reply.status == 200 else "application/json"
    return Response(reply.body, reply.status, reply.fields, media_type=kind)


def _until_next_step(passed_s: float, step_s: float) -> float:
    """Seconds until the next multiple of a step; a match and nothing are answered at the same one."""
    return step_s - passed_s % step_s


def _network(http: Request) -> str:
    """Return from which network a request comes."""
    return "" if http.client is None else network_of(http.client.host)
