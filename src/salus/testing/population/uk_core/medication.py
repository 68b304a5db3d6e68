"""MedicationRequest and MedicationDispense in UK Core shapes."""

from __future__ import annotations

from salus.testing.population.encoding import Json
from salus.testing.population.medicines import Medicine
from salus.testing.population.uk_core.coding import Code, concept, hl7

# R4 defines this one under another root than its neighbours.
DISPENSE_CATEGORY = "http://terminology.hl7.org/fhir/CodeSystem/medicationdispense-category"
COMMUNITY = concept(Code("community", "Community", DISPENSE_CATEGORY))


def dosage(medicine: Medicine) -> Json:
    """How to take a medicine, in words and as a timing."""
    rhythm: Json = {
        "frequency": medicine.times_a_day or 1,
        "period": 1,
        "periodUnit": "d" if medicine.times_a_day else "wk",
    }
    return {"text": medicine.instruction, "timing": {"repeat": rhythm}, "route": concept(medicine.route)}


def quantity(medicine: Medicine) -> Json:
    """How much is supplied; the amount is a whole number of the dispensing unit."""
    return {"value": medicine.amount, "unit": medicine.unit}


def request(*, subject: Json, medicine: Medicine, written: str, requester: Json, repeats: bool, setting: str) -> Json:
    """Elements of a MedicationRequest; `setting` is `community`, `outpatient` or `discharge`."""
    course = ("continuous", "Continuous long term therapy") if repeats else ("acute", "Short course (acute) therapy")
    return {
        "status": "active" if repeats else "completed",
        "intent": "order",
        "category": [hl7("medicationrequest-category", setting, setting.capitalize())],
        "medicationCodeableConcept": concept(medicine.product, text=medicine.product.display),
        "subject": subject,
        "authoredOn": written,
        "requester": requester,
        "courseOfTherapyType": hl7("medicationrequest-course-of-therapy", *course),
        "dosageInstruction": [dosage(medicine)],
        "dispenseRequest": {"quantity": quantity(medicine)},
        "substitution": {"allowedBoolean": False},
    }


def dispense(*, subject: Json, medicine: Medicine, prepared: str, handed_over: str, performer: Json) -> Json:
    """Elements of a completed MedicationDispense."""
    return {
        "status": "completed",
        "category": COMMUNITY,
        "medicationCodeableConcept": concept(medicine.product, text=medicine.product.display),
        "subject": subject,
        "performer": [{"actor": performer}],
        "quantity": quantity(medicine),
        "whenPrepared": prepared,
        "whenHandedOver": handed_over,
        "receiver": [subject],
        "dosageInstruction": [dosage(medicine)],
    }
