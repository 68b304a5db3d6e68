"""Who helps you: the people whom a patient lets act, how far and until when; stopping one in two clicks."""

from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.node.services.patient_helpers import HelperRow
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.helper_sentences import sentence, state
from salus.portal.pages.patient.helpers_signing import sign_helper_removed


@dataclass(frozen=True)
class Row:
    """A helper in words; `name` is how a form and an address name them; `waits`: they have not used a code yet."""

    name: str
    sentence: str = field(repr=False)
    state: str
    is_ended: bool
    waits: bool


def show(call: Call) -> Response:
    """Everybody who helps, and who helped."""
    rows = [_row(call, name, each) for name, each in _helpers(call).items()]
    return call.page(
        "pages/patient/helpers.html",
        title=call.words("Who helps you"),
        rows=[each for each in rows if not each.is_ended],
        ended=[each for each in rows if each.is_ended],
    )


def ask_to_stop(call: Call) -> Response:
    """Ask whether somebody is to help no more."""
    name = call.query.get("who", "")
    found = _helpers(call).get(name)
    if found is None or found.is_ended:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    return call.page(
        "pages/patient/helpers_stop.html",
        title=call.words("Stop this help?"),
        back="/helpers",
        row=_row(call, name, found),
    )


def stop(call: Call) -> Response:
    """Let them act no more."""
    found = _helpers(call).get(call.form.get("who", ""))
    if found is None or found.is_ended:
        return call.go("/helpers", not_done=call.words("That help had ended before. Nothing was changed"))
    return sign_helper_removed(call, found)


def answer(call: Call) -> Response:
    """Give another code to somebody who has not used theirs."""
    found = _helpers(call).get(call.form.get("who", ""))
    if found is None or found.is_ended or found.is_taken_up:
        return call.go("/helpers", not_done=call.words("They have a code already, or help you no more"))
    code = call.portal.helpers.new_code(call.login, call.owner.pseudonym, found.key)
    return call.go("/helpers/code", answers=(("code", code),))


def _helpers(call: Call) -> dict[str, HelperRow]:
    """The patient's helpers, by how a form names them."""
    portal = call.portal
    return {portal.reference("helper", each.key): each for each in portal.helpers.of(call.owner.pseudonym)}


def _row(call: Call, name: str, row: HelperRow) -> Row:
    if row.help is None:
        said = call.words("Somebody whose name is not kept here. They can do nothing.")
    else:
        said = sentence(call.words, row.help)
    return Row(name, said, state(call.words, row), row.is_ended, not row.is_ended and not row.is_taken_up)


PAGES: Final = (
    Page("/helpers", Person.PATIENT, show, answer, listed="Who helps you"),
    Page("/helpers/stop", Person.PATIENT, ask_to_stop, stop),
)
