"""A patient's pages of links: what they ask, what they show and to whom, and what strangers to them try."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

from salus.node.services.health_links import LinkState
from salus.testing.world import HOSPITAL
from tests.portal.patient_charts import EVIL, MACHINE_WORDS, SCRIPT, somebody_else
from tests.portal.portal_world import Browser, Hospital, portal
from tests.portal.test_markup import TEXT, faults

PASSCODE = "heddiw-2026"
ADDRESS = re.compile(r'<textarea[^>]*id="address"[^>]*>([^<]*)</textarea>')
NAME = re.compile(r'name="link" value="([0-9a-f]{32})"')


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        somebody_else(made, folder, [])
        yield made


def answered(here: Hospital, name: str = "eleanor", *, label: str = "Dr Jones") -> Browser:
    """A browser in which somebody has answered all but the passcode."""
    browser = here.signed_in(name)
    for page, fields in (
        ("what", {"link-what": "all"}),
        ("until", {"link-until": "day"}),
        ("name", {"label": label}),
    ):
        assert browser.post(f"/links/{page}", fields).status_code == 303, page
    return browser


def made(here: Hospital, name: str = "eleanor", *, label: str = "Dr Jones") -> tuple[Browser, str, str]:
    """The browser in which somebody has made a link, the page with its code, and the link's number."""
    browser = answered(here, name, label=label)
    came = browser.post("/links/make", {"passcode": PASSCODE, "tries": "5"})
    assert came.status_code == 303
    place = came.headers["location"]
    return browser, browser.get(place).text, place.partition("=")[2]


def states(here: Hospital, name: str = "eleanor") -> list[LinkState]:
    account = here.portal.accounts.find(here.accounts[name])
    assert account is not None
    return [each.state for each in here.portal.links.of(account.pseudonym)]


def test_the_code_is_shown_in_the_session_that_made_it_and_nowhere_else(here: Hospital) -> None:
    browser, page, which = made(here)
    (address,) = map(html.unescape, ADDRESS.findall(page))
    assert address.startswith(f"{here.portal.settings.origin}/link#shlink:/")
    assert "data:image/svg+xml" in page
    assert ADDRESS.findall(browser.get(f"/links/link?which={which}").text) == [html.escape(address)]
    elsewhere = here.signed_in("eleanor").get(f"/links/link?which={which}").text
    assert "Dr Jones" in elsewhere
    assert "shlink" not in elsewhere
    assert PASSCODE not in page + elsewhere


def test_a_links_page_has_the_code_of_no_other_link(here: Hospital) -> None:
    browser, _, _ = made(here, label="The first")
    for page, fields in (("what", {"link-what": "all"}), ("until", {"link-until": "day"}), ("name", {"label": "B"})):
        browser.post(f"/links/{page}", fields)
    browser.post("/links/make", {"passcode": PASSCODE, "tries": "5"})
    pages = [browser.get(f"/links/link?which={number}").text for number in range(1, len(states(here)) + 1)]
    assert [len(ADDRESS.findall(each)) for each in pages if ">B<" in each] == [1]
    assert not any("shlink" in each for each in pages if "The first" in each)


def test_a_stopped_link_has_no_code_any_more(here: Hospital) -> None:
    browser, _, which = made(here)
    (name,) = NAME.findall(browser.get(f"/links/stop?which={which}").text)
    assert browser.post("/links/stop", {"link": name}, page=f"/links/stop?which={which}").status_code == 303
    page = browser.get(f"/links/link?which={which}").text
    assert "You stopped it" in page
    assert "shlink" not in page
    assert browser.get(f"/links/stop?which={which}").status_code == 404
    assert states(here)[int(which) - 1] is LinkState.STOPPED


def test_nobody_stops_anothers_link(here: Hospital) -> None:
    browser, _, which = made(here)
    (name,) = NAME.findall(browser.get(f"/links/stop?which={which}").text)
    other, _, others = made(here, "other", label="Mine")
    came = other.post("/links/stop", {"link": name}, page=f"/links/stop?which={others}")
    assert came.status_code == 303
    assert "Nothing was changed" in other.get("/links").text
    assert "Dr Jones" not in other.get("/links").text
    assert states(here)[int(which) - 1] is LinkState.OPEN


WHICH = ["", "0", "-1", "2", "99999", "x", "1'--", "\u0661"]


@pytest.mark.parametrize("which", WHICH)
def test_a_link_that_is_not_in_the_list_is_not_there(here: Hospital, which: str) -> None:
    browser = here.signed_in("other") if states(here, "other") else made(here, "other", label="Mine")[0]
    for page in ("link", "stop"):
        assert browser.get(f"/links/{page}?which={which}").status_code == 404


@pytest.mark.parametrize("name", ["", "x", "00" * 16, "../" * 8])
def test_what_names_no_link_stops_none(here: Hospital, name: str) -> None:
    browser, _, which = made(here)
    before = states(here)
    assert browser.post("/links/stop", {"link": name}, page=f"/links/stop?which={which}").status_code == 303
    assert states(here) == before


def test_a_name_with_a_script_is_words(here: Hospital) -> None:
    browser, page, which = made(here, label=EVIL)
    for each in (page, browser.get("/links").text, browser.get(f"/links/stop?which={which}").text):
        assert SCRIPT not in each
        assert html.escape(EVIL) in each.replace("&#34;", "&quot;")


NAMES = [("", 400), (" \n\t ", 400), ("x" * 81, 400), ("x" * 80, 303), ("\u202edettib\u202c", 303)]


@pytest.mark.parametrize(("label", "status"), NAMES, ids=["none", "blank", "too long", "longest", "turned around"])
def test_a_name_is_one_line_of_80_characters(here: Hospital, label: str, status: int) -> None:
    browser = here.signed_in("eleanor")
    assert browser.post("/links/name", {"label": label}).status_code == status
    if status == 303:
        browser.post("/links/what", {"link-what": "all"})
        browser.post("/links/until", {"link-until": "day"})
        assert "\u202e" not in browser.get("/links/make").text


UNFIT = [
    ({"passcode": "12345", "tries": "5"}, "Enter a passcode"),
    ({"passcode": "x" * 129, "tries": "5"}, "Enter a passcode"),
    ({"passcode": PASSCODE, "tries": "1000"}, "Choose how often"),
    ({"passcode": PASSCODE}, "Choose how often"),
]


@pytest.mark.parametrize(("fields", "words"), UNFIT)
def test_an_unfit_passcode_makes_no_link(here: Hospital, fields: dict[str, str], words: str) -> None:
    before = len(states(here))
    came = answered(here).post("/links/make", fields)
    assert came.status_code == 400
    assert words in came.text
    assert len(states(here)) == before


@pytest.mark.parametrize("what", ["only", "except"])
def test_answers_that_do_not_go_together_make_no_link(here: Hospital, what: str) -> None:
    browser, before = answered(here), len(states(here))
    browser.post("/links/what", {"link-what": what})  # and no kinds are chosen
    came = browser.post("/links/make", {"passcode": PASSCODE, "tries": "5"}, page="/links/what")
    assert (came.status_code, came.headers["location"]) == (303, "/links/what")
    assert len(states(here)) == before


@pytest.mark.services
def test_pages_are_valid_html_and_say_nothing_for_machines(here: Hospital) -> None:
    browser = answered(here)
    pages = {"/links/make": browser.get("/links/make").text}
    browser, pages["/links/link"], which = made(here)
    for path in ("/links", "/links/what", "/links/kinds", "/links/name", f"/links/stop?which={which}", "/link"):
        pages[path] = browser.get(path).text
    assert faults(pages) == []
    for path, page in pages.items():
        text = TEXT.sub(" ", re.sub(r"<textarea.*?</textarea>", "", page, flags=re.DOTALL))
        assert MACHINE_WORDS.findall(text) == [], path


def test_the_page_that_opens_links_is_the_same_for_everybody_and_asks_only_here(here: Hospital) -> None:
    came = here.client().get("/link")
    assert came.status_code == 200
    assert "connect-src 'self'" in came.headers["content-security-policy"]
    assert HOSPITAL not in came.text
