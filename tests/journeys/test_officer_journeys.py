"""The privacy officer: an emergency is reviewed, and a concern is read."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from salus.contracts.provisions import Provision, ProvisionType, Purpose
from salus.node.services import challenges
from salus.node.services.choices import file_by_custodian
from tests.apps.browser import DESKTOP
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker
from tests.journeys.test_clinician_journeys import break_glass
from tests.portal.portal_world import emergency

pytestmark = pytest.mark.services


@pytest.mark.covers("GET /reviews", "GET /reviews/{reference}", "POST /reviews/{reference}", "GET /concerns")
def test_an_officer_reviews_an_emergency_and_reads_a_concern(walker: Walker) -> None:
    walker.sign_in("officer", "/reviews", "Emergencies to review")
    walker.go("/concerns", "Concerns of patients")
    here = walker.served.here
    granted = emergency(here)
    challenges.send_by_custodian(here.node, here.patient, granted.permit, "I was at home that day")
    walker.go("/reviews", "Emergencies to review")
    keyboard.press(walker.page.get_by_role("link", name="Open"))
    heading = walker.page.get_by_role("heading", level=1).inner_text()
    walker.look(heading)
    walker.press("Send your answer", heading)
    expect(walker.page.get_by_role("alert").first).to_contain_text("Say if it was right to look")
    keyboard.pick(walker.page.get_by_label("Yes, it was an emergency"))
    keyboard.write(walker.page.get_by_label("Why?"), "The ambulance's note says so")
    walker.press("Send your answer", "Emergencies to review")
    walker.follow("Concerns", "Concerns of patients")
    expect(walker.page.get_by_text("I was at home that day")).to_be_visible()


@pytest.mark.covers("GET /numbers")
def test_an_officer_looks_at_choices_in_numbers(walker: Walker) -> None:
    here = walker.served.here
    file_by_custodian(here.node, here.patient, Provision(type=ProvisionType.DENY, purposes=(Purpose.HRESCH,)))
    walker.sign_in("officer", "/numbers", "Sharing choices in numbers")
    expect(walker.page.get_by_text("fewer than 5").first).to_be_visible()
    expect(walker.page.get_by_text("for research")).to_be_visible()


@pytest.mark.promise("U1")
def test_an_emergency_that_was_none_ends_at_once_and_the_patient_reads_it(
    walker: Walker, browser: Browser, at: Served
) -> None:
    """From whoever looks, by the officer's no, to the patient."""
    with browser.new_context(ignore_https_errors=True, viewport=DESKTOP) as context:
        rao = Walker(context, at)
        break_glass(rao, "Wanted to see how she is")
        expect(rao.page.get_by_text("Emergency access until")).to_be_visible()
        walker.sign_in("officer", "/reviews", "Emergencies to review")
        keyboard.press(walker.page.get_by_role("link", name="Open Dr Anita Rao").first)
        heading = walker.page.get_by_role("heading", level=1).inner_text()
        walker.look(heading)
        expect(walker.page.get_by_text("Wanted to see how she is")).to_be_visible()
        keyboard.pick(walker.page.get_by_label("No", exact=True))
        keyboard.write(walker.page.get_by_label("Why?"), "She was well, and at home")
        walker.press("Send your answer", "Emergencies to review")
        expect(walker.page.get_by_text("Your answer is recorded. The patient can see it.")).to_be_visible()
    with browser.new_context(ignore_https_errors=True, viewport=DESKTOP) as context:
        eleanor = Walker(context, at)
        eleanor.sign_in("eleanor", "/looked?only=emergency", "Who has looked")
        entry = eleanor.page.get_by_role("listitem").filter(has_text="Dr Anita Rao")
        expect(entry.first).to_contain_text("in an emergency")
        eleanor.go("/looked", "Who has looked")
        expect(eleanor.page.get_by_role("listitem").filter(has_text="The privacy officer at").first).to_be_visible()
