"""A mail server on this machine, with TLS and a password: what it was given, and how often it refuses."""

from __future__ import annotations

import queue
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from salus.cli.demonstration_places import free_ports

NAME, PASSWORD = "portal", "a password of the server"
WAIT_S = 60


@dataclass
class MailServer:
    """Where it is, what came, and how many messages it refuses before it takes one."""

    port: int
    came: queue.Queue[EmailMessage] = field(default_factory=queue.Queue)
    refusals: int = 0
    was_secret: bool = True

    def next(self) -> EmailMessage:
        """Wait for the next message."""
        return self.came.get(timeout=WAIT_S)

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        self.was_secret = self.was_secret and session.ssl is not None
        if self.refusals:
            self.refusals -= 1
            return "451 try again"
        content = envelope.original_content or b""
        self.came.put(message_from_bytes(content, policy=policy.default))  # type: ignore[arg-type]
        return "250 taken"


def _checked(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: object) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(success=(data.login, data.password) == (NAME.encode(), PASSWORD.encode()))


@contextmanager
def mail_server(certificate: Path, key: Path) -> Iterator[MailServer]:
    """Take mail until the block ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = MailServer(free_ports(1)[0])
    controller = Controller(
        server,
        hostname="127.0.0.1",
        port=server.port,
        require_starttls=True,
        tls_context=context,
        authenticator=_checked,
        auth_required=True,
        ready_timeout=WAIT_S,
    )
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
