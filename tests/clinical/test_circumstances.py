"""By whom, where, whether it still holds, in words and in files: a table of resources, odd ones among them."""

from __future__ import annotations

from typing import Any

import pytest

from salus.clinical.fhir import circumstances
from salus.clinical.fhir.circumstances import Attachment, Caution

LABORATORY = {"reference": "Organization/1", "display": "The laboratory"}
DOCTOR = {"reference": "Practitioner/1", "display": "Dr Marsh"}


@pytest.mark.parametrize(
    ("content", "person", "place"),
    [
        ({"performer": [LABORATORY, DOCTOR]}, "Dr Marsh", "The laboratory"),
        ({"author": [{"display": "Dr Price"}], "custodian": LABORATORY}, "Dr Price", "The laboratory"),
        ({"performer": [{"actor": DOCTOR}]}, "Dr Marsh", ""),
        ({"performer": [{"reference": "Practitioner/1"}]}, "", ""),
        ({"performer": "me", "custodian": [[]]}, "", ""),
    ],
)
def test_who_and_where(content: dict[str, Any], person: str, place: str) -> None:
    assert (circumstances.person_of(content), circumstances.place_of(content)) == (person, place)


@pytest.mark.parametrize(
    ("content", "is_over"),
    [
        ({"resourceType": "Condition", "clinicalStatus": {"coding": [{"code": "resolved"}]}}, True),
        ({"resourceType": "Condition", "clinicalStatus": {"coding": [{"code": "active"}]}}, False),
        ({"resourceType": "MedicationRequest", "status": "stopped"}, True),
        ({"resourceType": "Immunization", "status": "completed"}, False),
        ({"resourceType": "Condition", "clinicalStatus": 3}, False),
        ({"resourceType": "Condition", "abatementDateTime": "2020-01-01"}, True),
        ({"resourceType": "Flag", "status": "inactive"}, True),
        ({"resourceType": "Flag", "status": "active"}, False),
    ],
)
def test_whether_it_is_over(content: dict[str, Any], is_over: bool) -> None:
    assert circumstances.is_over(content) is is_over


@pytest.mark.parametrize(
    ("content", "is_wrong"),
    [
        ({"status": "entered-in-error"}, True),
        ({"verificationStatus": {"coding": [{"code": "entered-in-error"}]}}, True),
        ({"status": "final"}, False),
    ],
)
def test_whether_it_was_an_error(content: dict[str, Any], is_wrong: bool) -> None:
    assert circumstances.is_wrong(content) is is_wrong


def verified(kind: str, code: str) -> dict[str, Any]:
    return {"resourceType": kind, "verificationStatus": {"coding": [{"code": code}]}}


@pytest.mark.parametrize(
    ("content", "want"),
    [
        ({"resourceType": "Immunization", "status": "not-done"}, Caution.NOT_DONE),
        ({"resourceType": "Immunization", "status": "completed"}, None),
        ({"resourceType": "Procedure", "status": "not-done"}, Caution.NOT_DONE),
        ({"resourceType": "MedicationStatement", "status": "not-taken"}, Caution.NOT_TAKEN),
        ({"resourceType": "MedicationRequest", "status": "active", "doNotPerform": True}, Caution.NOT_TO_TAKE),
        ({"resourceType": "MedicationRequest", "status": "active", "doNotPerform": False}, None),
        ({"resourceType": "MedicationRequest", "status": "draft"}, Caution.NOT_BEGUN),
        ({"resourceType": "Observation", "status": "preliminary"}, Caution.NOT_FINAL),
        ({"resourceType": "Observation", "status": "corrected"}, Caution.CORRECTED),
        ({"resourceType": "Observation", "status": "final"}, None),
        ({"resourceType": "DocumentReference", "status": "superseded"}, Caution.REPLACED),
        (verified("AllergyIntolerance", "refuted"), Caution.REFUTED),
        (verified("Condition", "differential"), Caution.UNCONFIRMED),
        (verified("Condition", "confirmed"), None),
        ({"resourceType": "Observation", "status": 3, "verificationStatus": []}, None),
    ],
)
def test_what_has_to_be_said_beside_a_name(content: dict[str, Any], want: Caution | None) -> None:
    assert circumstances.caution_of(content) is want


def test_what_it_says_in_words() -> None:
    content = {
        "dosageInstruction": [{"text": "one a day"}, {"text": 5}],
        "reaction": [{"manifestation": [{"text": "a rash"}, {}]}],
        "conclusion": "normal",
    }
    assert circumstances.notes_of(content) == ["one a day", "normal", "a rash"]


@pytest.mark.parametrize(("name", "term"), [("Flu", "Influenza"), ("influenza", ""), ("", "Influenza")])
def test_the_clinical_term_stands_beside_another_name(name: str, term: str) -> None:
    content = {"vaccineCode": {"coding": [{"display": "Influenza"}]}}
    assert circumstances.term_of(content, name, of="vaccineCode") == term


def test_files_are_named_and_not_trusted() -> None:
    files = [
        {"contentType": "text/html", "title": "<b>", "data": "PGI+"},
        {"url": "Binary/1"},
        {"data": "abcde"},
        {"data": "é"},
    ]
    content: dict[str, Any] = {"content": [{"attachment": each} for each in files], "presentedForm": "none"}
    assert circumstances.attachments_of(content) == [
        Attachment("text/html", "<b>", "", b"<b>"),
        Attachment("", reference="Binary/1"),
        Attachment(""),
        Attachment(""),
    ]


def test_a_binary_is_its_bytes() -> None:
    content = {"resourceType": "Binary", "contentType": "text/plain", "data": "aGk="}
    assert circumstances.binary_of(content) == Attachment("text/plain", content=b"hi")
    assert circumstances.binary_of({"resourceType": "Observation"}) is None
    assert b"hi" not in repr(circumstances.binary_of(content)).encode()
