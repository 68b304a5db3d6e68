"""Serving FHIR, and signing in for it, beside a worker's exchange: on a socket and in threads of its own."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import structlog
import uvicorn

from salus.api.exchange.http_protocol import BoundedProtocol
from salus.api.exchange.serve import BACKLOG, CONNECTIONS_MAX, GRACE_S, KEPT_ALIVE_S, Beside
from salus.api.fhir.app import PREFIXES, FhirServer
from salus.api.fhir.settings import FhirSettings
from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.node.assemble import Node
from salus.node.config import FhirListen
from salus.node.projections import resources

log = structlog.get_logger("salus.fhir")


def fhir_beside(place: FhirListen, listener: socket.socket) -> Beside:
    """Return what serves FHIR with a worker's node on a socket that listens already."""

    @contextlib.contextmanager
    def beside(node: Node) -> Iterator[None]:
        other_bases = tuple(place.base.removesuffix(PREFIXES[0]) + each for each in PREFIXES[1:])
        signing_in = SmartSettings(place.base, aliases=other_bases, providers=place.providers)
        smart = Smart(node, signing_in, lambda pseudonym: resources.patient_id(node, pseudonym))
        settings = FhirSettings(place.base, needs_request_id=place.needs_request_id)
        with (
            contextlib.closing(smart),
            contextlib.closing(FhirServer(node, settings, smart.gate)) as server,
            _running(_Server(_config(server.app(smart.routes(PREFIXES)), place)), listener),
        ):
            yield

    return beside


def _config(app: object, place: FhirListen) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=BoundedProtocol,
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        ssl_certfile=place.certificate or None,
        ssl_keyfile=place.key or None,
        limit_concurrency=CONNECTIONS_MAX,
        backlog=BACKLOG,
        timeout_keep_alive=KEPT_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


class _Server(uvicorn.Server):
    """uvicorn's server; at its end it waits for no client to say goodbye over TLS."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut idle connections off, let running answers finish, then cut off whoever is left."""
        for connection in list(self.server_state.connections):
            assert isinstance(connection, BoundedProtocol)
            if connection.cycle is None or connection.cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # closing the loop waits for connections that are not gone yet


@contextlib.contextmanager
def _running(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="fhir", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
