"""Bundles: exact slices, whose each resource is, what is refused, and the 35 whole-patient bundles of Synthea."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from salus.clinical import labels
from salus.clinical.fhir import BUNDLE_BYTES_MAX, Fault, FhirRejected, bundles, parse, patient_chart, read_bundle

PATIENT = {"fullUrl": "urn:uuid:p", "resource": {"resourceType": "Patient", "id": "1"}}


def bundle(*entries: dict[str, object], kind: str = "transaction") -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)}).encode()


def entry(kind: str, full_url: str | None = None, **elements: object) -> dict[str, object]:
    made: dict[str, object] = {"resource": {"resourceType": kind} | elements}
    return made | ({"fullUrl": full_url} if full_url else {})


def to(reference: str) -> dict[str, object]:
    return {"subject": {"reference": reference}}


def test_resources_keep_the_bytes_that_stood_in_the_bundle() -> None:
    odd = '{ "resourceType":"Observation",\n\t"valueQuantity" : {"value":1.50, "code":"\\u006dg"} , "x":1e+2 }'
    source = (
        f' {{"resourceType":"Bundle","type":"collection","entry":[ {{"search":{{}},"resource" : {odd} ,"a":1}} ]}} '
    )
    assert read_bundle(source.encode()).entries[0].resource.body == odd.encode()


REFUSED = {
    "broken JSON": (bundle(PATIENT)[:-3], Fault.NOT_JSON, "truncated"),
    "broken inside an entry": (
        b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic","a":01}}]}',
        Fault.NOT_JSON,
        "invalid number",
    ),
    "broken text inside an entry": (
        b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic","a":"\xff"}}]}',
        Fault.NOT_JSON,
        "not UTF-8",
    ),
    "an array": (b"[]", Fault.NOT_A_BUNDLE, "no JSON object"),
    "a single resource": (b'{"resourceType":"Patient"}', Fault.NOT_A_BUNDLE, "came Patient"),
    "no resourceType": (b'{"entry":[]}', Fault.NOT_A_BUNDLE, "no resourceType"),
    "a document": (bundle(PATIENT, kind="document"), Fault.BUNDLE_TYPE, "transaction, batch, collection, searchset"),
    "no type": (b'{"resourceType":"Bundle"}', Fault.BUNDLE_TYPE, "another type or none"),
    "entries are no array": (b'{"resourceType":"Bundle","type":"batch","entry":{}}', Fault.BAD_ENTRY, "an array"),
    "an entry is no object": (b'{"resourceType":"Bundle","type":"batch","entry":[1]}', Fault.NOT_JSON, "entry 1"),
    "an entry without a resource": (bundle(PATIENT, {"request": {}}), Fault.BAD_ENTRY, "entry 2"),
    "a resource without a type": (bundle(PATIENT, {"resource": {}}), Fault.NO_RESOURCE_TYPE, "entry 2"),
    "two entry arrays": (
        b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic"}}],"entry":[]}',
        Fault.DUPLICATE_KEY,
        "'entry' twice",
    ),
    "two equal entry arrays": (
        b'{"resourceType":"Bundle","type":"batch","entry":[],"entry":[]}',
        Fault.DUPLICATE_KEY,
        "'entry' twice",
    ),
    "two entry arrays, one escaped": (
        rb'{"resourceType":"Bundle","type":"batch","entry":[],"entr\u0079":[]}',
        Fault.DUPLICATE_KEY,
        "'entry' twice",
    ),
    "two resources in an entry": (
        b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic"},"resource":{}}]}',
        Fault.DUPLICATE_KEY,
        "entry 1",
    ),
    "a key twice in a resource": (
        b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic","id":"a","id":"b"}}]}',
        Fault.DUPLICATE_KEY,
        "entry 1: expected each key once in an object, came 'id' twice",
    ),
    "nested too deeply": (b'{"resourceType":"Bundle","entry":' + b"[" * 100_000, Fault.TOO_DEEP, "64"),
    "an entry nested too deeply": (
        b'{"resourceType":"Bundle","type":"batch","entry":[' + b"[" * 500 + b"]" * 500 + b"]}",
        Fault.NOT_JSON,
        "entry 1",
    ),
}


@pytest.mark.parametrize(("source", "fault", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(source: bytes, fault: Fault, words: str) -> None:
    with pytest.raises(FhirRejected) as refusal:
        read_bundle(source)
    assert refusal.value.fault is fault
    assert words in str(refusal.value)


def test_too_large_points_to_ndjson() -> None:
    with pytest.raises(FhirRejected, match=r"50,000,000 bytes, came 50,000,001: import it as NDJSON") as refusal:
        read_bundle(b" " * (BUNDLE_BYTES_MAX + 1))
    assert refusal.value.fault is Fault.TOO_LARGE


def test_an_empty_bundle_is_read() -> None:
    assert read_bundle(b'{"resourceType":"Bundle","type":"searchset","total":0}').entries == ()


def test_no_entry_is_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work grows with the size of the bundle only: each entry goes through the strict reader once."""
    calls: list[int] = []
    strict = bundles.read_object
    monkeypatch.setattr(bundles, "read_object", lambda source: calls.append(len(source)) or strict(source))
    read_bundle(bundle(*[PATIENT] * 20))
    assert len(calls) == 21


SORTED: dict[str, tuple[list[dict[str, object]], list[str], list[str]]] = {
    "by URN": ([entry("Condition", **to("urn:uuid:p"))], ["Condition"], []),
    "by type and id": ([entry("Condition", **to("Patient/1"))], ["Condition"], []),
    "by an old version": ([entry("Condition", **to("Patient/1/_history/2"))], ["Condition"], []),
    "staff and places are for anybody": (
        [entry("Practitioner"), entry("Location"), entry("Medication")],
        [],
        ["Practitioner", "Location", "Medication"],
    ),
    "a device of the patient": ([entry("Device", patient={"reference": "Patient/1"})], ["Device"], []),
    "a device of nobody": ([entry("Device")], [], ["Device"]),
    "an appointment with a doctor": (
        [
            entry("Practitioner", "urn:uuid:d"),
            entry(
                "Appointment",
                participant=[{"actor": {"reference": "urn:uuid:d"}}, {"actor": {"reference": "urn:uuid:p"}}],
            ),
        ],
        ["Appointment"],
        ["Practitioner"],
    ),
    "the schedule of a doctor": (
        [entry("Practitioner", "urn:uuid:d"), entry("Schedule", actor=[{"reference": "urn:uuid:d"}])],
        [],
        ["Practitioner", "Schedule"],
    ),
    "a Binary by its context": ([entry("Binary", securityContext={"reference": "Patient/1"})], ["Binary"], []),
    "a Binary by its document": (
        [
            entry("DocumentReference", **to("Patient/1"), content=[{"attachment": {"url": "urn:uuid:b"}}]),
            entry("Binary", "urn:uuid:b"),
        ],
        ["DocumentReference", "Binary"],
        [],
    ),
    "provenance of a record": (
        [
            entry("Condition", "urn:uuid:c", **to("Patient/1")),
            entry("Provenance", target=[{"reference": "urn:uuid:c"}]),
        ],
        ["Condition", "Provenance"],
        [],
    ),
    "provenance of the Patient": ([entry("Provenance", target=[{"reference": "Patient/1"}])], ["Provenance"], []),
    "provenance of a practitioner": (
        [entry("Practitioner", "urn:uuid:d"), entry("Provenance", target=[{"reference": "urn:uuid:d"}])],
        [],
        ["Practitioner", "Provenance"],
    ),
    "a search's remarks are left out": ([entry("OperationOutcome")], [], []),
}


@pytest.mark.parametrize(("entries", "mine", "shared"), SORTED.values(), ids=SORTED)
def test_sorted(entries: list[dict[str, object]], mine: list[str], shared: list[str]) -> None:
    chart = patient_chart(read_bundle(bundle(PATIENT, *entries)))
    assert chart.patient.id == "1"
    assert [resource.type for resource in chart.resources] == mine
    assert [resource.type for resource in chart.shared] == shared


NUMBERED = {
    "fullUrl": "urn:uuid:p",
    "resource": {
        "resourceType": "Patient",
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}],
    },
}


def by_number(value: str) -> dict[str, object]:
    return {"subject": {"identifier": {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": value}}}


def test_sorted_by_nhs_number() -> None:
    chart = patient_chart(read_bundle(bundle(NUMBERED, entry("Condition", **by_number("999 000 0018")))))
    assert [resource.type for resource in chart.resources] == ["Condition"]


UNSORTABLE = {
    "no Patient": ([entry("Condition", **to("Patient/1"))], Fault.NO_PATIENT, "one Patient, came 0"),
    "two Patients": ([PATIENT, entry("Patient", id="2")], Fault.SEVERAL_PATIENTS, "one Patient, came 2"),
    "of another patient": ([PATIENT, entry("Condition", **to("Patient/2"))], Fault.WRONG_PATIENT, "entry 2"),
    "of an unknown URN": ([PATIENT, entry("Condition", **to("urn:uuid:x"))], Fault.WRONG_PATIENT, "entry 2"),
    "of the same id at another server": (
        [PATIENT, entry("Condition", **to("https://elsewhere.example/Patient/1"))],
        Fault.WRONG_PATIENT,
        "entry 2",
    ),
    "of another NHS number": (
        [NUMBERED, entry("Condition", **by_number("9434765919"))],
        Fault.WRONG_PATIENT,
        "entry 2",
    ),
    "of two patients": (
        [PATIENT, entry("Account", subject=[{"reference": "Patient/1"}, {"reference": "Patient/2"}])],
        Fault.WRONG_PATIENT,
        "entry 2",
    ),
    "personal, of nobody": ([PATIENT, entry("Practitioner"), entry("Observation")], Fault.NO_PATIENT, "entry 3"),
    "personal, of a group": ([PATIENT, entry("Observation", **to("Group/1"))], Fault.NO_PATIENT, "entry 2"),
    "personal, of a doctor": (
        [PATIENT, entry("Practitioner", "urn:uuid:d"), entry("Condition", **to("urn:uuid:d"))],
        Fault.NO_PATIENT,
        "entry 3",
    ),
}


@pytest.mark.parametrize(("entries", "fault", "words"), UNSORTABLE.values(), ids=UNSORTABLE)
def test_unsortable(entries: list[dict[str, object]], fault: Fault, words: str) -> None:
    read = read_bundle(bundle(*entries))
    with pytest.raises(FhirRejected) as refusal:
        patient_chart(read)
    assert refusal.value.fault is fault
    assert words in str(refusal.value)


def test_a_binary_carries_its_documents_labels() -> None:
    """A letter's bytes are withheld when the letter is: they are the same record in two resources."""
    psychiatric = {"security": [{"system": labels.ACT_CODE, "code": "PSY"}]}
    restricted = {"security": [{"system": labels.CONFIDENTIALITY, "code": "R"}]}
    letter = entry(
        "DocumentReference",
        **to("Patient/1"),
        meta=psychiatric,
        date="2020-01-01T00:00:00Z",
        description="Letter",
        content=[{"attachment": {"url": "Binary/b"}}],
    )
    chart = patient_chart(read_bundle(bundle(PATIENT, letter, entry("Binary", id="b", meta=restricted))))
    document, binary = chart.resources
    assert binary.metadata.labels == tuple(sorted([labels.label("PSY"), labels.label("R")]))
    assert binary.metadata.resource_type == "Binary"
    assert binary.metadata.title == "Letter"
    assert binary.metadata.period_from_s == document.metadata.period_from_s == 1577836800
    assert document.metadata.labels == (labels.label("PSY"),)


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_binary_of_two_documents_is_withheld_when_either_is(*, is_turned: bool) -> None:
    restricted = {"security": [{"system": labels.CONFIDENTIALITY, "code": "R"}]}
    psychiatric = {"security": [{"system": labels.ACT_CODE, "code": "PSY"}]}
    letter = entry(
        "DocumentReference",
        **to("Patient/1"),
        meta=psychiatric,
        date="2020-01-01T00:00:00Z",
        content=[{"attachment": {"url": "Binary/b"}}],
    )
    report = entry(
        "DiagnosticReport",
        **to("Patient/1"),
        meta=restricted,
        code={"coding": [{"system": "s", "code": "c"}]},
        presentedForm=[{"url": "Binary/b"}],
    )
    documents = (report, letter) if is_turned else (letter, report)
    binary = patient_chart(read_bundle(bundle(PATIENT, *documents, entry("Binary", id="b")))).resources[-1].metadata
    assert binary.labels == tuple(sorted([labels.label("PSY"), labels.label("R")]))
    assert (binary.part_of, "s|c" in binary.codes) == (("DiagnosticReport", "DocumentReference"), True)
    assert (binary.period_from_s, binary.period_to_s) == (None, None), "of the report nobody knows when it was"


def test_all_synthea_bundles(shared_data: Path) -> None:
    """Every resource is the one patient's or shared, and keeps its bytes; the counts are those of the files."""
    files = sorted((shared_data / "fhir" / "synthea-r4").glob("*.json"))
    assert len(files) == 35
    for file in files:
        source = file.read_bytes()
        counted = Counter(each["resource"]["resourceType"] for each in json.loads(source)["entry"])
        chart = patient_chart(read_bundle(source))
        shared = {kind: counted.pop(kind) for kind in ("Organization", "Practitioner") if kind in counted}
        assert counted.pop("Patient") == 1
        assert Counter(resource.type for resource in chart.resources) == counted, file.name
        assert Counter(resource.type for resource in chart.shared) == shared, file.name
        for resource in (chart.patient, *chart.resources, *chart.shared):
            assert resource.body in source
            assert parse(resource.body).metadata == resource.metadata
        undated = {resource.type for resource in chart.resources if resource.metadata.period_from_s is None}
        assert undated <= {"Goal"}, file.name  # Synthea's goals have no dates; everything else has


def test_official_bundles_are_read_or_refused_for_a_reason(shared_data: Path) -> None:
    refused = Counter[str]()
    for file in sorted((shared_data / "fhir" / "r4-examples").glob("Bundle-*.json")):
        source = file.read_bytes()
        try:
            read = read_bundle(source)
        except FhirRejected as refusal:
            refused[refusal.fault.name] += 1
            continue
        assert len(read.entries) == len(json.loads(source)["entry"])
        assert all(each.resource.body in source for each in read.entries)
    assert refused == {"BUNDLE_TYPE": 2, "BAD_ENTRY": 1}
