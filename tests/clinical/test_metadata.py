"""What a sharing choice can ask of a record: period, codes, labels, author, title."""

from __future__ import annotations

import json

import msgspec
import pytest

from salus.clinical import labels
from salus.clinical.fhir import RecordMetadata, parse

SCT = "http://snomed.info/sct"


def derived(kind: str, **elements: object) -> RecordMetadata:
    return parse(json.dumps({"resourceType": kind} | elements).encode()).metadata


DAY = 86_400
FIRST_2020 = 1577836800  # 1 January 2020
JUNE_1 = 1590969600  # 1 June 2020

PERIODS: dict[str, tuple[str, dict[str, object], int | None, int | None]] = {
    "an instant": ("Observation", {"effectiveDateTime": "2020-06-01T00:00:00Z"}, JUNE_1, JUNE_1),
    "a day": ("Procedure", {"performedDateTime": "2020-06-01"}, JUNE_1, JUNE_1 + DAY - 1),
    "a closed period": (
        "Encounter",
        {"period": {"start": "2020-01-01", "end": "2020-06-01"}},
        FIRST_2020,
        JUNE_1 + DAY - 1,
    ),
    "a period without end is open": ("Encounter", {"period": {"start": "2020-01-01"}}, FIRST_2020, None),
    "a period without start": ("CarePlan", {"period": {"end": "2020-06-01"}}, None, JUNE_1 + DAY - 1),
    "a condition that goes on is open": ("Condition", {"onsetDateTime": "2020-01-01"}, FIRST_2020, None),
    "a condition that abated": (
        "Condition",
        {"onsetDateTime": "2020-01-01", "abatementDateTime": "2020-06-01"},
        FIRST_2020,
        JUNE_1 + DAY - 1,
    ),
    "abatement alone": ("Condition", {"abatementDateTime": "2020-06-01"}, None, JUNE_1 + DAY - 1),
    "onset before recording": (
        "Condition",
        {"onsetDateTime": "2020-01-01", "recordedDate": "2020-06-01"},
        FIRST_2020,
        None,
    ),
    "onset as an age falls back to recording": (
        "Condition",
        {"onsetAge": {"value": 9}, "recordedDate": "2020-06-01"},
        JUNE_1,
        JUNE_1 + DAY - 1,
    ),
    "what happened before what was written": (
        "Observation",
        {"issued": "2020-06-01T00:00:00Z", "effectiveDateTime": "2020-01-01T00:00:00Z"},
        FIRST_2020,
        FIRST_2020,
    ),
    "issued alone": ("DiagnosticReport", {"issued": "2020-06-01T00:00:00Z"}, JUNE_1, JUNE_1),
    "an appointment": (
        "Appointment",
        {"start": "2020-01-01T00:00:00Z", "end": "2020-06-01T00:00:00Z"},
        FIRST_2020,
        JUNE_1,
    ),
    "prepared and handed over": (
        "MedicationDispense",
        {"whenPrepared": "2020-01-01", "whenHandedOver": "2020-06-01"},
        FIRST_2020,
        JUNE_1 + DAY - 1,
    ),
    "prepared only": ("MedicationDispense", {"whenPrepared": "2020-06-01"}, JUNE_1, JUNE_1 + DAY - 1),
    "handed over only": ("MedicationDispense", {"whenHandedOver": "2020-06-01"}, JUNE_1, JUNE_1 + DAY - 1),
    "events of a timing": (
        "Observation",
        {"effectiveTiming": {"event": ["2020-06-01T00:00:00Z", "2020-01-01T00:00:00Z"]}},
        FIRST_2020,
        JUNE_1,
    ),
    "bounds of a timing": (
        "ServiceRequest",
        {"occurrenceTiming": {"repeat": {"boundsPeriod": {"start": "2020-01-01T00:00:00Z"}}}},
        FIRST_2020,
        None,
    ),
    "period of a document's context before its date": (
        "DocumentReference",
        {"date": "2021-01-01T00:00:00Z", "context": {"period": {"start": "2020-01-01", "end": "2020-01-01"}}},
        FIRST_2020,
        FIRST_2020 + DAY - 1,
    ),
    "date of a document": ("DocumentReference", {"date": "2020-06-01T00:00:00Z"}, JUNE_1, JUNE_1),
    "when a specimen was taken": (
        "Specimen",
        {"receivedTime": "2020-06-01", "collection": {"collectedDateTime": "2020-01-01T00:00:00Z"}},
        FIRST_2020,
        FIRST_2020,
    ),
    "an unreadable date says nothing": (
        "Observation",
        {"effectiveDateTime": "June", "issued": "2020-06-01"},
        JUNE_1,
        JUNE_1 + DAY - 1,
    ),
    "a birth date is not a period": ("Patient", {"birthDate": "1970-01-01"}, None, None),
    "nothing": ("Observation", {}, None, None),
}


@pytest.mark.parametrize(("kind", "elements", "from_s", "to_s"), PERIODS.values(), ids=PERIODS)
def test_period(kind: str, elements: dict[str, object], from_s: int | None, to_s: int | None) -> None:
    metadata = derived(kind, **elements)
    assert (metadata.period_from_s, metadata.period_to_s) == (from_s, to_s)


def concept(code: str, system: str | None = SCT) -> dict[str, object]:
    return {"coding": [{"system": system, "code": code} if system else {"code": code}]}


CODES = {
    "of the resource": ({"code": concept("38341003")}, {f"{SCT}|38341003"}),
    "several systems": (
        {"code": {"coding": [{"system": SCT, "code": "1"}, {"system": "http://loinc.org", "code": "2"}]}},
        {f"{SCT}|1", "http://loinc.org|2"},
    ),
    "a lone Coding": ({"class": {"system": "http://x", "code": "AMB"}}, {"http://x|AMB"}),
    "without a system": ({"code": concept("LOCAL", None)}, {"|LOCAL"}),
    "in a component": (
        {"component": [{"code": concept("1"), "valueCodeableConcept": concept("2")}]},
        {f"{SCT}|1", f"{SCT}|2"},
    ),
    "in a contained resource": ({"contained": [{"resourceType": "Medication", "code": concept("7")}]}, {f"{SCT}|7"}),
    "in an extension": ({"extension": [{"url": "u", "valueCodeableConcept": concept("3")}]}, {f"{SCT}|3"}),
    "not a unit": (
        {"valueQuantity": {"value": 1, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}},
        set(),
    ),
    "not a unit without a value": ({"x": {"system": "http://unitsofmeasure.org", "code": "kg"}}, set()),
    "not a tag": ({"meta": {"tag": [{"system": "t", "code": "1"}]}}, set()),
    "not an identifier": ({"identifier": [{"system": "s", "value": "v"}]}, set()),
    "text alone has none": ({"code": {"text": "sore throat"}}, set()),
}


@pytest.mark.parametrize(("elements", "expected"), CODES.values(), ids=CODES)
def test_codes(elements: dict[str, object], expected: set[str]) -> None:
    assert derived("Observation", **elements).codes == tuple(sorted(expected))


def security(*codes: str) -> dict[str, object]:
    return {"security": [{"system": labels.system_of(code), "code": code} for code in codes]}


LABELS = {
    "of the resource": ("Observation", {"meta": security("R", "PSY")}, {"R", "PSY"}),
    "of a contained resource": (
        "MedicationRequest",
        {"contained": [{"resourceType": "Medication", "meta": security("HIV")}]},
        {"HIV"},
    ),
    "of a resource in a stored bundle": (
        "Bundle",
        {"entry": [{"resource": {"resourceType": "Condition", "meta": security("SDV")}}]},
        {"SDV"},
    ),
    "of a document": ("DocumentReference", {"securityLabel": [{"coding": security("V")["security"]}]}, {"V"}),
    "of a composition": ("Composition", {"confidentiality": "R"}, {"R"}),
    "a consent's criterion is not its label": (
        "Consent",
        {"provision": {"securityLabel": security("PSY")["security"]}},
        set(),
    ),
    "none": ("Observation", {"meta": {"profile": ["p"]}}, set()),
}


@pytest.mark.parametrize(("kind", "elements", "codes"), LABELS.values(), ids=LABELS)
def test_labels(kind: str, elements: dict[str, object], codes: set[str]) -> None:
    assert derived(kind, **elements).labels == tuple(sorted(labels.label(code) for code in codes))


AUTHORS: dict[str, tuple[dict[str, object], str | None]] = {
    "author": ({"author": [{"reference": "Practitioner/1"}]}, "Practitioner/1"),
    "recorder before performer": (
        {"performer": [{"reference": "Practitioner/2"}], "recorder": {"reference": "Practitioner/1"}},
        "Practitioner/1",
    ),
    "performer's actor": ({"performer": [{"actor": {"reference": "Practitioner/1"}}]}, "Practitioner/1"),
    "participant": ({"participant": [{"individual": {"reference": "Practitioner/1"}}]}, "Practitioner/1"),
    "by identifier": ({"author": {"identifier": {"system": "s", "value": "v"}}}, "s|v"),
    "a name alone is not kept": ({"author": {"display": "Dr Who"}}, None),
    "nobody": ({}, None),
}


@pytest.mark.parametrize(("elements", "expected"), AUTHORS.values(), ids=AUTHORS)
def test_author(elements: dict[str, object], expected: str | None) -> None:
    assert derived("Observation", **elements).author == expected


def test_title_is_the_first_that_says_something_and_is_cut() -> None:
    assert derived("DocumentReference", description="Clinic letter", type=concept("1")).title == "Clinic letter"
    assert derived("Condition", code={"coding": [{"display": "Gout"}]}).title == "Gout"
    assert derived("Condition", code={"text": "x" * 300}).title == "x" * 200
    assert derived("Condition").title is None


def test_every_label_has_a_system_and_a_display() -> None:
    assert labels.label("R") == "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R"
    assert labels.label("PSY") == "http://terminology.hl7.org/CodeSystem/v3-ActCode|PSY"
    assert all(labels.display_of(code) for code in (*labels.CONFIDENTIALITY_DISPLAYS, *labels.SENSITIVITY_DISPLAYS))
    with pytest.raises(KeyError):
        labels.label("NONE")


def test_metadata_survives_its_encoding() -> None:
    metadata = derived("Condition", code=concept("38341003"), onsetDateTime="2020", meta=security("R"))
    encoded = msgspec.msgpack.encode(metadata)
    assert msgspec.msgpack.decode(encoded, type=RecordMetadata) == metadata
