"""The exchange with the signer page, as docs/spec/signer.md has it: who may fetch and answer, how often, until when."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog
from starlette.testclient import TestClient

from salus.node.services.signer_requests import to_text
from salus.portal.pages.patient.signed import REASONS
from tests.portal.portal_world import ORIGIN, Browser, Hospital, portal

SIGNER = "https://signer.example"
BY_SIGNER = {"origin": SIGNER}
REFUSAL = {"format": 1, "refused": "person"}
NOBODYS = to_text(bytes(16))
BODIES = {
    "nothing": b"",
    "empty": b"{}",
    "a list": b"[]",
    "another reason": b'{"format":1,"refused":"never"}',
    "no device": b'{"format":1,"device":null,"items":[]}',
    "no UTF-8": b"\xff",
    "lists in lists": b'{"a":' + b"[" * 5_000,
    "too large": b" " * 600_000 + b'{"format":1,"refused":"person"}',
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal"), signer=SIGNER) as made:
        yield made


@pytest.fixture
def browser(here: Hospital) -> Browser:
    return here.signed_in("eleanor")


@pytest.fixture
def page(here: Hospital) -> TestClient:
    """The signer page's calls: no cookie goes with them."""
    return here.client().client


def asked(browser: Browser) -> str:
    """Set up a device; return the id with which the browser is sent to the signer page."""
    came = browser.post("/acting-devices", {"do": "set-up", "name": "My phone"})
    origin, _, name = came.headers["location"].partition("/#")
    assert (came.status_code, origin, len(name)) == (303, SIGNER, 22)
    return name


def answered(page: TestClient, name: str) -> None:
    """Fetch a request and refuse it."""
    assert page.get(f"/signing/{name}", headers=BY_SIGNER).status_code == 200
    assert page.post(f"/signing/{name}", headers=BY_SIGNER, json=REFUSAL).status_code == 204


def test_a_request_is_fetched_once_and_has_what_the_page_reads(browser: Browser, page: TestClient) -> None:
    name = asked(browser)
    came = page.get(f"/signing/{name}", headers=BY_SIGNER)
    request = came.json()
    assert (request["kind"], request["person"], request["items"], len(request["devices"])) == (
        "create",
        "Eleanor Moss",
        [],
        1,
    )
    assert came.headers["access-control-allow-origin"] == SIGNER
    assert came.headers["cache-control"] == "no-store"
    assert "access-control-allow-credentials" not in came.headers
    assert "set-cookie" not in came.headers
    assert page.get(f"/signing/{name}", headers=BY_SIGNER).status_code == 404


@pytest.mark.parametrize("origin", ["", "null", ORIGIN, "https://evil.example", "http://signer.example", f"{SIGNER}:8"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_another_origin_is_refused_and_leaves_the_request_as_it_was(
    browser: Browser, page: TestClient, method: str, origin: str
) -> None:
    name = asked(browser)
    if method == "POST":
        assert page.get(f"/signing/{name}", headers=BY_SIGNER).status_code == 200
    came = page.request(method, f"/signing/{name}", headers={"origin": origin} if origin else {}, json=REFUSAL)
    assert came.status_code == 403
    assert "access-control-allow-origin" not in came.headers
    follows = page.post if method == "POST" else page.get
    kept = {"json": REFUSAL} if method == "POST" else {}
    assert follows(f"/signing/{name}", headers=BY_SIGNER, **kept).status_code in (200, 204)


def test_a_preflight_says_what_is_allowed(page: TestClient) -> None:
    came = page.options(f"/signing/{NOBODYS}", headers=BY_SIGNER)
    assert (came.status_code, came.headers["access-control-allow-methods"], came.headers["vary"]) == (
        204,
        "GET, POST",
        "Origin",
    )


def test_an_answer_comes_once_and_after_the_request_was_fetched(browser: Browser, page: TestClient) -> None:
    name = asked(browser)
    assert page.post(f"/signing/{name}", headers=BY_SIGNER, json=REFUSAL).status_code == 404
    answered(page, name)
    assert page.post(f"/signing/{name}", headers=BY_SIGNER, json=REFUSAL).status_code == 404


@pytest.mark.parametrize(
    "body",
    BODIES.values(),
    ids=BODIES,
)
def test_an_answer_to_something_else_is_refused_and_another_may_follow(
    browser: Browser, page: TestClient, body: bytes
) -> None:
    name = asked(browser)
    assert page.get(f"/signing/{name}", headers=BY_SIGNER).status_code == 200
    kind = BY_SIGNER | {"content-type": "application/json"}
    assert page.post(f"/signing/{name}", headers=kind, content=body).status_code == 400
    assert page.post(f"/signing/{name}", headers=BY_SIGNER, json=REFUSAL).status_code == 204


def test_a_form_is_no_answer(browser: Browser, page: TestClient) -> None:
    """A form of another site needs no preflight, so nothing that one can send is taken."""
    name = asked(browser)
    assert page.get(f"/signing/{name}", headers=BY_SIGNER).status_code == 200
    plain = BY_SIGNER | {"content-type": "text/plain"}
    assert page.post(f"/signing/{name}", headers=plain, content=json.dumps(REFUSAL)).status_code == 400


@pytest.mark.parametrize("name", [NOBODYS, "short", "a" * 23, "%00" * 22])
def test_an_id_that_nobody_was_given_is_not_there(page: TestClient, name: str) -> None:
    assert page.get(f"/signing/{name}", headers=BY_SIGNER).status_code == 404
    assert page.post(f"/signing/{name}", headers=BY_SIGNER, json=REFUSAL).status_code == 404


def test_an_answer_is_collected_once_by_the_session_that_asked(
    here: Hospital, browser: Browser, page: TestClient
) -> None:
    name = asked(browser)
    done = f"/signing/{name}/done"
    assert browser.get(done).status_code == 404
    answered(page, name)
    assert here.signed_in("eleanor").get(done).status_code == 404
    assert here.signed_in("rao").get(done).status_code == 404
    assert here.client().get(done).headers["location"] == "/sign-in"
    came = browser.get(done)
    assert came.status_code == 200
    assert "Nothing has changed" in came.text
    again = browser.get(done)
    assert (again.status_code, "There is nothing to finish here" in again.text) == (404, True)
    assert again.text.count("begin again") == browser.get(f"/signing/{NOBODYS}/done").text.count("begin again") == 1


@pytest.mark.parametrize("reason", REASONS)
def test_who_signed_nothing_is_told_why_and_what_to_do(browser: Browser, page: TestClient, reason: str) -> None:
    name = asked(browser)
    assert page.get(f"/signing/{name}", headers=BY_SIGNER).status_code == 200
    refusal = {"format": 1, "refused": reason}
    assert page.post(f"/signing/{name}", headers=BY_SIGNER, json=refusal).status_code == 204
    came = browser.get(f"/signing/{name}/done").text
    assert REASONS[reason] in came
    assert ("goes on acting for you" in came) == (reason == "unable")
    assert 'href="/acting-devices"' in came


def test_after_ten_minutes_nothing_is_left(here: Hospital, page: TestClient) -> None:
    browsers = [here.signed_in("eleanor") for _ in range(3)]
    names = [asked(each) for each in browsers]
    answered(page, names[1])
    assert page.get(f"/signing/{names[2]}", headers=BY_SIGNER).status_code == 200
    clock = here.node.clock
    object.__setattr__(here.node, "clock", lambda: clock() + 601)
    try:
        assert page.get(f"/signing/{names[0]}", headers=BY_SIGNER).status_code == 404
        assert browsers[1].get(f"/signing/{names[1]}/done").status_code == 404
        assert page.post(f"/signing/{names[2]}", headers=BY_SIGNER, json=REFUSAL).status_code == 404
    finally:
        object.__setattr__(here.node, "clock", clock)


def test_what_a_session_asks_anew_takes_the_place_of_what_it_asked(browser: Browser, page: TestClient) -> None:
    first, second = asked(browser), asked(browser)
    assert page.get(f"/signing/{first}", headers=BY_SIGNER).status_code == 404
    assert page.get(f"/signing/{second}", headers=BY_SIGNER).status_code == 200


@pytest.mark.promise("P4")
def test_no_id_is_logged(browser: Browser, page: TestClient) -> None:
    with structlog.testing.capture_logs() as logged:
        name = asked(browser)
        page.get(f"/signing/{name}")
        answered(page, name)
        page.post(f"/signing/{name}", headers=BY_SIGNER, json=REFUSAL)
        browser.get(f"/signing/{name}/done")
    assert name not in repr(logged)


def test_a_device_has_a_name_that_the_signer_page_takes(browser: Browser) -> None:
    for name in ("", "<script>alert(1)</script>", "My_phone", "a" * 61, "\u202ephone"):
        came = browser.post("/acting-devices", {"do": "set-up", "name": name})
        assert (came.status_code, "Enter a name with letters and numbers" in came.text) == (400, True), name
        assert "<script>alert" not in came.text


@pytest.mark.parametrize("do", ["let-act", "accept", "remove", "hand-over"])
def test_a_device_that_nobody_has_is_nothing_to_act_on(browser: Browser, do: str) -> None:
    assert browser.post("/acting-devices", {"do": do, "device": "00" * 16}).status_code == 403
