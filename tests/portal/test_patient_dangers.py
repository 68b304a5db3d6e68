"""What a choice would keep from whoever treats the patient: a warning of what could harm, whoever keeps the record."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from salus.clinical.fhir import FhirRejected
from salus.importers import NdjsonFiles, file_chart
from salus.testing import population
from salus.testing.population import story_patient
from salus.testing.world import HOSPITAL, PRACTICE
from tests.portal.choosing_device import SIGNER, set_up
from tests.portal.patient_charts import add
from tests.portal.portal_world import SEED, Hospital, portal, settled

UNKNOWN = re.compile(r"They would not know of: ([^.]+)\.")
HERE: Final = {"Penicillin", "Eliquis 5mg tablets"}
THERE: Final = {"Penicillin", "Warfarin 3mg tablets", "Latex"}
DMD: Final = "https://dmd.nhs.uk"


def _medicine(name: str, said: str, **more: Any) -> dict[str, Any]:
    concept = {"coding": [{"system": DMD, "code": "1", "display": said}], "text": said}
    body = {"resourceType": "MedicationRequest", "id": name, "status": "active", "intent": "order"}
    return body | {"medicationCodeableConcept": concept, "authoredOn": "2026-01-01"} | more


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder, signer=SIGNER, is_joined=True) as made:
        psychiatry = {
            "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}]}
        }
        add(made, folder, [_medicine("thinner", "Eliquis 5mg tablets", **psychiatry)])
        _add_there(
            made,
            folder,
            [_medicine("thinner", "Warfarin 3mg tablets"), _allergy("Latex"), _allergy("Nuts", is_wrong=True)],
        )
        set_up(made)
        yield made


def _allergy(name: str, *, is_wrong: bool = False) -> dict[str, Any]:
    body = {"resourceType": "AllergyIntolerance", "id": name.lower(), "code": {"text": name}}
    return body | ({"verificationStatus": {"coding": [{"code": "entered-in-error"}]}} if is_wrong else {})


def _add_there(here: Hospital, folder: Path, resources: list[dict[str, Any]]) -> None:
    """File resources about Eleanor at the practice."""
    bodies = [json.loads(each) for each in story_patient(SEED).chart_at(population.PRACTICE.ods).resources]
    (patient,) = [each for each in bodies if each["resourceType"] == "Patient"]
    about = {"reference": f"Patient/{patient['id']}"}
    whose = {"AllergyIntolerance": "patient"}
    lines = [patient, *(each | {whose.get(each["resourceType"], "subject"): about} for each in resources)]
    path = folder / "there.ndjson"
    path.write_text("\n".join(map(json.dumps, lines)))
    for each in NdjsonFiles([path]).charts():
        assert not isinstance(each, FhirRejected), each
        file_chart(here.made.practice, each)


def _warned(here: Hospital, where: str, answers: Mapping[str, object]) -> set[str]:
    """Answer the questions; return of what the page to check warns, once the others have answered."""
    browser = here.signed_in("eleanor")
    settled(browser)
    browser.post("/sharing/begin", {}, page="/sharing")
    browser.post("/sharing/where", {"where": where})
    for name, value in answers.items():
        fields = {"day-day": ""} if name == "until" else {name: value}
        assert browser.post(f"/sharing/{name}", fields).status_code == 303, name  # type: ignore[attr-defined, arg-type]
    page = html.unescape(browser.get("/sharing/check").text)  # type: ignore[attr-defined]
    assert ("This can be dangerous" in page) is bool(UNKNOWN.findall(page))
    return set(UNKNOWN.findall(page))


ALL = {"direction": "less", "who": "everybody", "what": "all", "until": ""}
ONLY = ALL | {"what": "only"}
EXCEPT = {"direction": "more", "who": PRACTICE, "what": "except"}
STEPS = ("direction", "who", "what", "kinds", "until")


def _kinds(answers: Mapping[str, object], *kinds: str) -> dict[str, object]:
    every = {**answers, "kinds": list(kinds), "until": ""}
    return {each: every[each] for each in STEPS}


CASES: Final[dict[str, tuple[str, dict[str, object], set[str]]]] = {
    "all of it here": (HOSPITAL, dict(ALL), HERE),
    "all of it elsewhere": (PRACTICE, dict(ALL), THERE),
    "all of it, everywhere": ("all", dict(ALL), HERE | THERE),
    "allergies elsewhere": (PRACTICE, _kinds(ONLY, "AllergyIntolerance"), {"Penicillin", "Latex"}),
    "medicines elsewhere": (PRACTICE, _kinds(ONLY, "MedicationRequest"), {"Warfarin 3mg tablets"}),
    "test results elsewhere": (PRACTICE, _kinds(ONLY, "Observation"), set()),
    "a label that one record carries": (HOSPITAL, _kinds(ONLY, "PSY"), {"Eliquis 5mg tablets"}),
    "shown to others but for allergies": (HOSPITAL, _kinds(EXCEPT, "AllergyIntolerance"), {"Penicillin"}),
    "shown to others but for medicines, everywhere": (
        "all",
        _kinds(EXCEPT, "MedicationRequest"),
        {"Eliquis 5mg tablets", "Warfarin 3mg tablets"},
    ),
    "shown to others but for visits": (HOSPITAL, _kinds(EXCEPT, "Encounter"), set()),
}


@pytest.mark.parametrize("name", CASES)
def test_who_would_not_know_what_they_have_to_know_is_said_before(here: Hospital, name: str) -> None:
    where, answers, want = CASES[name]
    assert _warned(here, where, answers) == want
