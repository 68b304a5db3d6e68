"""Where a patient comes back to from the signer page: what was signed is done here, if this browser asked for it."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from salus.node.errors import NotNow
from salus.node.services.signer_answers import Declined
from salus.node.services.signings import Collected
from salus.portal.call import HOMES, Call, Page, Person
from salus.portal.pages.patient import (
    acting_devices,
    helpers_signing,
    links_signing,
    opening,
    organisations_add,
    recovery,
    recovery_change,
    recovery_lost,
    signing,
)
from salus.portal.pages.patient.signing import Ending

ENDINGS: Final[Mapping[str, Ending]] = {
    **signing.ENDINGS,
    **opening.ENDINGS,
    **acting_devices.ENDINGS,
    **organisations_add.ENDINGS,
    **helpers_signing.ENDINGS,
    **links_signing.ENDINGS,
    **recovery.ENDINGS,
    **recovery_change.ENDINGS,
    **recovery_lost.ENDINGS,
}


def _(english: str) -> str:
    """Mark words for translation."""
    return english


REASONS: Final = {
    "person": _("You did not say yes on your device."),
    "unable": _("This browser cannot do it. You can try another browser, or another device."),
    "request": _("Something went wrong on this website. Tell the people who run it."),
    "clock": _("Your device has another time than this website. Put its date and time right, then try again."),
    "wallet": _("That was not the passkey for this. Try again, and choose the one that you made for this website."),
}


def show(call: Call) -> Response:
    """Do what was signed, once, or say why nothing was."""
    session = call.signed_in.bearer.lookup
    collected = call.portal.signings.collect(call.path["id"], session=session)
    if collected is None:
        return _over(call)
    ending = ENDINGS[collected.ending]
    if not isinstance(collected.answer, Declined):
        return _acted(call, collected, ending)
    reason = collected.answer.reason
    return call.page(
        "pages/patient/unsigned.html",
        title=call.words("Nothing has changed"),
        back=ending.back,
        said=call.words(REASONS[reason]),
        is_unable=reason == "unable",
        is_assisted=not signing.signs_alone(call),
    )


def _acted(call: Call, collected: Collected, ending: Ending) -> Response:
    """Do what was signed; where nobody knows what became of it, say so: this address does nothing a second time."""
    try:
        return ending.act(call, collected)
    except NotNow:
        words = call.words
        return call.page(
            "pages/patient/unsigned.html",
            title=words("We do not know yet whether it is done"),
            back=ending.back,
            said=words("Somebody did not answer us. Go back and look. If it is not done, do it again in a while."),
            status=503,
        )


def _over(call: Call) -> Response:
    """Say to whoever loads the page once more, or was too slow, that this did nothing: of every id alike."""
    return call.page(
        "pages/patient/unsigned.html",
        title=call.words("There is nothing to finish here"),
        back=HOMES[Person.PATIENT],
        said=call.words(
            "It is finished already, it took more than 10 minutes, or you began something else after it. "
            "See what has changed before you begin again."
        ),
        status=404,
    )


PAGES: Final = (Page("/signing/{id}/done", Person.PATIENT, show, needs_session=False),)
