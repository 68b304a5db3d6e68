"""Bodies of requests, read within bounds of size and time, whether or not the client says the size beforehand."""

import asyncio

from starlette.requests import Request

from salus.api.fhir.failures import Failure, Issue


async def read_body(http: Request, *, timeout_s: float, bytes_max: int) -> bytes:
    """Return the whole body. Raises Failure: 408, 413; or ClientDisconnect when the client is gone."""
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in http.stream():
                body += chunk
                if len(body) > bytes_max:
                    words = f"expected a body of at most {bytes_max:,} bytes: divide it, or import it as NDJSON"
                    raise Failure(413, Issue("too-long", "MSG_CANT_PARSE_CONTENT", words))
    except TimeoutError as error:
        words = f"expected the body within {timeout_s:.0f} s: send it again"
        raise Failure(408, Issue("timeout", "MSG_CANT_PARSE_CONTENT", words)) from error
    return bytes(body)
