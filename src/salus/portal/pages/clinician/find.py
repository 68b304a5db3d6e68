"""Find a patient: by NHS number, or by name and date of birth, with the reason; whoever is found is in the session."""

import datetime
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from salus.clinical import nhs_number
from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.elements import text, texts
from salus.clinical.fhir.patients import best_name, demographics
from salus.clinical.fhir.strict_json import read_object
from salus.clinical.nhs_number import NhsNumber, NhsNumberInvalid
from salus.node.errors import Refusal, Refused
from salus.node.services import find_patient
from salus.node.services.find_patient import FoundPatient
from salus.portal.call import Call, Error, Page, Person
from salus.portal.open_patients import OpenPatient, about
from salus.portal.pages.clinician.reasons import REASONS, RELATIONSHIPS, chosen, items
from salus.portal.pages.clinician.same_patient import of_the_same, whoever_was_found, whose
from salus.portal.pages.clinician.viewing import go_to, opened, place_in

FIELDS: Final = ("number", "family", "given", "born-day", "born-month", "born-year", "reason-words")
NAME_MAX: Final = 100


def show(call: Call) -> Response:
    """The page."""
    return _page(call)


def answer(call: Call) -> Response:
    """Look for somebody.

    1. Read who it is and why; say all that is wrong at once.
    2. By number: whoever is found is open. By name: the clinician says which of those found it is.
    """
    words = call.words
    why, errors = read_why(call)  # 1
    born, unfit = _born(call)
    number, bad_number = _number(call)
    errors = [*bad_number, *_missing_name(call, born), *unfit, *errors]
    if errors:
        return _page(call, *errors)
    try:  # 2
        if number is not None:
            return open_by_number(call, number, born=born, why=why)
        found = _named(call, born=born, why=why)
    except FhirRejected:
        return _page(call, Error("family", words("Enter a shorter name")))
    except Refused as refused:
        if refused.refusal is not Refusal.TOO_MANY:
            raise
        return _page(call, Error("number", words("Too many searches. Wait 15 minutes, then try again")), status=429)
    return call.go("/patients/found", found=found, patient=())


def open_by_number(call: Call, number: NhsNumber, *, born: str, why: str) -> Response:
    """Open the person with a number; where there is nobody here whom one may see, say so, and ask elsewhere.

    Args:
        born: YYYY-MM-DD, which has to fit as well; or empty.

    Raises:
        Refused: TOO_MANY; or as `show`.
    """
    portal, login = call.portal, replace(call.login, justification=why)
    account = call.signed_in.account
    found = find_patient.by_number(portal.node, portal.responder, login, number, born=born, account=account)
    if found is not None:
        return go_to(call, read_patient(found, why))
    return call.go("/patients/found", found=(OpenPatient(why, born=born, number=number.digits),), patient=())


def show_found(call: Call) -> Response:
    """Those who were found, to choose from; or that there was nobody."""
    found = call.signed_in.state.found
    now_s = call.portal.node.clock()
    if found and found[0].name:
        people = [about(each, call.words, now_s=now_s) for each in found]
        title = call.words("Which of these people is it?")
        of = whose(call, *found)
        return call.page("pages/clinician/found.html", title=title, back="/patients", people=people, of=of)
    title, sought = call.words("Nobody was found"), found[0] if found else None
    of = whose(call, *found)
    return call.page("pages/clinician/nobody.html", title=title, back="/patients", sought=sought, of=of)


def open_found(call: Call) -> Response:
    """Open one of those who were found, by its place in the list; no other can be named."""
    found = call.signed_in.state.found
    place = place_in(call.form.get("which", ""), len(found))
    return call.go("/patients/found") if place is None else go_to(call, found[place])


def open_elsewhere(call: Call) -> Response:
    """Open somebody who was not seen here, to ask other organisations by number and date of birth."""
    found = call.signed_in.state.found
    if not (found and found[0].number and found[0].born and not found[0].name):
        return call.go("/patients/found")
    return go_to(call, found[0])


def close(call: Call) -> Response:
    """Close the patient who is open; what others answered is forgotten."""
    patient = opened(call)
    if patient is not None and patient.collection:
        call.portal.collections.drop(patient.collection)
    return call.go("/patients", notice=call.words("The patient is closed"), patient=(), found=())


def read_why(call: Call) -> tuple[str, list[Error]]:
    """Return why somebody looks, as the patient reads it; and what is missing of it."""
    words = call.words
    reason, one = chosen(call, "reason", REASONS, missing=words("Choose why you are looking"))
    relationship, two = chosen(call, "relationship", RELATIONSHIPS, missing=words("Choose what your part is"))
    return f"{reason}; {relationship}", [*one, *two]


def read_patient(found: FoundPatient, why: str) -> OpenPatient:
    """Return somebody who was found as the session keeps them."""
    content = read_object(found.body)
    said, name = demographics(found.body), best_name(content)
    whole = " ".join([*texts(name, "prefix"), *said.given, said.family or ""]).strip() or text(name, "text") or "?"
    number = said.nhs_number.digits if said.nhs_number is not None else ""
    place = text(content, "address.city") or ""
    return OpenPatient(why, found.pseudonym, whole, said.birth_date or "", number, place)


def _named(call: Call, *, born: str, why: str) -> tuple[OpenPatient, ...]:
    portal, login, account = call.portal, replace(call.login, justification=why), call.signed_in.account
    family, given = _written(call, "family"), _written(call, "given")
    several = find_patient.by_name(
        portal.node, portal.responder, login, family=family, given=given, born=born, account=account
    )
    return tuple(read_patient(each, why) for each in several)


def _number(call: Call) -> tuple[NhsNumber | None, list[Error]]:
    written = _written(call, "number")
    if not written:
        return None, []
    try:
        return nhs_number.parse(written), []
    except NhsNumberInvalid:
        return None, [Error("number", call.words("Enter an NHS number of 10 digits. Check each digit"))]


def _born(call: Call) -> tuple[str, list[Error]]:
    parts = [_written(call, f"born-{each}") for each in ("year", "month", "day")]
    if not any(parts):
        return "", []
    unfit = [Error("born-day", call.words("Enter a real date of birth, like 27 3 1985"))]
    if not all(each.isdecimal() and len(each) <= 4 for each in parts) or len(parts[0]) != 4:
        return "", unfit
    year, month, day = (int(each) for each in parts)
    try:
        return datetime.date(year, month, day).isoformat(), []
    except ValueError:
        return "", unfit


def _missing_name(call: Call, born: str) -> list[Error]:
    """What is missing of a search without a number."""
    words, family = call.words, _written(call, "family")
    if _written(call, "number"):
        return []
    if not family and not born:
        return [Error("number", words("Enter an NHS number, or a last name and a date of birth"))]
    missing = [] if family else [Error("family", words("Enter a last name"))]
    has_date = any(_written(call, f"born-{each}") for each in ("day", "month", "year"))
    return [*missing, *([] if has_date else [Error("born-day", words("Enter a date of birth"))])]


def _written(call: Call, field: str) -> str:
    return " ".join(call.form.get(field, "").split())[:NAME_MAX]


def _page(call: Call, *errors: Error, status: int = 200) -> Response:
    return call.page(
        "pages/clinician/find.html",
        title=call.words("Find a patient"),
        errors=errors,
        status=status,
        entered={each: call.form.get(each, "") for each in FIELDS},
        reasons=items(call, "reason", REASONS),
        relationships=items(call, "relationship", RELATIONSHIPS),
    )


PAGES: Final = (
    Page("/patients", Person.CLINICIAN, show, answer, listed="Find a patient"),
    Page("/patients/found", Person.CLINICIAN, show_found, of_the_same(open_found, whoever_was_found)),
    Page("/patients/elsewhere", Person.CLINICIAN, None, of_the_same(open_elsewhere, whoever_was_found)),
    Page("/patient/close", Person.CLINICIAN, None, of_the_same(close)),
)
