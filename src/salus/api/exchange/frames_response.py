"""A stream as an HTTP answer: frames are made in a thread and handed to the event loop one by one.

Promises: at most one frame waits for a slow reader; a reader who takes longer than half a minute for one, or is gone,
gets no more, and then the answer has no proper end, in HTTP as in its frames.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from salus.api.exchange.pool import Pool
from salus.node.sealed_streams import Frame, frame_head

FRAME_S: Final = 30.0

log = structlog.get_logger("salus.exchange")


class FramesResponse(Response):
    """An answer of frames.

    Args:
        places: of streams; one is taken for this answer already, and given back at its end.
    """

    media_type = "application/octet-stream"

    def __init__(self, frames: Iterator[Frame], places: Pool) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._frames = frames
        self._places = places

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        loop = asyncio.get_running_loop()
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if await loop.run_in_executor(self._places.executor, self._pump, loop, send, gone):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                log.info("exchange.stream_cut")
        finally:
            gone.cancel()
            self._places.give_back()

    def _pump(self, loop: asyncio.AbstractEventLoop, send: Send, gone: "asyncio.Future[None]") -> bool:
        """Hand over frame after frame; tell whether all of them were taken."""
        for frame in self._frames:
            taken = asyncio.run_coroutine_threadsafe(_hand_over(frame, send), loop)
            try:
                taken.result(FRAME_S)
            except TimeoutError:
                taken.cancel()
                return False
            if gone.done():
                return False
        return True


async def _hand_over(frame: Frame, send: Send) -> None:
    for piece in (frame_head(frame), frame[1]):
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
