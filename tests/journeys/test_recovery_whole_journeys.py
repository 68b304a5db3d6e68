"""Recovery to its end, on a clock that a test sets forward: lost devices, thieves with words and with the device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from salus.contracts.membership import KeyUse
from salus.contracts.patients import TIME_LOCK_S
from salus.ledger.identifiers import PublicKey
from salus.node.services import recoveries
from salus.node.services.recover import vouch
from salus.sdk import guardians
from salus.sdk.wallet import begin as begin_wallet
from salus.sdk.wallet import new_wallet, relationship
from salus.testing.clock import ForwardClock
from salus.testing.world import CHAIN, HOSPITAL
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, served
from tests.journeys.test_recovery_journeys import begin, choose_circles, with_own_key
from tests.journeys.test_signer_journeys import APPROVE, Person, person

pytestmark = [pytest.mark.services, pytest.mark.promise("U3")]
OLD_RECORD = "Metformin 500mg tablets"
LOST = "I have lost my device"
OPEN = "Open your record"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, has_signer=True, clock=ForwardClock()) as made:
        yield made


@pytest.fixture
def ann(browser: Browser, at: Served, request: pytest.FixtureRequest) -> Iterator[Person]:
    """Eleanor, whose own device holds her key."""
    shots = request.config.getoption("--shots")
    with person(browser, at, shots=Path(shots) if shots else None) as made:
        made.walker.sign_in("eleanor", "/acting-devices", "Devices that act for you")
        with_own_key(made)
        yield made
    covered = {each for mark in request.node.iter_markers("covers") for each in mark.args}
    assert covered <= at.reached, f"the journey never came to {sorted(covered - at.reached)}"


def reads(who: Person) -> None:
    """Read in a session that one's own device has opened, or opens now."""
    who.walker.page.goto(f"{who.walker.served.origin}/record/medicines")
    if who.walker.page.get_by_role("heading", level=1).inner_text() == OPEN:
        who.sign_by("Open with my device", "Open your records", "Medicines", is_seen=True)
    who.expect("Medicines")
    expect(who.walker.page.get_by_text(OLD_RECORD).first).to_be_visible()


def opens_nothing(who: Person) -> None:
    """Try to open with a device that acts no more: its passkey is not among those that are asked."""
    page = who.walker.page
    who.walker.sign_in("eleanor", "/record/medicines", OPEN)
    keyboard.press(page.get_by_role("button", name="Open with my device"))
    keyboard.press(page.get_by_role("button", name=APPROVE))
    expect(page.get_by_text("Your passkey was not used.")).to_be_visible()
    keyboard.press(page.get_by_role("button", name="Do not approve"))
    who.expect("Nothing has changed")


@pytest.mark.covers("GET /recovery/lost", "POST /recovery/lost")
def test_a_new_device_reads_the_old_records_and_the_lost_one_opens_nothing(
    ann: Person, at: Served, browser: Browser
) -> None:
    words, _ = choose_circles(ann)
    reads(ann)
    with person(browser, at) as new:
        page = new.walker.page
        begin(new, words[1:])
        new.walker.go("/recovery/lost", LOST)
        expect(page.get_by_text("You can finish from")).to_be_visible()
        at.later(TIME_LOCK_S + 60, ann.walker, new.walker)
        new.walker.sign_in("eleanor", "/recovery/lost", LOST)
        expect(page.get_by_text("The time to wait is over.")).to_be_visible()
        keyboard.press(page.get_by_role("button", name="Finish with this device"))
        keyboard.write(page.get_by_label("The words of the people who help you back in"), "\n\n".join(words[:2]))
        new.approve("Finish replacing your device", "Devices that act for you")
        expect(page.get_by_text("This device now acts for you, and the lost one no longer does")).to_be_visible()
        reads(new)
    opens_nothing(ann)


def desk_begins(at: Served, seconds: list[str]) -> bytes:
    """The owner at the desk, with the second circle's words: what `salus recovery start --checked` does there."""
    node, seed = at.here.node, guardians.combine(seconds)
    wallet = begin_wallet(new_wallet(), chain=CHAIN, custodian=HOSPITAL, pseudonym=at.here.patient)
    mine = relationship(wallet, chain=CHAIN, custodian=HOSPITAL)
    own = PublicKey(node.keys.signing(KeyUse.TRANSACTION).public)
    half = guardians.half_start(wallet, mine, seed, custodian=own, checked="passport seen", time_s=node.clock())
    vouch(node, half.body, half.signatures, half.residual)
    return seed


@pytest.mark.covers("GET /recovery/cancel", "POST /recovery/cancel")
def test_a_thief_is_stopped_once_and_cannot_stop_what_the_desk_checked(
    ann: Person, at: Served, browser: Browser
) -> None:
    page = ann.walker.page
    words, seconds = choose_circles(ann)
    with person(browser, at) as thief:  # who has talked two guardians into it
        begin(thief, words[:2])
        ann.walker.go("/recovery/cancel", "Did you ask to replace your device?")
        ann.sign_by(
            "That was not me: stop it", "Stop somebody from replacing your key", "People who can help you back in"
        )
        thief.walker.go("/recovery/lost", LOST)
        expect(thief.walker.page.get_by_text("You stopped this once. So it now takes one person more")).to_be_visible()
        expect(thief.walker.page.get_by_role("button", name="I have the words: begin with this device")).to_have_count(
            0
        )

    seed = desk_begins(at, seconds)  # Eleanor's phone was stolen: whoever is at it now is the thief
    now = recoveries.standing(at.here.node, at.here.patient)
    assert (bool(now.started), now.is_final) == (True, True)
    ann.walker.go("/recovery/cancel", "Did you ask to replace your device?")
    expect(page.get_by_text("has checked who asks, so it cannot be stopped here")).to_be_visible()
    expect(page.get_by_role("button", name="That was not me: stop it")).to_have_count(0)

    at.later(TIME_LOCK_S + 60, ann.walker)
    node = at.here.node
    mine = begin_wallet(new_wallet(), chain=CHAIN, custodian=HOSPITAL, pseudonym=at.here.patient).relationships[0]
    node.submit_raw(guardians.sign_finish(mine, seed, time_s=node.clock()))
    ann.walker.sign_in("eleanor", "/record", OPEN)
    expect(page.get_by_role("button", name="Open with my device")).to_have_count(0)
