"""Serving the portal beside a worker's exchange: on a socket of its own."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from salus.api.exchange.serve import Beside, uvicorn_config
from salus.api.fhir.serve import running
from salus.crypto.web_push import PushUnfit, new_push_key, read_push_key
from salus.node.assemble import Node
from salus.node.config import SettingsUnfit, read_secret
from salus.node.http_peers import node_peers
from salus.node.listen_settings import PortalListen
from salus.node.outgoing_mail import Mailer
from salus.node.services.telling import PushService
from salus.node.upkeep import Upkeep
from salus.portal.app import Portal
from salus.portal.settings import PortalSettings
from salus.portal.telling import telling_tasks


def portal_beside(place: PortalListen, listener: socket.socket, *, others: Mapping[str, str] | None = None) -> Beside:
    """Return what serves the portal with a worker's node on a socket that listens already.

    Args:
        others: files with TLS certificates beside its own, by what they are for; an empty name for none.

    Raises:
        AssetsMissing, SettingsUnfit.
    """
    theme = Path(place.theme).read_bytes() if place.theme else b""
    settings = PortalSettings(place.origin, service_name=place.service_name, theme=theme, signer=place.signer)
    if place.trust:  # read each time: `salus follow` keeps a trust store up to date
        settings = replace(settings, trust=Path(place.trust).read_bytes)
    served = {"the portal": place.certificate, **(others or {})}
    files = {use: Path(each) for use, each in served.items() if each}
    settings = replace(settings, certificates=files, mailer=_mailer(place), push=_push(place))

    @contextlib.contextmanager
    def beside(node: Node, on_failure: Callable[[], None]) -> Iterator[None]:
        with (
            contextlib.closing(node_peers(node)) as peers,
            contextlib.closing(
                Portal(node, settings, peers=peers, providers=place.providers, launchers=place.launchers)
            ) as portal,
            contextlib.closing(Upkeep(node, on_failure=on_failure, tasks=telling_tasks(portal.telling))),
        ):
            config = uvicorn_config(
                portal.app(),
                date_header=True,
                certificate=place.certificate,
                key=place.key,
                caller_field=place.caller_field,
            )
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


def _mailer(place: PortalListen) -> Mailer | None:
    mail = place.mail
    if mail is None:
        return None
    return Mailer(
        mail.host,
        mail.port,
        mail.sender,
        place.service_name,
        has_tls=mail.starttls,
        name=mail.name,
        password=read_secret(Path(mail.secret)) if mail.secret else "",
        authorities=mail.authorities,
    )


def _push(place: PortalListen) -> PushService | None:
    """Return by what browsers are told; its key is made where there is none yet."""
    if place.push is None:
        return None
    path = Path(place.push.key)
    if not path.exists():
        new_push_key(path)
    try:
        return PushService(read_push_key(read_secret(path)), place.push.contact)
    except PushUnfit as error:
        raise SettingsUnfit(f"expected a key in {path}, {error}: take it away, and a new one is made") from error
