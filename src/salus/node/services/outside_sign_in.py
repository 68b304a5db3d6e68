"""Outside sign-in: at an OpenID Connect provider, with this node as a relying party (OpenID Connect Core 3.1).

Promises: code flow with PKCE, state and nonce, each of one browser and used once; the answer has to name the issuer
that was asked, and the ID token to be signed by a key that the operator's address of it has, for this node, now; an
identity level that is not good enough here lets nobody in.
"""

import hmac
import secrets
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx2
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from salus.node.assemble import Node
from salus.node.config import read_secret
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.listen_settings import SignInProvider
from salus.node.services.grants import challenge_of

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519")
ANSWER_S: Final = 5.0
ASSERTION_S: Final = 60
ANSWER_BYTES_MAX: Final = 262_144
SLACK_S: Final = 30
TOKEN_AGE_S_MAX: Final = 600
AT_ONCE_MAX: Final = 3
"""How many threads of one worker wait for providers at one moment: others have other things to do."""


class Begun(msgspec.Struct, frozen=True, array_like=True):
    """A sign-in at a provider that has begun, as the browser's session remembers it."""

    provider: str
    state: str
    nonce: str
    verifier: str


Fetch = Callable[[str, dict[str, str] | None, str], bytes]
"""GETs an address, or POSTs a form to it, with a token or none; returns the body of a 200. Raises Refused, NotNow."""
_NOTHING_MORE: Final[Mapping[str, str]] = {}


@dataclass(frozen=True)
class Who:
    """Whom a provider has authenticated, and how well it knows them, in its own words."""

    issuer: str
    subject: str
    level: str

    def __repr__(self) -> str:
        """Hide who it is."""
        return f"Who({self.issuer})"


@dataclass(frozen=True)
class Finished:
    """How a sign-in ended: who it is, what the signed ID token says, and the token endpoint's whole answer."""

    who: Who
    claims: dict[str, Any] = field(repr=False)
    answer: bytes = field(repr=False)


def fetch(address: str, form: dict[str, str] | None, token: str = "") -> bytes:
    """Ask a provider over HTTP, with no redirect followed and no more read than it should say.

    Args:
        token: an access token that is shown (RFC 6750); or empty.

    Raises:
        Refused: SIGN_IN_UNFIT: the provider says that what it was asked is unfit, such as a code that it never gave.
        NotNow: it does not answer, or says that it has failed.
    """
    shown = {"accept": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    try:
        with httpx2.Client(timeout=ANSWER_S, follow_redirects=False, verify=_trusted()) as client:
            method = "GET" if form is None else "POST"
            with client.stream(method, address, data=form, headers=shown) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        raise NotNow("the provider's answer is too long")
                if 400 <= response.status_code < 500:
                    raise _unfit("the provider did not take what it was asked: begin again")
                if response.status_code != 200:
                    raise NotNow(f"the provider answered {response.status_code}")
                return bytes(body)
    except httpx2.HTTPError as error:
        raise NotNow("the provider does not answer: try later") from error


@cache  # reading the machine's certificates takes longer than asking
def _trusted() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class OutsideSignIn:
    """Sends people to providers, and reads what they come back with."""

    def __init__(
        self,
        node: Node,
        providers: Sequence[SignInProvider],
        *,
        back: Callable[[str], str],
        fetching: Fetch = fetch,
    ) -> None:
        """Read by what this node shows itself to them. Raises SettingsUnfit.

        Args:
            back: the address to which a provider of that name sends people back.
        """
        self._node = node
        self._providers = {each.name: each for each in providers}
        self._back = back
        self._fetch = fetching
        self._room = threading.BoundedSemaphore(AT_ONCE_MAX)
        files = {each.name: each.key or each.secret for each in providers}
        self._secrets = {name: read_secret(Path(file)) for name, file in files.items() if file}

    def begin(self, name: str, more: Mapping[str, str] = _NOTHING_MORE) -> tuple[Begun, str]:
        """Return what to remember of a sign-in that begins, and where the browser goes. Raises Refused.

        Args:
            more: parameters beside those of every sign-in.
        """
        provider = self._require(name)
        begun = Begun(name, *(secrets.token_urlsafe(32) for _ in range(3)))
        asked = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": self._back(name),
            "scope": provider.scope,
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge_of(begun.verifier),
            "code_challenge_method": "S256",
        } | dict(more)
        joint = "&" if "?" in provider.authorization_endpoint else "?"
        return begun, provider.authorization_endpoint + joint + urlencode(asked)

    def finish(self, name: str, begun: tuple[Begun, ...], fields: dict[str, str]) -> Who:
        """Return who it is. Raises as `complete`."""
        return self.complete(name, begun, fields).who

    def complete(self, name: str, begun: tuple[Begun, ...], fields: dict[str, str]) -> Finished:
        """Return who it is, and what the provider said beside it.

        1. It is the sign-in that this browser began, at this provider (RFC 9207: no other's answer).
        2. Give the code for an ID token.
        3. The token is of this provider, for this node, for this sign-in, and of now.
        4. The provider knows the person well enough.

        Raises:
            Refused: SIGN_IN_UNFIT, it is not.
            NotNow: the provider does not answer.
        """
        provider = self._require(name)
        is_begun = len(begun) == 1 and begun[0].provider == name
        if not is_begun or not hmac.compare_digest(begun[0].state.encode(), fields.get("state", "").encode()):  # 1
            raise _unfit("this is not the sign-in that this page began: begin again")
        if fields.get("iss", provider.issuer) != provider.issuer or "error" in fields or "code" not in fields:
            raise _unfit(f"{provider.title} did not sign you in")
        claims, answer = self._claims(provider, begun[0], fields["code"])  # 2
        self._require_current(provider, begun[0], claims)  # 3
        level = str(claims.get(provider.level_claim, "")) if provider.level_claim else ""
        if provider.levels and level not in provider.levels:  # 4
            raise _unfit(f"{provider.title} does not know you well enough for this yet")
        return Finished(Who(provider.issuer, claims["sub"], level), claims, answer)

    def _claims(self, provider: SignInProvider, begun: Begun, code: str) -> tuple[dict[str, Any], bytes]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back(provider.name),
            "client_id": provider.client_id,
            "code_verifier": begun.verifier,
        }
        form |= self._shown(provider)
        if not self._room.acquire(blocking=False):
            raise NotNow("as many as may wait for providers: try again in a moment")
        try:
            answer = self._fetch(provider.token_endpoint, form, "")
            signed = msgspec.json.decode(answer, type=_TokenAnswer).id_token
            keys = KeySet.import_key_set(msgspec.json.decode(self._fetch(provider.jwks_uri, None, "")))
            return dict(jwt.decode(signed, keys, algorithms=list(ALGORITHMS)).claims), answer
        except (msgspec.DecodeError, JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise _unfit(f"{provider.title} answered what this page cannot read") from error
        finally:
            self._room.release()

    def _shown(self, provider: SignInProvider) -> dict[str, str]:
        """Return by what this node shows a provider that it is itself."""
        secret = self._secrets.get(provider.name, "")
        if not provider.key:
            return {"client_secret": secret} if secret else {}
        now_s = self._node.clock()
        claims = {
            "iss": provider.client_id,
            "sub": provider.client_id,
            "aud": provider.token_endpoint,
            "jti": secrets.token_urlsafe(16),
            "iat": now_s,
            "exp": now_s + ASSERTION_S,
        }
        key = RSAKey.import_key(secret)
        signed = jwt.encode({"alg": "RS512"}, claims, key, algorithms=["RS512"])
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}

    def _require_current(self, provider: SignInProvider, begun: Begun, claims: dict[str, Any]) -> None:
        now_s = self._node.clock()
        audience, expires, issued = claims.get("aud"), claims.get("exp"), claims.get("iat")
        is_fit = (
            claims.get("iss") == provider.issuer
            and audience in (provider.client_id, [provider.client_id])
            and claims.get("azp", provider.client_id) == provider.client_id
            and claims.get("nonce") == begun.nonce
            and type(expires) is int
            and now_s - SLACK_S < expires
            and type(issued) is int
            and now_s - TOKEN_AGE_S_MAX < issued <= now_s + SLACK_S
            and isinstance(claims.get("sub"), str)
            and claims["sub"] != ""
        )
        if not is_fit:
            raise _unfit(f"{provider.title} answered for somebody or something else")

    def _require(self, name: str) -> SignInProvider:
        if name not in self._providers:
            raise _unfit("there is no such provider here")
        return self._providers[name]


class _TokenAnswer(msgspec.Struct):
    id_token: str


def _unfit(words: str) -> Refused:
    return Refused(Refusal.SIGN_IN_UNFIT, words)
