"""What journeys do on a page, by keyboard alone: Tab, Shift, Space, arrows, Enter, and letters.

Before the keys, `Locator.click(trial=True)` asks whether a pointer would reach the same control. At each stop on the
way one has to see where one is.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from playwright.sync_api import ElementHandle, Locator

STOPS_MAX = 200
SEEN_S = 10.0
PASTED_LENGTH = 100
"""Words longer than this are pasted, as anybody would."""

WHERE = """wanted => {
    const at = document.activeElement;
    if (!wanted.isConnected) return {name: "", isGone: true, isThere: false, isMarked: true, isInside: true};
    const isThere = at === wanted || (at.type === "radio" && wanted.type === "radio" && at.name === wanted.name);
    const isBehind = Boolean(wanted.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING);
    if (at === document.body) return {name: "", isThere, isBehind: false, isMarked: true, isInside: true};
    const label = at.labels && at.labels.length ? at.labels[0] : at;
    const looks = [at, label, label.parentElement, at.nextElementSibling].filter(Boolean);
    const isMarked = looks.some(each => ["", "::before", "::after"].some(part => {
        const style = getComputedStyle(each, part || null);
        return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== "none";
    }));
    const box = at.getBoundingClientRect();
    const name = (at.getAttribute("aria-label") || label.innerText || at.value || at.outerHTML).trim();
    return {name, isThere, isBehind, isMarked, isInside: box.bottom > 0 && box.top < innerHeight};
}"""
"""What has the focus: whether it is what is wanted or another answer of the same question, whether that lies before it
in the page, whether one sees the focus (WCAG 2.4.7), and whether it is on the screen (2.4.11); or that a script has put
something else in the place of what was wanted."""
HAS_FOCUS = "each => document.activeElement === each"
CONTROL = "each => each.closest('summary') || each"
CHOSEN = "each => each.selectedOptions[0].label"


def press(control: Locator) -> None:
    """Press Enter on a link, a button or what opens a part of the page; wait for the page that it leads to."""
    reach(control).press("Enter")


def write(field: Locator, words: str) -> None:
    """Write into a field in place of what is there."""
    reach(field)
    keys = field.page.keyboard
    keys.press("Control+A")
    keys.press("Delete")
    if len(words) > PASTED_LENGTH:
        keys.insert_text(words)
    else:
        keys.type(words)


def pick(answer: Locator) -> None:
    """Pick one of several answers, or tick a box."""
    found = reach(answer)
    for _ in range(STOPS_MAX):
        if found.evaluate(HAS_FOCUS):
            break
        answer.page.keyboard.press("ArrowDown")
    if not found.is_checked():
        answer.page.keyboard.press("Space")
    assert found.is_checked(), "neither arrows nor Space pick it"


def untick(box: Locator) -> None:
    """Take the tick out of a box."""
    found = reach(box)
    assert found.is_checked(), "there is no tick in it"
    box.page.keyboard.press("Space")
    assert not found.is_checked(), "Space does not take it out"


def choose(field: Locator, option: str) -> None:
    """Go through a list until the option of this label is chosen."""
    found = reach(field)
    for key in ("Home", *["ArrowDown"] * STOPS_MAX):
        field.page.keyboard.press(key)
        if found.evaluate(CHOSEN) == option:
            return
    raise AssertionError(f"no arrow leads to {option!r}")


def attach(field: Locator, *paths: Path) -> None:
    """Open the dialogue for files and choose these."""
    found = reach(field)
    with field.page.expect_file_chooser() as asked:
        found.press("Enter")
    asked.value.set_files(paths)


def reach(control: Locator) -> ElementHandle:
    """Press Tab, or Shift and Tab where it lies behind, until the control has the focus, or another answer of it."""
    control.click(trial=True)
    found, stops = _found(control), [""]
    at = found.evaluate(WHERE)
    while not at["isThere"]:
        assert len(stops) < STOPS_MAX, f"no Tab leads there, but to {stops}"
        if at.get("isGone"):
            found = _found(control)
        else:
            control.page.keyboard.press("Shift+Tab" if at["isBehind"] else "Tab")
        at = _see(found)
        stops.append(at["name"])
    return found


def _found(control: Locator) -> ElementHandle:
    found = control.evaluate_handle(CONTROL).as_element()
    assert found is not None
    return found


def _see(wanted: ElementHandle) -> dict[str, Any]:
    """What has the focus, once one sees where one is: a script may mark it, or a page scroll to it, a moment later."""
    until_s = time.monotonic() + SEEN_S
    at: dict[str, Any] = wanted.evaluate(WHERE)
    while not (at["isMarked"] and at["isInside"]):
        assert time.monotonic() < until_s, f"nobody sees where the focus is: {at}"
        at = wanted.evaluate(WHERE)
    return at
