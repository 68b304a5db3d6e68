"""A clinician with two patients in two tabs: what a script fetches for the one never comes under the other's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker, served
from tests.journeys.test_clinician_journeys import RECORD, ask, born
from tests.portal.patient_charts import OTHER_NUMBER, somebody_else
from tests.portal.second_custodian import Manner

pytestmark = pytest.mark.services

NAMED = "Ms Eleanor Ruth Hughes"
ONLY_THERES = "Only the other has this"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("portal")
    with served(folder, is_joined=True) as made:
        other = {"resourceType": "Condition", "id": "other", "code": {"text": ONLY_THERES}}
        somebody_else(made.here, folder, [other])
        yield made


def opened(walker: Walker, number: str) -> None:
    keyboard.write(walker.page.get_by_label("NHS number"), number)
    born(walker)
    ask(walker)
    walker.press("Find this patient", RECORD)


@pytest.mark.covers("GET /patient", "GET /patient/answers")
def test_the_other_s_record_never_comes_under_the_one_s_name(walker: Walker, at: Served) -> None:
    assert at.here.joined is not None
    with at.here.joined[0].being(Manner.WAITS):
        walker.sign_in("rao", "/patients", "Find a patient")
        opened(walker, "999 000 0018")
        expect(walker.page.get_by_text("Asking")).to_be_visible()
        second = Walker(walker.page.context, at)
        second.go("/patients", "Find a patient")
        opened(second, OTHER_NUMBER)
        expect(second.page.get_by_text(ONLY_THERES)).to_be_visible()
        expect(walker.page.get_by_text("You have opened another patient in another tab.")).to_be_visible()
    expect(second.page.get_by_text("Asking")).to_have_count(0)
    expect(walker.page.get_by_text(NAMED).first).to_be_visible()
    expect(walker.page.get_by_text(ONLY_THERES)).to_have_count(0)
    walker.look(RECORD)
    walker.follow("Serum sodium level", "Another patient is open")
    walker.follow("Go on with " + second.page.locator(".app-patient__name").inner_text(), RECORD)
    expect(walker.page.get_by_text(ONLY_THERES)).to_be_visible()
