"""Signed headers from another member's header service (`header_service`), over HTTP; believed for nothing."""

import http.client
from urllib.parse import urlsplit

from salus.engines.cometbft.rpc import TIMEOUT_S, NodeAway, NodeRpc
from salus.ledger.comet.types import Validator
from salus.ledger.comet.validators import check_validators
from salus.ledger.encoding import EncodingInvalid

SCHEME = "http"


class RemoteHeaders(NodeRpc):
    """One member's headers; one thread uses it.

    Args:
        url: `http://host:port`.

    Raises:
        ValueError: it is another kind of address.
    """

    calls_max = 1

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.scheme != SCHEME or not parts.hostname or not parts.port or parts.path.strip("/"):
            raise ValueError(f"expected http://host:port, came {url}")
        self._host, self._port = parts.hostname, parts.port
        super().__init__(url, timeout_s=timeout_s)

    def validators(self, height: int) -> tuple[Validator, ...]:
        """Return the validators of a height, in their order; none when the member does not know. Raises NodeAway."""
        found = super().validators(height)
        try:
            if found:
                check_validators(found)
        except EncodingInvalid as error:
            raise NodeAway(f"{self._where} names no validators ({error}): name another source") from error
        return found

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
