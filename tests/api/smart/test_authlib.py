"""A client of OAuth 2 that nobody here wrote: Authlib on requests, with PKCE, refresh, revocation, assertions."""

import io
from typing import Any

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from requests.adapters import BaseAdapter
from starlette.testclient import TestClient

from tests.api.smart.smart_world import BACK, BASE, ISSUER, VERIFIER, Hall, allow

TOKEN = f"{ISSUER}/oauth/token"


class ToApp(BaseAdapter):
    """Takes what requests would send over the network to the application in this process."""

    def __init__(self, client: TestClient) -> None:
        super().__init__()
        self._client = client

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        answer = self._client.request(
            request.method or "GET", request.url or "", content=request.body, headers=dict(request.headers)
        )
        made = requests.Response()
        made.status_code, made.request, made.url = answer.status_code, request, str(request.url)
        made.headers.update(answer.headers)
        made.raw = io.BytesIO(answer.content)
        return made

    def close(self) -> None:
        self._client.close()


def session(here: Hall, **how: Any) -> OAuth2Session:
    made = OAuth2Session(**how)
    made.mount("https://", ToApp(here.client()))
    return made


def test_an_app_of_authlib_is_let_in_refreshes_and_ends_its_access(here: Hall) -> None:
    app = session(
        here,
        client_id=here.public.id,
        scope="openid patient/Observation.rs offline_access",
        redirect_uri=BACK,
        code_challenge_method="S256",
    )
    location, _ = app.create_authorization_url(f"{ISSUER}/oauth/authorize", code_verifier=VERIFIER, aud=BASE)
    browser = here.client()
    browser.get(location)
    here.sign_in(browser, here.patient)
    back = allow(browser, browser.get("/oauth/consent")).headers["location"]
    app.fetch_token(TOKEN, authorization_response=back, code_verifier=VERIFIER)
    assert app.get(f"{BASE}/Observation").json()["patient"] == here.pseudonym.hex()
    before = app.token["access_token"]
    app.refresh_token(TOKEN)
    assert app.token["access_token"] != before
    assert app.get(f"{BASE}/Observation").status_code == 200
    assert app.revoke_token(f"{ISSUER}/oauth/revoke", token_type_hint="refresh_token").status_code == 200
    assert app.get(f"{BASE}/Observation").status_code == 401


def test_a_confidential_app_of_authlib_asks_what_its_token_is(here: Hall) -> None:
    app, secret = here.confidential.app, here.confidential.secret
    browser = here.client()
    code = here.code(browser, here.staff, client_id=app.id, scope="user/*.rs")
    theirs = session(here, client_id=app.id, client_secret=secret, redirect_uri=BACK)
    theirs.fetch_token(TOKEN, code=code, code_verifier=VERIFIER)
    said = theirs.introspect_token(f"{ISSUER}/oauth/introspect", token=theirs.token["access_token"])
    assert said.json()["active"] is True


def test_a_backend_service_of_authlib_signs_for_a_token(here: Hall) -> None:
    claims = {"exp": here.node.clock() + 240}  # an hour, as it has by itself, is too long for SMART
    signing = PrivateKeyJWT(TOKEN, claims=claims, alg="ES384", headers={"kid": "es"})
    service = session(
        here, client_id=here.backend.id, client_secret=here.keys["ES384"], token_endpoint_auth_method=signing
    )
    given = service.fetch_token(TOKEN, grant_type="client_credentials", scope="system/Observation.rs")
    assert given["scope"] == "system/Observation.rs"
    assert service.get(f"{BASE}/Observation").json()["client"] == here.backend.id
