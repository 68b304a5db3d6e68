"""A patient changes in a browser what they have decided."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys import keyboard
from tests.journeys.journey_world import Walker

pytestmark = pytest.mark.services


@pytest.mark.covers("POST /sharing/begin")
def test_a_patient_changes_a_choice(walker: Walker) -> None:
    page = walker.page
    walker.sign_in("eleanor", "/sharing", "Who can see your record")
    walker.press("Make a choice", "What do you want to do?")
    for answer in ("Let people see something", "Everyone who treats me, anywhere", "Everything"):
        keyboard.pick(page.get_by_label(answer, exact=True))
        keyboard.press(page.get_by_role("button", name="Continue"))
    keyboard.press(page.get_by_role("button", name="Continue"))
    walker.press("Make this choice", "Who can see your record")

    keyboard.press(page.get_by_role("button", name="Change this choice"))
    walker.look("What do you want to do?")
    expect(page.get_by_label("Let people see something")).to_be_checked()
    keyboard.press(page.get_by_role("button", name="Continue"))
    expect(page.get_by_label("Everyone who treats me, anywhere")).to_be_checked()
    keyboard.press(page.get_by_role("button", name="Continue"))
    keyboard.pick(page.get_by_label("Only some kinds"))
    keyboard.press(page.get_by_role("button", name="Continue"))
    keyboard.pick(page.get_by_label("Vaccinations"))
    keyboard.press(page.get_by_role("button", name="Continue"))
    keyboard.press(page.get_by_role("button", name="Continue"))
    walker.look("Check your choice")
    expect(page.get_by_text("Anyone treating you may see everything.")).to_be_visible()
    walker.press("Change this choice", "Who can see your record")
    expect(page.locator("strong")).to_have_text("Anyone treating you may see vaccinations.")
