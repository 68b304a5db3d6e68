"""The operator puts a new member to the vote by the file that it has made."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker
from tests.portal.new_member import request_for

pytestmark = [pytest.mark.services, pytest.mark.promise("L7")]

ADMIT = "Propose a new member"


@pytest.mark.covers("GET /network/admit", "POST /network/admit")
def test_an_operator_proposes_a_new_member(walker: Walker, at: Served, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("no request")
    (tmp_path / "RX9.request").write_bytes(request_for(at.here.node, tmp_path, "RX9"))
    walker.sign_in("operator", "/network", "The network")
    walker.follow(ADMIT, ADMIT)
    walker.press("Propose the new member", ADMIT)
    expect(walker.page.get_by_role("alert").first).to_contain_text("Choose the file with the request")
    keyboard.attach(walker.page.locator("input[type=file]"), tmp_path / "other.txt")
    walker.press("Propose the new member", ADMIT)
    expect(walker.page.get_by_role("alert").first).to_contain_text("This request cannot be used")
    keyboard.attach(walker.page.locator("input[type=file]"), tmp_path / "RX9.request")
    walker.press("Propose the new member", "The network")
    expect(walker.page.get_by_text("It is proposed: the others vote now")).to_be_visible()
    expect(walker.page.get_by_role("heading", name="Admit Third Trust")).to_be_visible()
    expect(walker.page.get_by_text("A new member with the code RX9")).to_be_visible()
