"""Guardians in the signer page who take the place of others, or do not: by the words of those of now (U3)."""

import pytest
from playwright.sync_api import expect

from salus.contracts import patients
from salus.crypto.signing import SigningKey
from tests.portal.signer.signer_tab import Mary
from tests.portal.signer.signer_world import data, text
from tests.portal.signer.test_recovery import APPROVE, CIRCLE, NAMES, give, sheets

pytestmark = [pytest.mark.services, pytest.mark.promise("U3")]


def choose(mary: Mary) -> dict[str, list[str]]:
    """Choose guardians at the hospital; return their words."""
    address = mary.tab.open("set-recovery", [mary.item(**CIRCLE)])
    mary.tab.page.get_by_role("button", name=APPROVE).click()
    given = sheets(mary.tab)
    mary.tab.page.get_by_role("button", name="I have all the pages on paper").click()
    expect(mary.tab.page).to_have_title("Done")
    assert mary.tab.portal.submit(data(mary.tab.portal.answer_to(address)["items"][0]["transaction"])) == 0
    return given


def test_other_people_are_chosen_by_those_of_now_and_undone_by_them(mary: Mary) -> None:
    portal, page = mary.tab.portal, mary.tab.page
    given = choose(mary)
    first, second = patients.recovery_keys(mary.reader(), mary.hospital)
    other = {"threshold": 2, "second": 0, "guardians": ["Eve", "Mal"]}
    address = mary.tab.open("change-recovery", [mary.item(recovery=text(second), **other)])
    assert mary.tab.lines() == [
        "Any 2 of Eve and Mal together can replace your device.",
        "If that was stopped once, nobody can replace your device.",
        "This counts in seven days.",
    ]
    give(mary.tab, [given[name][0] for name in NAMES])  # of the other list
    expect(page.get_by_role("alert")).to_contain_text("There may be two lists on the paper")
    give(mary.tab, [given[name][1] for name in NAMES])
    assert list(sheets(mary.tab)) == ["Eve", "Mal"]
    assert portal.answer_to(address) == {}, "nothing is signed before the words are on paper"
    page.get_by_role("button", name="I have all the pages on paper").click()
    expect(page).to_have_title("Done")
    assert portal.submit(data(portal.answer_to(address)["items"][0]["transaction"])) == 0
    (change,) = recovery(mary).change
    assert change.is_by_second
    assert patients.recovery_keys(mary.reader(), mary.hospital)[:2] == (first, second), "those of now, for seven days"

    elsewhere = mary.item(mary.practice, recovery=text(SigningKey.generate().public))
    mary.tab.open("undo-recovery", [mary.item(recovery=text(second)), elsewhere])
    give(mary.tab, [given[name][1] for name in NAMES])
    expect(page.get_by_role("alert")).to_contain_text("not for your records at Elm Practice (A81001)")
    address = mary.tab.open("undo-recovery", [mary.item(recovery=text(second))])
    assert mary.tab.lines() == ["The people who can help you back in stay as they are."]
    give(mary.tab, [given[name][1] for name in NAMES])
    expect(page).to_have_title("Done")
    assert portal.submit(data(portal.answer_to(address)["items"][0]["transaction"])) == 0
    assert recovery(mary).change == ()
    assert mary.tab.console == [] or all(each.startswith("Failed to load resource") for each in mary.tab.console)


def recovery(mary: Mary) -> patients.Recovery:
    """What the ledger has of recovery at the hospital."""
    row = patients.relationship_of(mary.reader(), mary.hospital)
    assert row is not None
    return patients.with_recovery(mary.reader(), mary.hospital, row, time_s=mary.tab.portal.ledger.time_s)[1]
