"""Resources by R4's own definitions: one fault a row, with the severity, code, expression and rule that it gets."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.clinical.fhir.validation import ISSUES_MAX, Issue, base_validator

Json = dict[str, Any]

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
EXTENSION = {"url": "http://example.org/a", "valueCode": "b"}
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p1",
    "text": {"status": "generated", "div": DIV.format("<p>a&nbsp;&amp; b</p>")},
    "gender": "female",
    "birthDate": "1974-12-25",
    "_birthDate": {"extension": [EXTENSION]},
    "name": [{"given": ["A", None], "_given": [{"id": "x"}, {"extension": [EXTENSION]}], "family": "B"}],
    "contact": [{"relationship": [{"text": "c"}], "name": {"text": "d"}}],
    "multipleBirthInteger": 2,
}
OBSERVATION: Json = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "1-1"}]},
    "subject": {"reference": "Patient/1"},
    "component": [{"code": {"text": "a"}, "referenceRange": [{"low": {"value": 1.50}}]}],
}
BUNDLE: Json = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {"fullUrl": "http://example.org/Patient/p1", "resource": PATIENT},
        {
            "fullUrl": "urn:uuid:1",
            "resource": {**OBSERVATION, "subject": {"reference": "http://example.org/Patient/p1"}},
        },
    ],
}
SOUND = {"Patient": PATIENT, "Observation": OBSERVATION, "Bundle": BUNDLE}
ABSENT = object()

CONTAINED = {"resourceType": "Organization", "id": "o", "name": "O"}

# where, what is put there, and the one issue of it
FAULTS: dict[str, tuple[str, list[str | int], object, tuple[str, str, str, str]]] = {
    "a property that no type has": (
        "Patient", ["nickname"], "x", ("error", "structure", "Patient", "unknown")),
    "a property that holds a name is not shown": (
        "Patient", ["Smith, John"], "x", ("error", "structure", "Patient", "unknown")),
    "a property deep inside": (
        "Patient", ["contact", 0, "x"], "x", ("error", "structure", "Patient.contact[0]", "unknown")),
    "an element that must be there": (
        "Observation", ["status"], ABSENT, ("error", "structure", "Observation", "min")),
    "one that must be there, in a part": (
        "Observation", ["component", 0, "code"], ABSENT, ("error", "structure", "Observation.component[0]", "min")),
    "one that only refers to another's content": (
        "Observation", ["component", 0, "referenceRange", 0, "x"], 1,
        ("error", "structure", "Observation.component[0].referenceRange[0]", "unknown")),
    "a single value where an array is due": (
        "Patient", ["name"], {"family": "B"}, ("error", "structure", "Patient.name", "json-array")),
    "an array where a single value is due": (
        "Patient", ["gender"], ["female"], ("error", "structure", "Patient.gender", "json-type")),
    "an array where a single object is due": (
        "Observation", ["subject"], [{"reference": "Patient/1"}],
        ("error", "structure", "Observation.subject", "json-type")),
    "an empty array": (
        "Patient", ["name", 0, "prefix"], [], ("error", "invalid", "Patient.name[0].prefix", "json-array-empty")),
    "an empty object": (
        "Patient", ["name", 0], {}, ("error", "structure", "Patient.name[0]", "ele-1")),
    "an object with an id and nothing else": (
        "Patient", ["name", 0], {"id": "a"}, ("error", "structure", "Patient.name[0]", "ele-1")),
    "null": (
        "Patient", ["active"], None, ("error", "structure", "Patient.active", "json-type")),
    "null in an array without an extension": (
        "Patient", ["name", 0, "_given"], ABSENT, ("error", "structure", "Patient.name[0].given[1]", "ele-1")),
    "a value of another type": (
        "Patient", ["multipleBirthInteger"], "2",
        ("error", "invalid", "Patient.multipleBirth.ofType(integer)", "type-integer")),
    "a day that does not exist": (
        "Patient", ["birthDate"], "2023-02-29", ("error", "invalid", "Patient.birthDate", "type-date")),
    "an id of another form": (
        "Patient", ["id"], "a b", ("error", "invalid", "Patient.id", "type-id")),
    "two ways to write one choice": (
        "Patient", ["multipleBirthBoolean"], True, ("error", "structure", "Patient", "max")),
    "a type that a choice has not": (
        "Patient", ["multipleBirthString"], "2", ("error", "structure", "Patient", "unknown")),
    "a code outside a required value set": (
        "Patient", ["gender"], "f", ("error", "code-invalid", "Patient.gender", "binding-required")),
    "a code outside an extensible value set": (
        "Patient", ["contact", 0, "relationship", 0],
        {"coding": [{"system": "http://example.org", "code": "x"}]},
        ("warning", "code-invalid", "Patient.contact[0].relationship[0]", "binding-extensible")),
    "a code that its system has not": (
        "Patient", ["maritalStatus"],
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "code": "XYZ"},
                    {"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M"}]},
        ("error", "code-invalid", "Patient.maritalStatus.coding[0].code", "coding-code")),
    "a system that is not absolute": (
        "Observation", ["code", "coding", 0, "system"], "loinc",
        ("error", "invalid", "Observation.code.coding[0].system", "coding-system")),
    "a value set for a system": (
        "Observation", ["code", "coding", 0, "system"], "http://hl7.org/fhir/ValueSet/observation-codes",
        ("error", "invalid", "Observation.code.coding[0].system", "coding-system")),
    "a reference to a type that the element has not": (
        "Observation", ["subject", "reference"], "Practitioner/1",
        ("error", "structure", "Observation.subject", "reference-target")),
    "a reference to a type that is none": (
        "Observation", ["subject", "reference"], "Smith/1",
        ("error", "structure", "Observation.subject", "reference-target")),
    "a resource whose type is no text": (
        "Bundle", ["entry", 0, "resource", "resourceType"], {"Smith": 1},
        ("error", "structure", "Bundle.entry[0].resource", "resource-type")),
    "a reference that says another type": (
        "Observation", ["subject", "type"], "Group", ("error", "invalid", "Observation.subject", "reference-type")),
    "a local reference to nothing": (
        "Observation", ["subject", "reference"], "#x", ("error", "invariant", "Observation.subject", "ref-1")),
    "an extension without a value": (
        "Patient", ["extension"], [{"url": "http://example.org"}],
        ("error", "invariant", "Patient.extension[0]", "ext-1")),
    "an extension without an address": (
        "Patient", ["extension"], [{"valueCode": "a"}], ("error", "structure", "Patient.extension[0]", "min")),
    "an extension with a relative address": (
        "Patient", ["extension"], [{"url": "a", "valueCode": "a"}],
        ("error", "invalid", "Patient.extension[0]", "extension-url")),
    "narrative with a script": (
        "Patient", ["text", "div"], DIV.format("a<script>b</script>"),
        ("error", "invariant", "Patient.text.div", "txt-1")),
    "narrative with a handler": (
        "Patient", ["text", "div"], DIV.format('<p onclick="b">a</p>'),
        ("error", "invariant", "Patient.text.div", "txt-1")),
    "narrative in no namespace": (
        "Patient", ["text", "div"], "<div>a</div>", ("error", "invariant", "Patient.text.div", "txt-1")),
    "narrative with a document type": (
        "Patient", ["text", "div"], '<!DOCTYPE div [<!ENTITY a "b">]>' + DIV.format("&a;"),
        ("error", "invariant", "Patient.text.div", "txt-1")),
    "narrative that is cut off": (
        "Patient", ["text", "div"], DIV.format("<p>a"), ("error", "invariant", "Patient.text.div", "txt-1")),
    "narrative of 65 levels": (
        "Patient", ["text", "div"], DIV.format("<p>" * 64 + "a" + "</p>" * 64),
        ("error", "invariant", "Patient.text.div", "txt-1")),
    "narrative without content": (
        "Patient", ["text", "div"], DIV.format(" <p/> "), ("error", "invariant", "Patient.text.div", "txt-2")),
    "narrative with a link that runs": (
        "Patient", ["text", "div"], DIV.format('<a href=" JavaScript:b">a</a>'),
        ("error", "invalid", "Patient.text.div", "xhtml-link")),
    "a contained resource that nothing refers to": (
        "Observation", ["contained"], [CONTAINED], ("error", "invariant", "Observation.contained[0]", "dom-3")),
    "a contained resource without an id": (
        "Observation", ["contained"], [{"resourceType": "Organization", "name": "O"}],
        ("error", "invalid", "Observation.contained[0]", "contained-id")),
    "no resource type": (
        "Bundle", ["entry", 0, "resource", "resourceType"], ABSENT,
        ("error", "structure", "Bundle.entry[0].resource", "resource-type")),
    "a fault in an entry": (
        "Bundle", ["entry", 0, "resource", "gender"], "f",
        ("error", "code-invalid", "Bundle.entry[0].resource.gender", "binding-required")),
    "a full URL that is relative": (
        "Bundle", ["entry", 1, "fullUrl"], "Observation/1", ("error", "invalid", "Bundle.entry[1]", "full-url")),
    "a full URL of another resource": (
        "Bundle", ["entry", 0, "resource", "id"], "p2", ("error", "invalid", "Bundle.entry[0]", "full-url")),
    "a full URL of a server without an id": (
        "Bundle", ["entry", 0, "resource", "id"], ABSENT, ("error", "invalid", "Bundle.entry[0]", "full-url")),
}  # fmt: skip


def changed(kind: str, path: list[str | int], value: object) -> Json:
    """A sound resource with one thing put somewhere or taken away."""
    resource = copy.deepcopy(SOUND[kind])
    at: Any = resource
    for step in path[:-1]:
        at = at[step]
    if value is ABSENT:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return resource


def brief(issues: tuple[Issue, ...]) -> list[tuple[str, str, str, str]]:
    return [(each.severity, each.code, each.expression, each.rule) for each in issues]


@pytest.mark.parametrize("kind", SOUND)
def test_sound(kind: str) -> None:
    assert base_validator().validate(SOUND[kind]) == ()


@pytest.mark.parametrize(("kind", "path", "value", "want"), FAULTS.values(), ids=FAULTS)
def test_one_fault_is_one_issue(kind: str, path: list[str | int], value: object, want: tuple[str, ...]) -> None:
    issues = base_validator().validate(changed(kind, path, value))
    assert brief(issues) == [want]
    assert "Smith" not in issues[0].message


CONTAINED_FAULTS: dict[str, tuple[Json, str]] = {
    "contained resources inside": ({"contained": [{"resourceType": "Basic", "id": "b"}]}, "dom-2"),
    "a version": ({"meta": {"versionId": "1"}}, "dom-4"),
    "security labels": ({"meta": {"security": [{"code": "R"}]}}, "dom-5"),
}


@pytest.mark.parametrize(("more", "rule"), CONTAINED_FAULTS.values(), ids=CONTAINED_FAULTS)
def test_what_a_contained_resource_must_not_have(more: Json, rule: str) -> None:
    resource = {**OBSERVATION, "performer": [{"reference": "#o"}], "contained": [{**CONTAINED, **more}]}
    assert rule in [each.rule for each in base_validator().validate(resource)]


def test_a_local_reference_meets_a_type_that_the_element_has() -> None:
    sound = {**OBSERVATION, "performer": [{"reference": "#o"}], "contained": [CONTAINED]}
    assert base_validator().validate(sound) == ()
    other = {**OBSERVATION, "subject": {"reference": "#o"}, "contained": [CONTAINED]}
    assert brief(base_validator().validate(other)) == [
        ("error", "structure", "Observation.subject", "reference-target")
    ]


NO_RESOURCES: dict[str, Json] = {
    "nothing": {},
    "no type": {"id": "a"},
    "another type": {"resourceType": "John Smith"},
    "an abstract type": {"resourceType": "DomainResource"},
    "a data type": {"resourceType": "HumanName"},
    "a type that is no text": {"resourceType": ["Patient"]},
}


@pytest.mark.parametrize("resource", NO_RESOURCES.values(), ids=NO_RESOURCES)
def test_what_is_no_resource(resource: Json) -> None:
    issues = base_validator().validate(resource)
    assert brief(issues) == [("error", "structure", "Resource", "resource-type")]
    assert "Smith" not in repr(issues)


def test_nobody_reads_more_than_a_thousand_issues() -> None:
    assert len(base_validator().validate({**PATIENT, "name": [{"x": 1}] * 5000})) == ISSUES_MAX


SECRETS = st.text(alphabet="ZQ", min_size=6, max_size=9)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | SECRETS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            SECRETS
            | st.sampled_from(
                [
                    "coding",
                    "system",
                    "code",
                    "reference",
                    "url",
                    "value",
                    "extension",
                    "resource",
                    "entry",
                    "div",
                    "text",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@pytest.mark.promise("P4")
@given(
    st.sampled_from(["Patient", "Observation", "Bundle"]),
    st.dictionaries(
        st.sampled_from(["id", "name", "code", "subject", "entry", "contained", "extension", "text", "link", "type"]),
        values,
    ),
)
def test_whatever_stands_there_it_ends_and_repeats_nothing(kind: str, more: Json) -> None:
    issues = base_validator().validate({**SOUND[kind], **more})
    said = repr([(each.expression, each.message) for each in issues])
    assert "ZZ" not in said
    assert "QQ" not in said
    assert "ZQ" not in said


# Official examples that break R4's own rules.
WRONG_EXAMPLES = {
    "Bundle-3a0707d3-549e-4467-b8b8-5a2ab3800efe": "full-url",  # an entry's full URL ends with another id
    "DeviceMetric-example": "reference-target",  # its parent is a DeviceDefinition, the element takes a Device
    "DeviceUseStatement-example": "reference-target",  # its reason is of a type that the element does not take
    "Questionnaire-zika-virus-exposure-assessment": "txt-2",  # its narrative is an empty <pre>
}


def test_every_official_example_is_sound(shared_data: Path) -> None:
    files = sorted((shared_data / "fhir" / "r4-examples").glob("*.json"))
    assert len(files) > 300
    found = {}
    for file in files:
        issues = base_validator().validate(json.loads(file.read_bytes()))
        if errors := {each.rule for each in issues if each.severity == "error"}:
            found[file.stem] = ", ".join(sorted(errors))
    assert found == WRONG_EXAMPLES
