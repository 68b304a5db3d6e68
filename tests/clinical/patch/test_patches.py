"""What patches do to a FHIR resource, exactly, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.patch import apply_fhirpath_patch, apply_json_patch, limits

BODY = (
    b'{"resourceType":"Patient","id":"p","active":true,"_birthDate":{"extension":[{"url":"urn:x","valueDecimal":1.50}]},'
    b'"name":[{"family":"Smith","given":["Ann","B"],"_given":[null,{"id":"g"}]}],"deceasedBoolean":false,'
    b'"extension":[{"url":"urn:n","valueDecimal":1E2},{"url":"urn:z","valueDecimal":-0.0},{"url":"urn:i","valueInteger":-0}]}'
)


def operation(kind: str, path: str, **parts: Any) -> dict[str, Any]:
    """An operation of FHIRPath Patch; `value` is a part without its name."""
    listed = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, part in parts.items():
        key = "valueString" if isinstance(part, str) else "valueInteger"
        listed.append({"name": name, **(part if isinstance(part, dict) else {key: part})})
    return {"name": "operation", "part": listed}


def parameters(*operations: dict[str, Any]) -> bytes:
    return json.dumps({"resourceType": "Parameters", "parameter": list(operations)}).encode()


def after(old: str, new: str) -> bytes:
    """The resource with one piece of its text replaced."""
    assert BODY.decode().count(old) == 1
    return BODY.decode().replace(old, new).encode()


FHIRPATH = {
    "nothing": ((), BODY),
    "replace": ((operation("replace", "Patient.active", value={"valueBoolean": False}),), after("true", "false")),
    "replace in an array": (
        (operation("replace", "Patient.name[0].given[0]", value={"valueString": "Eve"}),),
        after('"Ann"', '"Eve"'),
    ),
    "replace drops the extensions": (
        (operation("replace", "name.given[1]", value={"valueString": "C"}),),
        after('"B"],"_given":[null,{"id":"g"}]', '"C"]'),
    ),
    "replace a choice by another type": (
        (operation("replace", "Patient.deceased", value={"valueDateTime": "2020"}),),
        after('"deceasedBoolean":false', '"deceasedDateTime":"2020"'),
    ),
    "replace where only extensions are": (
        (operation("replace", "birthDate", value={"valueDate": "1970"}),),
        after('"_birthDate":{"extension":[{"url":"urn:x","valueDecimal":1.50}]}', '"birthDate":"1970"'),
    ),
    "add at the end of a list": (
        (operation("add", "name[0]", name="given", value={"valueString": "C"}),),
        after('"B"],"_given":[null,{"id":"g"}]', '"B","C"],"_given":[null,{"id":"g"},null]'),
    ),
    "add a choice": (
        (operation("add", "Patient", name="multipleBirth", value={"valueInteger": 2}),),
        BODY[:-1] + b',"multipleBirthInteger":2}',
    ),
    "insert keeps extensions with their values": (
        (operation("insert", "name.given", index=0, value={"valueString": "O"}),),
        after('"Ann","B"],"_given":[null,{"id":"g"}]', '"O","Ann","B"],"_given":[null,null,{"id":"g"}]'),
    ),
    "insert into what is not there": (
        (operation("insert", "name.prefix", index=0, value={"valueString": "Dr"}),),
        after('{"id":"g"}]', '{"id":"g"}],"prefix":["Dr"]'),
    ),
    "move keeps extensions with their values": (
        (operation("move", "name.given", source=1, destination=0),),
        after('"Ann","B"],"_given":[null,{"id":"g"}]', '"B","Ann"],"_given":[{"id":"g"},null]'),
    ),
    "delete keeps extensions with their values": (
        (operation("delete", "name.given[0]"),),
        after('"Ann","B"],"_given":[null,{"id":"g"}]', '"B"],"_given":[{"id":"g"}]'),
    ),
    "delete the last of all": (
        (
            operation("delete", "name.given[1]"),
            operation("delete", "name.given[0]"),
            operation("delete", "name.where(family = 'Smith').family"),
        ),
        after('"name":[{"family":"Smith","given":["Ann","B"],"_given":[null,{"id":"g"}]}],', ""),
    ),
    "delete what is not there": ((operation("delete", "Patient.gender"),), BODY),
    "parts as an object with arrays": (
        (
            operation(
                "add",
                "Patient",
                name="contact",
                value={"part": [{"name": "relationship", "valueCodeableConcept": {"text": "x"}}]},
            ),
        ),
        BODY[:-1] + b',"contact":[{"relationship":[{"text":"x"}]}]}',
    ),
}


@pytest.mark.parametrize(("operations", "expected"), FHIRPATH.values(), ids=FHIRPATH)
def test_fhirpath_patch(operations: tuple[dict[str, Any], ...], expected: bytes) -> None:
    assert apply_fhirpath_patch(BODY, parameters(*operations)) == expected


FHIRPATH_REFUSED = {
    "no Parameters": (b'{"resourceType":"Patient"}', Fault.BAD_PATCH, "a Parameters resource"),
    "no operation": (b'{"resourceType":"Parameters","parameter":[{"name":"x"}]}', Fault.BAD_PATCH, "operation 1"),
    "unknown type": (parameters(operation("rename", "Patient.name")), Fault.BAD_PATCH, "add, insert, delete"),
    "no path": (parameters(operation("delete", "")), Fault.BAD_PATCH, "a path"),
    "no FHIRPath": (parameters(operation("delete", "Patient..")), Fault.BAD_PATCH, "operation 1: expected a name"),
    "add without a value": (parameters(operation("add", "Patient", name="gender")), Fault.BAD_PATCH, "name and value"),
    "several places": (
        parameters(operation("replace", "name.given", value={"valueString": "x"})),
        Fault.PATCH_UNFIT,
        "one to 2",
    ),
    "delete several": (parameters(operation("delete", "name.given")), Fault.PATCH_UNFIT, "one to 2"),
    "no place": (parameters(operation("replace", "gender", value={"valueCode": "male"})), Fault.PATCH_UNFIT, "to 0"),
    "the whole": (parameters(operation("delete", "Patient")), Fault.PATCH_UNFIT, "the resource itself"),
    "no element": (
        parameters(operation("add", "Patient", name="x", value={"valueCode": "a"})),
        Fault.PATCH_UNFIT,
        "look",
    ),
    "wrong type of a choice": (
        parameters(operation("add", "Patient", name="multipleBirth", value={"valueCode": "a"})),
        Fault.PATCH_UNFIT,
        "a value of a type",
    ),
    "there already": (
        parameters(operation("add", "Patient", name="active", value={"valueBoolean": True})),
        Fault.PATCH_UNFIT,
        "use replace",
    ),
    "the extensions are there already": (
        parameters(operation("add", "Patient", name="birthDate", value={"valueDate": "1970"})),
        Fault.PATCH_UNFIT,
        "use replace",
    ),
    "index too high": (
        parameters(operation("insert", "name.given", index=3, value={"valueString": "x"})),
        Fault.PATCH_UNFIT,
        "0 to 2",
    ),
    "move too far": (
        parameters(operation("move", "name.given", source=0, destination=2)),
        Fault.PATCH_UNFIT,
        "below 2",
    ),
    "move no list": (parameters(operation("move", "active", source=0, destination=0)), Fault.PATCH_UNFIT, "one list"),
    "a value of no element": (parameters(operation("delete", "'a'")), Fault.PATCH_UNFIT, "elements of the resource"),
    "the id": (parameters(operation("replace", "id", value={"valueId": "q"})), Fault.PATCH_UNFIT, "keeps"),
    "costly": (
        parameters(operation("delete", "repeat(iif(true, name)).aggregate($total & 'x').repeat($this & 'x')")),
        Fault.BAD_PATCH,
        "ends within",
    ),
    "several values": (
        parameters(operation("replace", "active", value={"valueBoolean": True, "valueString": "x"})),
        Fault.BAD_PATCH,
        "one value",
    ),
}


@pytest.mark.promise("P4")
@pytest.mark.parametrize(("patch", "fault", "words"), FHIRPATH_REFUSED.values(), ids=FHIRPATH_REFUSED)
def test_fhirpath_patch_refused(patch: bytes, fault: Fault, words: str) -> None:
    with pytest.raises(FhirRejected) as refusal:
        apply_fhirpath_patch(BODY, patch)
    assert refusal.value.fault is fault
    assert words in str(refusal.value)
    assert "Smith" not in str(refusal.value)


JSON = {
    "nothing": ([], BODY),
    "replace keeps its place": ([{"op": "replace", "path": "/active", "value": False}], after("true", "false")),
    "a number as it is written": (
        b'[{"op":"replace","path":"/extension/0/valueDecimal","value":7.10}]',
        after("1E2", "7.10"),
    ),
    "remove": ([{"op": "remove", "path": "/extension/1"}], after('{"url":"urn:z","valueDecimal":-0.0},', "")),
    "copy": (
        [{"op": "copy", "from": "/deceasedBoolean", "path": "/active"}],
        after("true", "false"),
    ),
    "numbers are tested by value": (b'[{"op":"test","path":"/extension/0/valueDecimal","value":100}]', BODY),
    "objects are tested in any order": (
        b'[{"op":"test","path":"/extension/1","value":{"valueDecimal":0,"url":"urn:z"}}]',
        BODY,
    ),
}


@pytest.mark.parametrize(("patch", "expected"), JSON.values(), ids=JSON)
def test_json_patch(patch: Any, expected: bytes) -> None:
    assert apply_json_patch(BODY, patch if isinstance(patch, bytes) else json.dumps(patch).encode()) == expected


JSON_REFUSED = {
    "no array": ({"op": "remove"}, Fault.BAD_PATCH, "an array of operations"),
    "no object": ([1], Fault.BAD_PATCH, "operation 1: expected an operation as a JSON object"),
    "unknown op": ([{"op": "rename", "path": "/a"}], Fault.BAD_PATCH, "add, remove, replace"),
    "op of another type": ([{"op": [], "path": "/a"}], Fault.BAD_PATCH, "add, remove, replace"),
    "no path": ([{"op": "remove"}], Fault.BAD_PATCH, "a JSON Pointer as path"),
    "no pointer": ([{"op": "remove", "path": "name"}], Fault.BAD_PATCH, "a JSON Pointer as path"),
    "bad escape": ([{"op": "remove", "path": "/~2"}], Fault.BAD_PATCH, "a JSON Pointer as path"),
    "no value": ([{"op": "add", "path": "/a"}], Fault.BAD_PATCH, "an operation with a value"),
    "no place": ([{"op": "remove", "path": "/Smith"}], Fault.PATCH_UNFIT, "a place that is in the resource"),
    "replace what is not there": ([{"op": "replace", "path": "/x", "value": 1}], Fault.PATCH_UNFIT, "a place"),
    "index with a zero before it": ([{"op": "remove", "path": "/extension/01"}], Fault.PATCH_UNFIT, "a place"),
    "index past the end": ([{"op": "add", "path": "/extension/4", "value": {}}], Fault.PATCH_UNFIT, "a place"),
    "no index": ([{"op": "remove", "path": "/extension/-"}], Fault.PATCH_UNFIT, "a place"),
    "below a string": ([{"op": "add", "path": "/id/a", "value": 1}], Fault.PATCH_UNFIT, "a place"),
    "into itself": ([{"op": "move", "from": "/name", "path": "/name/0"}], Fault.PATCH_UNFIT, "to another place"),
    "a failed test": ([{"op": "test", "path": "/name/0/family", "value": "Jones"}], Fault.PATCH_UNFIT, "tests for"),
    "true is not 1": ([{"op": "test", "path": "/active", "value": 1}], Fault.PATCH_UNFIT, "tests for"),
    "the type": ([{"op": "replace", "path": "/resourceType", "value": "Basic"}], Fault.PATCH_UNFIT, "keeps"),
    "the id": ([{"op": "remove", "path": "/id"}], Fault.PATCH_UNFIT, "keeps"),
    "the whole": ([{"op": "replace", "path": "", "value": []}], Fault.PATCH_UNFIT, "leaves a resource"),
    "removed as a whole": ([{"op": "remove", "path": ""}], Fault.PATCH_UNFIT, "leaves a resource"),
    "too many": ([{"op": "test", "path": "/id", "value": "p"}] * 1001, Fault.BAD_PATCH, "at most 1,000 operations"),
    "doubling": (
        [{"op": "copy", "from": "/extension", "path": "/extension/-"}] * 30,
        Fault.BAD_PATCH,
        "copies of at most",
    ),
    "deepening": (
        [{"op": "move", "from": "/name", "path": "/a"}]
        + [{"op": "add", "path": "/a" + "/0" * each, "value": []} for each in range(1, 80)],
        Fault.TOO_DEEP,
        "levels of nesting",
    ),
}


@pytest.mark.promise("P4")
@pytest.mark.parametrize(("patch", "fault", "words"), JSON_REFUSED.values(), ids=JSON_REFUSED)
def test_json_patch_refused(patch: Any, fault: Fault, words: str) -> None:
    with pytest.raises(FhirRejected) as refusal:
        apply_json_patch(BODY, json.dumps(patch).encode())
    assert refusal.value.fault is fault
    assert words in str(refusal.value)
    assert "Smith" not in str(refusal.value)


def test_many_operations_share_one_bound_of_work() -> None:
    body = json.dumps({"resourceType": "Patient", "name": [{"family": "x"}] * 1_000}).encode()
    walk = operation("delete", "descendants().where($this = 'y')")
    assert json.loads(apply_fhirpath_patch(body, parameters(walk)))["name"]
    with pytest.raises(FhirRejected) as refusal:
        apply_fhirpath_patch(body, parameters(*[walk] * 1_000))
    assert "operation 1: expected an expression that ends within 1,000 steps" in str(refusal.value)


def test_a_patch_of_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PATCH_BYTES_MAX", 10)
    with pytest.raises(FhirRejected) as refusal:
        apply_json_patch(BODY, b"[           ]")
    assert refusal.value.fault is Fault.BAD_PATCH


WORDS = st.sampled_from(["/a", "add", "/name/0", "delete", "Patient.name", ""])
KEYS = st.sampled_from(["op", "path", "from", "value", "name", "part", "valueString", "valueCode"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
    max_leaves=10,
)


def id_after(apply: Callable[[bytes, bytes], bytes], patch: object) -> object:
    """The id that a patch leaves; the same where it is refused as a patch is refused."""
    try:
        return json.loads(apply(BODY, json.dumps(patch).encode()))["id"]
    except FhirRejected as refusal:
        return "p" if refusal.fault in (Fault.BAD_PATCH, Fault.PATCH_UNFIT) else refusal.fault


@given(st.lists(JSON_VALUES, max_size=3))
def test_any_patch_is_done_or_refused(operations: list[Any]) -> None:
    assert id_after(apply_json_patch, operations) == "p"
    assert id_after(apply_fhirpath_patch, {"resourceType": "Parameters", "parameter": operations}) == "p"
