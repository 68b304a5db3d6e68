"""One resource: what is kept, what is derived, what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.clinical.fhir import Fault, FhirRejected, demographics, parse, require_patient
from salus.clinical.fhir import resources as resources_module
from salus.clinical.nhs_number import parse as nhs

GOOD = b'{"resourceType":"Observation","id":"a","subject":{"reference":"Patient/1"},"valueQuantity":{"value":1.50}}'

REFUSED = {
    "empty": (b"", Fault.NOT_JSON, "truncated"),
    "cut off": (GOOD[:-1], Fault.NOT_JSON, "truncated"),
    "XML": (b"<Patient/>", Fault.NOT_JSON, "byte 0"),
    "text after the end": (GOOD + b"{}", Fault.NOT_JSON, "trailing"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, Fault.NOT_JSON, "byte order mark"),
    "UTF-16": (GOOD.decode().encode("utf-16"), Fault.NOT_JSON, "byte 0"),
    "Latin-1": (b'{"resourceType":"Basic","id":"\xe9"}', Fault.NOT_JSON, "not UTF-8"),
    "Latin-1 in a key": (b'{"resourceType":"Basic","\xe9":1}', Fault.NOT_JSON, "not UTF-8"),
    "lone surrogate": (rb'{"resourceType":"Basic","a":"\ud800"}', Fault.NOT_JSON, "JSON"),
    "lone surrogate inside": (rb'{"resourceType":"Basic","a":"\ud800 and more text"}', Fault.NOT_JSON, "JSON"),
    "NaN": (b'{"resourceType":"Basic","a":NaN}', Fault.NOT_JSON, "byte"),
    "number without end": (b'{"resourceType":"Basic","a":' + b"9" * 5000 + b"}", Fault.NOT_JSON, "out of range"),
    "array": (b"[" + GOOD + b"]", Fault.NOT_JSON, "another JSON value"),
    "bare string": (b'"Patient"', Fault.NOT_JSON, "another JSON value"),
    "key twice": (b'{"resourceType":"Basic","id":"a","id":"b"}', Fault.DUPLICATE_KEY, "'id' twice"),
    "type twice": (b'{"resourceType":"Patient","resourceType":"Basic"}', Fault.DUPLICATE_KEY, "'resourceType' twice"),
    "key twice, one escaped": (rb'{"resourceType":"Basic","a":1,"\u0061":2}', Fault.DUPLICATE_KEY, "'a' twice"),
    "key twice deep inside": (b'{"resourceType":"Basic","a":[{"b":{"c":1,"c":1}}]}', Fault.DUPLICATE_KEY, "'c' twice"),
    "odd key twice is not shown": (b'{"resourceType":"Basic","J. Smith":1,"J. Smith":1}', Fault.DUPLICATE_KEY, "a key"),
    "65 levels": (b'{"resourceType":"Basic","a":' + b"[" * 64 + b"]" * 64 + b"}", Fault.TOO_DEEP, "came 65"),
    "100,000 levels": (b'{"a":' * 100_000, Fault.TOO_DEEP, "more than 64"),
    "no type": (b'{"id":"a"}', Fault.NO_RESOURCE_TYPE, "came none"),
    "type is a number": (b'{"resourceType":1}', Fault.NO_RESOURCE_TYPE, "names no type"),
    "type is no name": (b'{"resourceType":"John Smith"}', Fault.NO_RESOURCE_TYPE, "names no type"),
    "id with a space": (b'{"resourceType":"Basic","id":"J Smith"}', Fault.BAD_ID, "an id of 1 to 64"),
    "id is a number": (b'{"resourceType":"Basic","id":7}', Fault.BAD_ID, "an id of 1 to 64"),
    "NHS number with a typing error": (
        b'{"resourceType":"Patient","identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9434765918"}]}',
        Fault.BAD_NHS_NUMBER,
        "modulus 11",
    ),
}


@pytest.mark.parametrize(("body", "fault", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(body: bytes, fault: Fault, words: str) -> None:
    with pytest.raises(FhirRejected) as refusal:
        parse(body)
    assert refusal.value.fault is fault
    assert words in str(refusal.value)
    assert "expected" in str(refusal.value)
    assert refusal.value.hint
    assert "Smith" not in str(refusal.value)


def test_64_levels_are_accepted() -> None:
    assert parse(b'{"resourceType":"Basic","a":' + b"[" * 63 + b"]" * 63 + b"}").type == "Basic"


def test_too_large_names_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources_module, "RESOURCE_BYTES_MAX", len(GOOD) - 1)
    with pytest.raises(FhirRejected, match=f"at most {len(GOOD) - 1} bytes, came {len(GOOD)}") as refusal:
        parse(GOOD)
    assert refusal.value.fault is Fault.TOO_LARGE


def test_permanent_numbers() -> None:
    assert {fault.name: fault.value for fault in Fault} == {
        "TOO_LARGE": 1,
        "NOT_JSON": 2,
        "DUPLICATE_KEY": 3,
        "TOO_DEEP": 4,
        "NO_RESOURCE_TYPE": 5,
        "BAD_ID": 6,
        "NOT_A_BUNDLE": 7,
        "BUNDLE_TYPE": 8,
        "BAD_ENTRY": 9,
        "NO_PATIENT": 10,
        "SEVERAL_PATIENTS": 11,
        "WRONG_PATIENT": 12,
        "BAD_NHS_NUMBER": 13,
        "BAD_DATE": 14,
        "NOT_A_PATIENT": 15,
        "BAD_PATCH": 16,
        "PATCH_UNFIT": 17,
        "UNKNOWN_PARAMETER": 18,
        "BAD_PARAMETER": 19,
        "SEARCH_TOO_LARGE": 20,
        "NOT_XML": 21,
        "XML_FORBIDDEN": 22,
        "NOT_FHIR_XML": 23,
        "NO_XML_FORM": 24,
    }


@pytest.mark.promise("P4")
def test_never_shows_content() -> None:
    assert repr(parse(GOOD)) == f"Resource(Observation, {len(GOOD)} bytes)"


def test_bytes_are_the_record() -> None:
    odd = (
        b' {\n "resourceType" : "Observation" , "subject":{"reference":"Patient/1"}, "v": [1.50, 1e2, -0.0, 1.0E+2]}\t'
    )
    assert parse(odd).body is odd


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(FhirRejected):
        assert parse(body).body == body


words = st.text(alphabet="ab|-:T0129Z/#", max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
fhir_keys = st.sampled_from(
    ["subject", "patient", "code", "coding", "meta", "security", "effectivePeriod", "start", "identifier", "author"]
)


@given(st.dictionaries(fhir_keys, json_values | st.dictionaries(fhir_keys, json_values), max_size=6))
def test_metadata_never_raises_whatever_stands_where_fhir_has_something_else(content: dict[str, object]) -> None:
    body = json.dumps({"resourceType": "Observation"} | content).encode()
    assert parse(body).metadata.resource_type == "Observation"


def test_every_official_example(shared_data: Path) -> None:
    files = sorted((shared_data / "fhir" / "r4-examples").glob("*.json"))
    assert len(files) > 300
    for file in files:
        body = file.read_bytes()
        resource = parse(body)
        plain = json.loads(body)
        assert (resource.type, resource.id, resource.body) == (plain["resourceType"], plain.get("id"), body), file.name
        assert resource.metadata.resource_type == resource.type
        from_s, to_s = resource.metadata.period_from_s, resource.metadata.period_to_s
        assert from_s is None or to_s is None or from_s <= to_s, file.name


NUMBER = b'{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9990000018"}'

REQUIRED = {
    "its own patient": (b'{"resourceType":"Condition","subject":{"reference":"Patient/1"}}', None),
    "its own patient by URN": (b'{"resourceType":"Condition","subject":{"reference":"urn:uuid:1"}}', None),
    "an old version of the reference": (
        b'{"resourceType":"Condition","subject":{"reference":"Patient/1/_history/3"}}',
        None,
    ),
    "the Patient itself": (b'{"resourceType":"Patient","id":"1"}', None),
    "by NHS number alone": (
        b'{"resourceType":"Condition","subject":{"identifier":%b}}' % NUMBER.replace(b"9990000018", b"999 000 0018"),
        None,
    ),
    "somebody else": (b'{"resourceType":"Condition","subject":{"reference":"Patient/2"}}', Fault.WRONG_PATIENT),
    "another Patient": (b'{"resourceType":"Patient","id":"2"}', Fault.WRONG_PATIENT),
    "both": (
        b'{"resourceType":"Account","subject":[{"reference":"Patient/1"},{"reference":"Patient/2"}]}',
        Fault.WRONG_PATIENT,
    ),
    "a patient described inside": (
        b'{"resourceType":"Condition","subject":{"reference":"#p"},"contained":[{"resourceType":"Patient","id":"p"}]}',
        Fault.WRONG_PATIENT,
    ),
    "another NHS number": (
        b'{"resourceType":"Condition","subject":{"reference":"Patient/1","identifier":%b}}'
        % NUMBER.replace(b"9990000018", b"9434765919"),
        Fault.WRONG_PATIENT,
    ),
    "nobody": (b'{"resourceType":"Condition"}', Fault.NO_PATIENT),
    "a group": (b'{"resourceType":"Observation","subject":{"reference":"Group/1"}}', Fault.NO_PATIENT),
}


@pytest.mark.parametrize(("body", "fault"), REQUIRED.values(), ids=REQUIRED)
def test_require_patient(body: bytes, fault: Fault | None) -> None:
    resource, references = parse(body), {"Patient/1", "urn:uuid:1"}
    if fault is None:
        require_patient(resource, references=references, nhs_number=nhs("9990000018"))
        return
    with pytest.raises(FhirRejected) as refusal:
        require_patient(resource, references=references, nhs_number=nhs("9990000018"))
    assert refusal.value.fault is fault


SUBJECTS = {
    "Observation": ({"subject": {"reference": "Patient/1"}}, ("Patient/1",)),
    "AllergyIntolerance": ({"patient": {"reference": "https://a.example/fhir/Patient/1"}}, None),
    "Coverage": ({"beneficiary": {"reference": "Patient/1"}, "subscriber": {"reference": "Patient/2"}}, ("Patient/1",)),
    "Task": ({"for": {"reference": "Patient/1"}, "requester": {"reference": "Patient/2"}}, ("Patient/1",)),
    "Appointment": (
        {"participant": [{"actor": {"reference": "Practitioner/1"}}, {"actor": {"reference": "Patient/1"}}]},
        ("Patient/1",),
    ),
    "Binary": ({"securityContext": {"reference": "Patient/1"}}, ("Patient/1",)),
    "Provenance": ({"target": [{"reference": "Observation/1"}]}, ("Observation/1",)),
    "Practitioner": ({"id": "1"}, ()),
    "Patient": ({"id": "1"}, ("Patient/1",)),
    "Specimen": ({"subject": {"reference": "Device/1"}}, ()),
}


@pytest.mark.parametrize("kind", SUBJECTS)
def test_subjects(kind: str) -> None:
    content, expected = SUBJECTS[kind]
    got = parse(json.dumps({"resourceType": kind} | content).encode()).subjects
    assert got == (("https://a.example/fhir/Patient/1",) if expected is None else expected)


PERSON = {
    "resourceType": "Patient",
    "identifier": [
        {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9434765919", "use": "old"},
        {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "999 000 0018"},
    ],
    "name": [
        {"use": "old", "family": "Maiden", "given": ["A"]},
        {"use": "official", "family": "Smith", "given": ["Ann", "B"]},
    ],
    "gender": "female",
    "birthDate": "1970-09-11",
    "address": [{"postalCode": "ZZ1 1AA"}],
}


@pytest.mark.promise("P4")
def test_demographics_are_read_and_never_shown() -> None:
    person = demographics(json.dumps(PERSON).encode())
    assert person.nhs_number == nhs("9990000018")
    assert (person.family, person.given) == ("Smith", ("Ann", "B"))
    assert (person.birth_date, person.gender, person.postcode) == ("1970-09-11", "female", "ZZ1 1AA")
    assert repr(person) == "Demographics(hidden)"


def test_demographics_of_an_empty_patient() -> None:
    person = demographics(b'{"resourceType":"Patient"}')
    assert (person.nhs_number, person.family, person.given, person.postcode) == (None, None, (), None)


def test_demographics_of_another_resource() -> None:
    with pytest.raises(FhirRejected) as refusal:
        demographics(GOOD)
    assert refusal.value.fault is Fault.NOT_A_PATIENT
