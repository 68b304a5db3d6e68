"""Outgoing mail: one message to one address, through the operator's own mail server (SMTP, RFC 5321).

Promises: it is said over TLS, or to this machine; an address is one line and one person; no address is ever in a log
or in words of a failure (P4).
"""

import re
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formataddr
from functools import cached_property
from typing import Final

ADDRESS_LENGTH_MAX: Final = 254
"""RFC 5321 4.5.3.1.3, without the angle brackets."""
TIMEOUT_S: Final = 10.0
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)


class MailAway(Exception):
    """A message was not taken, as far as is known here; the word says at which step."""


def is_address(text: str) -> bool:
    """Tell whether something is an address as people have them: RFC 5321's, without quotes, comments and numbers.

    One with the beginning of an encoded word (RFC 2047) is none: Python's messages decode it within an address as well,
    so that it would be other people's.
    """
    local = text.partition("@")[0]
    is_short = len(text) <= ADDRESS_LENGTH_MAX and len(local) <= 64
    return is_short and "=?" not in text and _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True)
class Mailer:
    """A mail server, and from whom mail is.

    Args:
        sender: the address; title: what people call it.
        name, password: by which this node signs in; empty for a server that asks for none.
        authorities: a file in PEM of who else signs its certificate; or empty.
    """

    host: str
    port: int
    sender: str
    title: str
    has_tls: bool = True
    name: str = ""
    password: str = field(default="", repr=False)
    authorities: str = ""

    def send(self, to: str, *, subject: str, body: str) -> None:
        """Hand over one message. Raises MailAway."""
        assert is_address(to), "an address is looked at when it is given"
        message = EmailMessage()
        message["From"] = formataddr((self.title, self.sender))
        message["To"] = to
        message["Subject"] = subject
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer of a machine comes back
        message.set_content(body)
        try:
            with smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S) as server:
                if self.has_tls:
                    server.starttls(context=self._tls)
                if self.name:
                    server.login(self.name, self.password)
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise MailAway(type(error).__name__) from None  # the error itself may say the address

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authorities or None)
