"""A patient decides in a browser who can see their record."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys import keyboard
from tests.journeys.journey_world import Walker

pytestmark = pytest.mark.services


@pytest.mark.covers(
    "GET /sharing",
    "GET /sharing/direction",
    "POST /sharing/direction",
    "GET /sharing/who",
    "POST /sharing/who",
    "GET /sharing/what",
    "POST /sharing/what",
    "GET /sharing/kinds",
    "POST /sharing/kinds",
    "GET /sharing/until",
    "POST /sharing/until",
    "GET /sharing/check",
    "POST /sharing/check",
    "GET /sharing/stop",
    "POST /sharing/stop",
)
def test_a_patient_makes_a_choice_and_stops_it(walker: Walker) -> None:
    page = walker.page
    walker.sign_in("eleanor", "/sharing", "Who can see your record")
    walker.press("Make a choice", "What do you want to do?")
    keyboard.pick(page.get_by_label("Hide something from people"))
    walker.press("Continue", "Who is it about?")
    keyboard.pick(page.get_by_label("Everyone who treats me, anywhere"))
    walker.press("Continue", "What is it about?")
    keyboard.pick(page.get_by_label("Only some kinds"))
    walker.press("Continue", "Which kinds?")
    keyboard.pick(page.get_by_label("Allergies"))
    walker.press("Continue", "Until when?")
    keyboard.write(page.get_by_label("Day", exact=True), "31")
    walker.press("Continue", "Until when?")  # no month was given
    for part, value in (("Day", "1"), ("Month", "3"), ("Year", "2099")):
        keyboard.write(page.get_by_label(part, exact=True), value)
    walker.press("Continue", "Check your choice")
    expect(page.get_by_text("They would not know of: Penicillin")).to_be_visible()
    walker.press("Make this choice", "Who can see your record")
    keyboard.press(page.get_by_role("link", name="Stop this choice"))
    walker.look("Stop this choice?")
    walker.press("Yes, stop it", "Who can see your record")
    expect(page.get_by_text("Your choice has ended. Since")).to_be_visible()


@pytest.mark.covers("GET /sharing/preview")
def test_a_patient_looks_at_what_somebody_would_see(walker: Walker) -> None:
    walker.sign_in("eleanor", "/sharing/preview", "What somebody would see now")
    keyboard.pick(walker.page.get_by_role("radio").first)
    walker.press("Show me", "What somebody would see now")
    expect(walker.page.get_by_role("table")).to_be_visible()
