"""Add something: what it is that the patient adds, and the page at the end."""

from typing import Final

from starlette.responses import Response

from salus.portal.call import Call, Error, Page, Person

FILE: Final = "file"


def _(english: str) -> str:
    """Mark words for translation."""
    return english


READING_NAMES: Final = {
    "blood-pressure": _("Blood pressure"),
    "weight": _("Weight"),
    "temperature": _("Temperature"),
    "pulse": _("Pulse (how fast your heart beats)"),
    "blood-sugar": _("Blood sugar"),
    "oxygen": _("Oxygen in your blood"),
}
"""What patients call each of `contributed.READINGS`."""


def show(call: Call, *errors: Error) -> Response:
    """What do you want to add?"""
    words = call.words
    readings = [{"value": kind, "text": words(name)} for kind, name in READING_NAMES.items()]
    return call.page(
        "pages/patient/add.html",
        title=words("What do you want to add?"),
        errors=errors,
        options=[{"value": FILE, "text": words("A document or a photo")}, {"divider": words("or")}, *readings],
        organisation=call.portal.title,
    )


def answer(call: Call) -> Response:
    """Go to the page of what was chosen."""
    kind = call.form.get("what", "")
    if kind == FILE:
        return call.go("/add/file")
    if kind in READING_NAMES:
        return call.go(f"/add/reading/{kind}")
    return show(call, Error("what", call.words("Choose what you want to add")))


def show_done(call: Call) -> Response:
    """It is added."""
    return call.page("pages/patient/add_done.html", title=call.words("It is in your record"))


PAGES: Final = (
    Page("/add", Person.PATIENT, show, answer, listed="Add something"),
    Page("/add/done", Person.PATIENT, show_done),
)
