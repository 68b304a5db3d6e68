"""How these endpoints read what comes and say what goes: forms within bounds, JSON that nobody keeps, coded errors."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

FORM: Final = "application/x-www-form-urlencoded"
BODY_S: Final = 10.0
FIELDS_MAX: Final = 64
NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache", "x-content-type-options": "nosniff"}
ANY_ORIGIN: Final = {"access-control-allow-origin": "*"}
"""For what takes no cookie: apps in browsers read it from their own origins."""
BASIC: Final = {"www-authenticate": 'Basic realm="salus"'}


class OAuthFailure(Exception):
    """An error of RFC 6749 5.2 or of what was built on it.

    Args:
        error: its registered code, such as `invalid_grant`.
        words: what was expected; never about a person, never an echo.
    """

    def __init__(self, error: str, words: str, *, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(words)
        self.error = error
        self.words = words
        self.status = status
        self.headers = headers or {}


def pairs_once(text: str) -> dict[str, str]:
    """Return the fields of a query or form. Raises OAuthFailure for one that comes twice (RFC 6749 3.1)."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise OAuthFailure("invalid_request", "expected a form in UTF-8 with few fields") from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise OAuthFailure("invalid_request", "expected each parameter once")
    return {name: value for name, value in found.items() if value}


async def read_form(http: Request, *, bytes_max: int) -> dict[str, str]:
    """Return the fields of a posted form. Raises OAuthFailure."""
    if http.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise OAuthFailure("invalid_request", f"expected a form, {FORM}", status=415)
    if http.scope["query_string"] and http.url.path.endswith("/token"):
        raise OAuthFailure("invalid_request", "expected parameters in the body only")  # RFC 6749 3.2, 2.3.1
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in http.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise OAuthFailure("invalid_request", f"expected at most {bytes_max} bytes", status=413)
    except (TimeoutError, ClientDisconnect) as error:
        raise OAuthFailure("invalid_request", "expected the whole form at once", status=408) from error
    try:
        return pairs_once(body.decode("ascii"))
    except UnicodeDecodeError as error:
        raise OAuthFailure("invalid_request", "expected a form that is encoded") from error


def as_json(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer in JSON that nobody keeps and any origin may read."""
    fields = {**NO_STORE, **ANY_ORIGIN, **(headers or {})}
    return Response(msgspec.json.encode(body), status, fields, media_type="application/json")


def failed(failure: OAuthFailure) -> Response:
    """Return an error as RFC 6749 5.2 writes it."""
    body = {"error": failure.error, "error_description": failure.words}
    return as_json(body, status=failure.status, headers=failure.headers)
