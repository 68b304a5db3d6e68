"""Sockets: connections that clients keep open to hear of their subscriptions (FHIR R4 2.46.8.2; R5 backport, channels).

1. Say whether this request may open one; who shows an access token with it is signed in by that.
2. Take what comes: `bind ID` from who is signed in, `bind-with-token TOKEN` from anybody; all else ends the socket.
3. Look every few seconds whether what a subscription was bound under still stands, and end the socket with it (R3).

What is told goes through `connected`, from the threads that notify. A socket is one app's and account's; whatever is
refused ends it, and no answer says why: what is not there and what is another's are the same.
"""

import asyncio
import concurrent.futures
import secrets
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar, cast

import structlog
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from salus.api.fhir.call import Access, Gate, Server
from salus.api.fhir.failures import Failure, Issue, failure_of, outcome
from salus.api.fhir.socket_protocol import LINE, Line
from salus.api.fhir.subscribing import KIND, asked_of, notice_of
from salus.node.answer import plainly
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.hooks import HookAway
from salus.node.pool import Pool
from salus.node.services.subscription_events import Attempt, Events
from salus.node.services.subscriptions import State, Subscription, Tenure

SOCKETS_MAX: Final = 256
"""Of one worker."""
NAMELESS_MAX: Final = 64
"""How many of these nobody has signed in to, or bound anything to, yet."""
SOCKETS_OF_ONE_MAX: Final = 8
"""How many of one app and account."""
IDLE_S: Final = 30.0
"""How long a socket may have nothing bound to it."""
LOOK_S: Final = 3.0
MESSAGES_MAX: Final = 120
"""How many a client may send in one minute; a socket has at most 100 subscriptions to bind."""
MINUTE_S: Final = 60.0
SLACK_S: Final = 5.0
POLICY: Final = 1008
NO_TEXT: Final = 1003
AGAIN_LATER: Final = 1013
"""Why a socket ends (RFC 6455 7.4.1, and IANA's registry for 1013)."""

T = TypeVar("T")

log = structlog.get_logger("salus.subscriptions")


class SocketAway(HookAway):
    """Nobody has a socket to which this subscription is bound, or it broke."""


class _Ended(Exception):
    """The socket ends, for a reason of RFC 6455."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


@dataclass(eq=False)
class Socket:
    """One socket; changed on its event loop only.

    Args:
        name: by which the database knows it.
        origin: of the page that opened it; empty where it was no browser.
        access: of whoever signed in with the request; None where nobody did.
        idle_since_s: of the loop's clock.
        owner: whose it is, once that is known.
        bound: on what each subscription that is bound to it was bound.
    """

    websocket: WebSocket
    name: bytes
    origin: str
    access: Access | None
    idle_since_s: float
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    owner: bytes = b""
    bound: dict[bytes, Tenure] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    messages: int = 0
    minute_s: float = 0.0

    async def say(self, text: str) -> None:
        """Send a message. Raises WebSocketDisconnect."""
        if self.websocket.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnect
        await self.websocket.send_text(text)

    async def tell(self, text: str) -> None:
        """Send a message and wait until it was read. Raises WebSocketDisconnect, ConnectionError."""
        await self.say(text)
        await self.line.confirmed()

    async def end(self, code: int) -> None:
        """End it, if it has not ended."""
        if self.websocket.application_state is WebSocketState.CONNECTED:
            try:
                await self.websocket.close(code)
            except WebSocketDisconnect:
                return

    @property
    def line(self) -> Line:
        """The connection under it."""
        return cast("Line", self.websocket.scope["extensions"][LINE])


@dataclass(frozen=True)
class _Wish:
    """What somebody may bind: subscriptions of one owner, under one tenure."""

    owner: bytes
    tenure: Tenure
    subscriptions: tuple[Subscription, ...]


class Sockets:
    """The sockets of one worker."""

    def __init__(self, server: Server, gate: Gate, pool: Pool) -> None:
        self._server = server
        self._gate = gate
        self._pool = pool
        self._open: dict[bytes, Socket] = {}

    def names(self) -> tuple[bytes, ...]:
        """Return the names of the sockets that are open; in any thread."""
        return tuple(self._open)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one socket until it ends; the application's route."""
        try:
            socket = await self._admitted(websocket)  # 1
        except Failure as failure:
            fields = {**failure.headers, "cache-control": "no-store"}
            body, media_type = outcome(*failure.issues), "application/fhir+json"
            await websocket.send_denial_response(Response(body, failure.status, fields, media_type))
            return
        self._open[socket.name] = socket
        try:
            await websocket.accept()
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch(socket))  # 3
                await self._listen(socket)  # 2
                watching.cancel()
        finally:
            del self._open[socket.name]
            await self._let_go(socket)

    # From the threads that notify

    @contextmanager
    def connected(self, subscription: bytes, *, timeout_s: float) -> Iterator[Callable[[str], None]]:
        """Find out that whoever has the socket of a subscription may still have it, and is there; nothing is said yet.

        Args:
            timeout_s: for each message, until it was read.

        Raises:
            SocketAway: else, and when a message was not read; the subscription is unbound from that socket.
        """
        name = self._server.bindings.socket_of(subscription)
        socket = self._open.get(name)
        if socket is None:  # it was bound to another worker's meanwhile, or its client has gone
            raise SocketAway("socket")
        try:
            self._require_stands(socket, subscription)
            self._run(socket, socket.line.confirmed(), timeout_s)
            yield lambda text: self._run(socket, socket.tell(text), timeout_s)
        except SocketAway:
            self._server.bindings.let_go(name, subscription)
            raise

    def _require_stands(self, socket: Socket, subscription: bytes) -> None:
        tenure = socket.bound.get(subscription)
        if tenure is None:
            raise SocketAway("socket")
        try:
            self._gate.again(tenure)
        except Refused as refused:
            self._run(socket, socket.end(POLICY), SLACK_S)
            raise SocketAway("access ended") from refused

    def _run(self, socket: Socket, doing: Coroutine[None, None, None], timeout_s: float) -> None:
        """Do something on a socket's loop. Raises SocketAway."""
        bounded = _bounded(socket, doing, timeout_s)
        try:
            done = asyncio.run_coroutine_threadsafe(bounded, socket.loop)
        except RuntimeError as error:  # the server has ended
            bounded.close()
            doing.close()
            raise SocketAway("socket") from error
        try:
            done.result(timeout_s + SLACK_S)
        except (TimeoutError, concurrent.futures.CancelledError, ConnectionError, WebSocketDisconnect) as error:
            raise SocketAway("socket") from error

    # On the event loop

    async def _admitted(self, websocket: WebSocket) -> Socket:
        """Return a socket that may be opened. Raises Failure."""
        headers = dict(websocket.headers.items())
        if websocket.scope["query_string"]:
            words = "expected no parameters: a token goes in a message"
            raise Failure(400, Issue("invalid", "MSG_PARAM_INVALID", words))
        access = await self._signed_in(headers) if "authorization" in headers else None
        origin, now_s = headers.get("origin", ""), asyncio.get_running_loop().time()
        self._require_room(access)
        return Socket(websocket, secrets.token_bytes(16), origin, access, idle_since_s=now_s)

    async def _signed_in(self, headers: Mapping[str, str]) -> Access:
        if "origin" in headers:  # no page can send a token so: it would be the browser's own, of another site
            words = "expected no access token from a page: ask for a binding token, and send it as a message"
            raise Failure(403, Issue("forbidden", "MSG_AUTH_REQUIRED", words))
        try:
            return await self._pool.run(partial(self._gate.access, headers))
        except NotNow as error:
            raise failure_of(error) from error

    def _require_room(self, access: Access | None) -> None:
        nameless = sum(each.access is None and not each.owner for each in self._open.values())
        if len(self._open) >= SOCKETS_MAX or (access is None and nameless >= NAMELESS_MAX):
            words = "expected fewer sockets than there are: try again in a moment"
            raise Failure(503, Issue("throttled", "MSG_CANT_PARSE_CONTENT", words), headers={"retry-after": "30"})

    async def _listen(self, socket: Socket) -> None:
        """Take messages until the socket ends."""
        try:
            while True:
                message = await socket.websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                self._count(socket)
                text = message.get("text")
                if text is None:
                    raise _Ended(NO_TEXT)
                await self._bind(socket, text)
        except _Ended as ended:
            await socket.end(ended.code)
        except WebSocketDisconnect:
            return

    def _count(self, socket: Socket) -> None:
        now_s = socket.loop.time()
        if now_s - socket.minute_s > MINUTE_S:
            socket.minute_s, socket.messages = now_s, 0
        socket.messages += 1
        if socket.messages > MESSAGES_MAX:
            raise _Ended(POLICY)

    async def _bind(self, socket: Socket, text: str) -> None:
        """Do what a message asks for. Raises _Ended, WebSocketDisconnect."""
        word, _, what = text.strip().partition(" ")
        found = {"bind": self._wish_by_name, "bind-with-token": self._wish_by_token}.get(word)
        if found is None:
            raise _Ended(POLICY)
        async with socket.turn:
            wish = await self._asked(lambda: found(socket, what.strip()))
            self._require_one_owner(socket, wish.owner)
            for each in wish.subscriptions:
                await socket.say(self._greeting(each, is_named=word == "bind"))
                socket.bound[each.id] = wish.tenure
                await self._asked(partial(self._hold, each, socket.name))

    async def _asked(self, work: Callable[[], T]) -> T:
        """Ask a service in a thread. Raises _Ended."""

        def plain() -> T:
            with plainly():
                return work()

        try:
            return await self._pool.run(plain)
        except Refused as refused:
            raise _Ended(POLICY) from refused
        except NotNow as error:
            raise _Ended(AGAIN_LATER) from error

    def _wish_by_name(self, socket: Socket, name: str) -> _Wish:
        """What `bind ID` asks for. Raises Refused."""
        is_name = len(name) == 32 and set(name) <= set("0123456789abcdef")
        if socket.access is None or not is_name:
            raise _unfit()
        access = self._gate.again(socket.access.tenure)
        if not access.may("r", KIND):
            raise _unfit()
        owner = self._server.subscriptions.owner(access.client, access.person)
        return _Wish(owner, socket.access.tenure, (self._own(bytes.fromhex(name), owner),))

    def _wish_by_token(self, socket: Socket, token: str) -> _Wish:
        """What `bind-with-token TOKEN` asks for; the token is used up. Raises Refused."""
        terms = self._server.bindings.take(token)
        access = self._gate.again(terms.tenure)
        if socket.origin and socket.origin not in access.origins:
            raise _unfit()
        return _Wish(terms.owner, terms.tenure, tuple(self._own(each, terms.owner) for each in terms.subscriptions))

    def _own(self, name: bytes, owner: bytes) -> Subscription:
        """Return a subscription of this owner that can be told of something. Raises Refused."""
        found = self._server.subscriptions.find(name, owner)
        if found is None or found.state is State.OFF:
            raise _unfit()
        self._gate.again(found.terms.tenure)
        return found

    def _require_one_owner(self, socket: Socket, owner: bytes) -> None:
        if socket.owner not in (b"", owner):
            raise _Ended(POLICY)
        others = sum(each.owner == owner for each in self._open.values() if each is not socket)
        if others >= SOCKETS_OF_ONE_MAX:
            raise _Ended(AGAIN_LATER)
        socket.owner = owner

    def _greeting(self, subscription: Subscription, *, is_named: bool) -> str:
        """What is answered: `bound ID` to a name and in R4's own form, else a handshake."""
        if is_named or not asked_of(self._server.settings.base, subscription).topic:
            return f"bound {subscription.id.hex()}"
        return notice_of(self._server, subscription, "handshake").decode()

    def _hold(self, subscription: Subscription, name: bytes) -> None:
        self._server.bindings.hold(subscription.id, name)
        attempt = Attempt(self._server.node.clock(), "binding", 0, 0, "bound")
        Events(self._server.node).log(subscription, attempt)
        log.info("subscriptions.bound", subscription=subscription.id.hex())

    async def _watch(self, socket: Socket) -> None:
        """Look every few seconds whether a socket may stay."""
        while True:
            await asyncio.sleep(LOOK_S)
            async with socket.turn:
                if not await self._stays(socket):
                    await socket.end(POLICY)
                    return

    async def _stays(self, socket: Socket) -> bool:
        now_s = socket.loop.time()
        if not socket.bound:
            return now_s - socket.idle_since_s < IDLE_S
        try:
            held = await self._asked(partial(self._look, socket.name, frozenset(socket.bound.values())))
        except _Ended as ended:
            return ended.code == AGAIN_LATER  # what cannot be looked up now holds until it ends by itself
        for name in socket.bound.keys() - held:
            del socket.bound[name]
        socket.idle_since_s = now_s
        return True

    def _look(self, name: bytes, tenures: frozenset[Tenure]) -> frozenset[bytes]:
        """Return what is still bound to a socket. Raises Refused: what it was bound under has ended."""
        for each in tenures:
            self._gate.again(each)
        return self._server.bindings.renew(name)

    async def _let_go(self, socket: Socket) -> None:
        """Unbind what was bound to a socket that has ended; what cannot be noted ends by itself."""
        if not socket.bound:
            return
        try:
            await self._asked(partial(self._server.bindings.let_go, socket.name, *socket.bound))
        except _Ended:
            log.warning("subscriptions.postponed", error="let_go")


async def _bounded(socket: Socket, doing: Coroutine[None, None, None], timeout_s: float) -> None:
    """Do something within its time; a socket that cannot is cut off."""
    try:
        await asyncio.wait_for(doing, timeout_s)
    except (TimeoutError, ConnectionError, WebSocketDisconnect):
        socket.line.abort()
        raise


def _unfit() -> Refused:
    return Refused(Refusal.GRANT_UNFIT, "expected a subscription over websockets that you may bind")
