"""Profiles: one small profile a row, with what it accepts and the one issue of what it does not."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.definitions.library import Library
from salus.clinical.fhir.validation import Issue, Validator, has_errors
from salus.clinical.fhir.xml import read_xml

Json = dict[str, Any]

CORE = "http://hl7.org/fhir/StructureDefinition/"
HERE = "http://example.org/StructureDefinition/"
NHS = "https://fhir.nhs.uk/Id/nhs-number"
PATIENT: Json = {"resourceType": "Patient", "name": [{"family": "A", "given": ["B", "C"]}], "birthDate": "1970-01-01"}
OBSERVATION: Json = {"resourceType": "Observation", "status": "final", "code": {"text": "a"}, "valueString": "b"}
BY_SYSTEM = {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}
BY_USE = {"discriminator": [{"type": "value", "path": "use"}], "rules": "closed"}


def profile(kind: str, *elements: Json, base: str = "", name: str = "P") -> Json:
    """A profile without a snapshot."""
    for each in elements:
        each["path"] = ".".join(part.partition(":")[0] for part in each["id"].split("."))
    return {
        "resourceType": "StructureDefinition",
        "url": HERE + name,
        "name": name,
        "kind": "complex-type" if kind == "Extension" else "resource",
        "abstract": False,
        "type": kind,
        "baseDefinition": base or CORE + kind,
        "derivation": "constraint",
        "differential": {"element": list(elements)},
    }


def extension(*elements: Json, name: str = "E") -> Json:
    """The definition of an extension."""
    return profile("Extension", {"id": "Extension.url", "fixedUri": HERE + name}, *elements, name=name)


CODED = {"coding": [{"system": "http://example.org/s", "code": "c"}]}
INVARIANT = {"key": "here-1", "severity": "warning", "human": "Has a birth date", "expression": "birthDate.exists()"}
IDENTIFIER = {"id": "Patient.identifier", "slicing": BY_SYSTEM}
NUMBER = [
    IDENTIFIER,
    {"id": "Patient.identifier:nhs", "sliceName": "nhs", "min": 1, "max": "1"},
    {"id": "Patient.identifier:nhs.system", "min": 1, "fixedUri": NHS},
    {"id": "Patient.identifier:nhs.value", "min": 1},
]
USES = [
    {"id": "Patient.name", "slicing": BY_USE},
    {"id": "Patient.name:old", "sliceName": "old"},
    {"id": "Patient.name:old.use", "min": 1, "fixedCode": "old"},
]
EXISTS = {"discriminator": [{"type": "exists", "path": "period"}], "rules": "open"}
WITH_PERIOD = [
    {"id": "Patient.name", "slicing": EXISTS},
    {"id": "Patient.name:past", "sliceName": "past"},
    {"id": "Patient.name:past.period", "min": 1},
    {"id": "Patient.name:past.text", "min": 1},
]
BY_CODE = {"discriminator": [{"type": "pattern", "path": "code"}], "rules": "open"}
PARTS = [
    {"id": "Observation.component", "slicing": BY_CODE},
    {"id": "Observation.component:c", "sliceName": "c"},
    {"id": "Observation.component:c.code", "min": 1, "patternCodeableConcept": CODED},
    {"id": "Observation.component:c.value[x]", "min": 1, "type": [{"code": "Quantity"}]},
]
ANY = extension(
    {"id": "Extension.extension", "max": "0"}, {"id": "Extension.value[x]", "min": 1, "type": [{"code": "code"}]}
)
MADE = extension(
    {"id": "Extension.extension:a", "sliceName": "a", "min": 1, "max": "1"},
    {"id": "Extension.extension:a.url", "fixedUri": "a"},
    {"id": "Extension.extension:a.value[x]", "min": 1, "type": [{"code": "string"}]},
    {"id": "Extension.value[x]", "max": "0"},
)
WITH_EXTENSION = {
    "id": "Patient.extension:e", "sliceName": "e", "min": 1, "type": [{"code": "Extension", "profile": [HERE + "E"]}],
}  # fmt: skip
ONE: Json = {"url": HERE + "E", "valueCode": "a"}
PARTED: Json = {"url": HERE + "E", "extension": [{"url": "a", "valueString": "b"}]}

# the profile and what it needs, what it accepts, what it does not, and the issue of that
CASES: dict[str, tuple[list[Json], Json, Json, tuple[str, str, str]]] = {
    "a minimum": (
        [profile("Patient", {"id": "Patient.gender", "min": 1})],
        {**PATIENT, "gender": "male"}, PATIENT, ("error", "Patient", "min")),
    "a minimum of a part": (
        [profile("Patient", {"id": "Patient.name.text", "min": 1})],
        {**PATIENT, "name": [{"text": "a"}]}, PATIENT, ("error", "Patient.name[0]", "min")),
    "a maximum": (
        [profile("Patient", {"id": "Patient.name.given", "max": "1"})],
        {**PATIENT, "name": [{"given": ["B"]}]}, PATIENT, ("error", "Patient.name[0]", "max")),
    "an element that must not be": (
        [profile("Patient", {"id": "Patient.birthDate", "max": "0"})],
        {"resourceType": "Patient"}, PATIENT, ("error", "Patient", "max")),
    "a fixed value": (
        [profile("Patient", {"id": "Patient.gender", "fixedCode": "female"})],
        {**PATIENT, "gender": "female"}, {**PATIENT, "gender": "male"}, ("error", "Patient.gender", "fixed")),
    "a pattern": (
        [profile("Observation", {"id": "Observation.code", "patternCodeableConcept": CODED})],
        {**OBSERVATION, "code": {**CODED, "text": "a"}}, OBSERVATION, ("error", "Observation.code", "pattern")),
    "a length": (
        [profile("Patient", {"id": "Patient.name.family", "maxLength": 2})],
        PATIENT, {**PATIENT, "name": [{"family": "ABC"}]}, ("error", "Patient.name[0].family", "length")),
    "a value set that is loaded beside": (
        [profile("Observation",
                 {"id": "Observation.code", "binding": {"strength": "required", "valueSet": HERE + "V"}}),
         {"resourceType": "ValueSet", "url": HERE + "V",
          "compose": {"include": [{"system": "http://example.org/s", "concept": [{"code": "c"}]}]}}],
        {**OBSERVATION, "code": CODED},
        {**OBSERVATION, "code": {"coding": [{"system": "http://example.org/s", "code": "d"}]}},
        ("error", "Observation.code", "binding-required")),
    "fewer types of a choice": (
        [profile("Observation", {"id": "Observation.value[x]", "type": [{"code": "Quantity"}, {"code": "string"}]})],
        OBSERVATION, {**OBSERVATION, "valueString": None, "valueBoolean": True},
        ("error", "Observation", "profile-type")),
    "one name of a choice": (
        [profile("Observation", {"id": "Observation.valueString", "fixedString": "b"})],
        OBSERVATION, {**OBSERVATION, "valueString": "c"}, ("error", "Observation.value.ofType(string)", "fixed")),
    "fewer targets of a reference": (
        [profile("Observation", {"id": "Observation.subject",
                                 "type": [{"code": "Reference", "targetProfile": [CORE + "Patient"]}]})],
        {**OBSERVATION, "subject": {"reference": "Patient/1"}}, {**OBSERVATION, "subject": {"reference": "Group/1"}},
        ("error", "Observation.subject", "reference-target")),
    "an invariant": (
        [profile("Patient", {"id": "Patient", "constraint": [INVARIANT]})],
        PATIENT, {"resourceType": "Patient", "active": True}, ("warning", "Patient", "here-1")),
    "an invariant of a part": (
        [profile("Patient", {"id": "Patient.name", "constraint": [{**INVARIANT, "expression": "family = 'A'"}]})],
        PATIENT, {**PATIENT, "name": [{"family": "Z"}]}, ("warning", "Patient.name[0]", "here-1")),
    "a slice that must be there": (
        [profile("Patient", *NUMBER)],
        {**PATIENT, "identifier": [{"system": NHS, "value": "1"}, {"system": "urn:x"}]},
        {**PATIENT, "identifier": [{"system": "urn:x"}]}, ("error", "Patient", "min")),
    "a slice twice": (
        [profile("Patient", *NUMBER)],
        {**PATIENT, "identifier": [{"system": NHS, "value": "1"}]},
        {**PATIENT, "identifier": [{"system": NHS, "value": "1"}] * 2}, ("error", "Patient", "max")),
    "a part of a slice": (
        [profile("Patient", *NUMBER)],
        {**PATIENT, "identifier": [{"system": NHS, "value": "1"}]},
        {**PATIENT, "identifier": [{"system": NHS}]}, ("error", "Patient.identifier[0]", "min")),
    "no slice, where they are closed": (
        [profile("Patient", *USES)],
        {**PATIENT, "name": [{"use": "old", "text": "a"}]}, {**PATIENT, "name": [{"use": "usual", "text": "a"}]},
        ("error", "Patient.name[0]", "slice-closed")),
    "slices by what is there": (
        [profile("Patient", *WITH_PERIOD)],
        {**PATIENT, "name": [{"period": {"end": "2000"}, "text": "a"}, {"family": "A"}]},
        {**PATIENT, "name": [{"period": {"end": "2000"}}]}, ("error", "Patient.name[0]", "min")),
    "slices by a pattern": (
        [profile("Observation", *PARTS)],
        {**OBSERVATION, "component": [{"code": CODED, "valueQuantity": {"value": 1}}, {"code": {"text": "a"}}]},
        {**OBSERVATION, "component": [{"code": CODED}]}, ("error", "Observation.component[0]", "min")),
    "slices of a choice by type": (
        [profile("Observation", {"id": "Observation.value[x]:valueString", "sliceName": "valueString",
                                 "type": [{"code": "string"}], "fixedString": "b"})],
        OBSERVATION, {**OBSERVATION, "valueString": "c"}, ("error", "Observation.value.ofType(string)", "fixed")),
    "an extension that must be there": (
        [profile("Patient", WITH_EXTENSION), ANY],
        {**PATIENT, "extension": [ONE, {"url": "urn:x", "valueCode": "a"}]}, PATIENT, ("error", "Patient", "min")),
    "an extension made of parts": (
        [profile("Patient", WITH_EXTENSION), MADE],
        {**PATIENT, "extension": [PARTED]},
        {**PATIENT, "extension": [{**PARTED, "extension": [{"url": "a", "valueString": "b"}] * 2}]},
        ("error", "Patient.extension[0]", "max")),
    "a profile of a profile": (
        [profile("Patient", {"id": "Patient.gender", "min": 1}, base=HERE + "Below"),
         profile("Patient", {"id": "Patient.active", "min": 1}, name="Below")],
        {**PATIENT, "gender": "male", "active": True}, {**PATIENT, "gender": "male"}, ("error", "Patient", "min")),
    "an extension of a value": (
        [profile("Patient", {"id": "Patient.birthDate.extension:e", "sliceName": "e", "min": 1,
                             "type": [{"code": "Extension", "profile": [HERE + "E"]}]}), ANY],
        {**PATIENT, "_birthDate": {"extension": [ONE]}}, PATIENT, ("error", "Patient.birthDate", "min")),
    "another type": (
        [profile("Patient", {"id": "Patient.active", "max": "0"})],
        PATIENT, OBSERVATION, ("error", "Observation", "profile-type")),
}  # fmt: skip


def brief(issues: tuple[Issue, ...]) -> list[tuple[str, str, str]]:
    """What is compared; an extension is seen by its slice and by its own definition, which say the same."""
    return list(dict.fromkeys((each.severity, each.expression, each.rule) for each in issues))


def clean(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if value is not None}


@pytest.mark.parametrize(("definitions", "sound", "other", "want"), CASES.values(), ids=CASES)
def test_profile(definitions: list[Json], sound: Json, other: Json, want: tuple[str, str, str]) -> None:
    validator = Validator(Library(r4(), definitions))
    assert validator.validate(clean(sound), [HERE + "P"]) == ()
    assert brief(validator.validate(clean(other), [HERE + "P"])) == [want]


def test_a_profile_that_the_resource_names() -> None:
    validator = Validator(Library(r4(), [profile("Patient", {"id": "Patient.gender", "min": 1})]))
    assert brief(validator.validate({**PATIENT, "meta": {"profile": [HERE + "P|1.0"]}})) == [
        ("error", "Patient", "min")
    ]


def test_a_profile_that_nobody_loaded() -> None:
    issues = Validator(r4()).validate({**PATIENT, "meta": {"profile": ["urn:smith"]}})
    assert brief(issues) == [("warning", "Patient.meta", "profile-unknown")]
    assert "smith" not in repr(issues)


def test_an_extension_that_is_defined_is_held_to_its_definition() -> None:
    validator = Validator(Library(r4(), [ANY]))
    assert validator.validate({**PATIENT, "extension": [ONE]}) == ()
    assert brief(validator.validate({**PATIENT, "extension": [{"url": HERE + "E", "valueString": "a"}]})) == [
        ("error", "Patient.extension[0]", "profile-type"),
        ("error", "Patient.extension[0]", "min"),
    ]
    unnamed = {"url": HERE + "E", "extension": [*PARTED["extension"], {"url": "b", "valueString": "c"}]}
    assert brief(Validator(Library(r4(), [MADE])).validate({**PATIENT, "extension": [unnamed]})) == [
        ("error", "Patient.extension[0].extension[1]", "extension-part")
    ]


def at(*contexts: str, kind: str = "element") -> Json:
    """The extension of a code, for these contexts."""
    return {**ANY, "context": [{"type": kind, "expression": each} for each in contexts]}


NAMED = {**PATIENT, "name": [{"family": "A", "extension": [ONE]}]}
DATED = {**PATIENT, "_birthDate": {"extension": [ONE]}}
VALUED = {**OBSERVATION, "_valueString": {"extension": [ONE]}}
CONTACTED = {**PATIENT, "contact": [{"name": {"text": "a"}, "extension": [ONE]}]}
NESTED = {**PATIENT, "extension": [{"url": "urn:x", "extension": [ONE]}]}
BUNDLED = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": NAMED}]}
CONTEXTS: dict[str, tuple[Json, Json, bool]] = {
    "a resource": (at("Patient"), {**PATIENT, "extension": [ONE]}, True),
    "any resource": (at("DomainResource"), {**PATIENT, "extension": [ONE]}, True),
    "another resource": (at("Observation"), {**PATIENT, "extension": [ONE]}, False),
    "an element of a type": (at("HumanName"), NAMED, True),
    "an element by its path": (at("Patient.name"), NAMED, True),
    "an element in a bundle": (at("Patient.name"), BUNDLED, True),
    "another element": (at("Patient.contact", "Address"), NAMED, False),
    "a value": (at("Patient.birthDate"), DATED, True),
    "a value by its type": (at("date"), DATED, True),
    "a choice": (at("Observation.value[x]"), VALUED, True),
    "a part": (at("Patient.contact"), CONTACTED, True),
    "a part, by another's path": (at("Patient.name"), CONTACTED, False),
    "anything": (at("Element"), CONTACTED, True),
    "a rule in FHIRPath": (at("name.empty()", kind="fhirpath"), CONTACTED, True),
    "an extension": (at("urn:x", kind="extension"), NESTED, True),
    "an extension, where it is for resources": (at("Patient"), NESTED, False),
}


@pytest.mark.parametrize(("definition", "resource", "is_allowed"), CONTEXTS.values(), ids=CONTEXTS)
def test_where_an_extension_may_stand(definition: Json, resource: Json, is_allowed: bool) -> None:
    rules = [each.rule for each in Validator(Library(r4(), [definition])).validate(resource)]
    assert rules == ([] if is_allowed else ["extension-context"])


BROKEN = {
    "an invariant that FHIRPath does not understand": (
        profile("Patient", {"id": "Patient", "constraint": [{**INVARIANT, "expression": "birthDate.("}]}),
        [("warning", "Patient", "here-1")]),
    "an element that the type has not": (profile("Patient", {"id": "Patient.nickname", "min": 1}), []),
    "a profile that is its own base": (profile("Patient", {"id": "Patient.active", "max": "0"}, base=HERE + "P"), []),
}  # fmt: skip


@pytest.mark.parametrize(("definition", "want"), BROKEN.values(), ids=BROKEN)
def test_a_broken_profile_ends(definition: Json, want: list[tuple[str, str, str]]) -> None:
    validator = Validator(Library(r4(), [definition]))
    found = brief(validator.validate(PATIENT, [HERE + "P"]))
    assert [each for each in found if each[2] != "profile-unknown"] == want


INVARIANTS = {
    "Observation": ({**OBSERVATION, "dataAbsentReason": {"text": "a"}}, ("error", "Observation", "obs-6")),
    "a part": (
        {**PATIENT, "contact": [{"gender": "male"}]}, ("error", "Patient.contact[0]", "pat-1")),
    "a data type": (
        {**PATIENT, "name": [{"period": {"start": "2024", "end": "2023"}}]},
        ("error", "Patient.name[0].period", "per-1")),
    "a bundle's entry": (
        {"resourceType": "Bundle", "type": "collection", "entry": [{"request": {"method": "GET", "url": "a"}}]},
        ("error", "Bundle", "bdl-3")),
}  # fmt: skip


@pytest.mark.parametrize(("resource", "want"), INVARIANTS.values(), ids=INVARIANTS)
def test_invariants_of_the_types(resource: Json, want: tuple[str, str, str]) -> None:
    assert brief(Validator(r4()).validate(resource)) == [want]
    assert Validator(r4(), with_invariants=False).validate(resource) == ()


# --- UK Core ---------------------------------------------------------------------------------------------------------

UK_CORE = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-"
UNREADABLE = {"CodeSystem-UKCore-EthnicCategoryScotland"}  # has text between its elements


@pytest.fixture(scope="module")
def uk_core(shared_data: Path) -> Validator:
    return uk_core_validator(shared_data / "fhir" / "uk-core-definitions")


@lru_cache(maxsize=1)
def uk_core_validator(folder: Path) -> Validator:
    """A validator with UK Core's definitions, as an operator loads them."""
    found, refused = [], set()
    for path in sorted(folder.glob("*/*.xml")):
        try:
            found.append(read_xml(path.read_bytes()))
        except FhirRejected:
            refused.add(path.stem)
    assert refused == UNREADABLE
    return Validator(Library(r4(), found))


def test_every_uk_core_example_conforms_to_the_profile_of_its_type(uk_core: Validator, shared_data: Path) -> None:
    files = sorted((shared_data / "fhir" / "uk-core").glob("*.xml"))
    assert len(files) > 60
    wrong = {}
    for file in files:
        resource = read_xml(file.read_bytes())
        issues = uk_core.validate(resource, [UK_CORE + resource["resourceType"]])
        if has_errors(issues) or "profile-unknown" in {each.rule for each in issues}:
            wrong[file.stem] = brief(issues)
    assert wrong == {}


UK_PATIENT = {**PATIENT, "identifier": [{"system": NHS, "value": "9990000018"}]}
BIRTH_SEX = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-BirthSex"
UK_FAULTS = {
    "an NHS number without a value": (
        "Patient", {**PATIENT, "identifier": [{"system": NHS}]}, ("error", "Patient.identifier[0]", "min")),
    "two NHS numbers": (
        "Patient", {**UK_PATIENT, "identifier": UK_PATIENT["identifier"] * 2}, ("error", "Patient", "max")),
    "an extension with another type of value": (
        "Patient",
        {**UK_PATIENT, "extension": [{"url": BIRTH_SEX, "valueCode": "M"}]},
        ("error", "Patient.extension[0]", "profile-type")),
    "a vaccination that was not done, without a reason": (
        "Immunization",
        {"resourceType": "Immunization", "status": "not-done", "vaccineCode": {"text": "a"},
         "patient": {"reference": "Patient/1"}, "occurrenceDateTime": "2024"},
        ("error", "Immunization", "ukcore-imm-001")),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "resource", "want"), UK_FAULTS.values(), ids=UK_FAULTS)
def test_uk_core_refuses(uk_core: Validator, kind: str, resource: Json, want: tuple[str, str, str]) -> None:
    assert want in brief(uk_core.validate(resource, [UK_CORE + kind]))
    assert uk_core.validate(UK_PATIENT, [UK_CORE + "Patient"]) == ()
