"""The two ways in which a subscription is told: requests to its client's endpoint, a socket that the client opened.

Either way one stands on a connection before it is decided what goes over it, and hears whether it arrived.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from salus.api.fhir.sockets import Sockets
from salus.clinical.fhir.subscriptions import Asked
from salus.node.hooks import Hook, Hooks, Message, Sign, signed_fields

JSON: Final = "application/fhir+json"
RECEIVED: Final = 200


@dataclass(frozen=True)
class Notice:
    """What goes out at one time; in R4's own form nothing, or the resource whose type and id `update_of` is."""

    body: bytes = field(default=b"", repr=False)
    update_of: str = field(default="", repr=False)


Send = Callable[[Notice], int]
"""Sends a notice over a connection that stands, and returns the status of the answer. Raises HookAway."""


class Channel(Protocol):
    """A way of telling one subscription."""

    @contextmanager
    def connected(self) -> Iterator[Send]:
        """Stand on a connection, over which nothing is said yet. Raises HookUnfit, HookAway."""


@dataclass(frozen=True)
class HookChannel:
    """Requests, signed by a key in this server's JWK Set."""

    hooks: Hooks
    asked: Asked
    sign: Sign
    clock: Callable[[], int]

    @contextmanager
    def connected(self) -> Iterator[Send]:
        """Connect to the endpoint. Raises HookUnfit, HookAway."""
        hook = self.hooks.parsed(self.asked.endpoint)
        with self.hooks.connected(hook, timeout_s=self.asked.timeout_s) as connection:

            def send(notice: Notice) -> int:
                message = _message(hook, notice)
                signed = signed_fields(hook, message, self.sign, created_s=self.clock())
                return connection.send(message.method, message.target, dict(self.asked.headers) | signed, message.body)

            yield send


@dataclass(frozen=True)
class SocketChannel:
    """Messages over the socket that a subscription is bound to: the body, or where there is none `ping ID`."""

    sockets: Sockets
    asked: Asked
    subscription: bytes

    @contextmanager
    def connected(self) -> Iterator[Send]:
        """Find out that whoever has the socket is still there. Raises SocketAway."""
        with self.sockets.connected(self.subscription, timeout_s=self.asked.timeout_s) as tell:

            def send(notice: Notice) -> int:
                tell(notice.body.decode() or f"ping {self.subscription.hex()}")
                return RECEIVED

            yield send


def _message(hook: Hook, notice: Notice) -> Message:
    media_type = JSON if notice.body else ""
    if notice.update_of:
        return Message("PUT", f"{hook.target.rstrip('/')}/{notice.update_of}", notice.body, media_type)
    return Message("POST", hook.target, notice.body, media_type)
