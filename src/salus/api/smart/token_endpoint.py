"""The token endpoint and its neighbours: tokens for codes, refresh tokens, assertions, tickets; introspection; the end.

Who asks shows first that they are themselves; then the grant of its kind says what they get.
"""

import re
from collections.abc import Callable
from typing import Final

from salus.api.smart import scopes, ticket_exchange
from salus.api.smart.answers import OAuthFailure
from salus.api.smart.client_authentication import ClientAuthentication
from salus.api.smart.scopes import Context, ScopeUnfit
from salus.api.smart.settings import SmartSettings
from salus.api.smart.signing_keys import ID_TOKEN_S, SigningKeys
from salus.node.acting import Patient
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.services.apps import App, AppKind
from salus.node.services.grants import Grants, Issued, Live

VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
INACTIVE: Final[dict[str, object]] = {"active": False}

PatientId = Callable[[bytes], str]
"""The logical id of a patient's Patient resource; empty where there is none."""


class TokenEndpoint:
    """Gives, shows and ends tokens; each method takes a form and the Authorization field."""

    def __init__(
        self,
        node: Node,
        settings: SmartSettings,
        *,
        grants: Grants,
        clients: ClientAuthentication,
        keys: SigningKeys,
        patient_id: PatientId,
    ) -> None:
        self._node = node
        self._settings = settings
        self._grants = grants
        self._clients = clients
        self._keys = keys
        self._patient_id = patient_id

    def token(self, form: dict[str, str], authorization: str) -> dict[str, object]:
        """Return the answer of RFC 6749 5.1 with SMART's launch context. Raises OAuthFailure, NotNow."""
        kinds = {
            "authorization_code": self._for_code,
            "refresh_token": self._for_refresh,
            "client_credentials": self._for_backend,
            ticket_exchange.GRANT_TYPE: self._for_ticket,
        }
        kind = kinds.get(form.get("grant_type", ""))
        if kind is None:
            words = f"expected grant_type {', '.join(kinds)}"
            raise OAuthFailure("unsupported_grant_type", words)
        app = self._clients.require(form, authorization)
        try:
            return self._answer(kind(app, form))
        except Refused as refused:
            error = "invalid_scope" if refused.refusal is Refusal.SCOPE_UNFIT else "invalid_grant"
            raise OAuthFailure(error, refused.words) from refused

    def introspect(self, form: dict[str, str], authorization: str) -> dict[str, object]:
        """Return what a token is (RFC 7662), to an app that keeps a secret and only about its own.

        Raises:
            OAuthFailure: invalid_client.
        """
        app = self._clients.require(form, authorization)
        if app.kind is AppKind.PUBLIC:
            raise OAuthFailure("invalid_client", "expected an app that can show that it is itself", status=401)
        found = self._grants.owner_of(form.get("token", ""))
        if found is None:
            return INACTIVE
        _, bearer = found
        try:
            live = self._grants.live(bearer.grant)
        except Refused:
            return INACTIVE
        if live.app.id != app.id:
            return INACTIVE
        said = {
            "active": True,
            "client_id": app.id,
            "scope": " ".join(bearer.value.scopes),
            "exp": bearer.until_s,
            "iss": self._settings.issuer,
            "aud": self._settings.base,
            "sub": self._grants.subject(live),
            "token_type": "Bearer",
        }
        return said | self._context(live, bearer.value.scopes)

    def revoke(self, form: dict[str, str], authorization: str) -> None:
        """End what a token rests on, all of it (RFC 7009 2.1); an unknown token is no error.

        Raises:
            OAuthFailure: invalid_client, invalid_request.
        """
        app = self._clients.require(form, authorization)
        if "token" not in form:
            raise OAuthFailure("invalid_request", "expected the token that is to end")
        found = self._grants.owner_of(form["token"])
        if found is not None and self._grants.is_of(found[1].grant, app):
            self._grants.end(found[1].grant)

    def _for_code(self, app: App, form: dict[str, str]) -> Issued:
        verifier = form.get("code_verifier", "")
        if app.kind is AppKind.BACKEND:
            raise OAuthFailure("unauthorized_client", "expected an app that people use")
        if not VERIFIER.fullmatch(verifier):
            raise OAuthFailure("invalid_grant", "expected the code's verifier (RFC 7636)")
        return self._grants.redeem(
            app, form.get("code", ""), redirect_uri=form.get("redirect_uri", ""), verifier=verifier
        )

    def _for_refresh(self, app: App, form: dict[str, str]) -> Issued:
        wanted = _read(form["scope"]) if "scope" in form else ()
        return self._grants.refresh(app, form.get("refresh_token", ""), wanted)

    def _for_backend(self, app: App, form: dict[str, str]) -> Issued:
        if app.kind is not AppKind.BACKEND or "client_assertion" not in form:
            raise OAuthFailure("unauthorized_client", "expected a backend service with an assertion of its own")
        named = form.get("scope") or " ".join(app.scopes)  # RFC 6749 3.3: without one, what it was registered with
        asked = _read(named)
        wanted = [str(each) for each in scopes.resources(asked) if each.context is Context.SYSTEM]
        wanted += [each for each in asked if each == scopes.LEDGER]
        allowed = scopes.bounded(wanted, app.scopes)
        if not allowed:
            raise OAuthFailure("invalid_scope", "expected scopes of the context system that this service may have")
        return self._grants.for_backend(app, allowed)

    def _for_ticket(self, app: App, form: dict[str, str]) -> Issued:
        return ticket_exchange.exchange(self._node, self._settings, self._grants, app, form)

    def _answer(self, issued: Issued) -> dict[str, object]:
        said: dict[str, object] = {
            "access_token": issued.access,
            "token_type": "Bearer",
            "expires_in": issued.expires_in_s,
            "scope": " ".join(issued.scopes),
        }
        if issued.live.login.ticket is not None:
            said["issued_token_type"] = ticket_exchange.ISSUED_TOKEN_TYPE  # RFC 8693 2.2.1
        if issued.refresh:
            said["refresh_token"] = issued.refresh
        if "openid" in issued.scopes:
            said["id_token"] = self._id_token(issued)
        return said | self._context(issued.live, issued.scopes)

    def _context(self, live: Live, granted: tuple[str, ...]) -> dict[str, object]:
        said: dict[str, object] = {}
        if live.terms.patient:
            said |= {"patient": self._patient_id(live.terms.patient), "need_patient_banner": True}
        if "fhirUser" in granted:
            said["fhirUser"] = self._user(live)
        return said

    def _id_token(self, issued: Issued) -> str:
        now_s, live = self._node.clock(), issued.live
        claims: dict[str, object] = {
            "iss": self._settings.issuer,
            "sub": self._grants.subject(live),
            "aud": live.app.id,
            "iat": now_s,
            "exp": now_s + ID_TOKEN_S,
        }
        if issued.nonce:
            claims["nonce"] = issued.nonce
        if "fhirUser" in issued.scopes:
            claims["fhirUser"] = self._user(live)
        if live.terms.level:
            claims["identity_assurance"] = live.terms.level
        return self._keys.sign(claims)

    def _user(self, live: Live) -> str:
        """The user as a FHIR resource (SMART: fhirUser)."""
        if isinstance(live.account.acts_as, Patient):
            return f"{self._settings.base}/Patient/{self._patient_id(live.account.pseudonym)}"
        return f"{self._settings.base}/Practitioner/{live.terms.account.hex()}"


def _read(text: str) -> tuple[str, ...]:
    try:
        return scopes.read(text)
    except ScopeUnfit as error:
        raise OAuthFailure("invalid_scope", str(error)) from error
