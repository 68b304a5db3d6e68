"""The entrance: signing in and out without JavaScript, and how a session must not come about or go on."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.requests import Request

from salus.contracts.membership import RevokeCertificate
from salus.contracts.provisions import RoleClass
from salus.node.acting import Staff
from salus.portal.sessions import COOKIE, IDLE_S
from tests.portal.portal_world import ORIGIN, PASSWORD, Hospital, portal, staff

SESSION = re.compile(r'name="session" value="([0-9a-f]+)"')


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


def test_signing_in_leads_to_the_page_that_was_asked_for(here: Hospital) -> None:
    browser = here.client()
    assert browser.get("/devices").headers["location"] == "/sign-in"
    came = browser.post("/sign-in", {"name": "eleanor", "password": PASSWORD})
    assert (came.status_code, came.headers["location"]) == (303, "/devices")
    assert "Eleanor Moss" in browser.get("/devices").text


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("", "", ("Enter your name for signing in", "Enter your password")),
        ("eleanor", "", ("Enter your password",)),
        ("eleanor", "wrong", ("The name and the password do not match",)),
        ("nobody", PASSWORD, ("The name and the password do not match",)),
    ],
)
def test_what_is_wrong_is_said_at_the_top_and_at_the_field(
    here: Hospital, name: str, password: str, said: tuple[str, ...]
) -> None:
    came = here.client().post("/sign-in", {"name": name, "password": password})
    assert came.status_code == 400
    assert "<title>Error: Sign in" in came.text
    for each in said:
        assert came.text.count(each) == 2
    assert password == "" or password not in came.text


def test_what_is_said_at_an_address_without_a_page_leads_to_pages_that_are_there(here: Hospital) -> None:
    browser = here.client()
    came = browser.post("/sign-in/passkey", {"answer": "{}"}, page="/sign-in")
    assert came.status_code == 403
    assert 'href="/language/cy?from=/"' in came.text
    assert browser.get("/language/cy?from=/").headers["location"] == "/"


def test_a_cookie_from_before_signing_in_opens_nothing(here: Hospital) -> None:
    """Session fixation: whoever planted the cookie is not signed in by it."""
    browser = here.client()
    browser.get("/sign-in")
    planted = browser.client.cookies[COOKIE]
    browser.post("/sign-in", {"name": "eleanor", "password": PASSWORD})
    other = here.client()
    other.client.cookies.set(COOKIE, planted, domain="portal.example")
    assert other.get("/devices").headers["location"] == "/sign-in"


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({}, {"origin": ORIGIN}),
        ({"form": "guessed"}, {"origin": ORIGIN}),
        ({"form": "own"}, {"origin": "https://evil.example"}),
        ({"form": "own"}, {"origin": "null"}),
        ({"form": "own"}, {"sec-fetch-site": "cross-site"}),
    ],
)
def test_a_form_of_another_page_does_nothing(here: Hospital, form: dict[str, str], headers: dict[str, str]) -> None:
    """CSRF."""
    browser = here.signed_in("eleanor")
    browser.get("/devices")
    data = {"form": browser.form} if form.get("form") == "own" else form
    came = browser.client.post("/sign-out", data=data | {"everywhere": "1"}, headers=headers)
    assert came.status_code == 403
    assert browser.get("/devices").status_code == 200


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/%0d%0aset-cookie:a=b",
        "javascript:alert(1)",
        "/a//b",
    ],
)
def test_no_address_from_outside_leads_on(here: Hospital, wanted: str) -> None:
    """Open redirects: a link of the foot of the page goes back to a page of ours only."""
    came = here.client().client.get("/language/cy", params={"from": wanted})
    assert came.headers["location"] == "/"


def test_signing_out_everywhere_ends_every_browser(here: Hospital) -> None:
    one, two = here.signed_in("rao"), here.signed_in("rao")
    came = one.post("/sign-out", {"everywhere": "1"}, page="/devices")
    assert came.headers["clear-site-data"] == '"cache", "storage"'
    for each in (one, two):
        assert each.get("/devices").headers["location"] == "/sign-in"


def test_one_of_ones_browsers_is_signed_out_and_nobody_elses(here: Hospital) -> None:
    mine, other, hers = here.signed_in("rao"), here.signed_in("rao"), here.signed_in("eleanor")
    second = here.signed_in("eleanor")
    others = [SESSION.findall(each.get("/devices").text) for each in (second, mine)]
    for name in (name for names in others for name in names):
        assert mine.post("/devices", {"session": name}, page="/devices").status_code == 303
    assert other.get("/devices").status_code == 303
    assert (mine.get("/devices").status_code, hers.get("/devices").status_code) == (200, 200)


def test_half_an_hour_without_a_page_ends_a_session(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = here.signed_in("eleanor")
    clock = here.node.clock
    object.__setattr__(here.node, "clock", lambda: clock() + IDLE_S + 1)
    try:
        assert browser.get("/devices").headers["location"] == "/sign-in"
    finally:
        object.__setattr__(here.node, "clock", clock)


@pytest.mark.promise("R3")
def test_a_certificate_that_is_revoked_ends_the_session_at_its_next_page(here: Hospital) -> None:
    account = staff(here, "Dr Bell", "Registrar", RoleClass.CLINICAL)
    here.accounts["bell"] = account
    browser = here.signed_in("bell")
    assert browser.get("/devices").status_code == 200
    known = here.portal.accounts.find(account)
    assert known is not None
    assert isinstance(known.acts_as, Staff)
    revoked = RevokeCertificate(organisation=here.node.organisation, certificate=known.acts_as.certificate.root())
    here.node.submit(revoked)
    assert browser.get("/devices").headers["location"] == "/sign-in"


def test_too_many_tries_are_refused_whatever_the_password(here: Hospital) -> None:
    browser = here.client()
    for _ in range(10):
        browser.post("/sign-in", {"name": "guessed", "password": "wrong"})
    came = browser.post("/sign-in", {"name": "guessed", "password": "wrong"})
    assert "Too many tries" in came.text


def test_a_page_is_kept_by_nobody_and_framed_by_nobody(here: Hospital) -> None:
    for path in ("/sign-in", "/devices", "/nowhere"):
        headers = here.signed_in("eleanor").get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        policy = headers.get("content-security-policy", "")
        assert "unsafe" not in policy
        assert "'none'" in policy or headers.get("location")


def test_the_language_is_kept_through_signing_in(here: Hospital) -> None:
    browser = here.client()
    browser.get("/sign-in")
    browser.get("/language/cy?from=/sign-in")
    assert "Mewngofnodi" in browser.get("/sign-in").text
    browser.post("/sign-in", {"name": "eleanor", "password": PASSWORD})
    assert '<html lang="cy">' in browser.get("/devices").text


def test_what_is_not_there_says_so(here: Hospital) -> None:
    for browser in (here.client(), here.signed_in("eleanor")):
        came = browser.get("/nowhere")
        assert (came.status_code, "Page not found" in came.text) == (404, True)


def test_what_two_requests_of_one_browser_change_at_the_same_moment_both_stays(here: Hospital) -> None:
    sessions, browser = here.portal.sessions, here.signed_in("eleanor")
    cookie = browser.client.cookies[COOKIE]
    found = sessions.find(Request({"type": "http", "headers": [(b"cookie", f"{COOKIE}={cookie}".encode())]}))
    assert found is not None
    sessions.change(found, notice="said")
    after = sessions.change(found, seen_s=here.node.clock() + 5)
    assert after.state.notice == "said"
    sessions.drop(after)
    assert sessions.change(found, notice="lost") == found
