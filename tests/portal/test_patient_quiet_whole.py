"""Quiet, of what else tells of records: what others answered, the files of letters, and all that is a medicine."""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from salus.node.services.search import Reach, Search
from salus.node.services.show import newest, show
from salus.testing.world import PRACTICE
from tests.portal.patient_charts import add
from tests.portal.portal_world import NAMES, Browser, Hospital, portal, settled
from tests.portal.test_patient_kinds import RESOURCES, _login
from tests.portal.test_patient_quiet import enter, hide

THERE = NAMES[PRACTICE]
WORD = "a word of hers"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder, is_joined=True) as made:
        add(made, folder, RESOURCES)
        yield made


@pytest.fixture
def browser(here: Hospital) -> Iterator[Browser]:
    made = here.signed_in("eleanor")
    settled(made)
    yield made
    enter(made, WORD)


def _answer(page: str) -> str:
    """What the page says that the practice answered."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.split(f"<li>{THERE}")[1].split("</li>")[0]).split())


def _downloaded(browser: Browser) -> tuple[set[str], list[dict[str, Any]]]:
    """The types of what is downloaded, and what its list says of other organisations."""
    came: Any = browser.post("/record/download", {"format": "zip"})
    with zipfile.ZipFile(io.BytesIO(came.content)) as archive:
        held = json.loads(archive.read("record.json"))["entry"]
        return {each["resource"]["resourceType"] for each in held}, json.loads(archive.read("manifest.json"))["others"]


def test_who_has_only_what_is_hidden_has_nothing_there(browser: Browser) -> None:
    assert _answer(html.unescape(settled(browser))) == "Answered"
    hide(browser, "all", word=WORD)
    assert _answer(html.unescape(settled(browser))) == "Nothing there"
    assert _answer(html.unescape(browser.get("/record/answers?seen=0&at=/record").text)) == "Nothing there"  # type: ignore[attr-defined]
    assert _downloaded(browser) == (set(), [{"name": THERE, "answer": "nothing_there"}])


def test_the_files_of_a_hidden_letter_are_in_no_look(here: Hospital, browser: Browser) -> None:
    login, reach = _login(here, "rao"), Reach(here.patient, lambda _type: True, lambda _type: ())
    found = Search(here.node, here.portal.responder, login, reach).chart(here.patient, ("Binary", "Condition"), ())
    show(here.node, here.portal.responder, login, [newest(each) for each in found])
    (look,) = set(re.findall(r'href="(/looked/\d+)"', browser.get("/looked").text))  # type: ignore[attr-defined]
    assert re.search(r"files: \d", browser.get(look).text)  # type: ignore[attr-defined]
    hide(browser, "letters", word=WORD)
    page = browser.get(look).text  # type: ignore[attr-defined]
    assert "files" not in page
    assert "health problems:" in page


def test_who_has_something_else_has_answered(browser: Browser) -> None:
    hide(browser, "medicines", word=WORD)
    assert _answer(html.unescape(settled(browser))) == "Answered"


def test_whoever_hides_medicines_hides_all_that_are(browser: Browser) -> None:
    assert {each for each in _downloaded(browser)[0] if each.startswith("Medication")}
    hide(browser, "medicines", word=WORD)
    assert not {each for each in _downloaded(browser)[0] if each.startswith("Medication")}
