"""Debian's Chromium, driven by playwright; a page of a node in it trusts the test's own certificate."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import absent

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
TIMEOUT_MS = 60_000
"""For what has to come to be seen: a machine that does much else is slow, and that is no fault of ours."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    place = shutil.which("chromium")
    if place is None:
        absent("no Chromium on this machine: apt-get install chromium")
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=place, args=["--disable-gpu", "--disable-quic"])
        yield browser
        browser.close()


@contextmanager
def page_of(browser: Browser, *, viewport: dict[str, int] = DESKTOP) -> Iterator[Page]:
    """A page of somebody who was never here."""
    with browser.new_context(ignore_https_errors=True, viewport=viewport) as context:
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        yield page
