"""What patients add to their record themselves: readings and documents as FHIR resources, marked as theirs.

Promises: each resource says by a label that the patient asserts it (HL7 v3 ObservationValue PATAST), and names the
patient as who measured or wrote it. Codes of vital signs are those of R4's profile (FHIR R4 observation-vitalsigns).
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from salus.clinical.fhir.elements import objects, text
from salus.clinical.labels import OBSERVATION_VALUE, PATIENT_ASSERTED

_LOINC: Final = "http://loinc.org"
_UCUM: Final = "http://unitsofmeasure.org"
_CATEGORIES: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_NOTE: Final = ("51855-5", "Patient Note")
_MARK: Final = {"system": OBSERVATION_VALUE, "code": PATIENT_ASSERTED, "display": "patient asserted"}


@dataclass(frozen=True)
class Measure:
    """Something that is measured.

    Args:
        codes: of LOINC with their names, the first for the newest.
        unit: as people write it; ucum: as programs do.
        low, high: what a living person can have, and a home device shows; digits: after the point.
    """

    codes: tuple[tuple[str, str], ...]
    unit: str
    ucum: str
    low: Decimal
    high: Decimal
    digits: int = 0


@dataclass(frozen=True)
class Reading:
    """A kind of reading: what its parts are; `panel` is the code of the whole where there are several."""

    parts: tuple[Measure, ...]
    category: str = "vital-signs"
    panel: tuple[tuple[str, str], ...] = ()


READINGS: Final = {
    "blood-pressure": Reading(
        (
            Measure((("8480-6", "Systolic blood pressure"),), "mmHg", "mm[Hg]", Decimal(50), Decimal(280)),
            Measure((("8462-4", "Diastolic blood pressure"),), "mmHg", "mm[Hg]", Decimal(25), Decimal(180)),
        ),
        panel=(("85354-9", "Blood pressure panel with all children optional"),),
    ),
    "weight": Reading((Measure((("29463-7", "Body weight"),), "kg", "kg", Decimal(1), Decimal(400), 1),)),
    "temperature": Reading((Measure((("8310-5", "Body temperature"),), "°C", "Cel", Decimal(30), Decimal(44), 1),)),
    "pulse": Reading((Measure((("8867-4", "Heart rate"),), "beats a minute", "/min", Decimal(25), Decimal(250)),)),
    "blood-sugar": Reading(
        (Measure((("15074-8", "Glucose [Moles/volume] in Blood"),), "mmol/L", "mmol/L", Decimal(1), Decimal(40), 1),),
        category="laboratory",
    ),
    "oxygen": Reading(
        (
            Measure(
                (("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"), ("2708-6", "Oxygen saturation")),
                "%",
                "%",
                Decimal(50),
                Decimal(100),
            ),
        )
    ),
}


@dataclass(frozen=True)
class File:
    """A file that is added; `media_type` is what its bytes are."""

    title: str = field(repr=False)
    name: str = field(repr=False)
    media_type: str
    content: bytes = field(repr=False)


def is_contributed(content: Mapping[str, object]) -> bool:
    """Tell whether a resource says that the patient asserts it."""
    labels = objects(content, "meta.security")
    return any((text(each, "system"), text(each, "code")) == (OBSERVATION_VALUE, PATIENT_ASSERTED) for each in labels)


def reading(kind: str, values: tuple[Decimal, ...], *, logical_id: str, patient: str, at: str) -> dict[str, object]:
    """Return a reading as an Observation.

    Args:
        kind: one of READINGS; values: one for each of its parts, in its order.
        patient: `Patient/id`; at: a FHIR dateTime.
    """
    measured = READINGS[kind]
    parts = [
        {"code": _concept(each.codes), "valueQuantity": _quantity(each, value)}
        for each, value in zip(measured.parts, values, strict=True)
    ]
    said = {"code": _concept(measured.panel), "component": parts} if measured.panel else parts[0]
    return {
        **_begun("Observation", logical_id),
        "status": "final",
        "category": [{"coding": [{"system": _CATEGORIES, "code": measured.category}]}],
        "subject": {"reference": patient},
        "effectiveDateTime": at,
        "performer": [{"reference": patient}],
        **said,
    }


def document(file: File, *, logical_id: str, binary: str, patient: str, at: str) -> list[dict[str, object]]:
    """Return a file as a DocumentReference and the Binary that it names.

    Args:
        logical_id, binary: of the two; patient: `Patient/id`; at: a FHIR instant.
    """
    attachment = {"contentType": file.media_type, "url": f"Binary/{binary}", "title": file.name, "creation": at}
    return [
        {
            **_begun("DocumentReference", logical_id),
            "status": "current",
            "type": _concept((_NOTE,)),
            "subject": {"reference": patient},
            "date": at,
            "author": [{"reference": patient}],
            "description": file.title,
            "content": [{"attachment": attachment | {"size": len(file.content)}}],
        },
        {
            **_begun("Binary", binary),
            "contentType": file.media_type,
            "securityContext": {"reference": patient},
            "data": base64.b64encode(file.content).decode(),
        },
    ]


def _begun(kind: str, logical_id: str) -> dict[str, object]:
    return {"resourceType": kind, "id": logical_id, "meta": {"security": [_MARK]}}


def _concept(codes: tuple[tuple[str, str], ...]) -> dict[str, object]:
    return {"coding": [{"system": _LOINC, "code": code, "display": display} for code, display in codes]}


def _quantity(measure: Measure, value: Decimal) -> dict[str, object]:
    return {"value": value, "unit": measure.unit, "system": _UCUM, "code": measure.ucum}
