"""Two patients in two tabs: a page of one leads to nothing of the other, and asks for nothing in their name."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

from tests.portal.patient_charts import OTHER_NUMBER, sodium, somebody_else
from tests.portal.portal_world import Browser, Hospital, portal
from tests.portal.test_clinician_find import NAMED, NUMBER, WHY
from tests.portal.test_clinician_view import BORN, EMERGENCY, settled

LEADS = re.compile(r'href="(/patient(?:/(?:results|all|letters|tests|emergency)[^"]*|[?][^"]*|)?)"')
ASKS = re.compile(r'hx-get="([^"]+)"')
OF = re.compile(r'name="of" value="([0-9]+)"')
SAID = "Another patient is open"
SCRIPT = {"hx-request": "true"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        somebody_else(made, folder, [sodium(1)])
        yield made


@pytest.fixture
def browser(here: Hospital) -> Browser:
    return here.signed_in("rao")


def of_eleanor(browser: Browser, path: str) -> str:
    """A page of hers in one tab, before somebody else is opened in the next."""
    assert browser.post("/patients", WHY | NUMBER | BORN).headers["location"] == "/patient"
    settled(browser)
    return browser.get(path).text


def open_the_other(browser: Browser) -> None:
    came = browser.post("/patients", WHY | BORN | {"number": OTHER_NUMBER})
    assert came.headers["location"] == "/patient"


def test_no_link_of_the_one_shows_the_other(browser: Browser) -> None:
    pages = [of_eleanor(browser, "/patient"), *(browser.get(each).text for each in ("/patient/tests", "/devices"))]
    leads = {html.unescape(each) for page in pages for each in LEADS.findall(page)}
    assert len(leads) > 4
    for each in leads:
        assert (browser.get(each).status_code, SAID in browser.get(each).text) == (200, False)
    open_the_other(browser)
    for each in leads:
        came = browser.get(each)
        assert (came.status_code, SAID in came.text, "mmol" in came.text) == (409, True, False)
        assert 'href="/patient"' in came.text


def test_a_script_puts_nothing_of_the_other_into_the_page_of_the_one(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = of_eleanor(browser, "/patient")
    (of,) = set(re.findall(r"[?]of=([0-9]+)", page))
    asked = f"/patient/answers?seen=0&of={of}"
    (fresh,) = ASKS.findall(browser.client.get(asked, headers=SCRIPT).text)
    assert NAMED in browser.client.get(fresh, headers=SCRIPT).text
    open_the_other(browser)
    part = browser.client.get(asked, headers=SCRIPT)
    assert (part.status_code, "in another tab" in part.text, ASKS.findall(part.text)) == (200, True, [])
    whole = browser.client.get(fresh, headers=SCRIPT)
    assert (whole.status_code, 'id="view"' in whole.text) == (409, False)


def test_whoever_closes_the_one_closes_nobody_else(browser: Browser) -> None:
    """Nor ends the emergency access to somebody else, which may be what keeps them alive."""
    (of,) = set(OF.findall(of_eleanor(browser, "/devices")))
    open_the_other(browser)
    browser.post("/patient/emergency", EMERGENCY, page="/patient")
    for path in ("/patient/close", "/patient/emergency/end"):
        came = browser.post(path, {"of": of}, page="/patient")
        assert (came.status_code, SAID in came.text) == (409, True)
    shown = browser.get("/patient").text
    assert "Emergency access until" in shown
    assert browser.post("/patient/close", {"of": OF.findall(shown)[0]}, page="/patient").status_code == 303


def test_emergency_access_is_to_whom_it_was_asked_for(browser: Browser) -> None:
    (of,) = set(OF.findall(of_eleanor(browser, "/patient/emergency")))
    open_the_other(browser)
    came = browser.post("/patient/emergency", EMERGENCY | {"of": of}, page="/patient")
    assert (came.status_code, SAID in came.text) == (409, True)
    assert "Emergency access until" not in browser.get("/patient").text
    browser.post("/patients", WHY | BORN | {"number": "999 000 0034"})  # whom nobody knows here
    came = browser.post("/patient/emergency", EMERGENCY | {"of": of}, page="/patients/found")
    assert came.status_code == 409


def test_whoever_was_found_first_is_not_whoever_was_found_last(browser: Browser) -> None:
    browser.post("/patients", WHY | BORN | {"family": "Hughes"})
    (of,) = set(OF.findall(browser.get("/patients/found").text))
    browser.post("/patients", WHY | BORN | {"number": "999 000 0034"})
    for path in ("/patients/found", "/patients/elsewhere"):
        came = browser.post(path, {"which": "0", "of": of}, page="/patients/found")
        assert (came.status_code, SAID in came.text) == (409, True)
    browser.post("/patients", WHY | BORN | {"family": "Hughes"})
    assert browser.post("/patients/found", {"which": "0", "of": of}).headers["location"] == "/patient"
