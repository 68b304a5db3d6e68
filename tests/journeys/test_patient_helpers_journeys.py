"""A patient lets somebody help, who helps, and is stopped."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.apps.browser import DESKTOP
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker

pytestmark = pytest.mark.services
SAID = "Ben Moss, your carer, may see everything in your record, and decide for you who else sees it."


def let_help(walker: Walker, doing: str) -> str:
    """Answer the questions; return the code."""
    page = walker.page
    walker.press("Let somebody help", "Who is to help you?")
    keyboard.write(page.get_by_label("Their name"), "Ben Moss")
    keyboard.pick(page.get_by_label("My carer"))
    walker.press("Continue", "What may they do?")
    keyboard.pick(page.get_by_label(doing))
    walker.press("Continue", "For how long?")
    walker.press("Continue", "Check what you have said")
    walker.press("Let them help", "Give them this code")
    return page.locator(".app-code").inner_text()


def go_on(page: Page, button: str = "Continue") -> None:
    """Press a button that leads to a page which another journey has looked at."""
    with page.expect_navigation():
        keyboard.press(page.get_by_role("button", name=button, exact=True))


def start(walker: Walker, code: str, name: str) -> None:
    """Take a code up as somebody new."""
    walker.go("/sign-in", "Sign in")
    walker.follow("I have a code to help somebody", "Start helping somebody")
    walker.press("Start helping", "Start helping somebody")  # without a code
    for label, value in (("Code", code), ("A name for signing in", name), ("A password", "three odd words here")):
        keyboard.write(walker.page.get_by_label(label, exact=True), value)
    walker.press("Start helping", "People you help")


@pytest.mark.covers(
    "GET /helpers",
    "POST /helpers",
    "GET /helpers/who",
    "POST /helpers/who",
    "GET /helpers/doing",
    "POST /helpers/doing",
    "GET /helpers/until",
    "POST /helpers/until",
    "GET /helpers/check",
    "POST /helpers/check",
    "GET /helpers/code",
    "GET /helping",
    "POST /helping",
    "POST /helping/stop",
    "GET /helping/new",
    "POST /helping/new",
    "GET /helpers/stop",
    "POST /helpers/stop",
)
def test_a_helper_takes_up_a_code_decides_and_is_stopped(walker: Walker, browser: Browser, at: Served) -> None:
    walker.sign_in("eleanor", "/helpers", "Who helps you")
    code = let_help(walker, "See everything, and decide for me who else sees it")
    walker.follow("I have written it down", "Who helps you")
    expect(walker.page.get_by_text("They have not used their code yet.")).to_be_visible()
    keyboard.press(walker.page.get_by_role("button", name=re.compile("^Give them a new code")).first)
    walker.look("Give them this code")
    code = walker.page.locator(".app-code").inner_text()
    walker.follow("I have written it down", "Who helps you")
    with browser.new_context(ignore_https_errors=True, viewport=DESKTOP) as context:
        ben = Walker(context, at)
        start(ben, code, "ben.moss")
        ben.press("Help now Eleanor Moss", "The record of Eleanor Moss")
        expect(ben.page.get_by_text("You are helping Eleanor Moss")).to_be_visible()
        ben.follow("Who can see your record", "Who can see your record")
        ben.press("Stop helping", "People you help")
        ben.press("Help now Eleanor Moss", "The record of Eleanor Moss")
        keyboard.press(walker.page.get_by_role("link", name=re.compile("^Stop this help")).first)
        walker.look("Stop this help?")
        expect(walker.page.get_by_text(SAID)).to_be_visible()
        walker.press("Yes, stop it", "Who helps you")
        ben.go("/record", "People you help")
        expect(ben.page.get_by_text("You can no longer help this person")).to_be_visible()


@pytest.mark.covers("GET /helping/code", "POST /helping/code", "GET /helpers/kinds", "POST /helpers/kinds")
def test_somebody_who_signs_in_here_already_helps_with_some_kinds(walker: Walker, browser: Browser, at: Served) -> None:
    page = walker.page
    walker.sign_in("eleanor", "/helpers", "Who helps you")
    go_on(page, "Let somebody help")
    keyboard.write(page.get_by_label("Their name"), "Anita Rao")
    keyboard.pick(page.get_by_label("Somebody else I trust"))
    go_on(page)
    keyboard.pick(page.get_by_label("See some kinds of things only"))
    walker.press("Continue", "Which records may they see?")
    keyboard.pick(page.get_by_label("Allergies"))
    go_on(page)
    for part, value in (("Day", "1"), ("Month", "3"), ("Year", "2099")):
        keyboard.write(page.get_by_label(part, exact=True), value)
    go_on(page)
    go_on(page, "Let them help")
    code = page.locator(".app-code").inner_text()
    with browser.new_context(ignore_https_errors=True, viewport=DESKTOP) as context:
        rao = Walker(context, at)
        rao.sign_in("rao", "/helping", "People you help")
        rao.press("Enter a code", "Enter your code")
        keyboard.write(rao.page.get_by_label("Code"), code.lower())
        go_on(rao.page)
        go_on(rao.page, "Help now Eleanor Moss")
        expect(rao.page.get_by_text("Penicillin")).to_be_visible()
