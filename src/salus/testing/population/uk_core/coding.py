"""Codes as FHIR writes them, and the code systems of the NHS."""

from __future__ import annotations

from typing import NamedTuple

from salus.clinical import labels
from salus.testing.population.encoding import Json

SNOMED = "http://snomed.info/sct"
DMD = "https://dmd.nhs.uk"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
UK_SYSTEM = "https://fhir.hl7.org.uk/CodeSystem"
UK_PROFILE = "https://fhir.hl7.org.uk/StructureDefinition"


class Code(NamedTuple):
    """A code, what it stands for in words, and the system that defines it (SNOMED CT if nothing else is said)."""

    code: str
    display: str
    system: str = SNOMED


def coding(code: Code) -> Json:
    """A FHIR Coding."""
    return {"system": code.system, "code": code.code, "display": code.display}


def concept(*codes: Code, text: str | None = None) -> Json:
    """A FHIR CodeableConcept of one thing in one or more systems."""
    made: Json = {"coding": [coding(code) for code in codes]}
    return made | {"text": text} if text else made


def hl7(system: str, code: str, display: str) -> Json:
    """A CodeableConcept of an HL7 terminology, such as `condition-clinical`."""
    return concept(Code(code, display, f"{TERMINOLOGY}/{system}"))


def meta(profile: str, sensitivity: tuple[str, ...] = ()) -> Json:
    """The UK Core profile that a resource follows, and its security labels if it is sensitive."""
    made: Json = {"profile": [f"{UK_PROFILE}/UKCore-{profile}"]}
    return made | security(sensitivity) if sensitivity else made


def security(sensitivity: tuple[str, ...]) -> Json:
    """Security labels by their HL7 v3 codes, such as ("R", "PSY")."""
    found = [Code(code, labels.display_of(code), labels.system_of(code)) for code in sensitivity]
    return {"security": [coding(code) for code in found]}


def extension(name: str, **value: object) -> Json:
    """A UK Core extension with its value, such as `valueCode="major"`."""
    return {"url": f"{UK_PROFILE}/Extension-UKCore-{name}"} | value


def reference(kind: str, own_id: str, display: str | None = None) -> Json:
    """A reference to a resource of the same custodian."""
    made: Json = {"reference": f"{kind}/{own_id}"}
    return made | {"display": display} if display else made
