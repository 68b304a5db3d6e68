"""A patient chooses guardians; somebody has their words and begins; the patient sees it on every page and stops it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from salus.contracts.patients import Holder, KeyKind
from salus.node.services import recoveries
from salus.sdk import guardians
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, served
from tests.journeys.test_patient_helpers_journeys import go_on
from tests.journeys.test_signer_journeys import APPROVE, Person, person, relationship

pytestmark = [pytest.mark.services, pytest.mark.promise("U3")]
NAMES = ["Tom", "Ida", "Dr Rao"]


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("portal"), has_signer=True) as made:
        yield made


@pytest.fixture
def ann(browser: Browser, at: Served, request: pytest.FixtureRequest) -> Iterator[Person]:
    shots = request.config.getoption("--shots")
    at.reached.clear()
    with person(browser, at, shots=Path(shots) if shots else None) as made:
        yield made
    covered = {each for mark in request.node.iter_markers("covers") for each in mark.args}
    assert covered <= at.reached, f"the journey never came to {sorted(covered - at.reached)}"


def with_own_key(ann: Person) -> None:
    """Hand over to a device, by somebody who is signed in."""
    page = ann.walker.page
    ann.walker.go("/acting-devices", "Devices that act for you")
    keyboard.write(page.get_by_label("What do you call this device?"), "My phone")
    keyboard.press(page.get_by_role("button", name="Set up this device"))
    ann.approve("Set up this device", "Devices that act for you")
    ann.sign_by("Let this device act for me", "Hold your own key", "Devices that act for you")


def choose_guardians(ann: Person) -> list[str]:
    """Choose three, of whom two are needed; return their words."""
    return choose_circles(ann)[0]


def choose_circles(ann: Person) -> tuple[list[str], list[str]]:
    """Choose three, of whom two are needed, and all of them the second time; return their words of each time."""
    walker, page = ann.walker, ann.walker.page
    walker.go("/recovery/guardians", "Open your record")
    ann.sign_by("Open with my device", "Open your records", "Choose people you trust")
    walker.press("Continue on my device", "Choose people you trust")  # nobody was named
    keyboard.write(page.get_by_label("Their names"), "\n".join(NAMES))
    keyboard.write(page.get_by_label("How many of them does it take?"), "2")
    keyboard.press(page.get_by_role("button", name="Continue on my device"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Choose who can help you back in")
    keyboard.press(page.get_by_role("button", name=APPROVE))
    expect(page.locator(".sheet")).to_have_count(3)
    sheets = [each.locator("ol").all() for each in page.locator(".sheet").all()]
    first, second = ([" ".join(each[time].locator("li").all_inner_texts()) for each in sheets] for time in (0, 1))
    keyboard.press(page.get_by_role("button", name="I have all the pages on paper"))
    walker.look("People who can help you back in")
    return first, second


def let_help(ann: Person, at: Served) -> None:
    """Let somebody help, and stop it, both signed by one's own device."""
    walker, page = ann.walker, ann.walker.page
    page.goto(f"{at.origin}/helpers/who")
    keyboard.write(page.get_by_label("Their name"), "Ben Moss")
    keyboard.pick(page.get_by_label("My carer"))
    go_on(page)
    keyboard.pick(page.get_by_label("See everything in my record"))
    go_on(page)
    walker.press("Continue", "Check what you have said")
    code = page.locator(".app-code").inner_text()
    keyboard.press(page.get_by_role("button", name="Let them help"))
    keyboard.write(page.get_by_label("Type the code"), code)
    ann.approve("Let somebody or something act for you", "Give them this code")
    (key,) = relationship(at).keys
    assert (key.kind, key.appointed_by) == (KeyKind.DELEGATE, Holder.PATIENT)
    walker.follow("I have written it down", "Who helps you")
    keyboard.press(page.get_by_role("link", name=re.compile("^Stop this help")))
    ann.sign_by("Yes, stop it", "Stop a device or a helper", "Who helps you")
    assert relationship(at).keys == ()


def begin(thief: Person, words: list[str]) -> None:
    """Begin to replace the device with one's own, on the way on which everybody comes to it."""
    walker, page = thief.walker, thief.walker.page
    walker.sign_in("eleanor", "/record", "Open your record")
    walker.follow("I have lost my device", "I have lost my device")
    expect(page.get_by_text("There is no new device yet.")).to_be_visible()
    keyboard.press(page.get_by_role("link", name="Set up a device"))
    keyboard.write(page.get_by_label("What do you call this device?"), "Tablet")
    keyboard.press(page.get_by_role("button", name="Set up this device"))
    keyboard.press(page.get_by_role("button", name=APPROVE))
    keyboard.press(page.get_by_role("button", name="Continue"))
    walker.look("Devices that act for you")
    walker.go("/recovery/lost", "I have lost my device")
    keyboard.press(page.get_by_role("button", name="I have the words: begin with this device"))
    keyboard.write(page.get_by_label("The words of the people who help you back in"), "\n\n".join(words))
    thief.approve("Replace a device that you lost", "I have lost my device")
    expect(page.get_by_text("It has begun. Come back after")).to_be_visible()


@pytest.mark.covers(
    "GET /recovery",
    "GET /recovery/guardians",
    "POST /recovery/guardians",
    "GET /recovery/lost",
    "POST /recovery/lost",
    "GET /recovery/cancel",
    "POST /recovery/cancel",
)
def test_guardians_are_chosen_and_a_thief_is_seen_and_stopped(ann: Person, at: Served, browser: Browser) -> None:
    walker, page, node = ann.walker, ann.walker.page, at.here.node
    walker.sign_in("eleanor", "/recovery", "People who can help you back in")
    expect(page.get_by_text("acts for you. If you cannot sign in any more")).to_be_visible()
    with_own_key(ann)
    words = choose_guardians(ann)
    master = guardians.recovery_key(guardians.combine(words[1:]), at.here.patient)
    assert relationship(at).recovery_key == master.public
    let_help(ann, at)

    with person(browser, at) as thief:
        begin(thief, words[:2])
        assert not [each for each in thief.sent if words[0].split()[5] + " " in each and "/signing/" in each]
    assert recoveries.standing(node, at.here.patient).started

    walker.go("/sharing", "Who can see your record")
    expect(page.get_by_text("Somebody has asked to replace your device. Was that you?")).to_be_visible()
    walker.follow("No, stop it", "Did you ask to replace your device?")
    ann.sign_by("That was not me: stop it", "Stop somebody from replacing your key", "People who can help you back in")
    now = recoveries.standing(node, at.here.patient)
    assert (now.started, now.is_spent, now.has_second) == (b"", True, True)
    expect(page.get_by_text("The next time it takes one person more")).to_be_visible()
