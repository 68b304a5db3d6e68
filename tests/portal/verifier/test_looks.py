"""How the verifier page looks to everybody: axe-core finds nothing, it fits small screens, and its Welsh is whole."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from salus.portal.verifier import build
from salus.portal.verifier.build import PAGE
from tests.conftest import ROOT, absent
from tests.portal.verifier.pages import Opened, opened
from tests.portal.verifier.test_checks import FOLDER

pytestmark = [pytest.mark.promise("U4"), pytest.mark.services]

AXE = ROOT / "tests" / "apps" / "node_modules" / "axe-core" / "axe.min.js"
SMALL = {"width": 320, "height": 640}
WORDS = json.loads((PAGE / "words.json").read_bytes())
KINDS = ("class", "label", "role", "purpose", "verb", "reason", "verdict", "actor")
PLACES = re.compile(r"\{(\w+)\}")


def states(one: Opened, files: Sequence[str]) -> Iterator[str]:
    """States of the page: each of these files, and a history with all of it opened."""
    for name in files:
        one.give((FOLDER / f"{name}.salus-receipt").read_bytes())
        yield name
    one.give((FOLDER / "history.salus-history").read_bytes())
    one.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    yield "history"


def violations(one: Opened) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA and its own best practice."""
    found = one.page.evaluate("async () => (await axe.run()).violations")
    return [f"{each['id']}: {node['html'][:100]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize(("scheme", "files"), [("light", ("receipt",)), ("dark", ("leak", "missing-field"))])
def test_axe_finds_nothing(browser: Browser, file: Path, scheme: str, files: Sequence[str]) -> None:
    """In either scheme; what is green, brown and red is once in one of them, and all of a history in both."""
    if not AXE.is_file():
        absent("axe-core is not installed: make setup")
    with opened(browser, file, viewport=SMALL, color_scheme=scheme) as one:
        one.page.evaluate(AXE.read_text(encoding="utf-8"))
        for state in states(one, files):
            assert (state, violations(one)) == (state, [])
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert (state, one.page.evaluate(wide)) == (state, 0), "nothing is wider than 320 pixels"


def test_in_forced_colours_a_result_keeps_its_frame_and_its_words(browser: Browser, file: Path) -> None:
    with opened(browser, file, forced_colors="active") as one:
        one.give((FOLDER / "missing-field.salus-receipt").read_bytes())
        border = "getComputedStyle(document.querySelector('.panel')).borderTopColor"
        ground = "getComputedStyle(document.querySelector('.panel')).backgroundColor"
        assert one.page.evaluate(border) != one.page.evaluate(ground)
        assert one.title() == "Do not rely on this file"


def test_in_welsh(browser: Browser, file: Path) -> None:
    with opened(browser, file) as one:
        one.give((FOLDER / "receipt.salus-receipt").read_bytes())
        one.page.get_by_role("button", name="Cymraeg").click()
        one.wait()
        assert one.title() == "Mae’r dderbynneb hon yn ddilys"
        assert "15 Mehefin 2025, 4:06yh" in one.text()
        assert one.page.locator("html").get_attribute("lang") == "cy"
        assert one.page.title() == "Gwirio derbynneb eich hun – Salus"
        one.page.get_by_role("button", name="English").click()
        assert one.title() == "This receipt is genuine"


def test_words_stand_in_both_languages_with_the_same_places() -> None:
    for key, (english, welsh) in WORDS.items():
        assert english, key
        assert welsh, key
        assert (key, set(PLACES.findall(english))) == (key, set(PLACES.findall(welsh)))
    alike = {key for key, (english, welsh) in WORDS.items() if english == welsh}
    assert alike == {"product", "person", "record", "receiptOf", "label.HIV", "criteria.classes"}


def test_every_word_is_used_and_every_used_word_is_there() -> None:
    """Keys that are put together from a number or a name are covered by their beginning."""
    files = [each for each in PAGE.iterdir() if each.suffix in (".js", ".html")]
    text = "\n".join(each.read_text(encoding="utf-8") for each in (*files, Path(build.__file__)))
    beginnings = set(re.findall(r"`([\w.]+\.)\$\{", text)) | {f"{each}." for each in KINDS}
    spoken = set(re.findall(r'say\(\s*"([\w.]+)"', text)) | set(re.findall(r'data-words="(\w+)"', text))
    spoken |= {key for pair in re.findall(r'\? "([\w.]+)" : "([\w.]+)"', text) for key in pair if key in WORDS}
    assert spoken - set(WORDS) == set()
    quoted = set(re.findall(r'"([\w. ]+)"', text))
    unused = [key for key in WORDS if key not in quoted and not key.startswith(tuple(beginnings))]
    assert unused == []
