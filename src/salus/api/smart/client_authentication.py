"""How an app shows at the token endpoint that it is itself: by a secret, by a signed assertion, or not at all.

An assertion (RFC 7523, SMART's asymmetric authentication, the NHS's signed JWT) is checked against the keys that the
operator registered, and nothing in it says with which key or algorithm it may be checked: the key is named by `kid`
among the app's own, the algorithm is on our list and fits that key.
"""

import base64
import binascii
import hashlib
from typing import Any, Final
from urllib.parse import unquote_plus

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from salus.api.smart.answers import BASIC, OAuthFailure
from salus.node.assemble import Node
from salus.node.services.apps import App, AppKind, Apps
from salus.node.services.outside_sign_in import ASSERTION_TYPE
from salus.node.tallies import Counted, Tally, count

ALGORITHMS: Final = ("RS384", "RS512", "ES384", "EdDSA", "Ed25519")
"""What SMART asks for, what the NHS signs with, and Ed25519 under its two names."""
ASSERTION_BYTES_MAX: Final = 8192
ASSERTION_S_MAX: Final = 300
SLACK_S: Final = 5
JTI_CHARACTERS_MAX: Final = 256
ASSERTIONS_MAX: Final = 100_000
"""So many of one app within five minutes; whoever has more is told to wait."""


class ClientAuthentication:
    """Finds out which app asks."""

    def __init__(self, node: Node, apps: Apps, *, audience: str) -> None:
        self._node = node
        self._apps = apps
        self._audience = audience

    def require(self, form: dict[str, str], authorization: str) -> App:
        """Return the app that asks. Raises OAuthFailure: invalid_client, with the same words for unknown and unfit."""
        ways = [bool(authorization), "client_secret" in form, "client_assertion" in form]
        if sum(ways) > 1:  # RFC 6749 2.3
            raise OAuthFailure("invalid_request", "expected one way of showing which app this is")
        if "client_assertion" in form:
            return self._by_assertion(form)
        if authorization:
            return self._by_secret(*_basic(authorization), said=form.get("client_id", ""))
        if "client_secret" in form:
            return self._by_secret(form.get("client_id", ""), form["client_secret"], said="")
        app = self._apps.find(form.get("client_id", ""))
        if app is None or app.kind is not AppKind.PUBLIC:
            raise _unknown()
        return app

    def _by_secret(self, app_id: str, secret: str, *, said: str) -> App:
        app = self._apps.find(app_id)
        if app is None or not self._apps.has_secret(app, secret) or said not in ("", app_id):
            raise _unknown()
        return app

    def _by_assertion(self, form: dict[str, str]) -> App:
        """1. Which app it claims to be of. 2. Signed by one of its keys. 3. For here, now. 4. Once."""
        assertion = form["client_assertion"]
        if form.get("client_assertion_type") != ASSERTION_TYPE or len(assertion) > ASSERTION_BYTES_MAX:
            raise _unknown()
        app = self._apps.find(form.get("client_id") or _claimed(assertion))  # 1
        if app is None or not app.jwks:
            raise _unknown()
        claims = _verified(assertion, app)  # 2
        self._require_current(claims, app)  # 3
        self._require_new(app, claims["jti"])  # 4
        return app

    def _require_current(self, claims: dict[str, Any], app: App) -> None:
        now_s = self._node.clock()
        audience, expires, jti = claims.get("aud"), claims.get("exp"), claims.get("jti")
        begins = [claims[name] for name in ("iat", "nbf") if name in claims]
        is_fit = (
            claims.get("iss") == app.id
            and claims.get("sub") == app.id
            and audience in (self._audience, [self._audience])
            and type(expires) is int
            and now_s < expires <= now_s + ASSERTION_S_MAX
            and all(type(each) is int and each <= now_s + SLACK_S for each in begins)
            and isinstance(jti, str)
            and 0 < len(jti) <= JTI_CHARACTERS_MAX
        )
        if not is_fit:
            words = f"expected iss and sub the app, aud the token endpoint, exp within {ASSERTION_S_MAX} s, and a jti"
            raise OAuthFailure("invalid_client", words, status=401)

    def _require_new(self, app: App, jti: str) -> None:
        who, what = hashlib.sha256(app.id.encode()).digest(), hashlib.sha256(jti.encode()).digest()
        within_s, now_s = ASSERTION_S_MAX + SLACK_S, self._node.clock()
        counted = count(
            self._node, Tally.ASSERTION, who=who, what=what, now_s=now_s, within_s=within_s, most=ASSERTIONS_MAX
        )
        if counted is Counted.AGAIN:
            raise OAuthFailure("invalid_client", "expected a jti that was not sent before", status=401)
        if counted is Counted.TOO_MANY:
            raise OAuthFailure("temporarily_unavailable", "too many assertions: keep the tokens", status=429)


def _verified(assertion: str, app: App) -> dict[str, Any]:
    try:
        keys = KeySet.import_key_set(msgspec.json.decode(app.jwks))
        header = jws.extract_compact(assertion.encode()).headers()
        key = next(each for each in keys if each.kid == header.get("kid") and header.get("kid"))
        return dict(jwt.decode(assertion, key, algorithms=list(ALGORITHMS)).claims)
    except (JoseError, ValueError, StopIteration, KeyError, TypeError) as error:
        raise _unknown() from error


def _claimed(assertion: str) -> str:
    """Return which app an assertion says that it is of; nothing of it has been checked."""
    try:
        said = _decoded(jws.extract_compact(assertion.encode()).payload or b"{}").get("sub")
    except (JoseError, ValueError) as error:
        raise _unknown() from error
    return said if isinstance(said, str) else ""


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("expected a JSON object") from error


def _basic(authorization: str) -> tuple[str, str]:
    """Return app and secret of a Basic field, each decoded as a form is (RFC 6749 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        name, separator, secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise _unknown() from error
    if scheme.lower() != "basic" or not separator:
        raise _unknown()
    return unquote_plus(name), unquote_plus(secret)


def _unknown() -> OAuthFailure:
    words = "expected a registered app that shows itself as it was registered to"
    return OAuthFailure("invalid_client", words, status=401, headers=BASIC)
