"""A patient reads their record in a browser."""

from __future__ import annotations

import pytest

from tests.journeys import keyboard
from tests.journeys.journey_world import Walker

pytestmark = pytest.mark.services


@pytest.mark.covers("GET /record", "GET /record/{kind}", "GET /record/results/{code}")
def test_a_patient_looks_at_a_result(walker: Walker) -> None:
    walker.sign_in("eleanor", "/record", "Your record")
    walker.follow("Test results", "Test results")
    keyboard.press(walker.page.get_by_role("link", name="Sodium (a salt in your blood)").first)
    walker.look("Sodium (a salt in your blood)")
    walker.follow("Back", "Test results")


@pytest.mark.covers("GET /record/letters/{letter}", "GET /record/letters/{letter}/file/{part}")
def test_a_patient_opens_a_letter(walker: Walker) -> None:
    walker.sign_in("eleanor", "/record/letters", "Letters and documents")
    keyboard.press(walker.page.get_by_role("link", name="Discharge summary: Acute medicine, 17/02/2026"))
    walker.look("Discharge summary: Acute medicine, 17/02/2026")
    href = walker.page.get_by_role("link", name="Open the letter (PDF, 1 kB)").get_attribute("href")
    kind = walker.page.evaluate("async href => (await fetch(href)).headers.get('content-type')", href)
    assert kind == "application/pdf"


@pytest.mark.covers("GET /record/download", "POST /record/download")
def test_a_patient_downloads_their_record_in_three_clicks(walker: Walker) -> None:
    walker.sign_in("eleanor", "/record", "Your record")
    walker.follow("Download your record", "Download your record")
    walker.press("Download", "Download your record")  # nothing was chosen yet
    keyboard.pick(walker.page.get_by_label("Everything in one folder (ZIP)"))
    with walker.page.expect_download() as saved:
        keyboard.press(walker.page.get_by_role("button", name="Download", exact=True))
    assert saved.value.suggested_filename.endswith(".zip")
