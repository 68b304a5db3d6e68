"""Somebody with the phone and enough words chooses other people; it is seen on every page, and undone in seven days."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from salus.contracts.patients import CHANGE_S
from salus.node.services import recoveries
from tests.journeys import keyboard
from tests.journeys.journey_world import Served
from tests.journeys.test_recovery_journeys import choose_circles
from tests.journeys.test_recovery_whole_journeys import ann, at
from tests.journeys.test_signer_journeys import APPROVE, Person, person

__all__ = ["ann", "at"]
pytestmark = [pytest.mark.services, pytest.mark.promise("U3")]
HERE, UNDO = "People who can help you back in", "Did you choose other people?"
HAVE = "I have all the pages on paper"


def choose_others(thief: Person, words: list[str], wrong: list[str]) -> None:
    """On somebody's phone, with the words of the people that they have: first those of the other list."""
    walker, page = thief.walker, thief.walker.page
    walker.go("/recovery", HERE)
    walker.follow("Choose other people", "Choose other people")
    expect(page.get_by_text("Use the words for the second time.")).to_be_visible()
    keyboard.write(page.get_by_label("Their names"), "Eve\nMal\nTrudy")
    keyboard.write(page.get_by_label("How many of them does it take?"), "2")
    keyboard.press(page.get_by_role("button", name="Continue on my device"))
    thief.expect("Choose other people who can help you back in")
    keyboard.write(page.get_by_label("The words of the people who help you back in"), "\n\n".join(wrong))
    keyboard.press(page.get_by_role("button", name=APPROVE))
    expect(page.get_by_role("alert")).to_contain_text("These are not the words that are needed.")
    keyboard.write(page.get_by_label("The words of the people who help you back in"), "\n\n".join(words))
    keyboard.press(page.get_by_role("button", name=APPROVE))
    expect(page.locator(".sheet")).to_have_count(3)
    keyboard.press(page.get_by_role("button", name=HAVE))
    walker.look(HERE)
    expect(page.get_by_text("Other people can help you back in after 7 days.")).to_be_visible()


def set_up_tablet(who: Person) -> None:
    """Another device, which does not act."""
    page = who.walker.page
    keyboard.write(page.get_by_label("What do you call this device?"), "Tablet")
    keyboard.press(page.get_by_role("button", name="Set up this device"))
    keyboard.press(page.get_by_role("button", name=APPROVE))
    keyboard.press(page.get_by_role("button", name="Continue"))
    who.expect("Devices that act for you")


@pytest.mark.covers("GET /recovery/change", "POST /recovery/change", "GET /recovery/undo", "POST /recovery/undo")
def test_other_people_are_undone_within_seven_days_and_not_after(
    ann: Person, at: Served, browser: Browser, request: pytest.FixtureRequest
) -> None:
    shots = request.config.getoption("--shots")
    words, seconds = choose_circles(ann)
    before = recoveries.standing(at.here.node, at.here.patient)
    choose_others(ann, seconds, wrong=words)
    assert recoveries.standing(at.here.node, at.here.patient).changes_at_s

    with person(browser, at, shots=Path(shots) if shots else None) as owner:  # Eleanor, whose phone somebody else has
        walker, page = owner.walker, owner.walker.page
        walker.sign_in("eleanor", "/acting-devices", "Devices that act for you")
        expect(page.get_by_text("Somebody has changed who can help you back in. Was that you?")).to_be_visible()
        set_up_tablet(owner)
        at.later(CHANGE_S - 3600, ann.walker, walker)
        walker.sign_in("eleanor", "/recovery", HERE)
        expect(page.get_by_text("Somebody has chosen other people who can help you back in.")).to_be_visible()
        walker.follow("No, undo it", UNDO)
        expect(page.get_by_text("Use the words for the second time.")).to_be_visible()
        keyboard.press(page.get_by_role("button", name="I have the words: undo it"))
        keyboard.write(page.get_by_label("The words of the people who help you back in"), "\n\n".join(seconds))
        owner.approve("Keep the people who can help you back in", HERE)
        expect(page.get_by_text("It was undone. The same people as before can help you back in")).to_be_visible()
        assert recoveries.standing(at.here.node, at.here.patient) == before

        ann.walker.sign_in("eleanor", "/recovery/change", "Open your record")
        ann.sign_by("Open with my device", "Open your records", "Choose other people", is_seen=True)
        choose_others(ann, seconds, wrong=words)
        at.later(CHANGE_S + 60, walker)
        walker.sign_in("eleanor", "/recovery", HERE)
        expect(page.get_by_text("It is too late to undo that.")).to_be_visible()
        expect(page.get_by_text("Was that you?")).to_have_count(0)
        owner.come("/recovery/undo", HERE)
    assert recoveries.standing(at.here.node, at.here.patient).first_key not in {b"", before.first_key}
