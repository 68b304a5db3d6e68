"""What an operator may set of signing in, with the values that fit most nodes."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Provider:
    """An outside OpenID Connect provider whose sign-ins count here, such as CIS2 or NHS login.

    Args:
        name: a short word for it, which is in addresses; title: as people read it.
        issuer: as its tokens name it, compared whole.
        client_id: under which it knows this node.
        secret: by which this node shows itself, as at CIS2; empty where it signs instead.
        key: an RSA key in PEM with which it signs (private_key_jwt, RS512), as at NHS login; empty where it does not.
        authorization_endpoint, token_endpoint, jwks_uri: of its discovery document, written here by the operator.
        scope: what is asked for.
        level_claim: the claim that says how well it knows the person; levels: those that are good enough here.
    """

    name: str
    title: str
    issuer: str
    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    secret: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    scope: str = "openid"
    level_claim: str = ""
    levels: tuple[str, ...] = ()


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
    providers: tuple[Provider, ...] = ()
    body_bytes_max: int = 65_536

    @property
    def issuer(self) -> str:
        """Scheme and authority of the base: who issues tokens, and under which the endpoints are."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}"

    def at(self, path: str) -> str:
        """Return the whole address of an endpoint."""
        return self.issuer + path

    def provider(self, name: str) -> Provider | None:
        """Return a provider by its name; None for no such one."""
        return next((each for each in self.providers if each.name == name), None)
