"""Bodies of requests, read within bounds of size and time: a stranger gets no memory and no patience of ours."""

import asyncio
from contextlib import suppress
from typing import Final

from starlette.requests import ClientDisconnect, Request

from salus.node.sealed_bodies import ASK_BODY_BYTES_MAX

DISCARD_S: Final = 1.0


class BodyUnfit(Exception):
    """A body that is too large, comes too slowly, or does not say how large it is.

    Args:
        status: of the HTTP answer, after which the connection ends.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def require_size(http: Request) -> int:
    """Return the announced size of the body in bytes. Raises BodyUnfit."""
    announced = http.headers.get("content-length", "")
    if not announced.isascii() or not announced.isdecimal():
        raise BodyUnfit(411, "expected a body of a size that is said beforehand")
    if len(announced) > 9 or int(announced) > ASK_BODY_BYTES_MAX:
        raise BodyUnfit(413, f"expected a body of at most {ASK_BODY_BYTES_MAX} bytes")
    return int(announced)


async def read_body(http: Request, *, timeout_s: float) -> bytes:
    """Return the whole body. Raises BodyUnfit, or ClientDisconnect when the caller is gone."""
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in http.stream():
                body += chunk
                assert len(body) <= ASK_BODY_BYTES_MAX, "the server reads no more than was announced"
    except TimeoutError as error:
        raise BodyUnfit(408, f"expected the body within {timeout_s:.0f} s") from error
    return bytes(body)


async def discard_body(http: Request) -> None:
    """Read what is on its way and forget it: an answer that comes before its request was read may be lost."""
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(DISCARD_S):
            async for _ in http.stream():
                pass
