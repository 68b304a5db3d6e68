"""What is written on pages by whoever means harm: in records, in addresses and in forms; over the whole route table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import cycle
from typing import Any
from urllib.parse import quote

import pytest

from salus.node.services import challenges
from salus.portal.call import HOMES, Page, Person
from salus.portal.pages.entrance.leave import WEATHER
from tests.portal.patient_charts import NUMBER, add, chart, letter
from tests.portal.portal_world import Browser, Hospital, emergency, portal
from tests.portal.test_every_page import ANSWERED, OWNERS, SHOWN, address
from tests.portal.test_markup import crawl

EVIL = "\"'><x-evil onload=alert(1)></x-evil>{{7*191919191}}\u202e"
"""Ends an attribute in either quote, is an element, is a template, and turns the reading direction round."""
WRITTEN = {"city", "conclusion", "description", "display", "family", "given", "line", "text", "title", "valueString"}
"""Elements in which people write what they like."""
SAID = {
    "an element": EVIL,
    "a script's address": "javascript:alert(1)",
    "a NUL": "a\0b",
    "a line of a header": "a\r\nset-cookie: a=b",
    "ten thousand characters": "é" * 10_000,
    "half of a pair": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
}
FIELD = re.compile(r'<(?:input|select|textarea)[^>]* name="([^"]+)"')
QUERY = ("from", "next", "page", "q", "who", "where", "since", "until", "test", "code", "iss", "launch", "state")
"""What pages read of an address, and what others' pages read."""
ADDRESSES = ("/", "#", "data:image/", WEATHER)
"""How every link, form and picture of ours begins."""


class Read(HTMLParser):
    """What a browser makes of a page: the elements and attributes that are not ours."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.foreign: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an attacker would have made."""
        said = {name: value or "" for name, value in attrs}
        self.foreign += [f"<{tag} {name}>" for name in said if name.startswith("on") or name == "style"]
        if tag.startswith("x-") or tag in ("base", "embed", "object"):
            self.foreign.append(tag)
        if tag == "script" and not said.get("src", "").startswith("/assets/"):
            self.foreign.append("a script in the page")
        for name in ("href", "src", "action", "formaction"):
            if name in said and not said[name].startswith(ADDRESSES):
                self.foreign.append(f"{name}={said[name]}")


def poisoned(value: Any, key: str = "") -> Any:
    """A resource with something evil wherever people write."""
    if isinstance(value, dict):
        return {name: poisoned(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [poisoned(each, key) for each in value]
    return f"{value}{EVIL}" if isinstance(value, str) and key in WRITTEN else value


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """A hospital at which every sentence about Eleanor is evil."""
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        about, *others = (poisoned(each) for each in chart())
        files = letter("evil", content_type="text/plain", content=EVIL.encode(), title=f"evil{EVIL}.html")
        add(made, folder, [*others, *files], patient=about)
        yield made


@pytest.fixture(scope="module")
def browsers(here: Hospital) -> dict[str, Browser]:
    """Everybody, signed in; the clinician has Eleanor open."""
    found = {name: here.signed_in(name) for name in OWNERS.values()}
    why = {"reason": "other", "reason-words": EVIL, "relationship": "treating"}
    came = found["rao"].post("/patients", {"number": NUMBER} | why)
    assert came.headers["location"] == "/patient", came.text
    return found


def evil_of(text: str) -> list[str]:
    """What of a page is not ours."""
    return [*Read(text).foreign, *(["a template"] if str(7 * 191919191) in text else [])]


@pytest.mark.parametrize(
    ("name", "home", "least"), [("eleanor", HOMES[Person.PATIENT], 10), ("rao", "/patient", 5)], ids=["patient", "rao"]
)
def test_nothing_that_a_record_says_is_more_than_words(
    browsers: dict[str, Browser], name: str, home: str, least: int
) -> None:
    """Stored script, in every text of every resource and in the name of a file."""
    pages = crawl(browsers[name], home)
    assert {path: evil_of(text) for path, (_, text) in pages.items() if evil_of(text)} == {}
    said = [path for path, (_, text) in pages.items() if "&lt;x-evil" in text]
    assert len(said) >= least, said


def test_a_reason_is_words_to_the_patient_and_a_concern_to_the_officer(
    here: Hospital, browsers: dict[str, Browser]
) -> None:
    challenges.send_by_custodian(here.node, here.patient, emergency(here).permit, EVIL)
    for name, home in (("eleanor", "/looked?own=yes"), ("officer", "/reviews")):
        pages = crawl(browsers[name], home)
        assert {path: evil_of(text) for path, (_, text) in pages.items() if evil_of(text)} == {}
        about = [text for path, (_, text) in pages.items() if path.startswith(("/looked/", "/concerns"))]
        assert any("&lt;x-evil" in text for text in about), name


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.path)
def test_an_address_says_nothing_on_a_page(page: Page, browsers: dict[str, Browser]) -> None:
    """Reflected script, in the path and in the query; and no address in one leads elsewhere."""
    browser = browsers[OWNERS.get(page.person, "eleanor")]
    said = cycle([*SAID.values(), "//evil.example", "https://evil.example"])
    in_path = re.sub(r"\{\w+(?::\w+)?\}", quote(EVIL, safe=""), page.path)
    for names in (QUERY, QUERY[::-1]):
        query = "&".join(f"{each}={quote(next(said)[:200])}" for each in names)
        came = browser.get(f"{in_path}?{query}")
        assert came.status_code < 500, came.text
        assert evil_of(came.text) == []
        require_here(came)


@pytest.mark.parametrize("page", [each for each in ANSWERED if each.show], ids=lambda page: page.path)
def test_a_form_says_nothing_but_words(page: Page, browsers: dict[str, Browser]) -> None:
    """Every field of every form is filled with each of it in turn; what is said back is words, and nothing breaks."""
    browser = browsers[OWNERS.get(page.person, "eleanor")]
    found = FIELD.findall(browser.get(address(page)).text)
    fields = sorted(set(found) - {"form", "session", "passkey"})
    for first in (0, 3):
        said = cycle([*SAID.values()][first:])
        came = browser.post(address(page), {each: next(said) for each in fields})
        assert came.status_code < 500, came.text
        assert evil_of(came.text) == []
        require_here(came)


def require_here(came: Any) -> None:
    """An answer leads nowhere else, and its head is ours."""
    assert re.match(r"/(?!/)", came.headers.get("location", "/")), came.headers["location"]
    assert "a=b" not in came.headers.get("set-cookie", "")
