"""A patient changes in a browser what they have decided."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys.journey_world import Walker

pytestmark = pytest.mark.services


@pytest.mark.covers("POST /sharing/begin")
def test_a_patient_changes_a_choice(walker: Walker) -> None:
    page = walker.page
    walker.sign_in("eleanor", "/sharing", "Who can see your record")
    walker.press("Make a choice", "What do you want to do?")
    for answer in ("Let people see something", "Everyone who treats me, anywhere", "Everything"):
        page.get_by_label(answer, exact=True).check()
        page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Continue").click()
    walker.press("Make this choice", "Who can see your record")

    page.get_by_role("button", name="Change this choice").click()
    walker.look("What do you want to do?")
    expect(page.get_by_label("Let people see something")).to_be_checked()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_label("Everyone who treats me, anywhere")).to_be_checked()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Only some kinds").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Vaccinations").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Continue").click()
    walker.look("Check your choice")
    expect(page.get_by_text("Anyone treating you may see everything.")).to_be_visible()
    walker.press("Change this choice", "Who can see your record")
    expect(page.locator("strong")).to_have_text("Anyone treating you may see vaccinations.")
