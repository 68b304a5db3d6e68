"""People sign in at outside providers: one in the shape of CIS2, one in that of NHS login, both served over HTTP."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.testclient import TestClient

from tests.api.smart.provider import OutsideProvider, running
from tests.api.smart.smart_world import Hall, allow, cheap_passwords, hall, hidden, went_back

pytestmark = pytest.mark.services


@dataclass
class Outside:
    here: Hall
    cis2: OutsideProvider
    nhs: OutsideProvider
    web: httpx2.Client

    def go(self, browser: TestClient, name: str) -> str:
        """Choose a provider on the sign-in page, sign in there, and return the address to come back to."""
        page = browser.get("/oauth/sign-in")
        sent = browser.post(f"/oauth/outside/{name}", data=hidden(page))
        assert sent.status_code == 303, sent.text
        there = self.web.get(sent.headers["location"])
        location = urlsplit(there.headers["location"])
        assert location.netloc == "north.example"
        return f"{location.path}?{location.query}"

    def sign_in(self, name: str) -> Any:
        browser = self.browser()
        return browser.get(self.go(browser, name))

    def browser(self, **asked: str) -> TestClient:
        browser = self.here.client()
        browser.get("/oauth/authorize?" + urlencode(self.here.asked(**asked)))
        return browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with (
        pytest.MonkeyPatch.context() as patched,
        running(level_claim="authentication_assurance_level", signs=False) as cis2,
        running(level_claim="identity_proofing_level", signs=True) as nhs,
        httpx2.Client(verify=False) as web,  # plain HTTP to this machine: no certificates to read
    ):
        cheap_passwords(patched)
        folder = tmp_path_factory.mktemp("hall")
        providers = (cis2.settings(folder, "cis2", levels=("3",)), nhs.settings(folder, "nhs-login", levels=("P9",)))
        nhs.level = "P9"
        with hall(folder, providers=providers) as made:
            made.smart.accounts.link(made.staff, issuer=cis2.issuer, subject=cis2.subject)
            made.smart.accounts.link(made.patient, issuer=nhs.issuer, subject=nhs.subject)
            yield Outside(made, cis2, nhs, web)
            made.smart.close()


@pytest.fixture
def outside(served: Outside) -> Iterator[Outside]:
    yield served
    for each, level in ((served.cis2, "3"), (served.nhs, "P9")):
        each.claims, each.signs_with, each.algorithm, each.status, each.level = {}, None, "RS512", 200, level
        each.subject = "910000000001"


@pytest.mark.parametrize(
    ("name", "scope", "role", "level"),
    [
        ("cis2", "openid user/Observation.rs", "CLINICAL", "3"),
        ("nhs-login", "openid patient/Observation.rs", "PATIENT_SIDE", "P9"),
    ],
)
def test_who_signs_in_there_is_whom_the_account_stands_for(
    outside: Outside, name: str, scope: str, role: str, level: str
) -> None:
    browser = outside.browser(scope=scope)
    assert browser.get(outside.go(browser, name)).headers["location"] == "/oauth/consent"
    code = went_back(allow(browser, browser.get("/oauth/consent")))["code"]
    given = outside.here.redeem(browser, code).json()
    assert outside.here.search(given["access_token"]).json()["role"] == role
    keys = browser.get("/.well-known/jwks.json").json()["keys"]
    claims = jwt.decode(given["id_token"], KeySet.import_key_set({"keys": keys}), algorithms=["EdDSA"]).claims
    assert claims["identity_assurance"] == level


def test_the_node_shows_itself_by_secret_or_by_signature_and_keeps_what_it_owes(outside: Outside) -> None:
    outside.sign_in("cis2")
    outside.sign_in("nhs-login")
    assert "client_secret" in outside.cis2.seen[-1]
    assert "client_secret" not in outside.nhs.seen[-1]
    assert outside.nhs.seen[-1]["client_assertion"].count(".") == 2


def stranger(outside: Outside) -> None:
    outside.cis2.signs_with = RSAKey.generate_key(2048, {"kid": "p1"})


def says(**claims: Any) -> Callable[[Outside], None]:
    def change(outside: Outside) -> None:
        outside.cis2.claims = claims

    return change


def knows_little(outside: Outside) -> None:
    outside.cis2.level = "1"


def somebody_else(outside: Outside) -> None:
    outside.cis2.subject = "somebody else"


def is_broken(outside: Outside) -> None:
    outside.cis2.status = 500


REFUSED: dict[str, tuple[Callable[[Outside], None], int]] = {
    "signed by a stranger's key": (stranger, 403),
    "of another issuer": (says(iss="https://evil.example"), 403),
    "for another relying party": (says(aud="other"), 403),
    "for two relying parties": (says(aud=["salus-node", "other"]), 403),
    "for another, by azp": (says(azp="other"), 403),
    "of another sign-in": (says(nonce="n"), 403),
    "of no sign-in": (says(nonce=None), 403),
    "past its end": (says(exp=int(time.time()) - 60), 403),
    "without an end": (says(exp=None), 403),
    "of an hour ago": (says(iat=int(time.time()) - 3600), 403),
    "of nobody": (says(sub=None), 403),
    "of an empty name": (says(sub=""), 403),
    "of somebody known too little": (knows_little, 403),
    "of somebody without an account": (somebody_else, 403),
    "not there, for the provider has failed": (is_broken, 503),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_token_of_a_provider_is_refused(outside: Outside, what: str) -> None:
    change, status = REFUSED[what]
    change(outside)
    answer = outside.sign_in("cis2")
    assert (answer.status_code, "location" in answer.headers) == (status, False)


def test_an_answer_is_of_the_browser_and_the_provider_that_began_and_counts_once(outside: Outside) -> None:
    """Login CSRF and mix-up: an attacker's answer is put into somebody's browser, or under another provider's name."""
    browser, other = outside.browser(), outside.browser()
    back = outside.go(browser, "cis2")
    outside.go(other, "cis2")
    assert other.get(back).status_code == 403
    assert outside.here.client().get(back).status_code == 400
    back = outside.go(other, "cis2")
    asked = len(outside.nhs.seen)
    unnamed = back.replace("/cis2/", "/nhs-login/").partition("&iss=")[0]  # as of a provider without RFC 9207
    assert other.get(unnamed).status_code == 403
    assert len(outside.nhs.seen) == asked, "a code is shown to no provider but the one that gave it"
    assert other.get(back).status_code == 403
    back = outside.go(browser, "cis2")
    query = dict(parse_qsl(urlsplit(back).query))
    mixed = urlencode({**query, "iss": "https://evil.example"})
    assert browser.get("/oauth/outside/cis2/back?" + mixed).status_code == 403
    back = outside.go(browser, "cis2")
    assert browser.get(back).status_code == 303
    assert browser.get(back).status_code == 403


def test_a_provider_that_is_not_configured_is_none(outside: Outside) -> None:
    browser = outside.browser()
    page = browser.get("/oauth/sign-in")
    assert browser.post("/oauth/outside/evil", data=hidden(page)).status_code == 403
    assert "Sign in with CIS2" in page.text
