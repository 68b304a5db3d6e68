"""Staff without JavaScript: from signing in by name and password to what they came for."""

from __future__ import annotations

import pytest

from salus.contracts.provisions import Provision, ProvisionType, Purpose
from salus.node.services import challenges
from salus.node.services.choices import file_by_custodian
from tests.journeys.reader import Reader
from tests.portal.portal_world import emergency

pytestmark = [pytest.mark.services, pytest.mark.promise("U4")]

FIND, SEEN = "Find a patient", "Patient record"
PLACE = "Harrowmere Medical Centre"
ONLY_THERE = "Amlodipine 5mg tablets"
REASON = "Brought in by ambulance, no answer"
LETTER = "Clinical letter: Diabetes and endocrinology, 25/05/2018"


def found(reader: Reader) -> None:
    """Sign in, say whom and why, and open Eleanor by her number."""
    reader.sign_in("rao", "/patients", FIND)
    reader.press("Find this patient", FIND)
    reader.reads("There is a problem", "Choose why you are looking")
    reader.fill("NHS number", "999 000 0018")
    reader.fill_date(14, 3, 1968)
    reader.choose("A referral or a letter", "I am treating this person")
    reader.press("Find this patient", SEEN)
    all_answered(reader)


def all_answered(reader: Reader) -> None:
    """Ask for what has come since until nobody is asked any more."""
    while f"{PLACE} Asking" in reader.page.words():
        reader.follow("Show what has come since", SEEN)


@pytest.mark.covers("GET /patients", "POST /patients", "GET /patient", "GET /patient/results/{code}")
@pytest.mark.covers("GET /patient/letters/{letter}", "GET /patient/letters/{letter}/{place}", "GET /patient/tests")
@pytest.mark.covers("GET /patient/all/{kind}", "POST /patient/close")
def test_a_clinician_finds_a_patient_and_reads_their_record(reader: Reader) -> None:
    found(reader)
    reader.reads("Eleanor", "Allergies and warnings", "Penicillin", PLACE, "May not share")
    reader.follow("Serum sodium level", "Serum sodium level")
    (table,) = reader.page.shown("table")
    assert "130 mmol/L" in table.words()
    reader.follow("Back", SEEN)
    reader.follow(LETTER, LETTER)
    saved = reader.save("Open the letter by itself")
    assert (saved.content_type, saved.content[:5]) == ("application/pdf", b"%PDF-")
    reader.follow("Back", SEEN)
    reader.go("/patient/all/results", "Test results")
    reader.follow("Back", SEEN)
    reader.follow("Before you ask for a test: see whether there is a result", "Before you ask for a test")
    reader.pick("Which test do you want to ask for?", "Serum sodium level")
    reader.press("Look for a result", "Before you ask for a test")
    reader.reads("The last result is too old to use", "130 mmol/L")
    reader.follow("Back", SEEN)
    reader.press("Close this patient", FIND)
    reader.go("/patient", FIND)


def broken(reader: Reader) -> None:
    """Get emergency access to Eleanor's record."""
    found(reader)
    reader.misses(ONLY_THERE)
    reader.follow("Emergency access", "Emergency access")
    reader.press("Get emergency access", "Emergency access")
    reader.reads("There is a problem")
    reader.choose("The person cannot answer, and needs treatment now")
    reader.fill("What has happened?", REASON)
    reader.press("Get emergency access", SEEN)
    all_answered(reader)


@pytest.mark.covers("GET /patient/emergency", "POST /patient/emergency", "POST /patient/emergency/end")
def test_emergency_access_is_given_shown_and_ended(reader: Reader) -> None:
    broken(reader)
    reader.reads(ONLY_THERE, "Emergency access until")
    reader.press("End emergency access", SEEN)
    reader.misses("Emergency access until")


@pytest.mark.covers("GET /reviews", "GET /reviews/{reference}", "POST /reviews/{reference}")
@pytest.mark.covers("GET /concerns", "GET /numbers")
def test_an_officer_gives_a_verdict_and_reads_a_concern(reader: Reader) -> None:
    here = reader.served.here
    with Reader(reader.served) as rao:
        broken(rao)
        rao.press("End emergency access", SEEN)
    granted = emergency(here)
    challenges.send_by_custodian(here.node, here.patient, granted.permit, "I was at home that day")
    file_by_custodian(here.node, here.patient, Provision(type=ProvisionType.DENY, purposes=(Purpose.HRESCH,)))
    reader.sign_in("officer", "/reviews", "Emergencies to review")
    waiting = len(reader.page.shown("tr"))
    link = reader.page.named("Open", "a", within="Dr Anita Rao")
    heading = f"Review {link.get('href').rpartition('/')[2]}"
    reader.follow("Open", heading, within="Dr Anita Rao")
    reader.reads(REASON, "What they saw", "test results and measurements")
    reader.press("Send your answer", heading)
    reader.reads("There is a problem", "Say if it was right to look")
    reader.choose("No")
    reader.fill("Why?", "Nobody was ill that day")
    reader.press("Send your answer", "Emergencies to review")
    reader.reads("Your answer is recorded. The patient can see it.")
    assert len(reader.page.shown("tr")) == waiting - 1
    reader.follow("Concerns", "Concerns of patients")
    reader.reads("I was at home that day")
    reader.follow("Numbers", "Sharing choices in numbers")
    reader.reads("Patients with a choice fewer than 5", "for research")


@pytest.mark.covers("GET /network", "POST /network", "GET /network/propose", "POST /network/propose", "GET /node")
def test_an_operator_proposes_takes_the_vote_back_and_votes(reader: Reader) -> None:
    what = "Change what Harrowmere Medical Centre holds of the ledger"
    reader.sign_in("operator", "/network", "The network")
    reader.reads("Ledger Moves", PLACE)
    reader.press("Propose a change of a member", "Propose a change of a member")
    reader.press("Propose it", "Propose a change of a member")
    reader.reads("There is a problem", "Choose a member", "Choose a change")
    reader.pick("Which member?", "Harrowmere Medical Centre (A81001)")
    reader.choose("Let it follow the ledger, without signing")
    reader.press("Propose it", "The network")
    reader.reads("It is proposed: the others vote now", what, "In favour: Ambleford")
    reader.press("Take our vote back", "The network", within=what)
    reader.reads("In favour: nobody")
    reader.press("Vote for it", "The network", within=what)
    reader.reads("In favour: Ambleford")
    reader.follow("This node", "This node")
    reader.reads("Data backed up Never: make a backup", "Certificates that end within 30 days")
