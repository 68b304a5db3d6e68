"""The FHIR server as a Starlette application.

1. Say which request this is, in which format the answer goes out.
2. Ask the gate who asks; read the body, within bounds; make it JSON.
3. Do the interaction in a thread.
4. Render; whatever went wrong is an OperationOutcome.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from salus.api.fhir.bodies import read_body
from salus.api.fhir.bulk import NDJSON
from salus.api.fhir.call import NOBODY, Call, Gate, Interaction, Reply, Server
from salus.api.fhir.failures import Failure, Issue, failure_of, outcome
from salus.api.fhir.interactions import INTERACTIONS
from salus.api.fhir.negotiation import Format, Wanted, sent, wanted, written
from salus.api.fhir.routing import parameters
from salus.api.fhir.settings import FhirSettings
from salus.api.fhir.sockets import Sockets
from salus.api.fhir.subscribing import SOCKET_PATH
from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.exact_json import write_exact
from salus.clinical.fhir.xml import read_xml
from salus.node.answer import plainly
from salus.node.assemble import Node
from salus.node.bearers import Bearers
from salus.node.errors import NotNow, Refused
from salus.node.pool import Pool
from salus.node.sealed_rows import SealedRows
from salus.node.services.deposit_together import Depositor
from salus.node.services.exports import Exports
from salus.node.services.jobs import Jobs
from salus.node.services.received_messages import ReceivedMessages
from salus.node.services.respond import Responder
from salus.node.services.subscription_bindings import Bindings
from salus.node.services.subscriptions import Subscriptions

PREFIXES: Final = ("/FHIR/R4", "/fhir")
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._\-]{1,64}")
CORRELATED: Final = ("x-correlation-id",)
ANY_ORIGIN: Final = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "etag, last-modified, location, x-request-id, x-correlation-id, "
    "content-location, x-progress, retry-after, repr-digest, content-range",
}
"""An app in a browser shows its token itself; nothing is answered because of where somebody comes from, or a cookie."""
PREFLIGHT: Final = {
    **ANY_ORIGIN,
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
    "access-control-allow-headers": "authorization, content-type, accept, prefer, if-match, if-none-match, "
    "if-none-exist, if-range, range, x-request-id, x-correlation-id",
    "access-control-max-age": "600",
}
QUERY_BYTES_MAX: Final = 16_384
NDJSON_TYPES: Final = (NDJSON, "application/ndjson", "application/x-ndjson")
PLAIN: Final = Wanted(Format.JSON)

log = structlog.get_logger("salus.fhir")


class FhirServer:
    """The FHIR routes of one node."""

    def __init__(self, node: Node, settings: FhirSettings, gate: Gate) -> None:
        rows, responder = SealedRows(node.vault, node.chain), Responder(node)
        self.server = Server(
            node=node,
            responder=responder,
            depositor=Depositor(node),
            bearers=Bearers(node, rows),
            exports=Exports(node, responder, Jobs(node, rows, "export")),
            imports=Jobs(node, rows, "import"),
            subscriptions=Subscriptions(node, rows),
            bindings=Bindings(node, rows),
            messages=ReceivedMessages(node, rows),
            settings=settings,
            interactions=INTERACTIONS,
        )
        self._settings = settings
        self._gate = gate
        self._pool = Pool(settings.threads, waiting_max=settings.waiting_max)
        self.sockets = Sockets(self.server, gate, self._pool)
        self._kinds = frozenset(r4().resource_types)

    def app(self, beside: Sequence[BaseRoute] = ()) -> Starlette:
        """Return the application, under both prefixes.

        Args:
            beside: other routes of the same address, such as those by which people sign in.
        """
        routes = [
            Route(prefix + path, partial(self._answer, each), methods=[each.method])
            for prefix in PREFIXES
            for each in INTERACTIONS
            for path in ((each.path, "") if each.path == "/" else (each.path,))  # the base, with a slash and without
        ]
        asked_before = [
            Route(prefix + path, _preflight, methods=["OPTIONS"])
            for prefix in PREFIXES
            for path in dict.fromkeys(each.path for each in INTERACTIONS)
        ]
        sockets = [WebSocketRoute(prefix + SOCKET_PATH, self.sockets.serve) for prefix in PREFIXES]
        app = Starlette(
            routes=[*beside, *sockets, *routes, *asked_before],
            exception_handlers={HTTPException: self._say_unknown, Exception: self._say_failed},
        )
        app.router.redirect_slashes = False  # a redirect would send the client to whatever Host says
        return app

    def close(self) -> None:
        """Let running work finish."""
        self._pool.close()

    async def _answer(self, interaction: Interaction, http: Request) -> Response:
        headers = dict(http.headers.items())
        said, shape = _identified(headers), PLAIN  # 1
        try:
            query = tuple(http.query_params.multi_items())
            shape = PLAIN if interaction.is_alone else wanted(query, headers)
            self._require_fit(http, interaction, headers)
            call = Call(NOBODY, interaction.at(http.path_params), query, headers)
            if interaction.takes or interaction.takes_lines or interaction.takes_form:
                call = await self._pool.run(partial(self._asked, interaction, call))  # 2: before anything is read
                body = await self._body(http, interaction, headers) if interaction.takes else b""
                body = await self._lines(http, headers) if interaction.takes_lines else body
                query += await self._form(http, headers) if interaction.takes_form else ()
                call = replace(call, query=query, body=body)
                reply = await self._pool.run(partial(self._done, interaction, call, shape))  # 3, 4
            else:
                reply = await self._pool.run(partial(self._asked_and_done, interaction, call, shape))  # 2, 3, 4
        except (FhirRejected, Refused, NotNow) as error:
            reply = _refusal(failure_of(error), shape)
        except Failure as failure:
            reply = _refusal(failure, shape)
        except ClientDisconnect:
            issue = Issue("incomplete", "MSG_CANT_PARSE_CONTENT", "the client went away")
            reply = _refusal(Failure(400, issue), shape)
        log.info("fhir.answered", interaction=interaction.code, status=reply.status, request=said["x-request-id"])
        return _response(reply, shape, said)

    def _asked(self, interaction: Interaction, call: Call) -> Call:
        return call if interaction.is_open else replace(call, access=self._gate.access(call.headers))

    def _asked_and_done(self, interaction: Interaction, call: Call, shape: Wanted) -> Reply:
        return self._done(interaction, self._asked(interaction, call), shape)

    def _done(self, interaction: Interaction, call: Call, shape: Wanted) -> Reply:
        with plainly():
            reply = interaction.handler(self.server, call)
        return reply if reply.media_type else replace(reply, content=written(reply.content, shape))

    def _require_fit(self, http: Request, interaction: Interaction, headers: Mapping[str, str]) -> None:
        if len(http.scope["query_string"]) > QUERY_BYTES_MAX:
            words = f"expected at most {QUERY_BYTES_MAX} bytes after the question mark: POST the search"
            raise Failure(414, Issue("too-long", "MSG_PARAM_INVALID", words))
        kind = http.path_params.get("kind")
        if kind is not None and kind not in self._kinds:
            raise Failure(
                404, Issue("not-supported", "MSG_UNKNOWN_TYPE", "expected a type of FHIR R4, such as Patient")
            )
        if kind is not None and not interaction.serves(kind):
            words = f"expected what can be done with a {kind}, which is made from the ledger: see /metadata"
            raise Failure(404, Issue("not-supported", "MSG_OP_NOT_ALLOWED", words))
        if self._settings.needs_request_id and interaction.method != "GET" and "x-request-id" not in headers:
            words = "expected X-Request-ID, as every write has here: send a new UUID"
            raise Failure(400, Issue("required", "MSG_PARAM_NO_REPEAT", words))

    async def _body(self, http: Request, interaction: Interaction, headers: Mapping[str, str]) -> bytes:
        form = sent(headers, may_patch=interaction.code == "patch")
        body = await read_body(http, timeout_s=self._settings.body_s, bytes_max=self._settings.body_bytes_max)
        in_order = interaction.code == "$validate"  # FHIR asks for it; what is stored loses nothing without
        if form is Format.JSON:
            return body
        return await self._pool.run(lambda: write_exact(read_xml(body, in_order=in_order)))

    async def _lines(self, http: Request, headers: Mapping[str, str]) -> bytes:
        if headers.get("content-type", "").partition(";")[0].strip().lower() not in NDJSON_TYPES:
            words = "expected resources as application/fhir+ndjson, one a line: say so in Content-Type"
            raise Failure(415, Issue("not-supported", "MSG_CANT_PARSE_CONTENT", words))
        return await read_body(http, timeout_s=self._settings.body_s, bytes_max=self._settings.body_bytes_max)

    async def _form(self, http: Request, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            words = "expected the parameters of a search as application/x-www-form-urlencoded: say so in Content-Type"
            raise Failure(415, Issue("not-supported", "MSG_CANT_PARSE_CONTENT", words))
        form = await read_body(http, timeout_s=self._settings.body_s, bytes_max=QUERY_BYTES_MAX)
        return parameters(form.decode("utf-8", "replace"))

    async def _say_unknown(self, http: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        words = "expected an address and a method of this server: see its CapabilityStatement at /metadata"
        failure = Failure(error.status_code, Issue("not-supported", "MSG_OP_NOT_ALLOWED", words))
        return _response(_refusal(failure, PLAIN), PLAIN, _identified(http.headers))

    async def _say_failed(self, http: Request, _error: Exception) -> Response:
        words = "this server has failed: try later, and tell its operator the request's id"
        failure = Failure(500, Issue("exception", "MSG_CANT_PARSE_CONTENT", words))
        return _response(_refusal(failure, PLAIN), PLAIN, _identified(http.headers))


async def _preflight(_http: Request) -> Response:
    """What a browser asks before it lets an app of another origin ask."""
    return Response(status_code=204, headers=PREFLIGHT)


def _refusal(failure: Failure, shape: Wanted) -> Reply:
    return Reply(failure.status, written(outcome(*failure.issues), shape), failure.headers)


def _identified(headers: Mapping[str, str]) -> dict[str, str]:
    """The fields by which both sides know this exchange: echoed where they are fit, made where there is none."""
    came = headers.get("x-request-id", "")
    said = {"x-request-id": came if REQUEST_ID.fullmatch(came) else secrets.token_hex(16)}
    return said | {name: headers[name] for name in CORRELATED if REQUEST_ID.fullmatch(headers.get(name, ""))}


def _response(reply: Reply, shape: Wanted, said: Mapping[str, str]) -> Response:
    headers = {**said, **ANY_ORIGIN, **reply.headers, "cache-control": "no-store", "x-content-type-options": "nosniff"}
    media_type = reply.media_type or (f"{shape.format}; fhirVersion=4.0" if reply.content else None)
    return Response(reply.content, reply.status, headers, media_type=media_type)
