"""What a resource says around its name and value: by whom, where, whether it still holds, in words and in files.

Promises: whatever is missing, or is not of the type that FHIR says, is left out, so that one odd resource hides no
other; files are bytes that came from outside, trusted in nothing. Takes resources as `plain` does.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from salus.clinical.fhir.elements import objects, text, texts
from salus.clinical.fhir.plain import Content, concept

_PEOPLE: Final = (
    *("author", "performer.actor", "performer", "requester", "participant.individual", "recorder", "asserter"),
    *("interpreter", "informationSource"),
)
_PLACES: Final = ("custodian", "serviceProvider", "performer", "managingOrganization")
_NOTES: Final = ("dosageInstruction.text", "dosage.text", "conclusion", "note.text")
_NAMED_NOTES: Final = ("reaction.manifestation", "reasonCode")
_MAY_END: Final = frozenset({"AllergyIntolerance", "Condition", "Flag", "MedicationRequest", "MedicationStatement"})
_OVER: Final = frozenset({"resolved", "inactive", "remission", "stopped", "completed", "cancelled", "ended"})
_ABATED: Final = ("abatementDateTime", "abatementPeriod", "abatementRange", "abatementAge", "abatementString")
_WRONG: Final = "entered-in-error"


class Caution(StrEnum):
    """What has to be said beside a name, since the name alone says something else."""

    REFUTED = "refuted"
    UNCONFIRMED = "unconfirmed"
    NOT_DONE = "not done"
    NOT_TAKEN = "not taken"
    NOT_TO_TAKE = "not to be taken"
    NOT_BEGUN = "not begun"
    ON_HOLD = "on hold"
    NOT_FINAL = "not final"
    CORRECTED = "corrected"
    CANCELLED = "cancelled"
    REPLACED = "replaced"


_BY_STATUS: Final = {
    ("Immunization", "not-done"): Caution.NOT_DONE,
    ("Procedure", "not-done"): Caution.NOT_DONE,
    ("Procedure", "preparation"): Caution.NOT_BEGUN,
    ("Procedure", "on-hold"): Caution.ON_HOLD,
    ("MedicationStatement", "not-taken"): Caution.NOT_TAKEN,
    ("MedicationStatement", "intended"): Caution.NOT_BEGUN,
    ("MedicationStatement", "on-hold"): Caution.ON_HOLD,
    ("MedicationRequest", "draft"): Caution.NOT_BEGUN,
    ("MedicationRequest", "on-hold"): Caution.ON_HOLD,
    ("MedicationRequest", "cancelled"): Caution.CANCELLED,
    ("Observation", "registered"): Caution.NOT_FINAL,
    ("Observation", "preliminary"): Caution.NOT_FINAL,
    ("Observation", "amended"): Caution.CORRECTED,
    ("Observation", "corrected"): Caution.CORRECTED,
    ("Observation", "cancelled"): Caution.CANCELLED,
    ("DiagnosticReport", "registered"): Caution.NOT_FINAL,
    ("DiagnosticReport", "partial"): Caution.NOT_FINAL,
    ("DiagnosticReport", "preliminary"): Caution.NOT_FINAL,
    ("DiagnosticReport", "amended"): Caution.CORRECTED,
    ("DiagnosticReport", "corrected"): Caution.CORRECTED,
    ("DiagnosticReport", "cancelled"): Caution.CANCELLED,
    ("ImagingStudy", "registered"): Caution.NOT_BEGUN,
    ("ImagingStudy", "cancelled"): Caution.CANCELLED,
    ("DocumentReference", "superseded"): Caution.REPLACED,
}
"""FHIR R4: EventStatus and the status of each type; `docStatus` is not there in ours."""
_BY_VERIFICATION: Final = {
    "refuted": Caution.REFUTED,
    "unconfirmed": Caution.UNCONFIRMED,
    "provisional": Caution.UNCONFIRMED,
    "differential": Caution.UNCONFIRMED,
}
"""FHIR R4: condition-ver-status, allergyintolerance-verification."""


@dataclass(frozen=True)
class Attachment:
    """A file of a document: `reference` is `Binary/id` where it is a resource of its own, else its bytes are here."""

    content_type: str
    title: str = field(default="", repr=False)
    reference: str = field(default="", repr=False)
    content: bytes = field(default=b"", repr=False)


def person_of(content: Content) -> str:
    """Return who made or did it, as the resource names them; empty where it does not."""
    return _named(content, _PEOPLE, ("Practitioner/", "PractitionerRole/", ""))


def place_of(content: Content) -> str:
    """Return the organisation where it was made or done, as the resource names it; empty where it does not."""
    return _named(content, _PLACES, ("Organization/",))


def term_of(content: Content, name: str, *, of: str) -> str:
    """Return the clinical term of the first code of an element; empty where it is the name that is known already."""
    first = next(texts(content, f"{of}.coding.display"), "")
    return "" if first.casefold() == name.casefold() else first


def notes_of(content: Content) -> list[str]:
    """Return what it says in words: how to take it, what happened, what was concluded."""
    plain = [each for path in _NOTES for each in texts(content, path)]
    named = [concept(each) for path in _NAMED_NOTES for each in objects(content, path)]
    return [each for each in (*plain, *named) if each]


def is_over(content: Content) -> bool:
    """Tell whether a problem, an allergy or a medicine is said to be no more."""
    kind, standing = content.get("resourceType"), {*texts(content, "clinicalStatus.coding.code")}
    standing |= {*texts(content, "status")}
    has_abated = kind == "Condition" and any(each in content for each in _ABATED)
    return has_abated or (kind in _MAY_END and bool(standing & _OVER))


def caution_of(content: Content) -> Caution | None:
    """Return what has to be said beside its name: a vaccine that was not given is no vaccination; None for nothing."""
    if content.get("resourceType") == "MedicationRequest" and content.get("doNotPerform") is True:
        return Caution.NOT_TO_TAKE
    verified = (_BY_VERIFICATION.get(each) for each in texts(content, "verificationStatus.coding.code"))
    stated = (_BY_STATUS.get((str(content.get("resourceType")), each)) for each in texts(content, "status"))
    return next((each for each in (*verified, *stated) if each is not None), None)


def is_wrong(content: Content) -> bool:
    """Tell whether its source says that it was entered in error."""
    return _WRONG in {*texts(content, "status"), *texts(content, "verificationStatus.coding.code")}


def attachments_of(content: Content) -> list[Attachment]:
    """Return the files of a document or a report, in its order."""
    return [_attachment(each) for path in ("content.attachment", "presentedForm") for each in objects(content, path)]


def binary_of(content: Content) -> Attachment | None:
    """Return what a Binary holds; None for another resource."""
    return _attachment(content) if content.get("resourceType") == "Binary" else None


def _attachment(node: Content) -> Attachment:
    title, reference = text(node, "title") or "", text(node, "url") or ""
    return Attachment(text(node, "contentType") or "", title, reference, _bytes(text(node, "data") or ""))


def _bytes(data: str) -> bytes:
    try:
        return base64.b64decode(data)
    except (binascii.Error, ValueError):  # ValueError: characters that no base64 has
        return b""


def _named(content: Content, paths: tuple[str, ...], kinds: tuple[str, ...]) -> str:
    """The display of the first reference to one of these types; the type "" stands for a name alone."""
    return next(_displays(content, paths, kinds), "")


def _displays(content: Content, paths: tuple[str, ...], kinds: tuple[str, ...]) -> Iterator[str]:
    for each in (each for path in paths for each in objects(content, path)):
        reference, display = text(each, "reference") or "", text(each, "display")
        if display and any(reference.startswith(kind) if kind else not reference for kind in kinds):
            yield display
