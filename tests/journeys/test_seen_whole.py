"""What a look at a page finds: what is lost when it is large or narrow, and a focus that nobody sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, Page

from tests.apps.browser import page_of
from tests.journeys.seen_whole import lost_when_large_or_narrow, unmarked_focus

pytestmark = pytest.mark.services

WHOLE = "<p>Some words</p><p style='overflow: hidden'>More words</p><a href='/'>A link</a>"
FOCUS = "<style>a:focus {{outline: {}}}</style><a href='/'>A link</a>"


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with page_of(browser) as made:
        yield made


@pytest.fixture(scope="module")
def devtools(page: Page) -> CDPSession:
    return page.context.new_cdp_session(page)


@pytest.mark.promise("U4")
@pytest.mark.parametrize(
    ("markup", "found"),
    [
        (WHOLE, []),
        ("<p style='width: 400px'>Words</p>", ["at 320 pixels: 408 pixels wide at 320"]),
        (
            "<p style='width: 700px'>Words</p>",
            ["at 200 %: 708 pixels wide at 640", "at 320 pixels: 708 pixels wide at 320"],
        ),
        (
            "<p style='height: 20px; line-height: 1; font-size: 1rem; overflow: hidden'>Two words</p>",
            ["with large letters: cut off: p"],
        ),
        (
            "<p style='position: absolute; top: 9px'>These</p><p style='position: absolute; top: 9px'>Those</p>",
            [f"{when}: over each other: These | Those" for when in ("at 200 %", "with large letters", "at 320 pixels")],
        ),
        ("<details><summary>More</summary><p>These</p></details><p>Those</p>", []),
        ("<p style='position: absolute; clip-path: inset(50%)'>These</p><p>Those</p>", []),
    ],
)
def test_what_is_lost_is_found(page: Page, devtools: CDPSession, markup: str, found: list[str]) -> None:
    page.set_content(markup)
    assert lost_when_large_or_narrow(page, devtools) == found


@pytest.mark.promise("U4")
@pytest.mark.parametrize(
    ("outline", "found"), [("2px solid", []), ("none", ["nobody sees the focus on: A,,"])], ids=["seen", "unseen"]
)
def test_a_focus_that_nobody_sees_is_found(page: Page, outline: str, found: list[str]) -> None:
    page.set_content(FOCUS.format(outline))
    assert unmarked_focus(page) == found


def test_a_page_is_as_it_was_after_a_look(page: Page, devtools: CDPSession) -> None:
    page.set_content(WHOLE)
    lost_when_large_or_narrow(page, devtools)
    assert page.evaluate("[innerWidth, innerHeight, devicePixelRatio]") == [1280, 900, 1]
    assert page.content().startswith("<html><head></head><body>")
