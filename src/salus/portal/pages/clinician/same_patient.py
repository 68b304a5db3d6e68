"""Same patient: whoever reads one patient in one tab, and opens another in the next, is shown no page of the other's.

A session has one person open, and no address names them. So what a page leads to says of whom the page was, by digits
that mean nothing elsewhere; where somebody else is open by then, that is said, and nothing is shown, asked or done.
"""

from collections.abc import Callable, Sequence
from functools import wraps

from starlette.responses import Response

from salus.portal import open_patients
from salus.portal.call import Call, Handler
from salus.portal.open_patients import OpenPatient
from salus.portal.pages.clinician.viewing import opened

OTHER = "pages/clinician/other_patient.html"


def whose(call: Call, *people: OpenPatient) -> str:
    """Return the digits for somebody who is open, or for those who were found, in their order."""
    return open_patients.whose(call.signed_in.state.form, people)


def whoever_is_open(call: Call) -> Sequence[OpenPatient]:
    """Return who is open: one, or none."""
    patient = opened(call)
    return () if patient is None else (patient,)


def whoever_was_found(call: Call) -> Sequence[OpenPatient]:
    """Return those who were found."""
    return call.signed_in.state.found


def linked(call: Call, path: str) -> str:
    """Return an address of ours that says of whom this page is."""
    return f"{path}?of={whose(call, *whoever_is_open(call))}"


def of_the_same(
    handler: Handler, whom: Callable[[Call], Sequence[OpenPatient]] = whoever_is_open, *, part: str = ""
) -> Handler:
    """Return a handler that answers only where the page before was of whoever it is about now.

    Args:
        whom: about whom it is.
        part: the template that says so to a script that asks for a part of the page before.
    """

    @wraps(handler)
    def answered(call: Call) -> Response:
        said, people = call.form.get("of") or call.query.get("of", ""), whom(call)
        if not said or not people or said == whose(call, *people):
            return handler(call)
        if part and call.is_fragment:
            return call.page(part, title="")
        return call.page(OTHER, title=call.words("Another patient is open"), status=409)

    return answered
