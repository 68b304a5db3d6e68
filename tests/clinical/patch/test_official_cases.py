"""The official patch cases: JSON Patch and FHIRPath Patch. XML Patch is not offered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.exact_json import read_exact, write_exact
from salus.clinical.fhir.patch import apply_fhirpath_patch, apply_json_patch
from salus.clinical.fhir.xml import read_xml

FHIR = "{http://hl7.org/fhir}"
ElementTree.register_namespace("", FHIR.strip("{}"))


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
        got = apply_fhirpath_patch(write_exact(body), write_exact(patch))
        assert read_exact(got) == expected, case.attrib["name"]


def resource(case: ElementTree.Element, name: str) -> dict[str, Any]:
    """The resource inside one part of a case."""
    outer = case.find(f"{FHIR}{name}")
    assert outer is not None
    return read_xml(ElementTree.tostring(outer[0]))
