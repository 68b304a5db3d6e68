"""What a portal is told: where it is, what it is called, who else signs people in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from salus.node.outgoing_mail import Mailer
from salus.node.services.telling import PushService

BODY_BYTES_MAX: Final = 65_536
"""Of a form; a page that takes files says its own bound."""


@dataclass(frozen=True)
class PortalSettings:
    """Settings of one portal.

    Args:
        origin: as browsers know it, `https://records.example`, without a slash at its end.
        service_name: what people call it.
        theme: the text of a style sheet that comes after ours.
        signer: the origin of the signer page, where patients' own keys open; empty for none.
        trust: returns the trust file with which the verifier page begins; empty for none.
        certificates: files with TLS certificates whose end the operator reads, by what they are for.
        mailer, push: by what patients are told that something has changed; None for neither.
    """

    origin: str
    service_name: str = "My health record"
    theme: bytes = b""
    signer: str = ""
    trust: Callable[[], bytes] = bytes
    certificates: Mapping[str, Path] = field(default_factory=dict)
    mailer: Mailer | None = None
    push: PushService | None = None

    @property
    def host(self) -> str:
        """The name that passkeys are bound to (WebAuthn's RP ID)."""
        return urlsplit(self.origin).hostname or ""
