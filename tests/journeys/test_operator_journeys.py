"""The operator: looks at the network and the node, proposes, votes, and sees what needs them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from salus.contracts.membership import CertificateKind, Certify, SetSuspension
from salus.contracts.provisions import RoleClass
from salus.ledger.identifiers import CertificateId
from salus.node.services import govern, overview
from salus.node.services.backup import back_up_data, back_up_keys
from salus.node.services.govern import Change, action_of
from salus.node.services.overview import ValidatorSeen
from salus.portal.words import Words
from salus.testing.world import HOSPITAL, PRACTICE
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker

pytestmark = pytest.mark.services

DAY_S = 86_400
MEMBER = "Harrowmere Medical Centre"
NETWORK, PROPOSE = "The network", "Propose a change of a member"


def row(walker: Walker) -> Locator:
    """The practice among the members."""
    return walker.page.get_by_role("row").filter(has_text=MEMBER)


def propose(walker: Walker, change: str) -> None:
    """Propose a change of the practice."""
    walker.follow(PROPOSE, PROPOSE)
    keyboard.choose(walker.page.get_by_label("Which member?"), f"{MEMBER} (A81001)")
    keyboard.pick(walker.page.get_by_label(change))
    walker.press("Propose it", NETWORK)


@pytest.mark.covers("GET /network", "POST /network", "GET /network/propose", "POST /network/propose", "GET /node")
def test_an_operator_proposes_a_change_and_takes_the_vote_back(walker: Walker) -> None:
    walker.sign_in("operator", "/network", "The network")
    walker.follow("This node", "This node")
    walker.follow("Network", "The network")
    walker.follow("Propose a change of a member", "Propose a change of a member")
    walker.press("Propose it", "Propose a change of a member")
    expect(walker.page.get_by_role("alert").first).to_contain_text("Choose a member")
    keyboard.choose(walker.page.get_by_label("Which member?"), "Harrowmere Medical Centre (A81001)")
    keyboard.pick(walker.page.get_by_label("Let it follow the ledger"))
    walker.press("Propose it", "The network")
    what = "Change what Harrowmere Medical Centre holds of the ledger"
    walker.press(f"Take our vote back {what}", "The network")
    expect(walker.page.get_by_text("In favour: nobody")).to_be_visible()


@pytest.mark.promise("L7")
def test_what_is_proposed_is_carried_out_when_the_votes_are_there(walker: Walker, at: Served) -> None:
    walker.sign_in("operator", "/network", NETWORK)
    propose(walker, "Suspend it for 30 days")
    expect(walker.page.get_by_text("It is proposed: the others vote now")).to_be_visible()
    expect(row(walker)).not_to_contain_text("Suspended")
    agree(at)
    walker.go("/network", NETWORK)
    expect(row(walker)).to_contain_text("Suspended")
    propose(walker, "End its suspension")
    agree(at)
    walker.go("/network", NETWORK)
    expect(row(walker)).not_to_contain_text("Suspended")


def agree(at: Served) -> None:
    """Have the practice vote for what is proposed of its suspension."""
    practice = at.here.made.practice
    waiting = govern.see_members(practice).proposals.items()
    (suspension,) = [each for each, proposed in waiting if isinstance(proposed.action, SetSuspension)]
    govern.vote(practice, suspension, is_in_favour=True)


@pytest.mark.promise("L7")
def test_a_vote_for_what_another_member_proposed_carries_it(walker: Walker, at: Served) -> None:
    govern.propose(at.here.made.practice, action_of(Change.OWN_PROOFS, PRACTICE, power=0, until_s=0))
    walker.sign_in("operator", "/network", NETWORK)
    expect(walker.page.get_by_text(f"Proposed by {MEMBER}. In favour: {MEMBER}.")).to_be_visible()
    expect(row(walker)).not_to_contain_text("Own proofs only")
    theirs = walker.page.locator(".nhsuk-card").filter(has_text=f"Proposed by {MEMBER}")
    with walker.page.expect_navigation():
        keyboard.press(theirs.get_by_role("button", name="Vote for it"))
    walker.look(NETWORK)
    expect(walker.page.get_by_text("Your vote is counted, and the change is carried")).to_be_visible()
    expect(row(walker)).to_contain_text("Own proofs only")


def test_a_member_that_is_down_is_seen(walker: Walker, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a commit shows who did not sign is in tests/faults; here, what the operator reads then."""
    seen = [ValidatorSeen(HOSPITAL, 8, 8, 0, 10), ValidatorSeen(PRACTICE, 0, 8, 0, 10)]
    monkeypatch.setattr(overview, "see_validators", lambda *_: seen)
    walker.sign_in("operator", "/network", NETWORK)
    expect(row(walker)).to_contain_text("0 of the last 8")
    seen[1] = ValidatorSeen(PRACTICE, 8, 8, 60_000, 10)
    walker.go("/network", NETWORK)
    expect(row(walker)).to_contain_text("Its clock is wrong")


def test_a_certificate_that_ends_and_an_old_backup_are_seen(walker: Walker, at: Served, tmp_path: Path) -> None:
    node, words = at.here.node, Words("en")
    walker.sign_in("operator", "/node", "This node")
    expect(walker.page.get_by_text("Never: make a backup")).to_have_count(2)
    expect(walker.page.get_by_text("None ends soon.")).to_be_visible()
    then_s, until_s = node.clock() - 40 * DAY_S, node.clock() + 3 * DAY_S
    certificate = CertificateId(b"c" * 32)
    node.submit(Certify(node.organisation, certificate, CertificateKind.DEVICE, (RoleClass.SYSTEM,), until_s))
    before = dataclasses.replace(node, clock=lambda: then_s)
    back_up_data(before, at.here.made.folder / HOSPITAL.lower(), tmp_path / "data")
    back_up_keys(before, tmp_path / "keys")
    walker.go("/node", "This node")
    old = f"{words.moment(then_s)}, more than a day ago: make a backup"
    expect(walker.page.get_by_text(old, exact=True)).to_have_count(2)
    expect(walker.page.get_by_text(f"device: system, until {words.moment(until_s)}")).to_be_visible()
