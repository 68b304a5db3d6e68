"""Encounter, Condition, AllergyIntolerance, Procedure, Immunization, CarePlan and Flag in UK Core shapes."""

from __future__ import annotations

from salus.testing.population.encoding import Json
from salus.testing.population.uk_core.coding import SNOMED, Code, coding, concept, extension, hl7, reference

ENCOUNTER_CLASSES = {
    "AMB": "ambulatory",
    "EMER": "emergency",
    "IMP": "inpatient encounter",
    "VR": "virtual",
}
ATTENDER = hl7("v3-ParticipationType", "ATND", "attender")
UPPER_ARM = concept(Code("368208006", "Left upper arm structure"))
INTRAMUSCULAR = concept(Code("78421000", "Intramuscular"))


def encounter(
    *,
    subject: Json,
    kind: Code,
    setting: str,
    start: str,
    end: str,
    seen_by: Json,
    provider: Json,
    place: Json,
    reason: Code | None,
) -> Json:
    """Elements of a finished Encounter."""
    system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    made: Json = {
        "status": "finished",
        "class": coding(Code(setting, ENCOUNTER_CLASSES[setting], system)),
        "type": [concept(kind)],
        "subject": subject,
        "participant": [{"type": [ATTENDER], "individual": seen_by}],
        "period": {"start": start, "end": end},
    }
    if reason is not None:
        made["reasonCode"] = [concept(reason)]
    return made | {"location": [{"location": place}], "serviceProvider": provider}


def condition(
    *, subject: Json, name: Code, onset: str, ended: str | None, recorded: str, recorder: Json, on_problem_list: bool
) -> Json:
    """Elements of a Condition: a problem of the practice's list, or a diagnosis of an encounter."""
    category = (
        ("problem-list-item", "Problem List Item")
        if on_problem_list
        else ("encounter-diagnosis", "Encounter Diagnosis")
    )
    status = ("resolved", "Resolved") if ended else ("active", "Active")
    made: Json = {}
    if on_problem_list:
        made["extension"] = [extension("ProblemSignificance", valueCode="minor" if ended else "major")]
    made |= {
        "clinicalStatus": hl7("condition-clinical", *status),
        "verificationStatus": hl7("condition-ver-status", "confirmed", "Confirmed"),
        "category": [hl7("condition-category", *category)],
        "code": concept(name, text=name.display),
        "subject": subject,
        "onsetDateTime": onset,
    }
    if ended:
        made["abatementDateTime"] = ended  # con-4: only with a status that says it is over
    return made | {"recordedDate": recorded, "recorder": recorder}


def no_known_allergy(*, subject: Json, name: Code, recorded: str, recorder: Json) -> Json:
    """Elements of an AllergyIntolerance that says that there is none known."""
    return {
        "clinicalStatus": hl7("allergyintolerance-clinical", "active", "Active"),
        "verificationStatus": hl7("allergyintolerance-verification", "confirmed", "Confirmed"),
        "code": concept(name),
        "patient": subject,
        "recordedDate": recorded,
        "recorder": recorder,
    }


def allergy(
    *,
    subject: Json,
    substance: Code,
    category: str,
    manifestation: Code,
    severity: str,
    recorded: str,
    recorder: Json,
) -> Json:
    """Elements of an AllergyIntolerance."""
    return no_known_allergy(subject=subject, name=substance, recorded=recorded, recorder=recorder) | {
        "type": "allergy",
        "category": [category],
        "criticality": "high" if severity == "severe" else "low",
        "reaction": [{"manifestation": [concept(manifestation)], "severity": severity}],
    }


def procedure(*, subject: Json, name: Code, performed: str, performer: Json, encounter: Json) -> Json:
    """Elements of a completed Procedure."""
    return {
        "status": "completed",
        "code": concept(name),
        "subject": subject,
        "encounter": encounter,
        "performedDateTime": performed,
        "performer": [{"actor": performer}],
    }


def immunisation(
    *, subject: Json, procedure: Code, product: Code, text: str, given: str, lot: str, performer: Json
) -> Json:
    """Elements of a completed Immunization."""
    return {
        "extension": [extension("VaccinationProcedure", valueCodeableConcept=concept(procedure))],
        "status": "completed",
        "vaccineCode": concept(product, text=text),
        "patient": subject,
        "occurrenceDateTime": given,
        "primarySource": True,
        "lotNumber": lot,
        "site": UPPER_ARM,
        "route": INTRAMUSCULAR,
        "performer": [{"actor": performer}],
    }


def care_plan(*, subject: Json, title: str, description: str, start: str, author: Json, about: str) -> Json:
    """Elements of an active CarePlan for one Condition."""
    return {
        "status": "active",
        "intent": "plan",
        "category": [concept(Code("734163000", "Care plan", SNOMED))],
        "title": title,
        "description": description,
        "subject": subject,
        "period": {"start": start},
        "author": author,
        "addresses": [reference("Condition", about)],
    }


def flag(*, subject: Json, text: str, start: str, author: Json) -> Json:
    """Elements of an active Flag that staff see when they open the record."""
    return {
        "status": "active",
        "category": [hl7("flag-category", "safety", "Safety")],
        "code": {"text": text},
        "subject": subject,
        "period": {"start": start},
        "author": author,
    }
