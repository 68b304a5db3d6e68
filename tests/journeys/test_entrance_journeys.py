"""Signing in and out, in a browser: by password, by a device, and where a person is signed in."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, CDPSession, expect

from tests.api.smart.provider import running
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
    walker.page.get_by_role("button", name="Sign in", exact=True).click()
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
    walker.page.get_by_label("What do you call this device?").fill("My tablet")
    walker.press("Add this device", "Your devices")
    expect(walker.page.get_by_role("strong").filter(has_text="My tablet")).to_be_visible()
    walker.press("Sign out", "You are signed out")
    walker.go("/devices", "Sign in")
    walker.press("Sign in with this device", "Your devices")
    walker.press("Remove My tablet", "Your devices")
    expect(walker.page.get_by_text("You have not added a device yet")).to_be_visible()


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
