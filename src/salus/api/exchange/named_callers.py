"""Named callers: whoever calls through something on this machine that ends TLS, by the address that it names.

Without that all of them have this machine's address, and the tries of one are everybody's.
"""

import ipaddress
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_KINDS: Final = ("http", "websocket")


class NamedCallers:
    """An application whose callers are known by the last address in a field, which nobody but the last hop writes."""

    def __init__(self, app: ASGIApp, field: str) -> None:
        self._app = app
        self._field = field.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; where the field has no address at its end, it stays as it came."""
        address = self._address(scope) if scope["type"] in _KINDS else ""
        await self._app({**scope, "client": (address, 0)} if address else scope, receive, send)

    def _address(self, scope: Scope) -> str:
        values = [value for name, value in scope["headers"] if name == self._field]
        last = values[-1].rpartition(b",")[2].strip().decode("latin-1") if values else ""
        try:
            return str(ipaddress.ip_address(last))
        except ValueError:
            return ""
