"""What people call the types of resources, in the plural."""

import re
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


def kind_of(type_name: str) -> str:
    """Return what people call resources of a type."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type_name).lower()
    return KINDS.get(type_name, f"records of the kind {spaced}")
