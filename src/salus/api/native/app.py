"""The native API as routes beside the FHIR server's own: the same address, the same tokens.

1. Ask the gate who calls; the token has the operation's scope, and is about one patient where that is needed.
2. What stands in the address fits; the body is read within bounds, and is JSON of the operation's type.
3. The operation calls one service in a thread.
4. Render. Every "no" is a number and words of ours, never an echo, as everywhere between nodes.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from salus.api.fhir import openapi
from salus.api.fhir.bodies import read_body
from salus.api.fhir.failures import Failure
from salus.api.fhir.interactions import INTERACTIONS
from salus.api.native.call import FILE, Call, Operation
from salus.api.native.openapi import DOCUMENT_PATH, PREFIX, all_paths, document
from salus.api.native.operations import OPERATIONS
from salus.api.smart.access import Access, Gate
from salus.api.smart.answers import ANY_ORIGIN
from salus.api.smart.settings import SmartSettings
from salus.node.answer import plainly
from salus.node.assemble import Node
from salus.node.errors import Busy, NotNow, Refusal, Refused
from salus.node.plain_answers import NOT_NOW, RETRY_AFTER_S, plain_body
from salus.node.pool import Pool

THREADS: Final = 4
WAITING_MAX: Final = 32
BODY_BYTES_MAX: Final = 262_144
BODY_S: Final = 10.0
HEADERS: Final = {**ANY_ORIGIN, "cache-control": "no-store", "x-content-type-options": "nosniff"}
PREFLIGHT: Final = {
    **ANY_ORIGIN,
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
}
STATUS: Final = {
    Refusal.GRANT_UNFIT: 401,
    Refusal.PERSON_UNFIT: 403,
    Refusal.SESSION_UNFIT: 403,
    Refusal.SCOPE_UNFIT: 403,
    Refusal.NOT_YOURS: 404,
    Refusal.PATIENT_UNKNOWN: 404,
    Refusal.LEDGER_REJECTED: 409,
    Refusal.RULES_MISSING: 409,
    Refusal.TOO_MANY: 429,
}

log = structlog.get_logger("salus.native")


class Declined(Exception):
    """A call that is refused.

    Args:
        refusal: the permanent number; 0 for *not now*.
    """

    def __init__(self, status: int, refusal: int, words: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.refusal = refusal
        self.words = words
        self.headers = headers or {}


class NativeApi:
    """The routes of one node."""

    def __init__(self, node: Node, settings: SmartSettings, gate: Gate) -> None:
        self._node = node
        self._settings = settings
        self._gate = gate
        self._documents = {
            DOCUMENT_PATH: document(settings.issuer, OPERATIONS),
            openapi.DOCUMENT_PATH: openapi.document(settings.base, INTERACTIONS),
        }
        self._pool = Pool(THREADS, waiting_max=WAITING_MAX)

    def routes(self) -> list[Route]:
        """Return the routes; whatever else is asked for below `/api` is answered in the same shape."""
        return [
            *(Route(path, self._document, methods=["GET"]) for path in self._documents),
            *(Route(PREFIX + each.path, self._route(each), methods=[each.method]) for each in OPERATIONS),
            *(Route(path, _preflight, methods=["OPTIONS"]) for path in all_paths(OPERATIONS)),
            Route("/api/{rest:path}", _unknown, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    def close(self) -> None:
        """Let running work finish."""
        self._pool.close()

    async def _document(self, http: Request) -> Response:
        return Response(self._documents[http.url.path], headers=HEADERS, media_type="application/json")

    def _route(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def answer(http: Request) -> Response:
            try:
                response = await self._answer(operation, http)
            except Declined as declined:
                response = _said(declined)
            except Failure as failure:  # of the gate, and of bodies, which are the FHIR server's
                refusal = Refusal.GRANT_UNFIT if failure.status == 401 else Refusal.MESSAGE_UNFIT
                words = failure.issues[0].words
                response = _said(Declined(failure.status, refusal, words, dict(failure.headers)))
            except ClientDisconnect:
                response = _said(Declined(400, NOT_NOW, "the client went away"))
            except Refused as refused:
                response = _said(Declined(STATUS.get(refused.refusal, 400), refused.refusal, refused.words))
            except NotNow as error:
                response = _said(Declined(429 if isinstance(error, Busy) else 503, NOT_NOW, str(error)))
            log.info("native.answered", operation=operation.name, status=response.status_code)
            return response

        return answer

    async def _answer(self, operation: Operation, http: Request) -> Response:
        access = await self._let_in(operation, http) if operation.scope else None  # 1
        at = _fit(operation, http.path_params)  # 2
        body = await _body(operation, http) if operation.takes is not None else None
        call = Call(self._node, self._settings.base, access, at, body)
        return await self._pool.run(lambda: _done(operation, call))  # 3, 4

    async def _let_in(self, operation: Operation, http: Request) -> Access:
        headers = dict(http.headers.items())
        access = await self._pool.run(lambda: self._gate.access(headers))
        if operation.scope not in access.others:
            raise Declined(403, Refusal.SCOPE_UNFIT, f"expected a token with the scope {operation.scope}")
        if operation.is_about_one and not access.about:
            raise Declined(403, Refusal.SCOPE_UNFIT, "expected a token about one patient")
        return access


def _fit(operation: Operation, at: dict[str, str]) -> dict[str, str]:
    if not all(re.fullmatch(operation.patterns[name], value) for name, value in at.items()):
        raise Declined(404, Refusal.NOT_YOURS, "expected a name of the form that the OpenAPI document has")
    return at


async def _body(operation: Operation, http: Request) -> Any:
    if http.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Declined(415, Refusal.MESSAGE_UNFIT, "expected application/json: say so in Content-Type")
    body = await read_body(http, timeout_s=BODY_S, bytes_max=BODY_BYTES_MAX)
    try:
        return msgspec.json.decode(body, type=operation.takes)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Declined(400, Refusal.MESSAGE_UNFIT, "expected JSON as the OpenAPI document has it") from error


def _done(operation: Operation, call: Call) -> Response:
    with plainly():
        said = operation.handler(call)
    if operation.gives is None:
        return Response(status_code=operation.status, headers=HEADERS)
    if operation.gives is bytes:
        return Response(said, operation.status, HEADERS, media_type=FILE)
    return Response(msgspec.json.encode(said), operation.status, HEADERS, media_type="application/json")


def _said(declined: Declined) -> Response:
    headers = {**HEADERS, **declined.headers}
    if declined.status in RETRY_AFTER_S:
        headers["retry-after"] = str(RETRY_AFTER_S[declined.status])
    body = plain_body(declined.refusal, declined.words)
    return Response(body, declined.status, headers, media_type="application/json")


async def _unknown(_http: Request) -> Response:
    words = f"expected an address and a method of this API: see {DOCUMENT_PATH}"
    return _said(Declined(404, Refusal.MESSAGE_UNFIT, words))


async def _preflight(_http: Request) -> Response:
    """What a browser asks before it lets an app of another origin ask."""
    return Response(status_code=204, headers=PREFLIGHT)
