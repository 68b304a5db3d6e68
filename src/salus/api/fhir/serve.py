"""Serving FHIR, the native API, and signing in for both, beside a worker's exchange: on a socket of its own."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn

from salus.api.exchange.http_protocol import BoundedProtocol
from salus.api.exchange.serve import Beside, uvicorn_config
from salus.api.fhir.app import PREFIXES, FhirServer
from salus.api.fhir.notifying import Notifier
from salus.api.fhir.settings import FhirSettings
from salus.api.fhir.socket_protocol import BoundedSocket
from salus.api.native.app import NativeApi
from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.node.assemble import Node
from salus.node.hooks import hooks_of
from salus.node.listen_settings import FhirListen
from salus.node.profiles import conformance
from salus.node.projections import resources


def fhir_beside(place: FhirListen, listener: socket.socket) -> Beside:
    """Return what serves FHIR with a worker's node on a socket that listens already. Raises SettingsUnfit."""
    asked = conformance(place.profiles, place.demanded_profiles)
    hooks = hooks_of(place.hook_networks, place.hook_authorities)

    @contextlib.contextmanager
    def beside(node: Node, on_failure: Callable[[], None]) -> Iterator[None]:
        other_bases = tuple(place.base.removesuffix(PREFIXES[0]) + each for each in PREFIXES[1:])
        signing_in = SmartSettings(place.base, aliases=other_bases, providers=place.providers)
        smart = Smart(node, signing_in, lambda pseudonym: resources.patient_id(node, pseudonym))
        settings = FhirSettings(
            place.base,
            needs_request_id=place.needs_request_id,
            body_bytes_max=place.body_bytes_max,
            entries_max=place.entries_max,
            page_count_max=place.page_count_max,
            hooks=hooks,
            conformance=asked,
        )
        native = NativeApi(node, signing_in, smart.gate)
        with (
            contextlib.closing(smart),
            contextlib.closing(native),
            contextlib.closing(FhirServer(node, settings, smart.gate)) as server,
            contextlib.closing(
                Notifier(server.server, smart.gate, smart.keys.sign_bytes, server.sockets, on_failure=on_failure)
            ),
        ):
            app = server.app([*smart.routes(PREFIXES), *native.routes()])
            config = uvicorn_config(
                app,
                date_header=True,
                certificate=place.certificate,
                key=place.key,
                sockets=BoundedSocket,
                caller_field=place.caller_field,
            )
            with running(config, listener, name="fhir"):
                yield

    return beside


class _Server(uvicorn.Server):
    """uvicorn's server; at its end it waits for no client to say goodbye over TLS."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut idle connections off, let running answers finish, then cut off whoever is left."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedSocket):
                continue  # is told that the server goes away
            assert isinstance(connection, BoundedProtocol)
            if connection.cycle is None or connection.cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # closing the loop waits for connections that are not gone yet


@contextlib.contextmanager
def running(config: uvicorn.Config, listener: socket.socket, *, name: str) -> Iterator[None]:
    """Serve on a socket that listens already, in a thread of this name, as long as the block runs."""
    server = _Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
