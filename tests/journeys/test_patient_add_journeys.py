"""A patient adds something to their record in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys import keyboard
from tests.journeys.journey_world import Walker
from tests.portal.test_patient_add import PDF

pytestmark = pytest.mark.services


@pytest.mark.covers(
    "GET /add",
    "POST /add",
    "GET /add/reading/{kind}",
    "POST /add/reading/{kind}",
    "GET /add/when",
    "POST /add/when",
    "GET /add/check",
    "POST /add/check",
    "GET /add/done",
)
def test_a_patient_adds_a_blood_pressure(walker: Walker) -> None:
    page = walker.page
    walker.sign_in("eleanor", "/add", "What do you want to add?")
    walker.press("Continue", "What do you want to add?")  # nothing was chosen
    keyboard.pick(page.get_by_label("Blood pressure"))
    walker.press("Continue", "Blood pressure")
    keyboard.write(page.get_by_label("Upper number"), "15")
    keyboard.write(page.get_by_label("Lower number"), "91")
    walker.press("Continue", "Blood pressure")
    expect(page.get_by_role("link", name="Upper number: enter a number from 50 to 280")).to_be_visible()
    keyboard.write(page.get_by_label("Upper number"), "152")
    walker.press("Continue", "When did you measure it?")
    walker.press("Continue", "Check what you add")
    walker.press("Add it to my record", "It is in your record")
    walker.follow("Go to your record", "Your record")
    expect(page.get_by_text("You added this yourself").first).to_be_visible()


@pytest.mark.covers("GET /add/file", "POST /add/file")
def test_a_patient_adds_a_letter(walker: Walker, tmp_path: Path) -> None:
    page = walker.page
    for name, content in (("page.pdf", b"<script>alert(1)</script>"), ("physio.pdf", PDF)):
        (tmp_path / name).write_bytes(content)
    walker.sign_in("eleanor", "/add/file", "Add a document or a photo")
    keyboard.write(page.get_by_label("What is it?"), "From my physio")
    keyboard.attach(page.locator("input[type=file]"), tmp_path / "page.pdf")
    walker.press("Add it", "Add a document or a photo")
    expect(page.get_by_text("The file must be a PDF").first).to_be_visible()
    keyboard.attach(page.locator("input[type=file]"), tmp_path / "physio.pdf")
    walker.press("Add it", "It is in your record")
    walker.go("/record/letters", "Letters and documents")
    keyboard.press(page.get_by_role("link", name="From my physio"))
    walker.look("From my physio")
    expect(page.get_by_text("You added this yourself")).to_be_visible()
