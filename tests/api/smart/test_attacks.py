"""What attackers of OAuth have done elsewhere, tried here; each row is refused, and gives nothing away."""

import logging
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import structlog

from salus.contracts.membership import RevokeCertificate
from salus.node.errors import NotNow
from salus.node.people import certify_person
from salus.node.services.apps import AppKind, NewApp
from salus.node.services.grants import challenge_of
from salus.vault.database import Database
from salus.vault.errors import Unavailable
from tests.api.smart.smart_world import (
    BACK,
    BASE,
    ISSUER,
    PASSWORD,
    VERIFIER,
    Hall,
    allow,
    hidden,
    went_back,
)

pytestmark = pytest.mark.promise("R4")


# Before app and redirect URI are known, nobody is sent anywhere.

REDIRECTS = [
    BACK + "/",
    BACK + "/../evil",
    BACK + "?x=1",
    BACK + "#",
    BACK.upper(),
    BACK[:-1],
    "https://app.example.evil.example/back",
    "https://app.example@evil.example/back",
    "https://evil.example/?https://app.example/back",
    "//evil.example/back",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("uri", REDIRECTS)
def test_no_redirect_but_to_the_registered_uri(here: Hall, uri: str) -> None:
    answer = here.client().get("/oauth/authorize?" + urlencode(here.asked(redirect_uri=uri)))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "evil" not in answer.text


def test_no_redirect_for_an_unknown_app_a_backend_service_or_a_removed_app(here: Hall) -> None:
    gone = here.smart.apps.add(NewApp(AppKind.PUBLIC, "Gone", [BACK])).app
    here.smart.apps.remove(gone.id)
    for app in ("unknown", here.backend.id, gone.id, ""):
        answer = here.client().get("/oauth/authorize?" + urlencode(here.asked(client_id=app)))
        assert (answer.status_code, "location" in answer.headers) == (400, False)


SENT_BACK: list[tuple[str, dict[str, str | None], str]] = [
    ("plain PKCE", {"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
    ("PKCE without a method", {"code_challenge_method": None}, "invalid_request"),
    ("no PKCE", {"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ("a short challenge", {"code_challenge": "x"}, "invalid_request"),
    ("no state", {"state": None}, "invalid_request"),
    ("another audience", {"aud": "https://evil.example/FHIR/R4"}, "invalid_request"),
    ("an audience that begins alike", {"aud": BASE + ".evil.example"}, "invalid_request"),
    ("no audience", {"aud": None}, "invalid_request"),
    ("the implicit flow", {"response_type": "token"}, "unsupported_response_type"),
    ("a request object", {"request": "e30.e30."}, "invalid_request"),
    ("a launch without its token", {"scope": "launch patient/*.rs"}, "invalid_request"),
    ("too many scopes", {"scope": " ".join(["patient/*.rs"] * 200)}, "invalid_scope"),
]


@pytest.mark.parametrize(("what", "changes", "error"), SENT_BACK, ids=[what for what, _, _ in SENT_BACK])
def test_an_unfit_request_is_sent_back(here: Hall, what: str, changes: dict[str, str | None], error: str) -> None:
    said = went_back(here.client().get("/oauth/authorize?" + urlencode(here.asked(**changes))))
    assert (said["error"], said["iss"]) == (error, ISSUER)
    assert "code" not in said


def test_a_parameter_that_comes_twice_is_refused(here: Hall) -> None:
    query = urlencode([*here.asked().items(), ("redirect_uri", "https://evil.example/")])
    assert here.client().get("/oauth/authorize?" + query).status_code == 400
    form = urlencode([("grant_type", "client_credentials"), ("grant_type", "authorization_code")])
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert here.client().post("/oauth/token", content=form, headers=headers).json()["error"] == "invalid_request"


# Codes and tokens


def test_a_code_that_is_replayed_ends_what_it_led_to(here: Hall) -> None:
    browser = here.client()
    code = here.code(browser, here.patient)
    given = here.redeem(browser, code).json()
    assert here.search(given["access_token"]).status_code == 200
    assert here.redeem(here.client(), code).json()["error"] == "invalid_grant"
    assert here.search(given["access_token"]).status_code == 401


REDEEMED: list[tuple[str, dict[str, str | None]]] = [
    ("without the verifier", {"code_verifier": None}),
    ("with another verifier", {"code_verifier": "w" * 64}),
    ("with the challenge as in plain", {"code_verifier": challenge_of(VERIFIER)}),
    ("with another redirect URI", {"redirect_uri": BACK + "/"}),
    ("without the redirect URI", {"redirect_uri": None}),
    ("with a code that is none", {"code": "x" * 43}),
    ("with a huge code", {"code": "x" * 60_000}),
]


@pytest.mark.parametrize(("what", "changes"), REDEEMED, ids=[what for what, _ in REDEEMED])
def test_a_code_is_worth_nothing(here: Hall, what: str, changes: dict[str, str | None]) -> None:
    browser = here.client()
    code = here.code(browser, here.patient)
    answer = here.redeem(browser, code, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert code not in answer.text


def test_a_code_of_another_app_is_worth_nothing_to_an_app_of_its_own(here: Hall) -> None:
    other = here.smart.apps.add(NewApp(AppKind.PUBLIC, "Other", [BACK])).app
    browser = here.client()
    code = here.code(browser, here.patient)
    assert here.redeem(browser, code, client_id=other.id).json()["error"] == "invalid_grant"
    refresh = here.tokens(here.patient)["refresh_token"]
    form = {"grant_type": "refresh_token", "client_id": other.id, "refresh_token": refresh}
    assert browser.post("/oauth/token", data=form).json()["error"] == "invalid_grant"
    assert browser.post("/oauth/token", data={**form, "client_id": here.public.id}).json()["error"] == "invalid_grant"


def test_one_kind_of_token_is_never_taken_for_another(here: Hall) -> None:
    given = here.tokens(here.patient)
    assert here.search(given["refresh_token"]).status_code == 401
    assert here.search(given["id_token"]).status_code == 401
    form = {"grant_type": "refresh_token", "client_id": here.public.id, "refresh_token": given["access_token"]}
    assert here.client().post("/oauth/token", data=form).json()["error"] == "invalid_grant"


BEARERS = [
    "",
    "Bearer",
    "Bearer ",
    "Basic {t}",
    "Bearer {t}x",
    "Bearer {t} {t}",
    "{t}",
    "Bearer {t},",
    "Bearer " + "a" * 70_000,
]


@pytest.mark.parametrize("shown", BEARERS, ids=range(len(BEARERS)))
def test_what_is_no_bearer_lets_nobody_in(here: Hall, shown: str) -> None:
    token = here.tokens(here.patient)["access_token"]
    answer = here.client().get("/FHIR/R4/Observation", headers={"authorization": shown.replace("{t}", token)})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="salus"')
    assert token not in answer.text


def test_a_token_in_the_address_is_no_token(here: Hall) -> None:
    token = here.tokens(here.patient)["access_token"]
    assert here.client().get(f"/FHIR/R4/Observation?access_token={token}").status_code == 401
    assert here.client().post(f"/oauth/token?code={token}", data={"grant_type": "x"}).status_code == 400


@pytest.mark.promise("R3")
def test_a_revoked_certificate_ends_every_token_at_once(here: Hall) -> None:
    role = here.smart.accounts.find(here.staff).role_class
    doctor = certify_person(here.node, name="D", role="GP", registration="GMC 9", role_class=role)
    account = here.smart.accounts.add_staff(doctor, role, name="D")
    here.smart.accounts.set_password(account, signs_in_as="doctor", password=PASSWORD)
    here.names[account] = "doctor"
    given = here.tokens(account, scope="user/*.rs offline_access")
    assert here.search(given["access_token"]).status_code == 200
    here.node.submit(RevokeCertificate(organisation=here.node.organisation, certificate=doctor.certificate_id))
    assert here.search(given["access_token"]).status_code == 401
    form = {"grant_type": "refresh_token", "client_id": here.public.id, "refresh_token": given["refresh_token"]}
    assert here.client().post("/oauth/token", data=form).json()["error"] == "invalid_grant"
    browser = here.client()
    browser.get("/oauth/authorize?" + urlencode(here.asked(scope="user/*.rs")))
    here.sign_in(browser, account)
    assert allow(browser, browser.get("/oauth/consent")).status_code == 403


# Browsers


def test_a_form_of_somebody_else_is_not_taken(here: Hall) -> None:
    """CSRF: another site makes a browser that is signed in post our form (CWE-352)."""
    browser = here.client()
    browser.get("/oauth/authorize?" + urlencode(here.asked()))
    here.sign_in(browser, here.patient)
    page = browser.get("/oauth/consent")
    theirs = here.client()
    theirs.get("/oauth/authorize?" + urlencode(here.asked()))
    here.sign_in(theirs, here.staff)
    stolen = hidden(theirs.get("/oauth/patient"))
    for form in ({}, {"form": ""}, {"form": "x"}, stolen):
        answer = browser.post("/oauth/consent", data={**form, "s1": "patient/Observation.rs", "answer": "allow"})
        assert (answer.status_code, "location" in answer.headers) == (403, False)
    for path in ("/oauth/apps", "/oauth/sign-in", "/oauth/sign-out", "/oauth/patient"):
        assert browser.post(path, data={"form": "x"}).status_code == 403, path
    cross = browser.post(
        "/oauth/consent", data={**hidden(page), "answer": "deny"}, headers={"origin": "https://evil.example"}
    )
    assert cross.status_code == 403
    assert "code" in went_back(allow(browser, page))


def test_a_second_request_does_not_ride_on_the_first_ones_form(here: Hall) -> None:
    browser = here.client()
    browser.get("/oauth/authorize?" + urlencode(here.asked(scope="patient/Observation.rs")))
    here.sign_in(browser, here.patient)
    page = browser.get("/oauth/consent")
    browser.get("/oauth/authorize?" + urlencode(here.asked(scope="patient/*.cruds")))
    assert allow(browser, page).status_code == 403


def test_a_consent_is_given_once(here: Hall) -> None:
    browser = here.client()
    browser.get("/oauth/authorize?" + urlencode(here.asked()))
    here.sign_in(browser, here.patient)
    page = browser.get("/oauth/consent")
    assert "code" in went_back(allow(browser, page))
    assert allow(browser, page).status_code == 400


def test_a_box_that_was_not_on_the_page_is_not_granted(here: Hall) -> None:
    browser = here.client()
    browser.get("/oauth/authorize?" + urlencode(here.asked(scope="patient/Observation.rs")))
    here.sign_in(browser, here.patient)
    page = browser.get("/oauth/consent")
    form = {
        **hidden(page),
        "s1": "patient/Observation.rs",
        "s2": "patient/*.cruds",
        "s3": "offline_access",
        "answer": "allow",
    }
    code = went_back(browser.post("/oauth/consent", data=form))["code"]
    given = here.redeem(browser, code).json()
    assert (given["scope"], "refresh_token" in given) == ("patient/Observation.rs", False)


def test_a_cookie_that_was_planted_opens_nothing_after_the_sign_in(here: Hall) -> None:
    """Session fixation (CWE-384)."""
    attacker = here.client()
    attacker.get("/oauth/authorize?" + urlencode(here.asked()))
    planted = attacker.cookies["__Host-salus"]
    victim = here.client()
    victim.cookies.set("__Host-salus", planted)
    here.sign_in(victim, here.patient)
    assert attacker.get("/oauth/consent").status_code == 400
    assert attacker.get("/oauth/apps").headers["location"] == "/oauth/sign-in"


def test_a_cookie_ends_when_the_next_one_is_given(here: Hall) -> None:
    browser, thief = here.client(), here.client()
    here.sign_in(browser, here.patient)
    thief.cookies.set("__Host-salus", browser.cookies["__Host-salus"])
    assert thief.get("/oauth/apps").status_code == 200
    browser.get("/oauth/authorize?" + urlencode(here.asked()))
    assert thief.get("/oauth/apps").headers["location"] == "/oauth/sign-in"
    page = browser.get("/oauth/apps")
    thief.cookies.set("__Host-salus", browser.cookies["__Host-salus"])
    assert browser.post("/oauth/sign-out", data=hidden(page)).status_code == 200
    assert thief.get("/oauth/apps").headers["location"] == "/oauth/sign-in"


def test_pages_and_their_cookie_are_kept_to_themselves(here: Hall) -> None:
    browser = here.client()
    answer = browser.get("/oauth/authorize?" + urlencode(here.asked()))
    cookie = answer.headers["set-cookie"].lower()
    for part in ("__host-salus=", "httponly", "secure", "samesite=lax", "path=/"):
        assert part in cookie, part
    assert "domain" not in cookie
    page = browser.get("/oauth/sign-in")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "<script" not in page.text
    assert "style=" not in page.text
    here.sign_in(browser, here.patient)
    page = browser.get("/oauth/consent")
    assert "form-action 'self' https://app.example;" in page.headers["content-security-policy"]
    assert "<chart>" not in page.text
    assert page.headers["cache-control"] == "no-store"


def test_who_is_not_there_is_answered_like_who_mistyped(here: Hall) -> None:
    def page(name: str) -> str:
        browser = here.client()
        browser.get("/oauth/sign-in")
        shown = browser.get("/oauth/sign-in")
        form = hidden(shown)
        answer = browser.post("/oauth/sign-in", data={**form, "name": name, "password": "x" * 12})
        assert answer.status_code == 400
        return answer.text.replace(form["form"], "")

    assert page("nurse") == page("nobody-of-that-name")


def test_words_of_a_page_are_ours(here: Hall) -> None:
    for path in (
        "/oauth/authorize?client_id=<b>evil",
        "/oauth/consent?x=<b>evil",
        "/oauth/outside/evil/back?state=<b>evil",
    ):
        answer = here.client().get(path)
        assert "evil" not in answer.text, path
        assert answer.status_code in (400, 404)


def test_nothing_that_lets_in_is_in_a_log_or_an_address(here: Hall, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as events:
        browser = here.client()
        code = here.code(browser, here.patient)
        given = here.redeem(browser, code).json()
        here.search(given["access_token"])
        here.redeem(browser, code)
    secrets = [code, given["access_token"], given["refresh_token"], PASSWORD, VERIFIER, browser.cookies["__Host-salus"]]
    said = repr(events) + "".join(record.getMessage() for record in caplog.records if "httpx" not in record.name)
    assert [secret for secret in secrets if secret in said] == []
    assert events


BODIES: list[tuple[str, bytes, dict[str, str], int]] = [
    ("a huge form", b"a=" + b"x" * 70_000, {}, 413),
    ("many fields", b"&".join(b"a%d=1" % n for n in range(100)), {}, 400),
    ("bytes that are no text", b"grant_type=\xff", {}, 400),
    ("an encoding that is none", b"grant_type=%ff", {}, 400),
    ("JSON", b"{}", {"content-type": "application/json"}, 415),
    ("nothing", b"", {}, 400),
]


@pytest.mark.parametrize(("what", "body", "headers", "status"), BODIES, ids=[row[0] for row in BODIES])
def test_a_form_that_is_none_is_refused(
    here: Hall, what: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded", **headers}
    answer = here.client().post("/oauth/token", content=body, headers=kind)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "error_description"}


def test_a_database_that_is_away_is_said_to_be_and_lets_nobody_in(here: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    token, browser = here.tokens(here.patient)["access_token"], here.client()

    def away(_: Database) -> Iterator[None]:
        raise Unavailable("database: it is away")

    monkeypatch.setattr(Database, "reading", away)
    with pytest.raises(NotNow):
        here.search(token)  # the FHIR server makes a 503 of it
    form = {"grant_type": "refresh_token", "client_id": here.public.id, "refresh_token": "x"}
    answer = browser.post("/oauth/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    page = browser.get("/oauth/authorize?" + urlencode(here.asked()))
    assert (page.status_code, "location" in page.headers) == (503, False)
