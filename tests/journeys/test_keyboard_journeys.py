"""What only a keyboard does; all that other journeys do is done by keyboard too (`keyboard`)."""

from __future__ import annotations

import pytest

from tests.journeys import keyboard
from tests.journeys.journey_world import Walker

pytestmark = [pytest.mark.services, pytest.mark.promise("U4")]


def test_the_first_stop_leads_past_the_navigation(walker: Walker) -> None:
    walker.sign_in("eleanor", "/record", "Your record")
    walker.page.goto(f"{walker.served.origin}/looked")
    walker.page.keyboard.press("Tab")
    first = walker.page.get_by_role("link", name="Skip to main content")
    assert first.evaluate(keyboard.HAS_FOCUS)
    keyboard.press(first)
    assert walker.page.url.endswith("#maincontent")
    walker.page.keyboard.press("Tab")
    assert walker.page.get_by_role("main").evaluate("each => each.contains(document.activeElement)")
