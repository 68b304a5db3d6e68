"""The records: UK Core's required elements, references that resolve, dates within a life, labels, letters."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from salus.clinical import fhir, labels
from salus.testing.population import (
    CUSTODIANS,
    PRACTICE,
    Chart,
    SyntheticPerson,
    people,
    shared_resources,
    story_patient,
)
from salus.testing.population.calendar import AS_OF
from salus.testing.population.encoding import decimal, json_bytes
from salus.testing.population.pdf import LINES_MAX, one_page

FHIR = "{http://hl7.org/fhir}"
PROFILE = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-"
SNOMED = "http://snomed.info/sct"
DAY_S = 86_400

Json = dict[str, object]


@pytest.fixture(scope="module")
def charts() -> list[tuple[SyntheticPerson, Chart]]:
    return [(person, chart) for person in (story_patient(1), *people(1, 300)) for chart in person.charts]


@pytest.fixture(scope="module")
def resources(charts: list[tuple[SyntheticPerson, Chart]]) -> list[Json]:
    shared = [body for custodian in CUSTODIANS for body in shared_resources(custodian)]
    return [json.loads(body) for body in (*shared, *(body for _, chart in charts for body in chart.resources))]


# FHIR R4: the elements that each type must have (cardinality 1..) besides what UK Core adds; `[x]` is any choice.
REQUIRED_IN_R4 = {
    "AllergyIntolerance": ("patient",),
    "Binary": ("contentType",),
    "CarePlan": ("status", "intent", "subject"),
    "Condition": ("subject",),
    "DiagnosticReport": ("status", "code"),
    "DocumentReference": ("status", "content"),
    "Encounter": ("status", "class"),
    "Flag": ("status", "code", "subject"),
    "Immunization": ("status", "vaccineCode", "patient", "occurrence[x]"),
    "Location": (),
    "MedicationDispense": ("status", "medication[x]"),
    "MedicationRequest": ("status", "intent", "medication[x]", "subject"),
    "Observation": ("status", "code"),
    "Organization": ("name",),
    "Patient": (),
    "Practitioner": (),
    "PractitionerRole": (),
    "Procedure": ("status", "subject"),
}


def has(resource: Json, element: str) -> bool:
    if element.endswith("[x]"):
        return any(re.fullmatch(element.removesuffix("[x]") + "[A-Z][A-Za-z]*", name) for name in resource)
    return element in resource


def test_every_type_occurs_and_has_what_r4_requires(resources: list[Json]) -> None:
    assert {resource["resourceType"] for resource in resources} == REQUIRED_IN_R4.keys()
    missing = {
        (resource["resourceType"], element)
        for resource in resources
        for element in REQUIRED_IN_R4[str(resource["resourceType"])]
        if not has(resource, element)
    }
    assert missing == set()


def profile_of(resource: Json) -> str | None:
    meta = resource.get("meta", {})
    assert isinstance(meta, dict)
    return str(meta["profile"][0]).removeprefix(PROFILE) if "profile" in meta else None


def test_every_resource_names_a_profile_of_uk_core(resources: list[Json], shared_data: Path) -> None:
    folder = shared_data / "fhir" / "uk-core-definitions" / "structuredefinitions"
    profiles = {profile_of(resource) for resource in resources if resource["resourceType"] != "Binary"}
    assert None not in profiles
    assert {name for name in profiles if not (folder / f"UKCore-{name}.xml").is_file()} == set()


def rules(folder: Path, profile: str) -> Iterator[tuple[str, int, str | None]]:
    """The path, minimum and fixed value of the profile's elements that bind every resource; base profiles too.

    Left out: elements below a named slice or an extension, which bind only what is in that slice.
    """
    root = ElementTree.parse(folder / f"UKCore-{profile}.xml").getroot()
    base = root.find(f"{FHIR}baseDefinition")
    if base is not None and "UKCore-" in base.get("value", ""):
        yield from rules(folder, base.get("value", "").removeprefix(PROFILE))
    for element in root.iter(f"{FHIR}element"):
        if ":" in element.get("id", ""):
            continue
        values = {child.tag.removeprefix(FHIR): child.get("value") for child in element}
        fixed = next((value for name, value in values.items() if name.startswith("fixed")), None)
        yield element.get("id", "").partition(".")[2], int(values.get("min") or 0), fixed


def at(node: object, path: list[str]) -> list[object]:
    if isinstance(node, list):
        return [found for item in node for found in at(item, path)]
    if not path:
        return [node]
    if not isinstance(node, dict):
        return []
    name = path[0]
    names = [key for key in node if key == name or (name.endswith("[x]") and key.startswith(name[:-3]))]
    return [found for key in names for found in at(node[key], path[1:])]


def test_profiles_are_followed(resources: list[Json], shared_data: Path) -> None:
    folder = shared_data / "fhir" / "uk-core-definitions" / "structuredefinitions"
    checked = 0
    broken = Counter[tuple[str | None, str, str | None]]()
    known = {profile: list(rules(folder, profile)) for profile in {profile_of(each) for each in resources} - {None}}
    for resource in resources:
        for path, minimum, fixed in known.get(profile_of(resource), []):
            *parents, last = path.split(".")
            for parent in at(resource, parents):
                found = at(parent, [last])
                checked += bool(minimum or fixed)
                if len(found) < minimum or (fixed is not None and any(value != fixed for value in found)):
                    broken[profile_of(resource), path, fixed] += 1
    assert broken == {}
    assert checked > 1_000


SLICES = {
    "Observation-Lab": ("category", "http://terminology.hl7.org/CodeSystem/observation-category", "laboratory"),
    "DiagnosticReport-Lab": ("category", "http://terminology.hl7.org/CodeSystem/v2-0074", "LAB"),
    "Observation-VitalSigns-BloodPressure": ("code", "http://loinc.org", "85354-9"),
    "Observation-VitalSigns-BodyWeight": ("code", "http://loinc.org", "29463-7"),
    "Observation-VitalSigns-BMI": ("code", "http://loinc.org", "39156-5"),
}


@pytest.mark.parametrize("profile", SLICES)
def test_slices_are_filled(profile: str, resources: list[Json]) -> None:
    element, system, code = SLICES[profile]
    found = [resource for resource in resources if profile_of(resource) == profile]
    assert found
    for resource in found:
        assert (system, code) in [(c["system"], c["code"]) for c in at(resource, [element, "coding"])]
        assert element == "category" or SNOMED in at(resource, [element, "coding", "system"])


def test_blood_pressures_have_both_sides_in_fixed_words(resources: list[Json]) -> None:
    for resource in resources:
        if profile_of(resource) == "Observation-VitalSigns-BloodPressure":
            words = ["Systolic blood pressure", "Diastolic blood pressure"]
            assert at(resource, ["component", "code", "text"]) == words
            assert set(at(resource, ["component", "valueQuantity", "unit"])) == {"millimeter of mercury"}
            assert set(at(resource, ["component", "valueQuantity", "code"])) == {"mm[Hg]"}


def test_results_have_ucum_units_ranges_and_the_right_interpretation(resources: list[Json]) -> None:
    results = [resource for resource in resources if profile_of(resource) == "Observation-Lab"]
    seen = Counter[str]()
    for resource in results:
        (value,) = at(resource, ["valueQuantity"])
        assert value["system"] == "http://unitsofmeasure.org"
        bounds = [(side, at(resource, ["referenceRange", side, "value"])) for side in ("low", "high")]
        assert any(found for _, found in bounds)
        assert set(at(resource, ["referenceRange", "high", "code"])) <= {value["code"]}
        low = next(iter(bounds[0][1]), float("-inf"))
        high = next(iter(bounds[1][1]), float("inf"))
        expected = "H" if value["value"] > high else "L" if value["value"] < low else "N"
        (interpretation,) = at(resource, ["interpretation", "coding", "code"])
        assert interpretation == expected
        seen[expected] += 1
    assert min(seen["H"], seen["L"], seen["N"]) > 10


def test_every_record_is_read_and_is_about_its_patient(charts: list[tuple[SyntheticPerson, Chart]]) -> None:
    for person, chart in charts:
        for body in chart.resources:
            resource = fhir.parse(body)
            assert resource.subjects == (f"Patient/{chart.patient_id}",)
            fhir.require_patient(resource, references={f"Patient/{chart.patient_id}"}, nhs_number=person.nhs_number)


def test_a_chart_with_shared_resources_is_a_whole_patient_bundle(charts: list[tuple[SyntheticPerson, Chart]]) -> None:
    for _, chart in charts[:40]:
        shared = shared_resources(chart.custodian)
        entries = b",".join(b'{"resource":%b}' % body for body in (*shared, *chart.resources))
        source = b'{"resourceType":"Bundle","type":"collection","entry":[%b]}' % entries
        sorted_out = fhir.patient_chart(fhir.read_bundle(source))
        assert sorted_out.patient.body == chart.resources[0]
        assert [resource.body for resource in sorted_out.resources] == list(chart.resources[1:])
        assert [resource.body for resource in sorted_out.shared] == list(shared)


def test_references_resolve_within_the_custodian(charts: list[tuple[SyntheticPerson, Chart]]) -> None:
    beside = {each.ods: {name(json.loads(body)) for body in shared_resources(each)} for each in CUSTODIANS}
    for _, chart in charts:
        resources = [json.loads(body) for body in chart.resources]
        known = {name(resource) for resource in resources} | beside[chart.custodian.ods]
        pointed_at = {found for resource in resources for found in references(resource)}
        assert pointed_at <= known


def name(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def references(node: object) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("reference", "url") and isinstance(value, str) and not value.startswith("https://"):
                yield value
            yield from references(value)


def test_what_happened_lies_between_birth_and_the_last_day(charts: list[tuple[SyntheticPerson, Chart]]) -> None:
    """A day of grace at each end: local midnight is not midnight in UTC, and visits end after midnight."""
    epoch = date(1970, 1, 1)
    last_s = ((AS_OF - epoch).days + 2) * DAY_S
    for person, chart in charts:
        born_s = ((date.fromisoformat(person.birth_date) - epoch).days - 1) * DAY_S
        for body in chart.resources[1:]:
            metadata = fhir.parse(body).metadata
            if metadata.resource_type == "Binary":
                continue
            assert metadata.period_from_s is not None
            assert born_s <= metadata.period_from_s < last_s, (person.index, metadata.resource_type)
            assert metadata.period_to_s is None or metadata.period_from_s <= metadata.period_to_s < last_s


def test_conditions_that_are_over_say_so(resources: list[Json]) -> None:
    """FHIR con-4: an abatement goes with a status that says that it is over."""
    over = Counter(
        (at(resource, ["clinicalStatus", "coding", "code"])[0], "abatementDateTime" in resource)
        for resource in resources
        if resource["resourceType"] == "Condition"
    )
    assert set(over) == {("active", False), ("resolved", True)}


# What must never leave without a label: the code that says it, and the matter.
SENSITIVE = {
    f"{SNOMED}|86406008": "HIV",
    f"{SNOMED}|105629000": "STD",
    f"{SNOMED}|922411000000106": None,  # seen in a sexual health clinic: any label
    f"{SNOMED}|386639001": "SEX",
    f"{SNOMED}|706893006": "SDV",
    f"{SNOMED}|7200002": "ETH",
    f"{SNOMED}|75544000": "ETH",
    f"{SNOMED}|58214004": "PSY",
    f"{SNOMED}|13746004": "PSY",
    f"{SNOMED}|370143000": "PSY",
    f"{SNOMED}|47505003": "PSY",
    f"{SNOMED}|35489007": "PSY",
    f"{SNOMED}|185232008": "PSY",  # seen in a psychiatry clinic
    f"{SNOMED}|412734009": "GDIS",
    "http://loinc.org|20447-9": "HIV",
    "http://loinc.org|24467-3": "HIV",
    "https://dmd.nhs.uk|321730000": "PSY",  # lithium
    "https://dmd.nhs.uk|42275511000001103": "PSY",  # olanzapine
}


def test_what_is_sensitive_is_labelled() -> None:
    """Whatever a record is, its codes decide: no sensitive code without its label, at any of 1,500 people."""
    met = Counter[str]()
    for person in people(2, 1_500):
        for chart in person.charts:
            for body in chart.resources:
                if b'"code"' not in body or not any(code.partition("|")[2].encode() in body for code in SENSITIVE):
                    continue
                metadata = fhir.parse(body).metadata
                for code in set(metadata.codes) & SENSITIVE.keys():
                    met[code] += 1
                    matter = SENSITIVE[code]
                    assert metadata.labels, (metadata.resource_type, code)
                    assert matter is None or labels.label(matter) in metadata.labels, (metadata.resource_type, code)
    assert set(met) == set(SENSITIVE)


def test_labels_say_how_confidential_and_about_what(charts: list[tuple[SyntheticPerson, Chart]]) -> None:
    for _, chart in charts:
        for body in chart.resources:
            codes = {each.rpartition("|")[2] for each in fhir.parse(body).metadata.labels}
            assert not codes or (codes & {"N", "R"} and codes - {"N", "R"})


def test_most_records_carry_no_label(charts: list[tuple[SyntheticPerson, Chart]]) -> None:
    marked = [bool(fhir.parse(body).metadata.labels) for _, chart in charts for body in chart.resources]
    assert 0.02 < sum(marked) / len(marked) < 0.3


def test_mental_health_trust_labels_all_but_demographics(charts: list[tuple[SyntheticPerson, Chart]]) -> None:
    found = [chart for _, chart in charts if chart.custodian.kind == "mental health trust"]
    assert found
    for chart in found:
        for body in chart.resources[1:]:
            assert labels.label("PSY") in fhir.parse(body).metadata.labels


def test_what_the_clinic_keeps_from_the_practice_is_not_there(charts: list[tuple[SyntheticPerson, Chart]]) -> None:
    for _, chart in charts:
        if chart.custodian is PRACTICE:
            assert not any(b'"105629000"' in body or b'"386639001"' in body for body in chart.resources)


def letters_of(chart: Chart) -> list[tuple[Json, Json]]:
    """Each DocumentReference with its Binary."""
    resources = {name(resource): resource for resource in map(json.loads, chart.resources)}
    documents = [resource for resource in resources.values() if resource["resourceType"] == "DocumentReference"]
    return [(each, resources[at(each, ["content", "attachment", "url"])[0]]) for each in documents]


def test_letters_are_pdf_and_carry_the_labels_of_their_entries(charts: list[tuple[SyntheticPerson, Chart]]) -> None:
    found = 0
    for person, chart in charts:
        for document, binary in letters_of(chart):
            found += 1
            pdf = base64.b64decode(binary["data"], validate=True)
            assert at(document, ["content", "attachment", "size"]) == [len(pdf)]
            assert binary["contentType"] == "application/pdf"
            assert security(document) == security(binary)
            digits = person.nhs_number.digits
            assert f"NHS number {digits[:3]} {digits[3:6]} {digits[6:]}".encode() in pdf
            assert_sound(pdf)
    assert found > 50


def security(resource: Json) -> list[object]:
    return at(resource, ["meta", "security", "code"])


def assert_sound(pdf: bytes) -> None:
    """ISO 32000-1 7.5: header, table of objects at the offset that the end gives, each object where the table says."""
    assert pdf.startswith(b"%PDF-1.4\n")
    assert pdf.endswith(b"%%EOF\n")
    table_at = int(pdf.split()[-2])
    assert pdf[table_at:].startswith(b"xref\n0 6\n0000000000 65535 f \n")
    entries = pdf[table_at:].split(b"\n")[3:8]
    assert all(len(entry) == 19 for entry in entries)  # twenty bytes with the line feed
    for number, entry in enumerate(entries, start=1):
        assert pdf[int(entry[:10]) :].startswith(b"%d 0 obj\n" % number)
    length = int(re.search(rb"/Length (\d+)", pdf)[1])
    stream = pdf.partition(b"stream\n")[2]
    assert stream[length:].startswith(b"\nendstream")


def test_pdf_escapes_and_refuses() -> None:
    page = one_page([r"Dr Müller (a \ b)", ""])
    assert rb"(Dr M" + "ü".encode("cp1252") + rb"ller \(a \\ b\)) Tj" in page
    assert_sound(page)
    with pytest.raises(UnicodeEncodeError):
        one_page(["Łukasz"])
    with pytest.raises(AssertionError):
        one_page([""] * (LINES_MAX + 1))


DECIMALS = {
    "no places": (140, 0, b'{"v":140}'),
    "one place": (43, 1, b'{"v":4.3}'),
    "trailing zeros are kept": (230, 2, b'{"v":2.30}'),
    "zero before the point": (7, 2, b'{"v":0.07}'),
    "negative": (-5, 1, b'{"v":-0.5}'),
}


@pytest.mark.parametrize(("scaled", "places", "expected"), DECIMALS.values(), ids=DECIMALS)
def test_decimals_keep_their_places(scaled: int, places: int, expected: bytes) -> None:
    assert json_bytes({"v": decimal(scaled, places)}) == expected


def test_text_that_looks_like_a_number_stays_text() -> None:
    assert json_bytes({"value": "999", "unit": "ü"}) == '{"value":"999","unit":"ü"}'.encode()


def test_some_values_end_in_zeros(charts: list[tuple[SyntheticPerson, Chart]]) -> None:
    """So that a round trip through binary floats anywhere in the product changes bytes and is noticed."""
    bodies = b"".join(body for _, chart in charts for body in chart.resources)
    assert re.search(rb'"value":\d+\.\d0,', bodies)


def test_last_day_is_a_fact_not_a_clock() -> None:
    assert AS_OF - date(2026, 6, 30) == timedelta(0)
