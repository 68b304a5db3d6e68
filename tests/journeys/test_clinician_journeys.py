"""A clinician's work in a browser: finding a patient, reading their record, an emergency, an earlier test."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlalchemy import delete

from salus.node import schema
from tests.journeys import keyboard
from tests.journeys.journey_world import Walker

pytestmark = pytest.mark.services

RECORD = "Patient record"
LETTER = "Clinical letter: Diabetes and endocrinology, 25/05/2018"


def ask(walker: Walker) -> None:
    """Say why."""
    keyboard.pick(walker.page.get_by_label("A referral or a letter"))
    keyboard.pick(walker.page.get_by_label("I am treating this person"))


def born(walker: Walker) -> None:
    """Fill in Eleanor's birthday."""
    for part, value in (("Day", "14"), ("Month", "3"), ("Year", "1968")):
        keyboard.write(walker.page.get_by_label(part, exact=True), value)


def opened(walker: Walker) -> None:
    """Sign in and open Eleanor by her number."""
    walker.sign_in("rao", "/patients", "Find a patient")
    keyboard.write(walker.page.get_by_label("NHS number"), "999 000 0018")
    born(walker)
    ask(walker)
    walker.press("Find this patient", RECORD)


@pytest.mark.covers(
    "GET /patients",
    "POST /patients",
    "GET /patients/found",
    "POST /patients/found",
    "GET /patient",
    "POST /patient/close",
)
def test_a_patient_is_found_by_name_and_closed(walker: Walker) -> None:
    walker.sign_in("rao", "/patients", "Find a patient")
    walker.press("Find this patient", "Find a patient")
    expect(walker.page.get_by_role("alert").first).to_contain_text("Choose why you are looking")
    keyboard.write(walker.page.get_by_label("Last name"), "Hughes")
    born(walker)
    ask(walker)
    walker.press("Find this patient", "Which of these people is it?")
    walker.press("Open this patient Ms Eleanor Ruth Hughes, 999 000 0018", RECORD)
    walker.press("Close this patient", "Find a patient")


@pytest.mark.covers(
    "GET /patient/answers",
    "GET /patient/all/{kind}",
    "GET /patient/results/{code}",
    "GET /patient/letters/{letter}",
    "GET /patient/letters/{letter}/{place}",
    "GET /patient/tests",
)
def test_a_record_is_read(walker: Walker) -> None:
    opened(walker)
    expect(walker.page.get_by_text("May not share")).to_be_visible()
    walker.look(RECORD)
    walker.follow("Serum sodium level", "Serum sodium level")
    walker.follow("Back", RECORD)
    walker.follow(LETTER, LETTER)
    walker.follow("Back", RECORD)
    walker.go("/patient/all/results", "Test results")
    walker.follow("Back", RECORD)
    walker.follow("Before you ask for a test: see whether there is a result", "Before you ask for a test")
    keyboard.choose(walker.page.get_by_label("Which test do you want to ask for?"), "Serum sodium level")
    walker.press("Look for a result", "Before you ask for a test")
    expect(walker.page.get_by_role("heading", name="The last result is too old to use")).to_be_visible()
    walker.page.goto(f"{walker.served.origin}/patient/answers")  # what a script asks for while answers may come
    expect(walker.page.get_by_text("May not share")).to_be_visible()


def break_glass(walker: Walker, why: str) -> None:
    """Open Eleanor's record, and get emergency access to it."""
    opened(walker)
    walker.follow("Emergency access", "Emergency access")
    keyboard.pick(walker.page.get_by_label("The person cannot answer, and needs treatment now"))
    keyboard.write(walker.page.get_by_label("What has happened?"), why)
    walker.press("Get emergency access", RECORD)


@pytest.mark.covers("GET /patient/emergency", "POST /patient/emergency", "POST /patient/emergency/end")
def test_emergency_access_fills_the_record_in_and_is_ended(walker: Walker) -> None:
    opened(walker)
    walker.follow("Emergency access", "Emergency access")
    walker.press("Get emergency access", "Emergency access")
    keyboard.pick(walker.page.get_by_label("The person cannot answer, and needs treatment now"))
    keyboard.write(walker.page.get_by_label("What has happened?"), "Brought in by ambulance, no answer")
    walker.press("Get emergency access", RECORD)
    expect(walker.page.get_by_text("Amlodipine 5mg tablets")).to_be_visible()
    walker.look(RECORD)
    walker.follow("Serum sodium level", "Serum sodium level")
    walker.press("End emergency access", RECORD)
    expect(walker.page.get_by_text("Emergency access until")).to_have_count(0)


@pytest.mark.covers("POST /patients/elsewhere", "POST /patient/again")
def test_somebody_who_is_not_here_is_asked_for_elsewhere(walker: Walker) -> None:
    walker.sign_in("rao", "/patients", "Find a patient")
    keyboard.write(walker.page.get_by_label("NHS number"), "999 000 0026")
    born(walker)
    ask(walker)
    walker.press("Find this patient", "Nobody was found")
    walker.press("Ask other organisations", RECORD)
    expect(walker.page.get_by_text("Nothing there")).to_have_count(2)
    with walker.served.here.node.vault.database.writing() as connection:
        connection.execute(delete(schema.collected))  # a quarter of an hour later
    walker.go("/patient", RECORD)
    walker.press("Ask other organisations again", RECORD)
