"""A stream as an HTTP answer: frames are made in a thread and handed to the event loop one by one.

Promises: at most one frame waits for a slow reader; a reader who takes longer than half a minute for one, or is gone,
gets no more, and then the answer has no proper end, in HTTP as in its frames.
"""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Generator
from contextlib import closing
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from salus.node.pool import Pool
from salus.node.sealed_streams import Frame, frame_head

FRAME_S: Final = 30.0
LOOK_S: Final = 0.1
"""How often a thread that waits for a reader looks whether it should."""

log = structlog.get_logger("salus.exchange")


class FramesResponse(Response):
    """An answer of frames.

    Args:
        places: of streams; one is taken for this answer already, and given back at its end.
    """

    media_type = "application/octet-stream"

    def __init__(self, frames: Generator[Frame, None, None], places: Pool) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._frames = frames
        self._places = places
        self._ended = threading.Event()

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        loop = asyncio.get_running_loop()
        gone = asyncio.ensure_future(_until_gone(receive))
        gone.add_done_callback(lambda _: self._ended.set())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if await loop.run_in_executor(self._places.executor, self._pump, loop, send):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                log.info("exchange.stream_cut")
        finally:
            self._ended.set()
            gone.cancel()
            self._places.give_back()

    def _pump(self, loop: asyncio.AbstractEventLoop, send: Send) -> bool:
        """Hand over frame after frame; tell whether all of them were taken."""
        with closing(self._frames) as frames:  # what they read from is let go in this thread
            return all(
                self._is_taken(asyncio.run_coroutine_threadsafe(_hand_over(each, send), loop)) for each in frames
            )

    def _is_taken(self, taken: "concurrent.futures.Future[None]") -> bool:
        until_s = time.monotonic() + FRAME_S
        while not self._ended.is_set() and time.monotonic() < until_s:
            try:
                taken.result(LOOK_S)
            except TimeoutError:
                continue
            return not self._ended.is_set()
        taken.cancel()
        return False


async def _hand_over(frame: Frame, send: Send) -> None:
    for piece in (frame_head(frame), frame[1]):
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
