"""Serving the portal beside a worker's exchange: on a socket of its own."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from salus.api.exchange.serve import Beside, uvicorn_config
from salus.api.fhir.serve import running
from salus.node.assemble import Node
from salus.node.http_peers import node_peers
from salus.node.listen_settings import PortalListen
from salus.portal.app import Portal
from salus.portal.settings import PortalSettings


def portal_beside(place: PortalListen, listener: socket.socket) -> Beside:
    """Return what serves the portal with a worker's node on a socket that listens already. Raises AssetsMissing."""
    theme = Path(place.theme).read_bytes() if place.theme else b""
    settings = PortalSettings(place.origin, service_name=place.service_name, theme=theme, signer=place.signer)
    if place.trust:  # read each time: `salus follow` keeps a trust store up to date
        settings = replace(settings, trust=Path(place.trust).read_bytes)

    @contextlib.contextmanager
    def beside(node: Node, _on_failure: Callable[[], None]) -> Iterator[None]:
        with (
            contextlib.closing(node_peers(node)) as peers,
            contextlib.closing(
                Portal(node, settings, peers=peers, providers=place.providers, launchers=place.launchers)
            ) as portal,
        ):
            config = uvicorn_config(portal.app(), date_header=True, certificate=place.certificate, key=place.key)
            with running(config, listener, name="portal"):
                yield

    return beside


def both(one: Beside, other: Beside) -> Beside:
    """Return what serves two things beside one node."""

    @contextlib.contextmanager
    def beside(node: Node, on_failure: Callable[[], None]) -> Iterator[None]:
        with one(node, on_failure), other(node, on_failure):
            yield

    return beside
