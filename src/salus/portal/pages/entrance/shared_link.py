"""Open a link that a patient gave out: read, asked for and decrypted by the browser; the server sees no key."""

from typing import Final

from starlette.responses import Response

from salus.clinical.fhir.patient_summary import OTHERS, SECTIONS, SILENT
from salus.portal.call import Call, Page, Person
from salus.portal.shared_link import VIEWER


def _(english: str) -> str:
    """Mark words for translation."""
    return english


_WORDS: Final = {
    "born": _("born"),
    "from": _("From %(organisation)s, %(when)s"),
    "number": _("NHS number"),
    "nothing": _("Nothing is in this link. Ask the person whether there is something."),
    "save": _("Save this letter"),
    "silent": _("%(organisation)s did not answer. Its records are missing here."),
    "unnamed": _("Without a name"),
    "passcode_missing": _("Enter the passcode"),
    "passcode_wrong": _("That passcode is wrong. Tries left: %(count)s"),
    "recipient_missing": _("Enter who you are"),
}
_TITLES: Final = (
    _("Allergies"),
    _("Medicines"),
    _("Health problems"),
    _("Vaccinations"),
    _("Test results"),
    _("Operations and procedures"),
    _("Other records"),
    _("Did not answer"),
)
"""What the sections of the document are called in English, for translation."""


def show(call: Call) -> Response:
    """The page, the same for every link: which one it is stands behind the `#`, and comes to no server."""
    words = call.words
    return call.page(
        "pages/entrance/shared_link.html",
        title=words("Open a shared record"),
        said={name: words(text) for name, text in _WORDS.items()},
        sections={each.code: words(each.title) for each in (*SECTIONS, OTHERS, SILENT)},
    )


PAGE = Page(VIEWER, Person.ANYBODY, show)
