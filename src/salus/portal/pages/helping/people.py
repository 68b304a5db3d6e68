"""Helping: whom somebody helps, and acting for one of them, or for nobody any more."""

from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.node.acting import Delegate
from salus.node.errors import Refused
from salus.node.services.accounts import Found
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.helper_sentences import kinds_seen
from salus.portal.sessions import Helping


@dataclass(frozen=True)
class HelpedRow:
    """Somebody whom one helps; `said` is how far, and empty once it has ended. `name` is how its form names them."""

    name: str
    patient: str = field(repr=False)
    said: str


def show(call: Call) -> Response:
    """The page."""
    rows = [_row(call, each) for each in _helped(call).values()]
    return call.page("pages/helping/people.html", title=call.words("People you help"), rows=rows)


def start(call: Call) -> Response:
    """Act for one of them from the next page on."""
    found = _helped(call).get(call.form.get("who", ""))
    try:
        held = () if found is None else call.portal.accounts.hold(found.account)
    except Refused:
        held = ()
    if found is None or not held:
        return call.go("/helping", not_done=call.words("You can no longer help this person. Ask them if you should"))
    for patient in call.signed_in.state.patient:
        call.portal.collections.drop(patient.collection)
    helping = (Helping(found.id, call.signed_in.own),)
    return call.go("/record", helping=helping, held=held, patient=(), found=(), answers=(), collected=b"")


def stop(call: Call) -> Response:
    """Be oneself again."""
    own = call.signed_in.own
    said = call.words("You have stopped. What you see now is yours")
    return call.go("/helping", notice=said, helping=(), held=own, answers=(), collected=b"")


def _helped(call: Call) -> dict[str, Found]:
    """Whom the person helps who is signed in, by how a form names them."""
    portal = call.portal
    return {portal.reference("helping", each.id): each for each in portal.helpers.helped_by(call.signed_in.account)}


def _row(call: Call, found: Found) -> HelpedRow:
    acts_as, words = found.account.acts_as, call.words
    assert isinstance(acts_as, Delegate), "what helpers take up"
    name = call.portal.reference("helping", found.id)
    try:
        call.portal.accounts.hold(found.account)
        seen = kinds_seen(words, call.portal.accounts.band_of(acts_as).classes, is_own=False)
    except Refused:
        return HelpedRow(name, acts_as.patient, "")
    return HelpedRow(name, acts_as.patient, words("You may see %(what)s.") % {"what": seen})


PAGES: Final = (
    Page("/helping", Person.SIGNED_IN, show, start),
    Page("/helping/stop", Person.SIGNED_IN, None, stop),
)
