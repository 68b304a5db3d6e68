"""A patient brings another organisation into their own devices by its code, and reads with them what both have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from salus.contracts import patients
from salus.contracts.patients import Holder, KeyKind
from salus.node.services import take_over_codes
from salus.testing.world import HOSPITAL
from tests.apps.browser import DESKTOP
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, served
from tests.journeys.test_patient_elsewhere_journeys import ONLY_THERE, PLACE
from tests.journeys.test_signer_journeys import APPROVE, Person, add_device, ann, person, set_up
from tests.portal.portal_world import NAMES, PASSWORD

__all__ = ["ann"]
pytestmark = pytest.mark.services

DEVICES, OTHERS, ADD = "Devices that act for you", "Your other organisations", "Add an organisation"
OPEN = "Open your record"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Hospital and practice both sign for Eleanor; the practice is another computer's."""
    folder = tmp_path_factory.mktemp("portal")
    with served(folder, is_joined=True, has_device=False, has_signer=True) as made:
        yield made


def relationships(at: Served) -> list[patients.Relationship]:
    """What the ledger says of her at both."""
    with at.here.node.engine.snapshot() as reader:
        found = [patients.relationship_of(reader, each) for each in (at.here.patient, at.here.there)]
    assert None not in found
    return [each for each in found if each is not None]


@pytest.mark.promise("U3")
@pytest.mark.covers("GET /organisations", "GET /organisations/add", "POST /organisations/add")
def test_a_code_brings_an_organisation_into_the_devices_and_they_read_both(
    ann: Person, at: Served, browser: Browser
) -> None:
    walker, page = ann.walker, ann.walker.page
    set_up(ann)
    ann.approve("Set up this device", DEVICES, is_seen=True)
    ann.sign_by("Let this device act for me", "Hold your own key", DEVICES, is_seen=True)
    with person(browser, at) as tablet:
        add_device(ann, tablet)
        bring(ann, at)
        assert [each.holder for each in relationships(at)] == [Holder.PATIENT, Holder.PATIENT]
        walker.go("/record", OPEN)
        ways = page.get_by_text("This opens your record at")
        expect(ways).to_have_text([opens("My phone", NAMES[HOSPITAL], PLACE), opens("Tablet", NAMES[HOSPITAL])])
        ann.sign_by("Open with My phone", "Open your records", "Your record")
        expect(page.get_by_text("Answered")).to_have_count(2)
        walker.follow("Medicines", "Medicines")
        expect(page.get_by_text(ONLY_THERE)).to_be_visible()

        let_open_more(ann, tablet)
        assert [[key.kind for key in each.keys] for each in relationships(at)] == [[KeyKind.DEVICE]] * 2
        tablet.come("/record", OPEN)
        tablet.sign_by("Open with my device", "Open your records", "Your record", is_seen=True)
        expect(tablet.walker.page.get_by_text("Answered")).to_have_count(2)

        ann.come("/acting-devices", DEVICES)
        ann.sign_by("Remove Tablet", "Stop a device or a helper", DEVICES, is_seen=True)
        expect(page.get_by_text("That device is removed")).to_be_visible()
        assert [each.keys for each in relationships(at)] == [(), ()]
        tablet.come("/record", "Sign in")
    read_without_scripts(browser, at)


def read_without_scripts(browser: Browser, at: Served) -> None:
    """Sign in and read which organisations there are, in a browser without JavaScript."""
    with browser.new_context(ignore_https_errors=True, viewport=DESKTOP, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{at.origin}/organisations")
        keyboard.write(page.get_by_label("Name", exact=True), "eleanor")
        keyboard.write(page.get_by_label("Password", exact=True), PASSWORD)
        keyboard.press(page.get_by_role("button", name="Sign in", exact=True))
        expect(page.get_by_role("heading", level=1)).to_have_text(OTHERS)
        expect(page.get_by_role("listitem").filter(has_text=PLACE)).to_contain_text("Opened by: My phone.")


def bring(who: Person, at: Served) -> None:
    """Get a code at the practice, mistype it, and bring the practice into one's first device."""
    walker, page = who.walker, who.walker.page
    code = take_over_codes.make(at.here.made.practice, at.here.there)
    walker.go("/organisations", OTHERS)
    keyboard.press(page.get_by_role("button", name=ADD))
    who.expect(OPEN)
    who.sign_by("Open with my device", "Open your records", ADD)
    enter(who, code[::-1], ADD)
    expect(page.get_by_text("This code does not work there").first).to_be_visible()
    walker.look(ADD)
    enter(who, " ".join(code[start : start + 4] for start in range(0, 16, 4)).lower(), "Hold your own key")
    who.approve("Hold your own key", OTHERS)
    expect(page.get_by_text(f"{PLACE} is added")).to_be_visible()


def enter(who: Person, code: str, heading: str) -> None:
    """Type a code of the practice's."""
    page = who.walker.page
    keyboard.choose(page.get_by_label("Which organisation gave you the code?"), PLACE)
    keyboard.write(page.get_by_label("Their code"), code)
    keyboard.press(page.get_by_role("button", name="Continue"))
    who.expect(heading)


def let_open_more(first: Person, second: Person) -> None:
    """The second device makes a key where it does not act yet; the first lets it, by its code; the second accepts."""
    page = second.walker.page
    second.walker.go("/acting-devices", DEVICES)
    keyboard.press(page.get_by_role("button", name="I am on that device: let it open more"))
    second.expect(OPEN)
    second.sign_by("Open with Tablet", "Open your records", DEVICES)
    keyboard.press(page.get_by_role("button", name="I am on that device: let it open more"))
    second.expect("Make a key on this device")
    keyboard.press(page.get_by_role("button", name=APPROVE))
    second.expect("Your code")
    code = page.locator(".code").inner_text()
    keyboard.press(page.get_by_role("button", name="Continue"))
    second.walker.look(DEVICES)
    first.walker.go("/acting-devices", DEVICES)
    keyboard.press(first.walker.page.get_by_role("button", name="I am on my first device: let it act"))
    keyboard.write(first.walker.page.get_by_label("Type the code"), code)
    first.approve("Let somebody or something act for you", DEVICES, is_seen=True)
    second.come("/acting-devices", DEVICES)
    second.sign_by("I am on the new device: finish", "Let this device act", DEVICES, is_seen=True)


def opens(device: str, *organisations: str) -> str:
    """What the page of opening says of a device."""
    return f"You can use: {device}. This opens your record at: {' and '.join(organisations)}."
