"""Who a Patient resource says the person is: what is compared when two organisations ask for the same person.

Never shows any of it in a `repr` (P4), and never leaves the node that holds the resource.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from salus.clinical.fhir.elements import objects, text, texts
from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.fhir.resources import Resource
from salus.clinical.fhir.strict_json import read_object
from salus.clinical.fhir.subjects import stated_nhs_number
from salus.clinical.local_number import LENGTH_MAX, LocalNumber
from salus.clinical.nhs_number import NhsNumber


@dataclass(frozen=True, slots=True, repr=False)
class Demographics:
    """What identifies a person, as written at the source; None or empty where the resource does not say."""

    nhs_number: NhsNumber | None
    family: str | None
    given: tuple[str, ...]
    birth_date: str | None
    gender: str | None
    postcode: str | None

    def __repr__(self) -> str:
        """Show nothing of the person."""
        return "Demographics(hidden)"


def demographics(body: bytes) -> Demographics:
    """Read the demographics out of the bytes of a Patient.

    Raises:
        FhirRejected: NOT_A_PATIENT for another type, and whatever makes the bytes unreadable.
    """
    content = read_object(body)
    if content.get("resourceType") != "Patient":
        hint = "send the person's Patient resource"
        raise FhirRejected(Fault.NOT_A_PATIENT, expected="a Patient", came="another resource", hint=hint)
    name = best_name(content)
    return Demographics(
        nhs_number=stated_nhs_number(content),
        family=text(name, "family"),
        given=tuple(texts(name, "given")),
        birth_date=text(content, "birthDate"),
        gender=text(content, "gender"),
        postcode=text(content, "address.postalCode"),
    )


def best_name(content: Mapping[str, object]) -> Mapping[str, object]:
    """The official name, else the first that is not marked old; nothing when there is none."""
    names = list(objects(content, "name"))
    official = [name for name in names if name.get("use") == "official"]
    present = [name for name in names if name.get("use") != "old"]
    return next(iter(official + present), {})


def person_number(patient: Resource) -> NhsNumber | LocalNumber:
    """Return the number by which a person is known: the NHS number, else the first of the source's own, else the id.

    Raises:
        FhirRejected: NO_PATIENT: the Patient has no number and no id.
    """
    if patient.nhs_number is not None:
        return patient.nhs_number
    for identifier in objects(read_object(patient.body), "identifier"):
        system, value = text(identifier, "system"), text(identifier, "value")
        if system and value and identifier.get("use") != "old" and len(system) + len(value) <= LENGTH_MAX:
            return LocalNumber(system, value)
    if patient.id is not None:
        return LocalNumber("Patient", patient.id)
    expected, hint = "a Patient with an NHS number, an identifier or an id", "add one at its source"
    raise FhirRejected(Fault.NO_PATIENT, expected=expected, came="one without any", hint=hint)
