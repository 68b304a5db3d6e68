"""Signing in and out, in a browser: by password, by a device, and where a person is signed in."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, CDPSession, expect

from tests.api.smart.provider import running
from tests.journeys import keyboard
from tests.journeys.journey_world import Walker, served

pytestmark = pytest.mark.services

AUTHENTICATOR = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def authenticator(walker: Walker) -> CDPSession:
    """Give the browser a device that signs people in (WebAuthn 11, by DevTools)."""
    session = walker.page.context.new_cdp_session(walker.page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return session


@pytest.mark.covers("GET /sign-in", "POST /sign-in", "GET /devices", "POST /sign-out", "GET /signed-out", "GET /")
def test_somebody_signs_in_looks_at_their_devices_and_signs_out(walker: Walker) -> None:
    walker.go("/", "Sign in")
    keyboard.press(walker.page.get_by_role("button", name="Sign in", exact=True))
    walker.look("Sign in")
    expect(walker.page.get_by_role("alert").first).to_contain_text("Enter your password")
    walker.sign_in("eleanor", "/devices", "Your devices")
    walker.press("Sign out", "You are signed out")
    walker.page.go_back()
    expect(walker.page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.covers(
    "POST /devices",
    "POST /devices/passkey/ask",
    "POST /devices/passkey",
    "POST /sign-in/passkey/ask",
    "POST /sign-in/passkey",
)
def test_a_device_is_added_signs_in_and_is_removed(walker: Walker) -> None:
    authenticator(walker)
    walker.sign_in("operator", "/devices", "Your devices")
    add_device(walker, "My tablet")
    expect(walker.page.get_by_role("strong").filter(has_text="My tablet")).to_be_visible()
    walker.press("Sign out", "You are signed out")
    walker.go("/devices", "Sign in")
    walker.press("Sign in with this device", "Your devices")
    walker.press("Remove My tablet", "Your devices")
    expect(walker.page.get_by_text("You have not added a device yet")).to_be_visible()


def add_device(walker: Walker, name: str) -> None:
    """Add a device on the page of devices."""
    keyboard.write(walker.page.get_by_label("What do you call this device?"), name)
    walker.press("Add this device", "Your devices")


def test_a_device_that_was_removed_is_told_that_it_does_not_fit(walker: Walker) -> None:
    authenticator(walker)
    walker.sign_in("officer", "/devices", "Your devices")
    add_device(walker, "My old phone")
    walker.press("Remove My old phone", "Your devices")
    walker.press("Sign out", "You are signed out")
    walker.go("/reviews", "Sign in")
    walker.press("Sign in with this device", "There is a problem")
    said = "You could not be signed in. Go back and try again, or use another way."
    expect(walker.page.get_by_text(said)).to_be_visible()
    walker.go("/reviews", "Sign in")  # another way is there, and works
    walker.sign_in("officer", "/reviews", "Emergencies to review")


def test_somebody_elses_device_signs_in_whom_it_belongs_to(walker: Walker) -> None:
    authenticator(walker)
    walker.sign_in("rao", "/devices", "Your devices")
    add_device(walker, "The ward's tablet")
    walker.press("Sign out", "You are signed out")
    walker.go("/record", "Sign in")  # a patient's page
    walker.press("Sign in with this device", "Page not found")
    expect(walker.page.get_by_text("it may be for somebody else")).to_be_visible()
    expect(walker.page.get_by_role("link", name="Dr Anita Rao")).to_be_visible()
    walker.follow("Go to the first page", "Find a patient")


def test_a_browser_without_a_passkey_of_ours_is_told_to_try_another_way(walker: Walker) -> None:
    authenticator(walker)
    walker.go("/devices", "Sign in")
    keyboard.press(walker.page.get_by_role("button", name="Sign in with this device"))
    said = walker.page.get_by_text("This device did not sign you in. Try again, or use another way.")
    expect(said).to_be_visible()
    walker.look("Sign in")


@pytest.mark.covers("GET /language/{language}")
def test_somebody_reads_welsh(walker: Walker) -> None:
    walker.go("/sign-in", "Sign in")
    walker.follow("Cymraeg", "Mewngofnodi")
    walker.follow("English", "Sign in")


@pytest.mark.covers("POST /sign-in/with/{provider}", "GET /sign-in/with/{provider}/back")
def test_staff_sign_in_at_their_provider_and_strangers_do_not(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("portal")
    with running(level_claim="authentication_assurance_level", signs=False) as cis2:
        providers = (cis2.settings(folder, "cis2", levels=("3",)),)
        with served(folder, providers=providers) as at, browser.new_context(ignore_https_errors=True) as context:
            accounts, walker = at.here.portal.accounts, Walker(context, at)
            walker.allowed = (*walker.allowed, cis2.issuer)
            walker.go("/devices", "Sign in")
            walker.press("Sign in with CIS2", "There is a problem")
            accounts.link(at.here.accounts["rao"], issuer=cis2.issuer, subject=cis2.subject)
            walker.go("/devices", "Sign in")
            walker.press("Sign in with CIS2", "Your devices")
            expect(walker.page.get_by_role("link", name="Dr Anita Rao")).to_be_visible()
            assert {"POST /sign-in/with/{provider}", "GET /sign-in/with/{provider}/back"} <= at.reached
