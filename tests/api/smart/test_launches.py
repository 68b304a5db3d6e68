"""Apps are let in: standalone, launched by an EHR, as backend services; scopes of both versions; refresh; ends."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from salus.api.smart.discovery import CAPABILITIES
from salus.node.services.apps import AppKind, NewApp
from tests.api.smart.smart_world import (
    BACK,
    BASE,
    BORN,
    ISSUER,
    NUMBER,
    Hall,
    allow,
    born,
    hidden,
    public_jwks,
    went_back,
)


def test_a_patient_lets_an_app_in_and_it_sees_that_patient_only(here: Hall) -> None:
    given = here.tokens(here.patient)
    assert given["scope"] == "openid fhirUser launch/patient patient/Observation.rs offline_access"
    assert (given["patient"], given["token_type"], given["expires_in"]) == ("pat-1", "Bearer", 300)
    assert given["fhirUser"] == f"{BASE}/Patient/pat-1"
    found = here.search(given["access_token"]).json()
    assert found == {
        "may": True,
        "narrowings": [[]],
        "patient": here.pseudonym.hex(),
        "client": here.public.id,
        "role": "PATIENT_SIDE",
    }
    assert here.search(given["access_token"], "Condition").json()["may"] is False


def test_the_id_token_is_signed_by_a_published_key_for_this_app_and_this_sign_in(here: Hall) -> None:
    given = here.tokens(here.staff, scope="openid fhirUser user/Patient.rs", nonce="n-1")
    keys = KeySet.import_key_set(here.client().get("/.well-known/jwks.json").json())
    claims = jwt.decode(given["id_token"], keys, algorithms=["EdDSA"]).claims
    now = here.node.clock()
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (ISSUER, here.public.id, "n-1")
    assert claims["fhirUser"] == f"{BASE}/Practitioner/{here.staff.hex()}"
    assert now <= claims["exp"] <= now + 300
    assert "refresh_token" not in given
    again = here.tokens(here.staff, scope="openid user/Patient.rs")
    assert jwt.decode(again["id_token"], keys, algorithms=["EdDSA"]).claims["sub"] == claims["sub"]


def test_keys_follow_each_other_and_the_last_ones_stay_published(here: Hall) -> None:
    before = here.client().get("/.well-known/jwks.json").json()["keys"]
    token = here.tokens(here.staff, scope="openid")["id_token"]
    here.later_s[0] = 30 * 86_400
    after = here.client().get("/.well-known/jwks.json").json()["keys"]
    assert after[0] == before[1]
    assert before[0] in after
    jwt.decode(token, KeySet.import_key_set({"keys": after}), algorithms=["EdDSA"])
    assert all("d" not in key for key in before + after)


def test_staff_says_which_patient_it_is_about_and_it_is_in_no_address(here: Hall) -> None:
    browser = here.client()
    browser.get("/oauth/authorize?" + urlencode(here.asked(scope="launch/patient patient/*.rs")))
    assert here.sign_in(browser, here.staff).headers["location"] == "/oauth/consent"
    assert browser.get("/oauth/consent").headers["location"] == "/oauth/patient"
    page = browser.get("/oauth/patient")
    wrong = browser.post("/oauth/patient", data={**hidden(page), "number": NUMBER, **born("1980-02-28")})
    assert (wrong.status_code, NUMBER in wrong.text) == (400, False)
    for number in ("9990000026", "123", ""):
        other = browser.post("/oauth/patient", data={**hidden(page), "number": number, **born(BORN)})
        assert other.text == wrong.text
    chosen = browser.post("/oauth/patient", data={**hidden(page), "number": NUMBER, **born(BORN)})
    assert chosen.headers["location"] == "/oauth/consent"
    code = went_back(allow(browser, browser.get("/oauth/consent")))["code"]
    given = here.redeem(browser, code).json()
    found = here.search(given["access_token"]).json()
    assert (found["patient"], found["role"]) == (here.pseudonym.hex(), "CLINICAL")


def launched(here: Hall, account: Any) -> dict[str, str]:
    location = here.smart.desk.launch(account, here.public, here.pseudonym)
    assert location.startswith("https://app.example/launch?")
    return dict(parse_qsl(urlsplit(location).query))


def test_an_ehr_launch_brings_its_patient_once(here: Hall) -> None:
    said = launched(here, here.staff)
    assert said["iss"] == BASE
    scope = "launch patient/Observation.rs"
    given = here.tokens(here.staff, scope=scope, launch=said["launch"])
    assert given["patient"] == "pat-1"
    assert here.search(given["access_token"]).json()["patient"] == here.pseudonym.hex()
    browser = here.client()
    browser.get("/oauth/authorize?" + urlencode(here.asked(scope=scope, launch=said["launch"])))
    here.sign_in(browser, here.staff)
    assert went_back(browser.get("/oauth/consent"))["error"] == "invalid_request"


def test_a_launch_is_the_one_persons_who_launched(here: Hall) -> None:
    said = launched(here, here.staff)
    browser = here.client()
    other = here.smart.accounts.add_staff(here.nurse, here.smart.accounts.find(here.staff).role_class, name="M")
    here.smart.accounts.set_password(other, signs_in_as="other", password="correct horse battery")
    here.names[other] = "other"
    asked = here.asked(scope="launch patient/Observation.rs", launch=said["launch"])
    browser.get("/oauth/authorize?" + urlencode(asked))
    here.sign_in(browser, other)
    assert went_back(browser.get("/oauth/consent"))["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("patient/Observation.read", "patient/Observation.rs"),
        ("patient/*.write", "patient/*.cud"),
        ("patient/*.*", "patient/*.cruds"),
        ("patient/Observation.rs?category=a|laboratory", "patient/Observation.rs?category=a|laboratory"),
        ("patient/Observation.rs user/Observation.rs", "patient/Observation.rs"),
        ("patient/Observation.rs system/*.rs", "patient/Observation.rs"),
        ("patient/Observation.rs unheard-of", "patient/Observation.rs"),
        ("patient/Observation.rs patient/Observation.read", "patient/Observation.rs"),
    ],
)
def test_scopes_are_written_as_version_2_and_bounded_by_who_signs_in(here: Hall, asked: str, granted: str) -> None:
    assert here.tokens(here.patient, scope=asked)["scope"] == granted


@pytest.mark.parametrize("asked", ["patient/Observation.sr", "patient/observation.rs", "user/*.rs", "launch", "x", ""])
def test_scopes_of_which_nothing_can_be_given_are_refused(here: Hall, asked: str) -> None:
    browser = here.client()
    answer = browser.get("/oauth/authorize?" + urlencode(here.asked(scope=asked)))
    if not answer.headers["location"].startswith(BACK):
        here.sign_in(browser, here.patient)
        answer = browser.get("/oauth/consent")
    assert went_back(answer)["error"] in {"invalid_scope", "invalid_request"}


def test_a_scope_with_search_parameters_narrows_what_it_lets_through(here: Hall) -> None:
    scope = "patient/Observation.rs?category=vital-signs&status=final patient/Observation.s?category=laboratory"
    token = here.tokens(here.patient, scope=scope)["access_token"]
    assert here.search(token).json()["narrowings"] == [
        [["category", "vital-signs"], ["status", "final"]],
        [["category", "laboratory"]],
    ]


def test_what_is_not_ticked_is_not_granted(here: Hall) -> None:
    browser = here.client()
    asked = here.asked(scope="patient/Observation.rs patient/Condition.rs")
    browser.get("/oauth/authorize?" + urlencode(asked))
    here.sign_in(browser, here.patient)
    page = browser.get("/oauth/consent")
    code = went_back(allow(browser, page, leaving_out="patient/Condition.rs"))["code"]
    assert here.redeem(browser, code).json()["scope"] == "patient/Observation.rs"


def test_who_does_not_let_an_app_in_sends_it_back_with_its_state(here: Hall) -> None:
    browser = here.client()
    browser.get("/oauth/authorize?" + urlencode(here.asked()))
    here.sign_in(browser, here.patient)
    page = browser.get("/oauth/consent")
    answer = browser.post("/oauth/consent", data={**hidden(page), "answer": "deny"})
    said = went_back(answer)
    assert (said["error"], said["state"], said["iss"]) == ("access_denied", "st-1", ISSUER)


def test_a_refresh_token_is_good_once_and_may_ask_for_less(here: Hall) -> None:
    first = here.tokens(here.patient)
    form = {"grant_type": "refresh_token", "client_id": here.public.id, "refresh_token": first["refresh_token"]}
    client = here.client()
    second = client.post("/oauth/token", data={**form, "scope": "patient/Observation.read"}).json()
    assert second["scope"] == "patient/Observation.rs"
    wider = client.post(
        "/oauth/token",
        data={**form, "refresh_token": second["refresh_token"], "scope": "patient/Observation.rs patient/Condition.rs"},
    )
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")
    assert here.search(second["access_token"]).status_code == 200
    again = client.post("/oauth/token", data=form)
    assert again.json()["error"] == "invalid_grant"
    assert here.search(second["access_token"]).status_code == 401


def test_a_confidential_app_shows_its_secret_and_may_ask_what_its_own_tokens_are(here: Hall) -> None:
    app, secret = here.confidential.app, here.confidential.secret
    browser = here.client()
    code = here.code(browser, here.staff, client_id=app.id, scope="user/*.rs offline_access")
    assert here.redeem(browser, code, client_id=app.id).json()["error"] == "invalid_client"
    browser.auth = (app.id, secret)
    given = here.redeem(browser, code, client_id=None).json()
    said = browser.post("/oauth/introspect", data={"token": given["access_token"]}).json()
    assert (said["active"], said["client_id"], said["scope"]) == (True, app.id, "user/*.rs offline_access")
    theirs = here.tokens(here.patient)["access_token"]
    assert browser.post("/oauth/introspect", data={"token": theirs}).json() == {"active": False}
    assert browser.post("/oauth/introspect", data={"token": "x"}).json() == {"active": False}
    assert browser.post("/oauth/revoke", data={"token": theirs}).status_code == 200
    assert here.search(theirs).status_code == 200
    assert browser.post("/oauth/revoke", data={"token": given["refresh_token"]}).status_code == 200
    assert browser.post("/oauth/introspect", data={"token": given["access_token"]}).json() == {"active": False}
    assert here.search(given["access_token"]).status_code == 401


@pytest.mark.parametrize("algorithm", ["ES384", "EdDSA", "RS512"])
def test_a_backend_service_signs_for_a_token(here: Hall, algorithm: str) -> None:
    answer = here.as_backend(here.assertion(algorithm=algorithm))
    given = answer.json()
    assert (answer.status_code, given["scope"], "refresh_token" in given) == (200, "system/Observation.rs", False)
    found = here.search(given["access_token"]).json()
    assert (found["may"], found["patient"], found["client"]) == (True, None, here.backend.id)


def test_a_backend_service_that_names_no_scope_has_those_it_was_registered_with(here: Hall) -> None:
    new = NewApp(AppKind.BACKEND, "B", jwks=public_jwks(here.keys), account=here.staff, scopes=["system/Patient.rs"])
    app = here.smart.apps.add(new).app
    answer = here.as_backend(here.assertion(iss=app.id, sub=app.id), scope="")
    assert answer.json()["scope"] == "system/Patient.rs"


def test_a_backend_services_tokens_share_one_session(here: Hall) -> None:
    tokens = [here.as_backend(here.assertion()).json()["access_token"] for _ in range(2)]
    first, second = (here.smart.grants.look(token)[0].login.session.key.public for token in tokens)
    assert first == second


def test_what_is_configured_is_what_there_is(here: Hall) -> None:
    client = here.client()
    said = client.get("/FHIR/R4/.well-known/smart-configuration").json()
    for path in ("/.well-known/smart-configuration", "/.well-known/openid-configuration"):
        assert client.get(path).json() == said
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert said["capabilities"] == CAPABILITIES
    for name in ("authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        assert client.post(said[name], data={"client_id": "x"}).status_code in (400, 401), name
    preflight = client.options("/oauth/token", headers={"origin": "https://app.example"})
    assert preflight.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("base", [BASE, BASE + "/", f"{ISSUER}/fhir"])
def test_each_address_of_the_server_is_an_audience(here: Hall, base: str) -> None:
    answer = here.client().get("/oauth/authorize?" + urlencode(here.asked(aud=base)))
    assert answer.headers["location"] == "/oauth/sign-in"


def test_the_request_may_be_posted(here: Hall) -> None:
    browser = here.client()
    assert browser.post("/oauth/authorize", data=here.asked()).headers["location"] == "/oauth/sign-in"


@pytest.mark.promise("U2")
def test_a_patient_sees_which_apps_have_access_and_ends_one_in_two_clicks(here: Hall) -> None:
    given = here.tokens(here.patient)
    browser = here.client()
    assert here.sign_in(browser, here.patient).headers["location"] == "/oauth/apps"
    page = browser.get("/oauth/apps")
    assert "Growth &lt;chart&gt;" in page.text
    while 'name="grant"' in page.text:
        browser.post("/oauth/apps", data=hidden(page))
        page = browser.get("/oauth/apps")
    assert here.search(given["access_token"]).status_code == 401
    assert "No app has access" in page.text
    assert msgspec.json.encode(given["refresh_token"]).decode() not in page.text
