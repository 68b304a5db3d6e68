"""What patients read when a service says no: their words, in their language, and what to do; never its own."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest

from salus.node.errors import Refusal, Refused
from salus.node.services import health_links
from salus.portal.refusals import OTHERWISE, WORDS
from salus.portal.words import words_of
from tests.portal.portal_world import Browser, Hospital, portal

MACHINE = re.compile(r"\bexpected\b|\bcame\b|: (?:wait|send|ask)\b", re.I)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


def _read(came: Any) -> str:
    """The words of a page."""
    main = came.text.split("<main")[1].split("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", main)).split())


def _link(browser: Browser) -> Any:
    for page, fields in (
        ("what", {"link-what": "all"}),
        ("until", {"link-until": "day"}),
        ("name", {"label": "For the dentist"}),
    ):
        browser.post(f"/links/{page}", fields)
    return browser.post("/links/make", {"passcode": "a passcode", "tries": "3"})


@pytest.mark.parametrize("language", ["en", "cy"])
def test_whoever_did_something_too_often_reads_what_to_do(
    here: Hospital, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setattr(health_links, "LINKS_MAX", 0)
    browser = here.signed_in("eleanor")
    browser.get(f"/language/{language}?from=/record")
    came = _link(browser)
    assert came.status_code == 429, came.text
    assert words_of(language)(WORDS[Refusal.TOO_MANY]) in _read(came)
    assert not MACHINE.search(_read(came))


@pytest.mark.parametrize("refusal", Refusal)
def test_no_refusal_has_a_service_s_own_words(
    here: Hospital, monkeypatch: pytest.MonkeyPatch, refusal: Refusal
) -> None:
    def refuses(*_of: object, **_more: object) -> None:
        raise Refused(refusal, "expected a widget, came none: send one")

    monkeypatch.setattr("salus.node.services.sharing.in_force", refuses)
    came: Any = here.signed_in("eleanor").get("/sharing")
    assert came.status_code in (403, 429)
    assert not MACHINE.search(_read(came))
    want = words_of("en")(WORDS.get(refusal, OTHERWISE)) % {"organisation": here.portal.title}
    assert want in _read(came)


def test_a_record_that_is_too_large_for_a_file_says_so(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salus.node.services.own_chart.COPY_BYTES_MAX", 1)
    came: Any = here.signed_in("eleanor").post("/record/download", {"format": "zip"})
    assert came.status_code == 400
    assert f"Your record is too large for one file. Ask {here.portal.title} for a copy" in _read(came)
