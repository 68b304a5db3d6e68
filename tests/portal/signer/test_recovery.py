"""Guardians in the signer page: chosen, on paper, and let a new device back in; the portal never sees a word (U3)."""

import re

import pytest
from playwright.sync_api import Browser, expect

from salus.contracts import patients
from salus.contracts.patients import TIME_LOCK_S
from salus.sdk import guardians
from tests.portal.signer.signer_tab import Mary, Tab, tab
from tests.portal.signer.signer_world import data

pytestmark = [pytest.mark.services, pytest.mark.promise("U3")]
NAMES = ["Tom", "Ida", "Dr Rao"]
CIRCLE = {"threshold": 2, "second": 3, "guardians": NAMES}
APPROVE = "Approve with your passkey"


def sheets(opened: Tab) -> dict[str, list[str]]:
    """The words of each guardian, of the first and of the second time, as the page shows them."""
    expect(opened.page.get_by_role("button", name="I have all the pages on paper")).to_be_visible()
    said = {}
    for sheet in opened.page.locator(".sheet").all():
        name = sheet.get_by_role("heading", level=2).inner_text().removeprefix("For ")
        said[name] = [" ".join(each.locator("li").all_inner_texts()) for each in sheet.locator("ol").all()]
    return said


def give(opened: Tab, words: list[str]) -> None:
    """Type what guardians say, and approve."""
    opened.page.get_by_label("The words of the people who help you back in").fill("\n\n".join(words))
    opened.page.get_by_role("button", name=APPROVE).click()


def test_guardians_let_a_new_device_back_in_and_the_portal_never_sees_a_word(mary: Mary, browser: Browser) -> None:
    portal = mary.tab.portal
    address = mary.tab.open("set-recovery", [mary.item(**CIRCLE), mary.item(mary.practice, **CIRCLE)])
    assert mary.tab.lines() == [
        "Any 2 of Tom, Ida and Dr Rao together can replace your device.",
        "If that was stopped once, it takes 3 of them, and the organisation.",
    ]
    mary.tab.page.get_by_role("button", name=APPROVE).click()
    given = sheets(mary.tab)
    assert list(given) == NAMES
    assert [each.get_attribute("translate") for each in mary.tab.page.locator("ol").all()] == ["no"] * 2 * len(NAMES)
    assert portal.answer_to(address) == {}, "nothing is signed before the words are on paper"
    mary.tab.page.get_by_role("button", name="I have all the pages on paper").click()
    expect(mary.tab.page).to_have_title("Done")
    for each in portal.answer_to(address)["items"]:
        assert portal.submit(data(each["transaction"])) == 0
    seeds = [guardians.combine([given[name][time] for name in NAMES[time ^ 1 :]]) for time in (0, 1)]
    for pseudonym in (mary.hospital, mary.practice):
        keys = {guardians.recovery_key(seed, pseudonym).public for seed in seeds}
        assert set(patients.recovery_keys(mary.reader(), pseudonym)) == keys

    with tab(browser, portal) as second:
        assert second.sign("create", []) == []
        before = second.device.blob
        address = second.open("start-recovery", [mary.item()])
        said = expect(second.page.get_by_role("alert"))
        give(second, [given["Tom"][0]])
        said.to_contain_text("These are not enough words")
        give(second, [given["Tom"][0], given["Ida"][1]])
        said.to_contain_text("do not belong together")
        give(second, [given["Tom"][0], re.sub(r"^\w+", "academic", given["Ida"][0])])
        said.to_contain_text("the words of person 2")
        give(second, [given["Dr Rao"][0].upper(), given["Ida"][0]])
        expect(second.page).to_have_title("Done")
        answer = portal.answer_to(address)
        second.keep(answer)
        assert second.device.blob != before
        assert portal.submit(data(answer["items"][0]["transaction"])) == 0

        portal.ledger.later(TIME_LOCK_S)
        second.page.clock.set_fixed_time(portal.ledger.time_s)
        address = second.open("finish-recovery", [mary.item()])
        give(second, [given["Ida"][0], given["Tom"][0]])
        expect(second.page).to_have_title("Done")
        assert portal.submit(data(portal.answer_to(address)["items"][0]["transaction"])) == 0
        row = patients.relationship_of(mary.reader(), mary.hospital)
        assert row is not None
        assert row.key == data(answer["items"][0]["key"])
        console = [*mary.tab.console, *second.console]
    shares = [one.split() for each in given.values() for one in each]
    received = b"".join(portal.received).decode("latin-1")
    assert not [each for each in console if not each.startswith("Failed to load resource")]  # there is no icon
    assert not [each for each in shares if re.search(r"\W+".join(each[4:7]), received)]
    assert not [seed for seed in seeds if guardians.recovery_key(seed, mary.hospital).seed in b"".join(portal.received)]
