"""A patient looks in a browser at who has looked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from salus.ledger.verifier.trust import encode_trust
from salus.node.founding import trust_root
from salus.node.people import HeldSession
from salus.node.projections import resources
from salus.node.services.accounts import Account
from salus.node.services.anchor import anchor
from salus.node.services.show import newest, show
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker, served

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The portal's verifier page begins with the trust file of this ledger."""
    trust: list[bytes] = []
    with served(tmp_path_factory.mktemp("portal"), trust=lambda: b"".join(trust)) as made:
        trust.append(encode_trust(trust_root(made.here.made.genesis)))
        yield made


@pytest.mark.covers(
    "GET /looked",
    "GET /looked/{number}",
    "POST /looked/{number}",
    "GET /looked/{number}/check/{part}",
    "GET /looked/{number}/receipt/{part}",
)
def test_a_patient_looks_at_who_has_looked(walker: Walker) -> None:
    page, here = walker.page, walker.served.here
    login = here.portal.accounts.login_of(*_of(walker, "rao"))
    patient = resources.patient_of(here.node, here.patient)
    assert patient is not None
    show(here.node, here.portal.responder, login, [newest(patient)])
    anchor(here.node)
    walker.sign_in("eleanor", "/record", "Your record")
    walker.go("/looked", "Who has looked")
    keyboard.press(page.get_by_text("Show less of the list"))
    keyboard.choose(page.get_by_label("Who looked"), "Dr Anita Rao (Consultant)")
    walker.press("Show", "Who has looked")
    keyboard.write(page.get_by_role("group", name="From this day on").get_by_label("Day"), "31")
    walker.press("Show", "Who has looked")  # which is no day
    expect(page.get_by_role("alert").first).to_contain_text("Enter a real date")
    walker.go("/looked?only=emergency", "Who has looked")
    expect(page.get_by_text("There is nothing of that kind on the list.")).to_be_visible()
    walker.go("/looked", "Who has looked")
    keyboard.press(page.get_by_role("link", name="Dr Anita Rao").first)
    walker.look("Details")
    walker.follow("Check the proof, part 1", "Check this yourself")
    href = page.get_by_role("link", name="Save the proof").get_attribute("href")
    assert page.evaluate("async href => (await fetch(href)).status", href) == 200
    keyboard.press(page.get_by_role("button", name="Check it now"))
    expect(page.get_by_role("heading", name="This receipt is genuine")).to_be_visible()
    page.go_back()
    walker.follow("Back", "Details")
    walker.press("Tell the privacy officer", "Details")  # nothing was said yet
    keyboard.write(page.get_by_label("What does not look right?"), "I was not there that day")
    walker.press("Tell the privacy officer", "Who has looked")
    expect(page.get_by_text("The privacy officer was told")).to_be_visible()


def _of(walker: Walker, name: str) -> tuple[Account, HeldSession]:
    accounts = walker.served.here.portal.accounts
    account = accounts.find(walker.served.here.accounts[name])
    assert account is not None
    return account, accounts.hold(account)[0]
