"""A patient decides with their own device about what another organisation has, and questions a look there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from salus.contracts import consent
from salus.contracts.consent import Choice
from salus.contracts.provisions import Purpose, RoleClass
from salus.ledger.identifiers import Pseudonym
from salus.node.people import OpenSession, certify_person, open_session
from salus.node.services import challenges
from salus.node.services.own_care import open_for_own_staff
from salus.node.services.request import Denied, Wish, request
from salus.testing.world import HOSPITAL, PRACTICE
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, served
from tests.journeys.test_patient_organisations_journeys import DEVICES, PLACE, bring
from tests.journeys.test_signer_journeys import APPROVE, Person, ann, set_up
from tests.portal.portal_world import NAMES
from tests.portal.second_custodian import Manner

__all__ = ["ann"]
pytestmark = pytest.mark.services

SHARING, SIGN = "Who can see your record", "Confirm your sharing choice"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Hospital and practice both sign for Eleanor; the practice is another computer's."""
    folder = tmp_path_factory.mktemp("portal")
    with served(folder, is_joined=True, has_device=False, has_signer=True) as made:
        yield made


def session(at: Served, role_class: RoleClass) -> OpenSession:
    """Somebody of the practice's own."""
    node = at.here.made.practice
    person = certify_person(node, name="Dr Pym", role="GP", registration="GMC 9", role_class=role_class)
    return open_session(person.key, person.certificate, custodian=PRACTICE, from_s=node.clock())


def wish(at: Served) -> Wish:
    return Wish(at.here.there, PRACTICE, RoleClass.CLINICAL, Purpose.TREAT, justification="Seen for the cough")


@pytest.mark.promise("R3", "U3")
@pytest.mark.covers("GET /sharing/where", "POST /sharing/where", "POST /sharing/again")
def test_a_choice_about_the_practice_is_signed_here_and_a_look_there_is_questioned(ann: Person, at: Served) -> None:
    walker, page, node = ann.walker, ann.walker.page, at.here.made.practice
    opened = open_for_own_staff(node, session(at, RoleClass.CLINICAL), wish(at))
    assert not isinstance(opened, Denied)
    assert list(opened)
    set_up(ann)
    ann.approve("Set up this device", DEVICES, is_seen=True)
    ann.sign_by("Let this device act for me", "Hold your own key", DEVICES, is_seen=True)
    bring(ann, at)
    walker.go("/sharing", "Open your record")
    assert at.here.joined is not None
    with at.here.joined[0].being(Manner.IS_DOWN):
        ann.sign_by("Open with my device", "Open your records", SHARING, is_seen=True)
        expect(page.get_by_text("Did not answer")).to_be_visible(timeout=10_000)
        walker.look(SHARING)
    walker.go("/sharing/where", "Which records is it about?")
    walker.go("/sharing", SHARING)
    keyboard.press(page.get_by_role("button", name="Try again"))
    expect(page.get_by_text("You have made no choices.")).to_have_count(2)

    decide(ann, f"What {PLACE} has written down", f"that {PLACE} has written down")
    assert isinstance(request(node, session(at, RoleClass.CLINICAL), wish(at)), Denied)
    expect(page.get_by_text("You decided this on")).to_be_visible()
    walker.look(SHARING)
    change(ann)
    keyboard.press(page.get_by_role("link", name="Stop this choice"))
    walker.look("Stop this choice?")
    expect(page.get_by_text(f"that {PLACE} has written down")).to_be_visible()
    ann.sign_by("Yes, stop it", "End a sharing choice", SHARING, is_seen=True)

    decide(ann, "All of these", f"that {NAMES[HOSPITAL]} and {PLACE} have written down")
    expect(page.get_by_text("You decided this on")).to_have_count(2)
    ids = [each.choice for pseudonym in (at.here.patient, at.here.there) for each in choices(at, pseudonym)]
    assert len(set(ids)) == 2

    ann.come("/looked?at=A81001", "Who has looked")
    keyboard.press(page.get_by_role("link", name="Details").first)
    walker.look("Details")
    keyboard.write(page.get_by_label("What does not look right?"), "Nobody asked me")
    ann.sign_by("Tell the privacy officer", "Say that a look was not right", "Who has looked", is_seen=True)
    expect(page.get_by_text(f"The privacy officer of {PLACE} was told")).to_be_visible()
    received = challenges.received(node, session(at, RoleClass.OFFICER))
    assert [each.words for each in received] == ["Nobody asked me"]


def change(who: Person) -> None:
    """Let the choice end some day; the signer page knows it again as one of this device's."""
    walker, page = who.walker, who.walker.page
    keyboard.press(page.get_by_role("button", name="Change this choice"))
    for heading in ("What do you want to do?", "Who is it about?", "What is it about?"):
        who.expect(heading)
        keyboard.press(page.get_by_role("button", name="Continue"))
    for part, value in (("Day", "1"), ("Month", "3"), ("Year", "2099")):
        keyboard.write(page.get_by_label(part, exact=True), value)
    keyboard.press(page.get_by_role("button", name="Continue"))
    walker.look("Check your choice")
    keyboard.press(page.get_by_role("button", name="Change this choice"))
    who.expect(SIGN)
    keyboard.press(page.get_by_role("button", name=APPROVE))
    who.expect(SHARING)
    expect(page.locator("strong")).to_have_text("Nobody but you may see anything, until 1 March 2099.")


def choices(at: Served, pseudonym: Pseudonym) -> tuple[Choice, ...]:
    """Those in force."""
    with at.here.node.engine.snapshot() as reader:
        return consent.choices(reader, pseudonym).choices


def decide(who: Person, where: str, said: str) -> None:
    """Hide everything of some organisations' from everybody, and say yes on the signer page, once."""
    walker, page = who.walker, who.walker.page
    keyboard.press(page.get_by_role("button", name="Make a choice"))
    who.expect("Which records is it about?")
    for answer in (where, "Hide something from people", "Everyone who treats me, anywhere", "Everything"):
        keyboard.pick(page.get_by_label(answer, exact=True))
        keyboard.press(page.get_by_role("button", name="Continue"))
    keyboard.press(page.get_by_role("button", name="Continue"))
    walker.look("Check your choice")
    expect(page.get_by_text(f"Nobody but you may see anything {said}.")).to_be_visible()
    who.sign_by("Make this choice", SIGN, SHARING, is_seen=True)
