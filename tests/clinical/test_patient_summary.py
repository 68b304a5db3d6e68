"""A patient's records as one document: valid by R4's own rules, whole, and honest about what it has not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from salus.clinical.fhir.exact_json import read_exact
from salus.clinical.fhir.patient_summary import SECTIONS, Part, document
from salus.clinical.fhir.validation import base_validator

BASE = "https://records.example/shared"
PATIENT = {"resourceType": "Patient", "id": "p", "birthDate": "1974-12-25"}
ABOUT = {"reference": "Patient/p"}
ALLERGY = {
    "resourceType": "AllergyIntolerance",
    "id": "a",
    "code": {"text": "Penicillin & others"},
    "patient": ABOUT,
    "recordedDate": "2020-01-02",
    "clinicalStatus": {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]
    },
}
WEIGHT = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"text": "Weight"},
    "subject": ABOUT,
    "valueQuantity": {"value": 70.50, "unit": "kg"},
}
LETTER = {
    "resourceType": "DocumentReference",
    "id": "d",
    "status": "current",
    "subject": ABOUT,
    "content": [{"attachment": {"url": "Binary/b"}}],
}
BINARY = {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "aGVsbG8="}
EVERYTHING = [PATIENT, ALLERGY, WEIGHT, LETTER, BINARY]


def made(records: list[dict[str, Any]]) -> bytes:
    """Return a document of records; a number in them keeps the zero at its end."""
    read = [read_exact(json.dumps(each).replace("70.5", "70.50").encode()) for each in records]
    return whole([Part("Riverside Hospital", "RX1", f"{BASE}/RX1", read)])


def whole(parts: list[Part], *silent: str) -> bytes:
    identifier = "urn:uuid:6c3a1b6e-7b5f-4e3e-9d2c-111111111111"
    return document(parts, silent=silent, identifier=identifier, made="2026-11-29T10:00:00Z")


@pytest.mark.parametrize(
    "records", [EVERYTHING, [PATIENT], [], [WEIGHT]], ids=["all", "nobody's", "nothing", "no name"]
)
def test_it_is_a_valid_document(records: list[dict[str, Any]]) -> None:
    issues = base_validator().validate(read_exact(made(records)))
    assert [each for each in issues if each.severity == "error"] == []


def test_every_record_is_in_it_as_it_was_written_and_in_one_section() -> None:
    whole = json.loads(made(EVERYTHING))
    composition, *rest = (each["resource"] for each in whole["entry"])
    assert rest == EVERYTHING
    assert b"70.50" in made(EVERYTHING)
    listed = [one["reference"] for each in composition["section"] for one in each.get("entry", [])]
    assert sorted(listed) == sorted(f"{BASE}/RX1/{each['resourceType']}/{each['id']}" for each in EVERYTHING[1:])
    assert composition["subject"] == {"reference": f"{BASE}/RX1/Patient/p"}


def test_a_section_that_has_nothing_says_that_nothing_is_available_and_not_that_there_is_nothing() -> None:
    composition = json.loads(made([PATIENT, WEIGHT]))["entry"][0]["resource"]
    reasons = {
        each["title"]: each["emptyReason"]["coding"][0]["code"]
        for each in composition["section"]
        if "entry" not in each
    }
    assert reasons == {each.title: "unavailable" for each in SECTIONS if each.is_asked_for}


def test_records_of_two_organisations_keep_apart_and_who_is_silent_is_named() -> None:
    there = [PATIENT, WEIGHT]
    parts = [Part("Riverside Hospital", "RX1", f"{BASE}/RX1", EVERYTHING), Part("Elm", "A8", f"{BASE}/A8", there)]
    text = whole(parts, "Oak & Ash")
    assert [each for each in base_validator().validate(read_exact(text)) if each.severity == "error"] == []
    addresses = [each["fullUrl"] for each in json.loads(text)["entry"]]
    assert len(set(addresses)) == len(addresses) == 1 + len(EVERYTHING) + 2
    composition = json.loads(text)["entry"][0]["resource"]
    assert composition["subject"] == {"reference": f"{BASE}/RX1/Patient/p"}
    assert [each["display"] for each in composition["author"]] == ["Riverside Hospital", "Elm"]
    results = next(each for each in composition["section"] if each["title"] == "Test results")
    assert results["entry"] == [{"reference": f"{BASE}/{code}/Observation/o"} for code in ("RX1", "A8")]
    silent = composition["section"][-1]
    assert (silent["title"], silent["author"]) == ("Did not answer", [{"display": "Oak & Ash"}])
    assert "Oak &amp; Ash did not answer." in silent["text"]["div"]


def test_the_words_of_a_record_stay_words_in_the_narrative() -> None:
    evil = ALLERGY | {"code": {"text": "</div><script>alert(1)</script>"}}
    composition = json.loads(made([PATIENT, evil]))["entry"][0]["resource"]
    (allergies,) = (each for each in composition["section"] if each["title"] == "Allergies")
    assert "<script" not in allergies["text"]["div"]
    assert "&lt;script&gt;alert(1)" in allergies["text"]["div"]
