"""salus fhir validate: verdicts, places, exit status; nothing of what is in the files."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

GOOD = '{"resourceType":"Patient","birthDate":"1980-02-29","active":true}'
BAD = '{"resourceType":"Patient","birthDate":"canary"}'
WARNS = '{"resourceType":"Patient","active":true,"meta":{"profile":["urn:canary"]}}'
XML = '<Patient xmlns="http://hl7.org/fhir"><active value="true"/><birthDate value="1980-02-29"/></Patient>'
DEMANDING = {
    "resourceType": "StructureDefinition",
    "url": "urn:named",
    "name": "Named",
    "status": "active",
    "kind": "resource",
    "abstract": False,
    "type": "Patient",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "derivation": "constraint",
    "differential": {"element": [{"id": "Patient.name", "path": "Patient.name", "min": 1}]},
}


@pytest.mark.parametrize(
    ("name", "content", "status", "counts"),
    [
        ("a.json", GOOD, 0, (1, 0, 0)),
        ("a.xml", XML, 0, (1, 0, 0)),
        ("a.json", BAD, 1, (1, 1, 0)),
        ("a.json", WARNS, 0, (1, 0, 1)),
        ("a.json", "{canary", 1, (1, 1, 0)),
        ("a.xml", "<canary", 1, (1, 1, 0)),
        ("a.xml", XML.replace("birthDate", "canary"), 1, (1, 1, 0)),
        ("a.ndjson", f"{GOOD}\n\n{BAD}\n{GOOD}", 1, (3, 1, 0)),
    ],
)
def test_files_are_checked(
    tmp_path: Path, run: Run, name: str, content: str, status: int, counts: tuple[int, int, int]
) -> None:
    (tmp_path / name).write_text(content)
    result = run("fhir", "validate", tmp_path / name, "--json")
    facts = result.facts
    assert (result.status, (facts["resources"], facts["errors"], facts["warnings"])) == (status, counts)
    words = run("fhir", "validate", tmp_path / name)
    assert (words.status, words.out.splitlines()[0].split()) == (status, ["resource", "type", "errors", "warnings"])
    assert "canary" not in words.out + result.out


def test_each_issue_says_where_it_is(tmp_path: Path, run: Run) -> None:
    (tmp_path / "a.ndjson").write_text(f"{GOOD}\n{BAD}\n")
    (issue,) = run("fhir", "validate", tmp_path / "a.ndjson", "--json").facts["issues"]
    assert (issue["place"], issue["expression"], issue["severity"]) == ("a.ndjson line 2", "Patient.birthDate", "error")


def test_a_folder_of_profiles_counts(tmp_path: Path, run: Run) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "named.json").write_text(json.dumps(DEMANDING))
    (tmp_path / "profiles" / "broken.json").write_text("{")
    (tmp_path / "a.json").write_text(GOOD)
    words = ["fhir", "validate", tmp_path / "a.json", "--profiles", tmp_path / "profiles"]
    assert run(*words, "--json").facts["errors"] == 0
    asked = run(*words, "--profile", "urn:named", "--json")
    assert (asked.status, asked.facts["errors"]) == (1, 1)
    unknown = run(*words, "--profile", "urn:other")
    assert (unknown.status, unknown.err.splitlines()[-1]) == (2, "hint: name its folder with --profiles")
