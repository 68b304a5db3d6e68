"""Verdicts on HL7's validator cases, beside those of the reference validator; their page is `docs/fhir-validation.md`.

A verdict is right when errors are found where the reference validator, with its terminology server and its network, has
found some, and none where it has found none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.strict_json import read_object
from salus.clinical.fhir.validation import base_validator
from salus.clinical.fhir.xml import read_xml

JAVA_OFFLINE = 48
"""Right verdicts of the Java validator in the same offline set-up (issue C)."""

DIFFERENT = {
    "pat-dob-ext": "the case is run with unknown extensions forbidden; FHIR allows them, and so do we",
    "uk-msg": "its errors are codes and displays of SNOMED CT, which is not among R4's definitions",
}
OF_INTEREST = {
    "bundle-duplicate-ids-not": "most of its 49 errors are displays of LOINC in German, which we cannot know; "
    "ours are of full URLs",
    "japanese-utf8-ok": "the file as it lies here is not UTF-8, and is refused before it is read",
    "parameters-reference-bad": "a relative reference to a type that is in the request must be to a resource in it",
    "pat-security-bad-string1": "strings with HTML tags are always refused; the Java validator asks only when told to",
}


def errors(path: Path) -> list[str]:
    """The rules that a case breaks; a refusal to read it counts as one."""
    source = path.read_bytes()
    try:
        resource = read_xml(source, in_order=True) if path.suffix == ".xml" else read_object(source)
    except FhirRejected as fault:
        return [f"refused: {fault.fault.name}"]
    return [each.rule for each in base_validator().validate(resource) if each.severity == "error"]


def row(case: dict[str, Any], folder: Path) -> tuple[bool, str]:
    """Whether the verdict is right, and the line of the table."""
    found, expected = errors(folder / case["file"]), case["expected_errors"]
    is_right = bool(found) == bool(expected)
    rules = ", ".join(sorted(set(found)))
    said = DIFFERENT.get(case["name"], OF_INTEREST.get(case["name"], ""))
    name = case["name"].replace("|", "/")
    return is_right, f"| {name} | {expected} | {len(found)} | {'yes' if is_right else '**no**'} | {rules} | {said} |"


PAGE = """# Verdicts of the validator

Written by `make docs` from HL7's validator cases for R4 (`fhir/validator-cases` of the outside test data).
Expected are the errors that the reference (Java) validator found with its terminology server and the network.
Right is a verdict when errors are found where it found some, and none where it found none.

**{right} of {all} verdicts are right**; the Java validator offline, without terminology server, has {java}.

| case | errors expected | errors found | right | rules broken | remark |
|---|---|---|---|---|---|
{rows}

Of the official R4 examples four break R4's own rules.
They are listed with the reason in `tests/clinical/validation/test_resources.py`.
"""


@pytest.mark.docs
def test_more_verdicts_are_right_than_those_of_the_java_validator(
    shared_data: Path, generated_page: Callable[[str, str], None]
) -> None:
    folder = shared_data / "fhir" / "validator-cases"
    cases = json.loads((folder / "manifest.json").read_bytes())
    rows = [row(case, folder) for case in cases]
    wrong = {case["name"] for case, (is_right, _) in zip(cases, rows, strict=True) if not is_right}
    right = len(cases) - len(wrong)
    table = "\n".join(line for _, line in rows)
    assert wrong == set(DIFFERENT)
    assert right > JAVA_OFFLINE
    generated_page("docs/fhir-validation.md", PAGE.format(right=right, all=len(cases), java=JAVA_OFFLINE, rows=table))
