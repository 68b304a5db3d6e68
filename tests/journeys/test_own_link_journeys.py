"""A patient whose own device holds the key gives out a link: the device signs its ticket, and nobody else can."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from salus.contracts.access import AccessPermitted, Basis
from salus.contracts.gathering import read_trail
from salus.contracts.provisions import Purpose
from tests.apps.browser import DESKTOP
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker
from tests.journeys.test_link_journeys import PASSCODE, answer_all, open_with, visit
from tests.journeys.test_signer_journeys import Person, ann, at, leaked, logged

__all__ = ["ann", "at", "logged"]
pytestmark = pytest.mark.services


def test_a_patients_own_device_signs_the_ticket_of_a_link(
    ann: Person, at: Served, browser: Browser, logged: list[object]
) -> None:
    walker, page = ann.walker, ann.walker.page
    walker.sign_in("eleanor", "/acting-devices", "Devices that act for you")
    keyboard.write(page.get_by_label("What do you call this device?"), "My phone")
    ann.sign_by("Set up this device", "Set up this device", "Devices that act for you")
    ann.sign_by("Let this device act for me", "Hold your own key", "Devices that act for you")
    walker.go("/links", "Open your record")
    ann.sign_by("Open with my device", "Open your records", "Share by link")
    answer_all(walker)
    ann.sign_by("Make the link", "Share by link or QR code", "Your link")
    expect(page.get_by_text("Your link is made")).to_be_visible()
    address = page.get_by_label("The link itself").input_value()
    with browser.new_context(ignore_https_errors=True, viewport=DESKTOP) as context:
        recipient = Walker(context, at)
        visit(recipient, address, "Open a shared record")
        open_with(recipient, PASSCODE)
        recipient.look("Shared health record")
        expect(recipient.page.get_by_text("Penicillin")).to_be_visible()
        with at.here.node.engine.snapshot() as reader:
            asked = [each.outcome for each in read_trail(reader, at.here.patient)]
        permit = [each for each in asked if isinstance(each, AccessPermitted)][-1]
        assert (permit.basis, permit.purpose) == (Basis.TICKET, Purpose.PATRQT)
        walker.press("Stop this link", "Stop this link?")
        walker.press("Yes, stop it", "Share by link")
        visit(recipient, address, "Open a shared record")
        open_with(recipient, PASSCODE)
        recipient.look("This link does not work")
    assert not leaked(at, ann, logged=logged)
    assert address.partition("#")[2] not in repr(logged)
