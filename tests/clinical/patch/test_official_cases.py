"""The official patch cases: JSON Patch and FHIRPath Patch. XML Patch is not offered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.fhirpath import r4_types
from salus.clinical.fhir.patch import apply_fhirpath_patch, apply_json_patch

FHIR = "{http://hl7.org/fhir}"
NUMBERS = ("integer", "positiveInt", "unsignedInt", "decimal")


def test_json_patch(shared_data: Path) -> None:
    cases = json.loads((shared_data / "fhir" / "patch" / "json-patch-tests.json").read_bytes())
    assert len(cases) >= 14
    for case in cases:
        body, patch = json.dumps(case["doc"]).encode(), json.dumps(case["patch"]).encode()
        if "error" in case:
            with pytest.raises(FhirRejected):
                apply_json_patch(body, patch)
        else:
            assert json.loads(apply_json_patch(body, patch)) == case["expected"], case["comment"]


def test_fhirpath_patch(shared_data: Path) -> None:
    cases = ElementTree.parse(shared_data / "fhir" / "patch" / "fhir-patch-tests.xml").getroot()
    assert len(cases) >= 15
    for case in cases:
        body, patch, expected = (resource(case, each) for each in ("input", "diff", "output"))
        got = apply_fhirpath_patch(json.dumps(body).encode(), json.dumps(patch).encode())
        assert json.loads(got) == expected, case.attrib["name"]


def resource(case: ElementTree.Element, name: str) -> dict[str, Any]:
    """The resource inside one part of a case, as JSON."""
    outer = case.find(f"{FHIR}{name}")
    assert outer is not None
    kind = outer[0].tag.removeprefix(FHIR)
    return {"resourceType": kind, **as_json(outer[0], kind)}


def as_json(element: ElementTree.Element, kind: str) -> dict[str, Any]:
    """The children of an element of XML as FHIR's JSON has them."""
    found: dict[str, Any] = {name: value for name, value in element.attrib.items() if name in ("id", "url")}
    types = r4_types()
    for child in element:
        key = child.tag.removeprefix(FHIR)
        child_kind = types.children(kind).get(key, "")
        value, extra = child_value(child, child_kind)
        if types.is_array(kind, key):
            found.setdefault(key, []).append(value)
        else:
            found |= ({key: value} if value is not None else {}) | ({f"_{key}": extra} if extra else {})
    return found


def child_value(child: ElementTree.Element, kind: str) -> tuple[Any, dict[str, Any]]:
    """A primitive's value and its extensions, or the object of anything else."""
    inside = as_json(child, kind or "Element")
    if "value" not in child.attrib:
        return inside or None, {}
    text = child.attrib["value"]
    return (json.loads(text) if kind in NUMBERS or kind == "boolean" else text), inside
