"""Launched: the patient whom a clinician had open in another system is opened here, once they have said why."""

from starlette.responses import Response

from salus.clinical import nhs_number
from salus.node.services.launches import LaunchedPatient
from salus.portal.call import Call, Error, Page, Person
from salus.portal.open_patients import day_of, grouped
from salus.portal.pages.clinician.find import open_by_number, read_why
from salus.portal.pages.clinician.reasons import REASONS, RELATIONSHIPS, items


def show(call: Call) -> Response:
    """Ask why; of somebody without a number, the clinician looks for them by hand."""
    launched = call.signed_in.state.launched
    if not launched:
        return call.go("/patients")
    if not launched[0].number:
        said = call.words("%(system)s did not say whom you had open. Find the patient here")
        return call.go("/patients", not_done=said % {"system": launched[0].system}, launched=())
    return _page(call, launched[0])


def answer(call: Call) -> Response:
    """Look for the patient as though typed in; whoever may not be seen is as if they were not here."""
    launched = call.signed_in.state.launched
    if not launched or not launched[0].number:
        return call.go("/patients")
    why, errors = read_why(call)
    if errors:
        return _page(call, launched[0], *errors)
    number, born = nhs_number.parse(launched[0].number), launched[0].born
    response = open_by_number(call, number, born=born, why=why)
    call.portal.sessions.change(call.signed_in, launched=())
    return response


def _page(call: Call, launched: LaunchedPatient, *errors: Error) -> Response:
    born = day_of(launched.born)
    return call.page(
        "pages/clinician/launched.html",
        title=call.words("Why are you opening this record?"),
        errors=errors,
        system=launched.system,
        number=grouped(launched.number),
        born=launched.born if born is None else call.words.date(born),
        entered=call.form.get("reason-words", ""),
        reasons=items(call, "reason", REASONS),
        relationships=items(call, "relationship", RELATIONSHIPS),
    )


PAGE = Page("/launch/patient", Person.CLINICIAN, show, answer)
