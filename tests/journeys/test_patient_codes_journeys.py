"""A patient in assisted mode gets a code for the device that they have on another organisation's website."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from salus.node.exchange import TakeOverAsk, TakeOverOffer
from salus.node.services import take_over_codes
from salus.testing.world import HOSPITAL, PRACTICE
from tests.apps.browser import DESKTOP
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker

pytestmark = [pytest.mark.services, pytest.mark.promise("U3")]
DEVICES, ASKED, SHOWN = "Devices that act for you", "A code for the device that you have elsewhere", "Your code"


def opens(at: Served, code: str) -> bool:
    """Whether the practice, where a device might be, is offered anything for a code."""
    came = at.here.made.peers(PRACTICE).ask(HOSPITAL, TakeOverAsk(take_over_codes.written(code)))
    assert isinstance(came, TakeOverOffer)
    return came.pseudonym == at.here.patient


@pytest.mark.covers("GET /acting-devices/code", "POST /acting-devices/code")
def test_a_patient_makes_a_code_another_one_and_stops_it(walker: Walker, at: Served, browser: Browser) -> None:
    page = walker.page
    walker.sign_in("eleanor", "/acting-devices", DEVICES)
    keyboard.press(page.get_by_role("button", name="Get a code"))
    walker.look(ASKED)
    walker.press("Make a code", SHOWN)
    older = page.locator(".app-code").inner_text()
    expect(page.get_by_text("It works once, for 7 days.")).to_be_visible()
    assert opens(at, older)
    page.reload()
    walker.look(ASKED)
    walker.press("Make a new code", SHOWN)
    newer = page.locator(".app-code").inner_text()
    assert (opens(at, older), opens(at, newer)) == (False, True)
    walker.follow("I have written it down", DEVICES)
    with browser.new_context(ignore_https_errors=True, viewport=DESKTOP) as context:
        elsewhere = Walker(context, at)
        elsewhere.sign_in("eleanor", "/acting-devices/code", ASKED)
        expect(elsewhere.page.get_by_text("If it was not you, stop it.")).to_be_visible()
        elsewhere.press("Stop the code", DEVICES)
    assert not opens(at, newer)
