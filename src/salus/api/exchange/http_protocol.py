"""uvicorn's HTTP/1.1 protocol with bounds that it does not set: size and time of a head, time for a stalled reader."""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from salus.node.errors import Refusal
from salus.node.plain_answers import plain_body

HEAD_BYTES_MAX: Final = 32_768
HEAD_S: Final = 10.0
"""From the connection, or from a request's first byte, until its head is whole."""
STALL_S: Final = 15.0
"""How long a caller may leave what was sent unread before the connection ends."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Whoever exceeds a bound is cut off without an answer: it has not asked anything yet."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def on_message_begin(self) -> None:
        """Begin to wait for the next head."""
        super().on_message_begin()
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes in, while a head stays within its size."""
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > HEAD_BYTES_MAX:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        _cancel(self._head_timer)
        self._head_timer = None
        super().on_headers_complete()

    def send_400_response(self, _msg: str) -> None:
        """Say that what came is no HTTP, in our own words."""
        body = plain_body(Refusal.MESSAGE_UNFIT, "expected an HTTP/1.1 request")
        fields = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
        self.transport.write(f"HTTP/1.1 400 Bad Request\r\n{fields}\r\n".encode() + body)
        self.transport.close()

    def pause_writing(self) -> None:
        """The caller does not read: wait a while."""
        super().pause_writing()
        self._stall_timer = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller reads."""
        _cancel(self._stall_timer)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop every clock."""
        _cancel(self._head_timer)
        _cancel(self._stall_timer)
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_S, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
