"""Ways of signing in: as a backend service, by its own signature, or with a token that somebody gave."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import import_key

from salus.sdk.client.errors import Unavailable
from salus.sdk.client.plans import FORM, Ask, Plan, asked, resolved

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
TICKET_TYPE: Final = "https://smarthealthit.org/token-type/permission-ticket"
ASSERTION_S: Final = 240
ALGORITHMS: Final = {"EC": "ES384", "RSA": "RS384", "OKP": "EdDSA"}


@dataclass(frozen=True)
class Token:
    """An access token, and until when it is good, Unix seconds; 0 where nobody said."""

    value: str = field(repr=False)
    until_s: float = 0


class SigningIn(Protocol):
    """How a client gets a token."""

    can_renew: bool

    def token(self, base: str, *, now_s: float) -> Plan[Token]:
        """Get a token for the server at `base`. Raises Rejected or Unavailable."""


@dataclass(frozen=True)
class GivenToken:
    """A token that somebody gave, such as the one at the end of a SMART launch."""

    value: str = field(repr=False)
    can_renew = False

    def token(self, base: str, *, now_s: float) -> Plan[Token]:
        """Return it."""
        del base, now_s
        yield from ()
        return Token(self.value)


@dataclass(frozen=True)
class BackendService:
    """A registered backend service (SMART Backend Services).

    Args:
        key: its private key as a JWK with a `kid`: P-384, RSA or Ed25519.
        scope: what is asked for; empty for all that it was registered with, or that the ticket allows.
        ticket: a patient's ticket; then the token is about that patient (docs/spec/tickets.md).
    """

    client_id: str
    key: Mapping[str, Any] = field(repr=False)
    scope: str = ""
    ticket: str = field(default="", repr=False)
    can_renew = True

    def token(self, base: str, *, now_s: float) -> Plan[Token]:
        """Show a fresh assertion at the token endpoint that the server names."""
        found = yield from asked(Ask("GET", f"{base}/.well-known/smart-configuration"), 200)
        endpoint = found.json().get("token_endpoint")
        if not isinstance(endpoint, str):
            raise Unavailable("expected the server to name its token endpoint: it does not, try later")
        form = self._form(resolved(base, endpoint), now_s=now_s)
        came = yield from asked(Ask("POST", endpoint, urlencode(form).encode(), {"content-type": FORM}), 200)
        said = came.json()
        return Token(said["access_token"], now_s + said.get("expires_in", 0))

    def _form(self, endpoint: str, *, now_s: float) -> dict[str, str]:
        form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self._assertion(endpoint, now_s=now_s)}
        if self.ticket:
            form |= {"grant_type": EXCHANGE, "subject_token": self.ticket, "subject_token_type": TICKET_TYPE}
        else:
            form["grant_type"] = "client_credentials"
        return form | ({"scope": self.scope} if self.scope else {})

    def _assertion(self, endpoint: str, *, now_s: float) -> str:
        key = import_key(dict(self.key))
        algorithm = ALGORITHMS[key.key_type]
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": endpoint,
            "exp": int(now_s) + ASSERTION_S,
            "jti": secrets.token_urlsafe(24),
        }
        return jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, algorithms=[algorithm])
