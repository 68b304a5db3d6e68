"""Whether a page stays whole when it is zoomed or narrow, and whether one sees what has the focus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import CDPSession, Page

NARROW = {"width": 320, "height": 640}
ZOOM = 2
LARGE_TEXT = "document.documentElement.style.fontSize = '200%'"
PLAIN_TEXT = "document.documentElement.getAttribute('style') && document.documentElement.removeAttribute('style')"
"""Chromium writes the attribute only when it is asked for it, and what is not written is not taken away whole."""
SETTLED_S = 2.0

LOST = """() => {
    const name = each => each.tagName.toLowerCase() + (each.className ? "." + each.className : "");
    const isSeen = each => {
        const box = each.getBoundingClientRect();
        const isThere = each.checkVisibility({opacityProperty: true, visibilityProperty: true});
        return isThere && box.width > 1 && box.height > 1;
    };
    const hides = each => ["hidden", "clip"].includes(each);
    const everything = [...document.body.querySelectorAll("*")];
    const clipped = everything.filter(each => {
        const style = getComputedStyle(each);
        return style.clip !== "auto" || style.clipPath !== "none" || each.matches("svg, iframe, .nhsuk-skip-link");
    });
    const found = [], words = [];
    const wide = document.documentElement.scrollWidth;
    if (wide > innerWidth) found.push(`${wide} pixels wide at ${innerWidth}`);
    for (const each of everything) {
        if (!isSeen(each) || clipped.some(hidden => hidden.contains(each))) continue;
        const style = getComputedStyle(each);
        const isCut = (hides(style.overflowX) && each.scrollWidth > each.clientWidth + 1)
            || (hides(style.overflowY) && each.scrollHeight > each.clientHeight + 1);
        if (isCut && each.clientWidth > 1 && each.innerText.trim()) found.push(`cut off: ${name(each)}`);
        for (const part of each.childNodes) {
            if (part.nodeType !== Node.TEXT_NODE || !part.data.trim()) continue;
            const range = document.createRange();
            range.selectNodeContents(part);
            for (const line of range.getClientRects()) {
                const edge = line.height / 4;
                const [top, bottom] = [line.top + edge, line.bottom - edge];
                words.push({of: part, top, bottom, left: line.left, right: line.right});
            }
        }
    }
    words.sort((one, other) => one.top - other.top);
    words.forEach((one, at) => {
        for (let next = at + 1; next < words.length && words[next].top < one.bottom; next++) {
            const other = words[next];
            if (other.of !== one.of && Math.min(one.right, other.right) - Math.max(one.left, other.left) > 2)
                found.push(`over each other: ${one.of.data.trim()} | ${other.of.data.trim()}`);
        }
    });
    return found;
}"""
"""What is too wide, cut off, or written over something else; half of a line's height may touch what is around it."""
UNMARKED = """() => {
    const kinds = new Set();
    const looks = each => {
        const label = each.labels && each.labels.length ? each.labels[0] : null;
        const parts = [each, label, each.parentElement, each.nextElementSibling].filter(Boolean);
        return parts.flatMap(part => ["", "::before", "::after"].map(pseudo => {
            const style = getComputedStyle(part, pseudo || null);
            return [style.outline, style.boxShadow, style.borderColor, style.borderWidth, style.backgroundColor].join();
        })).join(";");
    };
    const found = [];
    for (const each of document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")) {
        const kind = [each.tagName, each.type, each.className].join();
        if (kinds.has(kind) || each.disabled || !each.getClientRects().length) continue;
        kinds.add(kind);
        document.activeElement.blur();
        const before = looks(each);
        each.focus({preventScroll: true});
        if (document.activeElement === each && looks(each) === before) found.push(`nobody sees the focus on: ${kind}`);
    }
    document.activeElement.blur();
    return found;
}"""
"""Of each kind of control one: what does not look otherwise when it has the focus (WCAG 2.4.7)."""


def lost_when_large_or_narrow(page: Page, devtools: CDPSession) -> list[str]:
    """Return what is not whole at 200 % (WCAG 1.4.4), with letters alone at 200 %, and at 320 pixels (1.4.10).

    Args:
        devtools: of this page.
    """
    size = page.viewport_size
    assert size is not None, "the tests' pages have a size"
    found = []
    with zoomed(devtools, size["width"], size["height"]):
        found += [f"at 200 %: {each}" for each in _settled(page)]
    page.evaluate(LARGE_TEXT)
    found += [f"with large letters: {each}" for each in _settled(page)]
    page.evaluate(PLAIN_TEXT)
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    found += [f"at 320 pixels: {each}" for each in _settled(page)]
    page.set_viewport_size(size)
    return found


def unmarked_focus(page: Page) -> list[str]:
    """Return the controls of which one does not see that they have the focus."""
    page.keyboard.press("Tab")  # from now on the browser takes it that somebody uses a keyboard
    found: list[str] = page.evaluate(UNMARKED)
    return found


@contextmanager
def zoomed(devtools: CDPSession, width: int, height: int) -> Iterator[None]:
    """Show a page in a window of this size at 200 % until the block ends."""
    for_all = {"mobile": False}
    large = {"width": width // ZOOM, "height": height // ZOOM, "deviceScaleFactor": ZOOM}
    devtools.send("Emulation.setDeviceMetricsOverride", for_all | large)
    yield
    plain = {"width": width, "height": height, "deviceScaleFactor": 1}
    devtools.send("Emulation.setDeviceMetricsOverride", for_all | plain)


def wait_for_room(page: Page) -> None:
    """Wait until the header's script has moved what a new width has no room for."""
    until_s = time.monotonic() + SETTLED_S
    while page.evaluate("document.documentElement.scrollWidth > innerWidth") and time.monotonic() < until_s:
        page.wait_for_timeout(50)


def _settled(page: Page) -> list[str]:
    """What is lost once scripts have moved what has no room."""
    until_s = time.monotonic() + SETTLED_S
    found: list[str] = page.evaluate(LOST)
    while found and time.monotonic() < until_s:
        page.wait_for_timeout(50)
        found = page.evaluate(LOST)
    return found
