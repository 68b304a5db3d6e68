"""The operator: looks at the network and the node, proposes a change, and takes the vote back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys.journey_world import Walker

pytestmark = pytest.mark.services


@pytest.mark.covers("GET /network", "POST /network", "GET /network/propose", "POST /network/propose", "GET /node")
def test_an_operator_proposes_a_change_and_takes_the_vote_back(walker: Walker) -> None:
    walker.sign_in("operator", "/network", "The network")
    walker.follow("This node", "This node")
    walker.follow("Network", "The network")
    walker.follow("Propose a change of a member", "Propose a change of a member")
    walker.press("Propose it", "Propose a change of a member")
    expect(walker.page.get_by_role("alert").first).to_contain_text("Choose a member")
    walker.page.get_by_label("Which member?").select_option(label="Harrowmere Medical Centre (A81001)")
    walker.page.get_by_label("Let it follow the ledger").check()
    walker.press("Propose it", "The network")
    what = "Change what Harrowmere Medical Centre holds of the ledger"
    walker.press(f"Take our vote back {what}", "The network")
    expect(walker.page.get_by_text("In favour: nobody")).to_be_visible()
