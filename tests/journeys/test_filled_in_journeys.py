"""A page that fills in under somebody's hands: whoever uses a keyboard is where they were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker, served
from tests.journeys.test_clinician_journeys import RECORD, ask, born
from tests.portal.second_custodian import Manner

pytestmark = [pytest.mark.services, pytest.mark.promise("U4")]


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("portal"), is_joined=True) as made:
        yield made


@pytest.mark.covers("GET /patient", "GET /patient/answers")
def test_the_focus_stays_where_it_was(walker: Walker, at: Served) -> None:
    assert at.here.joined is not None
    page = walker.page
    with at.here.joined[0].being(Manner.WAITS):
        walker.sign_in("rao", "/patients", "Find a patient")
        keyboard.write(page.get_by_label("NHS number"), "999 000 0018")
        born(walker)
        ask(walker)
        walker.press("Find this patient", RECORD)
        expect(page.get_by_text("Asking")).to_be_visible()
        keyboard.reach(page.get_by_role("link", name="Emergency access"))
        page.evaluate("document.getElementById('view').dataset.before = ''")
    expect(page.locator("#view[data-before]")).to_have_count(0)
    expect(page.get_by_text("Asking")).to_have_count(0)
    expect(page.get_by_role("link", name="Emergency access")).to_be_focused()
