"""Observation (laboratory, vital signs, tobacco) and DiagnosticReport in UK Core shapes, with UCUM units."""

from __future__ import annotations

from salus.testing.population.encoding import Json, decimal
from salus.testing.population.laboratory import LaboratoryTest
from salus.testing.population.uk_core.coding import LOINC, UCUM, Code, concept, hl7, reference

LABORATORY = hl7("observation-category", "laboratory", "Laboratory")
VITAL_SIGNS = hl7("observation-category", "vital-signs", "Vital Signs")
SOCIAL_HISTORY = hl7("observation-category", "social-history", "Social History")
REPORT = concept(Code("4241000179101", "Laboratory report"))
MERCURY = ("millimeter of mercury", "mm[Hg]")

BLOOD_PRESSURE = (
    Code("75367002", "Blood pressure"),
    Code("85354-9", "Blood pressure panel with all children optional", LOINC),
)
SYSTOLIC = (Code("72313002", "Systolic arterial pressure"), Code("8480-6", "Systolic blood pressure", LOINC))
DIASTOLIC = (Code("1091811000000102", "Diastolic arterial pressure"), Code("8462-4", "Diastolic blood pressure", LOINC))
WEIGHT = (Code("27113001", "Body weight"), Code("29463-7", "Body weight", LOINC))
BODY_MASS_INDEX = (Code("60621009", "Body mass index"), Code("39156-5", "Body mass index (BMI) [Ratio]", LOINC))
SMOKING = Code("72166-2", "Tobacco smoking status", LOINC)

OUTSIDE_RANGE = {
    "H": hl7("v3-ObservationInterpretation", "H", "High"),
    "L": hl7("v3-ObservationInterpretation", "L", "Low"),
    "N": hl7("v3-ObservationInterpretation", "N", "Normal"),
}


def quantity(scaled: int, places: int, unit: str, ucum: str) -> Json:
    """A measured quantity; the value keeps its decimal places."""
    return {"value": decimal(scaled, places), "unit": unit, "system": UCUM, "code": ucum}


def observation(*, category: Json, names: tuple[Code, ...], subject: Json, effective: str, performer: Json) -> Json:
    """Elements that every final Observation has."""
    return {
        "status": "final",
        "category": [category],
        "code": concept(*names, text=names[0].display),
        "subject": subject,
        "effectiveDateTime": effective,
        "performer": [performer],
    }


def laboratory(
    *, test: LaboratoryTest, value: int, subject: Json, effective: str, issued: str, performer: Json
) -> Json:
    """Elements of a laboratory result with its reference range."""
    made = observation(category=LABORATORY, names=test.names, subject=subject, effective=effective, performer=performer)
    return made | {
        "issued": issued,
        "valueQuantity": quantity(value, test.places, test.unit, test.ucum),
        "interpretation": [OUTSIDE_RANGE[interpretation(test, value)]],
        "referenceRange": [reference_range(test)],
    }


def interpretation(test: LaboratoryTest, value: int) -> str:
    """H, L or N against the reference range."""
    if test.high is not None and value > test.high:
        return "H"
    return "L" if test.low is not None and value < test.low else "N"


def reference_range(test: LaboratoryTest) -> Json:
    """The bounds that the test has; at least one, as FHIR wants (obs-3)."""
    made: Json = {}
    for name, bound in (("low", test.low), ("high", test.high)):
        if bound is not None:
            made[name] = quantity(bound, test.places, test.unit, test.ucum)
    return made


def report(
    *, subject: Json, title: str, effective: str, issued: str, performer: Json, results: list[tuple[str, str]]
) -> Json:
    """Elements of a laboratory DiagnosticReport; results are ids with names."""
    return {
        "status": "final",
        "category": [hl7("v2-0074", "LAB", "Laboratory")],
        "code": REPORT | {"text": title},
        "subject": subject,
        "effectiveDateTime": effective,
        "issued": issued,
        "performer": [performer],
        "result": [reference("Observation", own_id, display) for own_id, display in results],
    }


def blood_pressure(*, systolic: int, diastolic: int, subject: Json, effective: str, performer: Json) -> Json:
    """Elements of a blood pressure reading."""
    made = observation(
        category=VITAL_SIGNS, names=BLOOD_PRESSURE, subject=subject, effective=effective, performer=performer
    )
    return made | {"component": [component(SYSTOLIC, systolic), component(DIASTOLIC, diastolic)]}


def component(names: tuple[Code, ...], value: int) -> Json:
    """One side of a blood pressure."""
    return {"code": concept(*names, text=names[1].display), "valueQuantity": quantity(value, 0, *MERCURY)}


def weight(*, tenths_of_kg: int, subject: Json, effective: str, performer: Json) -> Json:
    """Elements of a body weight."""
    made = observation(category=VITAL_SIGNS, names=WEIGHT, subject=subject, effective=effective, performer=performer)
    return made | {"valueQuantity": quantity(tenths_of_kg, 1, "kilogram", "kg")}


def body_mass_index(*, tenths: int, subject: Json, effective: str, performer: Json) -> Json:
    """Elements of a body mass index."""
    made = observation(
        category=VITAL_SIGNS, names=BODY_MASS_INDEX, subject=subject, effective=effective, performer=performer
    )
    return made | {"valueQuantity": quantity(tenths, 1, "kilogram per square meter", "kg/m2")}


def smoking(*, status: Code, subject: Json, effective: str, performer: Json) -> Json:
    """Elements of what somebody says about smoking; UK Core's tobacco profile is for amounts only."""
    made = observation(
        category=SOCIAL_HISTORY, names=(SMOKING,), subject=subject, effective=effective, performer=performer
    )
    return made | {"valueCodeableConcept": concept(status)}
