"""uvicorn's WebSocket protocol with what it does not have: bounds of time, and a way to know that something arrived."""

import asyncio
import secrets
from typing import Final, Protocol

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidState
from websockets.frames import Frame
from websockets.http11 import Request

LINE: Final = "salus.line"
"""Under which an application finds its `Line` among the extensions of ASGI."""
HANDSHAKE_S: Final = 10.0
"""Until the request to open a socket is read and answered."""
STALL_S: Final = 15.0
"""How long a client may leave what was sent unread before the connection ends."""
GOODBYE_S: Final = 0.5
_NOT_TEXT: Final = 1007  # RFC 6455 7.4.1
_PING_BYTES: Final = 8


class Line(Protocol):
    """The connection under a socket."""

    async def confirmed(self) -> None:
        """Wait until the other side has read all that was sent. Raises ConnectionError."""

    def abort(self) -> None:
        """Cut the connection off."""


class BoundedSocket(WebSocketsSansIOProtocol):
    """One socket, which speaks ASCII. Whoever exceeds a bound of time is cut off without a word."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._pings: dict[bytes, asyncio.Future[None]] = {}
        self._timers: list[asyncio.TimerHandle] = []
        self._stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the handshake."""
        super().connection_made(transport)
        self._timers.append(self.loop.call_later(HANDSHAKE_S, self._require_open))

    def handle_connect(self, event: Request) -> None:
        """Give the application the line that it speaks over."""
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["extensions"][LINE] = self  # type: ignore[assignment]

    def send_receive_event_to_app(self) -> None:
        """Pass on a message; what is no ASCII ends the socket."""
        if self.curr_msg_data_type == "text" and not b"".join(self.frames).isascii():
            self.frames = []
            self.conn.send_close(_NOT_TEXT)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    async def confirmed(self) -> None:
        """Ask the other side for a sign of life, which it gives when it has read what came before (RFC 6455 5.5.2)."""
        payload, read = secrets.token_bytes(_PING_BYTES), self.loop.create_future()
        try:
            self.conn.send_ping(payload)
        except InvalidState as error:
            raise ConnectionResetError("the socket is being closed") from error
        self._pings[payload] = read
        self.transport.write(b"".join(self.conn.data_to_send()))
        try:
            await read
        finally:
            self._pings.pop(payload, None)

    def abort(self) -> None:
        """Cut the connection off."""
        self.transport.abort()

    def handle_pong(self, event: Frame) -> None:
        """Take a sign of life; it stands for those before it, too (RFC 6455 5.5.3)."""
        super().handle_pong(event)
        if bytes(event.data) not in self._pings:
            return
        for payload in list(self._pings):
            read = self._pings.pop(payload)
            if not read.done():
                read.set_result(None)
            if payload == bytes(event.data):
                return

    def pause_writing(self) -> None:
        """The client does not read: wait a while."""
        super().pause_writing()
        self._stall_timer = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        super().resume_writing()

    def shutdown(self) -> None:
        """Say that the server goes away, and wait for no answer."""
        if not self.transport.is_closing():
            super().shutdown()
        self._timers.append(self.loop.call_later(GOODBYE_S, self.transport.abort))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop every clock, and say so to whoever waits."""
        for timer in (*self._timers, *([self._stall_timer] if self._stall_timer else [])):
            timer.cancel()
        for read in self._pings.values():
            if not read.done():
                read.set_exception(ConnectionResetError("the socket was cut off"))
        super().connection_lost(exc)

    def _require_open(self) -> None:
        if not self.handshake_complete:
            self.transport.abort()
