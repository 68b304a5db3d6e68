"""Every code of the population: right check digits, and where UK Core lists the codes, the listed words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from salus.testing.population import CUSTODIANS, people, shared_resources, story_patient

FHIR = "{http://hl7.org/fhir}"
SNOMED, DMD, LOINC = "http://snomed.info/sct", "https://dmd.nhs.uk", "http://loinc.org"
HL7_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

Coding = tuple[str, str, str]


def codings(node: object) -> Iterator[Coding]:
    if isinstance(node, list):
        for item in node:
            yield from codings(item)
    elif isinstance(node, dict):
        if {"system", "code", "display"} <= node.keys():
            yield node["system"], node["code"], node["display"]
        for value in node.values():
            yield from codings(value)


@pytest.fixture(scope="module")
def used() -> set[Coding]:
    bodies = [body for custodian in CUSTODIANS for body in shared_resources(custodian)]
    bodies += [
        body for person in (story_patient(1), *people(1, 800)) for chart in person.charts for body in chart.resources
    ]
    return {coding for body in bodies for coding in codings(json.loads(body))}


def verhoeff_tables() -> tuple[list[list[int]], list[list[int]]]:
    """The group table of the dihedral group D5, and the permutations of Verhoeff's scheme."""
    product = [
        [(a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5 for b in range(10)]
        if a < 5
        else [5 + (a - 5 - b) % 5 if b < 5 else (a - b) % 5 for b in range(10)]
        for a in range(10)
    ]
    first = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    permutations = [list(range(10))]
    for _ in range(7):
        permutations.append([first[digit] for digit in permutations[-1]])
    return product, permutations


def verhoeff(digits: str) -> int:
    product, permutations = verhoeff_tables()
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = product[check][permutations[place % 8][int(digit)]]
    return check


def test_the_checker_knows_right_from_wrong() -> None:
    """73211009 is diabetes mellitus in SNOMED CT; 236 with the check digit 3 is Verhoeff's own example."""
    assert verhoeff("73211009") == 0
    assert verhoeff("2363") == 0
    assert verhoeff("73211008") != 0


def test_snomed_and_dmd_codes_have_right_check_digits(used: set[Coding]) -> None:
    found = {code for system, code, _ in used if system in (SNOMED, DMD)}
    assert len(found) > 120
    assert {code for code in found if verhoeff(code)} == set()


def test_loinc_codes_have_right_check_digits(used: set[Coding]) -> None:
    found = {code for system, code, _ in used if system == LOINC}
    assert len(found) > 15
    assert {code for code in found if not is_loinc(code)} == set()


def is_loinc(code: str) -> bool:
    """Modulus 10 over the number: every second digit from the right is doubled (LOINC Users' Guide, appendix C)."""
    number, _, check = code.partition("-")
    doubled = (int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(number)))
    return (10 - sum(value // 10 + value % 10 for value in doubled) % 10) % 10 == int(check)


def test_one_code_has_one_display(used: set[Coding]) -> None:
    displays: dict[tuple[str, str], set[str]] = {}
    for system, code, display in used:
        displays.setdefault((system, code), set()).add(display)
    assert {key: words for key, words in displays.items() if len(words) > 1} == {}


def listed(folder: Path, name: str) -> dict[tuple[str, str], set[str]]:
    """The codes that a UK Core value set lists or expands to, with their words."""
    found: dict[tuple[str, str], set[str]] = {}
    for element in ElementTree.parse(folder / "valuesets" / f"ValueSet-UKCore-{name}.xml").iter(f"{FHIR}contains"):
        values = {child.tag.removeprefix(FHIR): child.get("value", "") for child in element}
        if {"system", "code", "display"} <= values.keys():
            found.setdefault((values["system"], values["code"]), set()).add(values["display"])
    return found


VALUE_SETS = {
    "EncounterType": ("Encounter", "type"),
    "EthnicCategory": ("Patient", "extension"),
    "VaccinationProcedure": ("Immunization", "extension"),
    "ImmunizationAdministrationBodySite": ("Immunization", "site"),
    "SubstanceOrProductAdministrationRoute": ("MedicationRequest", "dosageInstruction"),
    "PractitionerRoleCode": ("PractitionerRole", "code"),
    "NHSNumberVerificationStatus": ("Patient", "identifier"),
    "ConditionCategory": ("Condition", "category"),
    "MedicationRequestCategory": ("MedicationRequest", "category"),
    "MedicationRequestCourseOfTherapy": ("MedicationRequest", "courseOfTherapyType"),
    "OrganizationType": ("Organization", "type"),
}


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_codes_and_words_are_those_of_uk_core(value_set: str, shared_data: Path) -> None:
    kind, element = VALUE_SETS[value_set]
    known = listed(shared_data / "fhir" / "uk-core-definitions", value_set)
    assert known, f"UK Core has no expansion of {value_set}"
    bodies = [body for custodian in CUSTODIANS for body in shared_resources(custodian)]
    bodies += [body for person in people(1, 150) for chart in person.charts for body in chart.resources]
    found = {
        coding
        for resource in map(json.loads, bodies)
        if resource["resourceType"] == kind
        for coding in codings(resource.get(element))
    }
    assert found
    assert {
        (code, display) for system, code, display in found if display not in known.get((system, code), set())
    } == set()


def test_labels_are_those_of_hl7(used: set[Coding]) -> None:
    matters = {code for system, code, _ in used if system == HL7_ACT_CODE}
    assert matters >= {"PSY", "HIV", "STD", "SEX", "SDV", "ETH"}
