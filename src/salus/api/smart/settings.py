"""What an operator may set of signing in, with the values that fit most nodes."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from salus.node.listen_settings import SignInProvider


@dataclass(frozen=True)
class SmartSettings:
    """Where a node's FHIR server is, and who else signs people in.

    Args:
        base: the address under which clients know the FHIR server, without a slash at its end: the only audience.
        aliases: other addresses of the same server, which apps may name as audience as well.
        body_bytes_max: of one form.
    """

    base: str
    aliases: tuple[str, ...] = ()
    providers: tuple[SignInProvider, ...] = ()
    body_bytes_max: int = 65_536

    @property
    def issuer(self) -> str:
        """Scheme and authority of the base: who issues tokens, and under which the endpoints are."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}"

    def at(self, path: str) -> str:
        """Return the whole address of an endpoint."""
        return self.issuer + path
