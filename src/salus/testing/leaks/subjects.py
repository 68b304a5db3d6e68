"""The two patients: alike, but that one has a secret condition and a secret observation, which carry a label."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

LABEL: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
CODES: Final = "urn:salus:leaks"
Store = Callable[[str, dict[str, object]], None]
"""Stores a resource at `Type/id`, as somebody who may."""


@dataclass(frozen=True)
class Subject:
    """One of the two patients, by what stands in the paths.

    Args:
        names: logical ids by the names that paths use; those of the secret exist for one of the two only.
    """

    has_secret: bool
    names: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Subjects:
    """Both patients.

    Args:
        canary: a word that stands in the secret and nowhere else.
    """

    with_secret: Subject
    without: Subject
    canary: str


def set_up(store: Store) -> Subjects:
    """Store both patients' records. Raises whatever `store` raises."""
    canary = f"canary{secrets.token_hex(6)}"
    both = [_subject(store, canary, has_secret=has_secret) for has_secret in (True, False)]
    return Subjects(both[0], both[1], canary)


def _subject(store: Store, canary: str, *, has_secret: bool) -> Subject:
    run = secrets.token_hex(6)
    kinds = ("patient", "practitioner", "encounter", "observation", "condition", "list", "secret", "measured")
    names = {kind: f"{kind[0]}{number}-{run}" for number, kind in enumerate(kinds)}
    for reference, resource in _resources(names, run, canary).items():
        is_secret = reference.endswith((names["secret"], names["measured"]))
        if has_secret or not is_secret:
            store(reference, resource)
    return Subject(has_secret, names)


def _resources(names: dict[str, str], run: str, canary: str) -> dict[str, dict[str, object]]:
    """Everything of one patient, by `Type/id`, in an order in which references are known."""
    patient = {"reference": f"Patient/{names['patient']}"}
    encounter = {"reference": f"Encounter/{names['encounter']}"}
    made: list[dict[str, object]] = [
        {"resourceType": "Practitioner", "id": names["practitioner"], "name": [{"family": "Leak"}]},
        {
            "resourceType": "Patient",
            "id": names["patient"],
            "birthDate": "1970-01-01",
            "identifier": [{"system": CODES, "value": run}],
        },
        {
            "resourceType": "Encounter",
            "id": names["encounter"],
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": patient,
            "participant": [{"individual": {"reference": f"Practitioner/{names['practitioner']}"}}],
        },
        _observation(names["observation"], patient, encounter, "open", 1),
        _condition(names["condition"], patient, encounter, "open"),
        _observation(names["measured"], patient, encounter, canary, 99) | _secret(canary),
        _condition(names["secret"], patient, encounter, canary) | _secret(canary),
        {
            "resourceType": "List",
            "id": names["list"],
            "status": "current",
            "mode": "working",
            "subject": patient,
            "entry": [{"item": {"reference": f"Condition/{names['secret']}"}}],
        },
    ]
    return {f"{each['resourceType']}/{each['id']}": json.loads(json.dumps(each)) for each in made}


def _secret(canary: str) -> dict[str, object]:
    return {"meta": {"security": [LABEL]}, "identifier": [{"system": CODES, "value": canary}]}


def _observation(name: str, patient: object, encounter: object, word: str, value: int) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": CODES, "code": word}], "text": word},
        "subject": patient,
        "encounter": encounter,
        "effectiveDateTime": "2020-01-01",
        "valueQuantity": {"value": value, "unit": "1"},
    }


def _condition(name: str, patient: object, encounter: object, word: str) -> dict[str, object]:
    return {
        "resourceType": "Condition",
        "id": name,
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "code": {"coding": [{"system": CODES, "code": word, "display": word}], "text": word},
        "subject": patient,
        "encounter": encounter,
        "recordedDate": "2020-01-01",
        "note": [{"text": word}],
    }
