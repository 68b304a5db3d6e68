"""A patient who shares a device hides something, shows it again, and leaves at once."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from salus.portal.pages.entrance.leave import WEATHER
from tests.journeys import keyboard
from tests.journeys.journey_world import Walker

pytestmark = pytest.mark.services
TITLE = "Privacy on this device"


@pytest.mark.covers(
    "GET /private",
    "POST /private",
    "GET /private/choose",
    "POST /private/choose",
    "GET /private/records",
    "POST /private/records",
    "GET /private/word",
    "POST /private/word",
)
def test_a_patient_hides_a_page_and_shows_it_again_by_a_word(walker: Walker) -> None:
    page = walker.page
    walker.sign_in("eleanor", "/devices", "Your devices")
    walker.follow("Does somebody else use this device?", TITLE)
    walker.follow("Choose what to hide", "What do you want to hide?")
    keyboard.pick(page.get_by_label("Who has looked"))
    walker.press("Continue", "Do you want to hide single records?")
    walker.press("Continue", "Choose a word")
    keyboard.write(page.get_by_label("Your word", exact=True), "short")
    walker.press("Hide it", "Choose a word")
    keyboard.write(page.get_by_label("Your word", exact=True), "a word of hers")
    walker.press("Hide it", "Your record")
    expect(page.get_by_role("link", name="Who has looked")).to_have_count(0)
    walker.go("/looked", "Page not found")
    for word, count in (("another word", 0), ("a word of hers", 1)):
        walker.go("/private", TITLE)
        keyboard.write(page.get_by_label("Your word", exact=True), word)
        walker.press("Go to your record", "Your record")
        expect(page.get_by_role("link", name="Who has looked")).to_have_count(count)


@pytest.mark.covers("POST /leave", "GET /left")
def test_a_patient_leaves_at_once_and_back_leads_nowhere(walker: Walker) -> None:
    page = walker.page
    walker.allowed = (*walker.allowed, WEATHER)
    page.context.route(f"{WEATHER}**", lambda route: route.fulfill(body="<title>Weather</title>"))
    walker.sign_in("eleanor", "/private", TITLE)
    for _ in range(3):
        page.keyboard.press("Shift")
    page.wait_for_url(WEATHER)
    page.go_back()
    walker.look("Sign in")
    walker.sign_in("eleanor", "/private", TITLE)
    page.evaluate("document.querySelector('form[data-leave]').submit()")  # as without JavaScript
    page.wait_for_url(WEATHER)
    page.go_back()
    walker.look("Sign in")
