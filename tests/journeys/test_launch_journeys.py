"""A clinician comes from the practice's own system, with a patient open there and no second sign-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker
from tests.portal.launch_world import PracticeEhr, practice_ehr
from tests.portal.portal_world import PASSWORD

pytestmark = pytest.mark.services

WHY = "Why are you opening this record?"


@pytest.fixture(scope="module")
def practice(at: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeEhr]:
    folder: Path = tmp_path_factory.mktemp("practice")
    with practice_ehr(at.here, folder) as made:
        yield made


def come(walker: Walker, practice: PracticeEhr) -> None:
    """Sign in at the practice's system, which opens the record of whoever is open there, and let it say who."""
    walker.allowed = (*walker.allowed, practice.launcher.issuer)
    walker.page.goto(practice.launch())
    keyboard.write(walker.page.get_by_label("Name"), "pym")
    keyboard.write(walker.page.get_by_label("Password"), PASSWORD)
    keyboard.press(walker.page.get_by_role("button", name="Sign in", exact=True))
    keyboard.press(walker.page.get_by_role("button", name="Give access", exact=True))


@pytest.mark.covers("GET /launch", "GET /launch/{system}/back")
def test_somebody_who_is_not_known_here_is_told_what_to_do(walker: Walker, practice: PracticeEhr) -> None:
    come(walker, practice)
    walker.look("You cannot open records here yet")
    walker.follow("Or sign in here", "Sign in")
    walker.go("/launch?iss=https://elsewhere.example&launch=1", "This record was not opened")


@pytest.mark.covers("GET /launch/patient", "POST /launch/patient")
def test_a_clinician_opens_the_record_that_they_had_open_elsewhere(walker: Walker, practice: PracticeEhr) -> None:
    accounts, rao = walker.served.here.portal.accounts, walker.served.here.accounts["rao"]
    accounts.link(rao, issuer=practice.launcher.issuer, subject=practice.user)
    come(walker, practice)
    walker.look(WHY)
    expect(walker.page.get_by_role("link", name="Dr Anita Rao")).to_be_visible()
    walker.press("Open this record", WHY)
    expect(walker.page.get_by_role("alert").first).to_contain_text("Choose why you are looking")
    keyboard.pick(walker.page.get_by_label("A referral or a letter"))
    keyboard.pick(walker.page.get_by_label("I am treating this person"))
    walker.press("Open this record", "Patient record")
    expect(walker.page.get_by_text("999 000 0018").first).to_be_visible()
