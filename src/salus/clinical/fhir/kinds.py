"""What people call the types of resources, in the plural, and which types they call by one word."""

import re
from collections.abc import Iterable
from typing import Final

KINDS: Final = {
    "AllergyIntolerance": "allergies and reactions",
    "Appointment": "appointments",
    "Binary": "files that belong to letters and documents",
    "CarePlan": "care plans",
    "CareTeam": "care teams",
    "Condition": "conditions and diagnoses",
    "Consent": "sharing choices",
    "DiagnosticReport": "test reports",
    "DocumentReference": "letters and documents",
    "Encounter": "visits and hospital stays",
    "Immunization": "vaccinations",
    "MedicationRequest": "prescriptions",
    "MedicationStatement": "medicines that are taken",
    "Observation": "test results and measurements",
    "Patient": "personal details (name, date of birth, address)",
    "Procedure": "procedures and operations",
}
PARTS: Final = {"MedicationRequest": ("MedicationAdministration", "MedicationDispense", "MedicationStatement")}
"""Where people have one word for several types, medicines: what belongs to the type that stands for all of them."""


def whole(types: Iterable[str]) -> tuple[str, ...]:
    """Return types with all that people call by the same words: whoever hides medicines hides those that are taken."""
    return tuple(part for each in types for part in (each, *PARTS.get(each, ())))


def chosen(types: Iterable[str]) -> tuple[str, ...]:
    """Return types without those that others among them stand for: `whole` turned around."""
    every = tuple(types)
    parts = {part for each in every for part in PARTS.get(each, ())}
    return tuple(each for each in every if each not in parts)


def kind_of(type_name: str) -> str:
    """Return what people call resources of a type."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type_name).lower()
    return KINDS.get(type_name, f"records of the kind {spaced}")
