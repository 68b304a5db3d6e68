"""Emergency access: to somebody who cannot be asked, for one hour, with a reason, reviewed, and told to the patient."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

import msgspec
from starlette.responses import Response

from salus.clinical.fhir import FhirRejected, demographics
from salus.clinical.nhs_number import NhsNumber
from salus.node.errors import Refusal, Refused
from salus.node.services import find_patient, view_patient
from salus.node.services.find_patient import FoundPatient
from salus.node.services.view_patient import EmergencyAnswer
from salus.portal.call import Call, Error, Page, Person
from salus.portal.open_patients import OpenPatient
from salus.portal.pages.clinician.find import read_patient
from salus.portal.pages.clinician.reasons import EMERGENCIES, chosen, items
from salus.portal.pages.clinician.same_patient import linked, of_the_same, whose
from salus.portal.pages.clinician.viewing import go_to, go_to_search, opened, viewed
from salus.portal.words import Words

ASKED_FOR_S: Final = 86_400
"""Longer than any network allows: how long it is, is answered."""


def show(call: Call) -> Response:
    """The page."""
    return go_to_search(call) if _wanted(call) is None else _page(call)


def answer(call: Call) -> Response:
    """Ask for emergency access.

    1. Read the reason, from the list and in words.
    2. Have the ledger decide on this organisation's own records; a limit is said in words.
    3. See who it is, and ask all other organisations in the same way.
    """
    patient, words = _wanted(call), call.words
    if patient is None:
        return go_to_search(call)
    reason, errors = chosen(call, "reason", EMERGENCIES, missing=words("Choose what the emergency is"))  # 1
    if not errors and not call.form.get("reason-words", "").strip():
        errors = [Error("reason-words", words("Say in a few words what has happened"))]
    if errors:
        return _page(call, *errors)
    asked = msgspec.structs.replace(
        patient,
        pseudonym=_pseudonym(call, patient),
        emergency=reason,
        emergency_until_s=call.portal.node.clock() + ASKED_FOR_S,
    )
    try:
        begun = view_patient.begin_emergency(call.portal.node, call.login, viewed(call, asked))  # 2
    except Refused as refused:
        if refused.refusal is not Refusal.TOO_MANY:
            raise
        return _page(call, Error("reason", words("You have had too many emergencies. Let another clinician ask")))
    if begun.reason:
        return _page(call, Error("reason", _why_not(words, begun.reason)))
    if patient.collection:
        call.portal.collections.drop(patient.collection)
    return go_to(call, _known(asked, begun), begun)  # 3


def end(call: Call) -> Response:
    """End emergency access; whoever may be seen without it stays open."""
    patient = opened(call)
    if patient is None:
        return go_to_search(call)
    if patient.collection:
        call.portal.collections.drop(patient.collection)
    plain = msgspec.structs.replace(patient, emergency="", emergency_until_s=0, collection=b"")
    login = viewed(call, plain).login(call.login)
    found = find_patient.patient_of(call.portal.node, call.portal.responder, login, plain.pseudonym)
    notice = call.words("Emergency access has ended")
    if found is None:
        return call.go("/patients", notice=notice, patient=(), found=())
    return go_to(call, read_patient(found, plain.justification), notice=notice)


def _wanted(call: Call) -> OpenPatient | None:
    """Who is open, or was looked for by number and not seen."""
    found = call.signed_in.state.found
    return opened(call) or (found[0] if found and not found[0].name else None)


def _whom(call: Call) -> Sequence[OpenPatient]:
    patient = _wanted(call)
    return () if patient is None else (patient,)


def _pseudonym(call: Call, patient: OpenPatient) -> bytes:
    if patient.pseudonym or not patient.number:
        return patient.pseudonym
    return find_patient.known_here(call.portal.node, NhsNumber(patient.number), born=patient.born)


def _known(asked: OpenPatient, begun: EmergencyAnswer) -> OpenPatient:
    """Return who it is, as far as emergency access shows it."""
    patients = (read_patient(FoundPatient(asked.pseudonym, each), asked.justification) for each in _patients(begun))
    seen = next(patients, msgspec.structs.replace(asked, collection=b""))
    return msgspec.structs.replace(seen, emergency=asked.emergency, emergency_until_s=begun.until_s)


def _patients(begun: EmergencyAnswer) -> Iterator[bytes]:
    for each in begun.records:
        with suppress(FhirRejected):
            demographics(each)
            yield each


def _why_not(words: Words, reason: str) -> str:
    """Why there is no emergency access, in words."""
    return {
        "EMERGENCY_NOT_CLINICAL": words("Only doctors, nurses and other clinicians can have emergency access"),
        "EMERGENCIES_UNREVIEWED": words(
            "Too many emergencies wait for their review. Ask your privacy officer to review them"
        ),
    }.get(reason, words("Emergency access to this patient is not allowed here"))


def _page(call: Call, *errors: Error) -> Response:
    return call.page(
        "pages/clinician/emergency.html",
        title=call.words("Emergency access"),
        back=linked(call, "/patient") if opened(call) is not None else "/patients/found",
        errors=errors,
        reasons=items(call, "reason", EMERGENCIES),
        entered=call.form.get("reason-words", ""),
        of=whose(call, *_whom(call)),
    )


PAGES: Final = (
    Page("/patient/emergency", Person.CLINICIAN, of_the_same(show, _whom), of_the_same(answer, _whom)),
    Page("/patient/emergency/end", Person.CLINICIAN, None, of_the_same(end)),
)
