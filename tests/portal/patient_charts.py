"""Charts of patients for the tests of their pages: the story's patient with more, and somebody else."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from salus.clinical.fhir import FhirRejected
from salus.clinical.nhs_number import NhsNumber
from salus.importers import NdjsonFiles, file_chart
from salus.ledger.identifiers import Pseudonym
from salus.node.services import enrol
from salus.testing import population
from salus.testing.population import story_patient
from tests.portal.portal_world import SEED, Hospital

MACHINE_WORDS = re.compile(r"\b[0-9a-f]{16,}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-|\bblock \d|\btransaction\b|\bhash\b", re.I)
EVIL = '"><script>alert(1)</script>'
SCRIPT = "<script>alert"
NUMBER, OTHER_NUMBER = "9990000018", "9990000026"


def chart() -> list[dict[str, Any]]:
    """The story's patient at the hospital, the Patient first."""
    bodies = story_patient(SEED).chart_at(population.HOSPITAL.ods).resources
    return sorted((json.loads(each) for each in bodies), key=lambda each: each["resourceType"] != "Patient")


def add(
    here: Hospital, folder: Path, resources: list[dict[str, Any]], *, patient: dict[str, Any] | None = None
) -> None:
    """File resources about the story's patient, or about another, at the hospital."""
    about = patient or chart()[0]
    reference = {"reference": f"Patient/{about['id']}"}
    path = folder / "more.ndjson"
    lines = [
        about,
        *(each if each["resourceType"] == "Binary" else each | {"subject": reference} for each in resources),
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    for each in NdjsonFiles([path]).charts():
        assert not isinstance(each, FhirRejected), each
        file_chart(here.node, each)


def somebody_else(here: Hospital, folder: Path, resources: list[dict[str, Any]]) -> Pseudonym:
    """File somebody else with resources; `other` can sign in."""
    patient = json.loads(json.dumps(chart()[0]).replace(NUMBER, OTHER_NUMBER)) | {"id": "somebody-else"}
    add(here, folder, resources, patient=patient)
    found = enrol.find(here.node, NhsNumber(OTHER_NUMBER))
    assert found is not None, "was just filed"
    here.accounts["other"] = here.portal.accounts.add_patient(found, name="Somebody Else")
    return found


def sodium(number: int, *, value: float = 140, at: str = "") -> dict[str, Any]:
    """A result, one of many."""
    (like,) = [
        each for each in chart() if each["resourceType"] == "Observation" and "Serum sodium" in str(each["code"])
    ]
    when = at or f"20{10 + number // 300:02}-{1 + number // 28 % 12:02}-{1 + number % 28:02}T09:00:00Z"
    quantity = like["valueQuantity"] | {"value": value}
    fresh = {each: like[each] for each in like if each != "interpretation"}
    return fresh | {"id": f"sodium-{number}", "effectiveDateTime": when, "valueQuantity": quantity}


def letter(name: str, *, content_type: str, content: bytes, title: str) -> list[dict[str, Any]]:
    """A letter with its bytes in it."""
    data = base64.b64encode(content).decode()
    attachment = {"contentType": content_type, "title": title, "data": data}
    document = {
        "resourceType": "DocumentReference",
        "id": name,
        "status": "current",
        "description": title,
        "date": "2026-11-01T10:00:00Z",
        "content": [{"attachment": attachment}],
    }
    return [document]
