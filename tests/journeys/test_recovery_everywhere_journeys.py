"""Recovery at two organisations at once: one request, one wait; who does not answer is named, and asked once more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from salus.contracts.patients import TIME_LOCK_S
from salus.node.services import recoveries
from salus.node.services.recoveries import Standing
from salus.testing.clock import ForwardClock
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, served
from tests.journeys.test_patient_elsewhere_journeys import ONLY_THERE, PLACE
from tests.journeys.test_patient_organisations_journeys import bring
from tests.journeys.test_recovery_change_journeys import set_up_tablet
from tests.journeys.test_recovery_journeys import NAMES
from tests.journeys.test_recovery_whole_journeys import LOST, ann
from tests.journeys.test_signer_journeys import APPROVE, Person, person
from tests.portal.second_custodian import Manner

__all__ = ["ann"]
pytestmark = [pytest.mark.services, pytest.mark.promise("U3")]
BEGIN = "I have the words: begin with this device"
HERE = "People who can help you back in"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Served]:
    """Hospital and practice both sign for Eleanor; the practice is another computer's."""
    with served(tmp_path, is_joined=True, has_device=False, has_signer=True, clock=ForwardClock()) as made:
        yield made


def standings(at: Served) -> list[Standing]:
    """How recovery stands at both."""
    return [recoveries.standing(at.here.node, each) for each in (at.here.patient, at.here.there)]


def choose(who: Person) -> list[str]:
    """Choose the same people at both; return their words."""
    walker, page = who.walker, who.walker.page
    walker.go("/recovery/guardians", "Choose people you trust")
    expect(page.get_by_text("This is about your records at")).to_contain_text(PLACE)
    keyboard.write(page.get_by_label("Their names"), "\n".join(NAMES))
    keyboard.write(page.get_by_label("How many of them does it take?"), "2")
    keyboard.press(page.get_by_role("button", name="Continue on my device"))
    who.expect("Choose who can help you back in")
    expect(page.get_by_role("heading", level=2)).to_contain_text(f"{PLACE} (A81001)")
    keyboard.press(page.get_by_role("button", name=APPROVE))
    expect(page.locator(".sheet")).to_have_count(3)
    words = [each.locator("ol").first.locator("li").all_inner_texts() for each in page.locator(".sheet").all()]
    keyboard.press(page.get_by_role("button", name="I have all the pages on paper"))
    walker.look(HERE)
    return [" ".join(each) for each in words]


def say(who: Person, button: str, words: list[str], asked: str, heading: str) -> None:
    """Press a button, and type the words on the signer page to which it leads."""
    page = who.walker.page
    keyboard.press(page.get_by_role("button", name=button))
    keyboard.write(page.get_by_label("The words of the people who help you back in"), "\n\n".join(words))
    who.approve(asked, heading)


def test_one_recovery_is_for_every_organisation(ann: Person, at: Served, browser: Browser) -> None:
    assert at.here.joined is not None
    practice = at.here.joined[0]
    bring(ann, at)
    ann.walker.go("/recovery/guardians", "Open your record")
    ann.sign_by("Open with my device", "Open your records", "Choose people you trust", is_seen=True)
    words = choose(ann)
    assert all(each.may_change for each in standings(at))

    with person(browser, at) as new:
        walker, page = new.walker, new.walker.page
        walker.sign_in("eleanor", "/acting-devices", "Devices that act for you")
        set_up_tablet(new)
        walker.go("/recovery/lost", LOST)
        with practice.being(Manner.IS_DOWN):
            say(new, BEGIN, words[:2], "Replace a device that you lost", "This is not done everywhere yet")
            expect(page.get_by_text(f"{PLACE} did not answer. Do it again for them.")).to_be_visible()
            walker.follow("Go back", LOST)
        assert [bool(each.started) for each in standings(at)] == [True, False]
        say(new, BEGIN, words[1:], "Replace a device that you lost", LOST)
        assert all(each.started for each in standings(at))
        at.later(TIME_LOCK_S + 60, ann.walker, walker)
        walker.sign_in("eleanor", "/recovery/lost", LOST)
        finished = "Finish replacing your device"
        say(new, "Finish with this device", words[:2], finished, "Devices that act for you")
        walker.go("/record", "Open your record")
        new.sign_by("Open with my device", "Open your records", "Your record", is_seen=True)
        expect(page.get_by_text("Answered")).to_have_count(2)
        walker.follow("Medicines", "Medicines")
        expect(page.get_by_text(ONLY_THERE)).to_be_visible()
    ann.walker.sign_in("eleanor", "/record", "Open your record")
    page = ann.walker.page
    keyboard.press(page.get_by_role("button", name="Open with my device"))
    keyboard.press(page.get_by_role("button", name=APPROVE))
    expect(page.get_by_text("Your passkey was not used.")).to_be_visible()
