"""Each person's main work by keyboard alone: Tab, Shift, Space, arrows, Enter, and letters; one sees where one is."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys.journey_world import Walker
from tests.portal.portal_world import PASSWORD, emergency

pytestmark = [pytest.mark.services, pytest.mark.promise("U4")]

STOPS_MAX = 80
WHERE = """() => {
    const at = document.activeElement;
    if (at === document.body) return {name: "", marked: true, inside: true};
    const label = at.labels && at.labels.length ? at.labels[0] : at;
    const looks = [at, label, label.parentElement, at.nextElementSibling].filter(Boolean);
    const marked = looks.some(each => ["", "::before", "::after"].some(part => {
        const style = getComputedStyle(each, part || null);
        return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== "none";
    }));
    const box = at.getBoundingClientRect();
    const named = at.getAttribute("aria-label") || label.innerText || at.value || "";
    return {name: named.trim().replace(/\\s+/g, " "), marked, inside: box.bottom > 0 && box.top < innerHeight};
}"""
"""What has the focus: what it is called, whether one sees it (WCAG 2.4.7), and whether it is on the screen (2.4.11)."""


def reach(walker: Walker, name: str) -> None:
    """Press Tab until something of this name has the focus; at each stop one has to see where one is."""
    for _ in range(STOPS_MAX):
        walker.page.keyboard.press("Tab")
        at = walker.page.evaluate(WHERE)
        assert at["marked"], f"nobody sees that the focus is on {at['name']!r}"
        assert at["inside"], f"{at['name']!r} has the focus outside the screen"
        if f"{at['name']} ".startswith((f"{name} ", f"{name},")):
            return
    raise AssertionError(f"no Tab leads to {name!r}")


def pick(walker: Walker, name: str, *, first: str) -> None:
    """Reach the first of a list to choose from, and go down to another with the arrow."""
    reach(walker, first)
    walker.page.keyboard.press("Space")
    for _ in range(STOPS_MAX):
        at = walker.page.evaluate(WHERE)
        assert at["marked"], f"nobody sees that the focus is on {at['name']!r}"
        if at["name"].startswith(name):
            return
        walker.page.keyboard.press("ArrowDown")
    raise AssertionError(f"no arrow leads to {name!r}")


def enter(walker: Walker, name: str, heading: str) -> None:
    """Reach a link or a button, press Enter, and come to another page."""
    reach(walker, name)
    with walker.page.expect_navigation():
        walker.page.keyboard.press("Enter")
    expect(walker.page.get_by_role("heading", level=1)).to_have_text(heading)


def write(walker: Walker, name: str, words: str) -> None:
    """Reach a field and write."""
    reach(walker, name)
    walker.page.keyboard.type(words)


def signed_in(walker: Walker, name: str, wanted: str, heading: str) -> None:
    """Sign in with the keyboard."""
    walker.page.goto(walker.served.origin + wanted)
    write(walker, "Name", name)
    write(walker, "Password", PASSWORD)
    walker.page.keyboard.press("Enter")
    expect(walker.page.get_by_role("heading", level=1)).to_have_text(heading)


def test_a_patient_goes_to_their_choices(walker: Walker) -> None:
    signed_in(walker, "eleanor", "/record", "Your record")
    reach(walker, "Skip to main content")
    walker.page.keyboard.press("Enter")
    assert walker.page.url.endswith("#maincontent")
    walker.page.goto(walker.served.origin + "/looked")
    enter(walker, "Who can see your record", "Who can see your record")


def test_a_clinician_finds_a_patient(walker: Walker) -> None:
    signed_in(walker, "rao", "/patients", "Find a patient")
    write(walker, "NHS number", "9990000018")
    for part, value in (("Day", "14"), ("Month", "3"), ("Year", "1968")):
        write(walker, part, value)
    reach(walker, "An appointment or a ward round")
    walker.page.keyboard.press("Space")
    reach(walker, "I am treating this person")
    walker.page.keyboard.press("Space")
    enter(walker, "Find this patient", "Patient record")


def test_an_officer_judges_an_emergency(walker: Walker) -> None:
    emergency(walker.served.here)
    signed_in(walker, "officer", "/reviews", "Emergencies to review")
    reach(walker, "Open")
    with walker.page.expect_navigation():
        walker.page.keyboard.press("Enter")
    reach(walker, "Yes, it was an emergency")
    walker.page.keyboard.press("Space")
    write(walker, "Why?", "The note of the ambulance says so")
    enter(walker, "Send your answer", "Emergencies to review")


def test_an_operator_proposes_a_change(walker: Walker) -> None:
    signed_in(walker, "operator", "/network", "The network")
    enter(walker, "Propose a change of a member", "Propose a change of a member")
    reach(walker, "Which member?")
    walker.page.keyboard.type("Harrow")
    pick(walker, "Let it follow the ledger", first="Suspend it for 30 days")
    enter(walker, "Propose it", "The network")
