"""One letter, on the page where a browser can show it; what is in it comes from outside, and can do nothing there."""

from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.clinical.fhir import circumstances, plain
from salus.clinical.fhir.circumstances import Attachment
from salus.portal import dates, files
from salus.portal.call import Call, Page, Person
from salus.portal.pages.clinician.cautions import caution_words
from salus.portal.pages.clinician.same_patient import linked, of_the_same
from salus.portal.pages.clinician.sections import conclusion_of, source_of
from salus.portal.pages.clinician.viewing import Known, find, name_of, opened, place_in, view

LETTERS: Final = ("DocumentReference", "DiagnosticReport")
BINARIES: Final = ("Binary",)
TEXT_MAX: Final = 200_000
"""So many characters of a letter in plain text are shown on the page."""


@dataclass(frozen=True)
class FileRow:
    """A file of a letter; `text` is what it says where that is plain text."""

    href: str
    kind: str
    is_shown: bool
    text: str = field(repr=False)


def show(call: Call) -> Response:
    """The letter."""
    letter = _letter(call)
    if letter is None:
        return _missing(call)
    found = [_file(call, letter, each) for each in circumstances.attachments_of(letter.content)]
    response = call.page(
        "pages/clinician/letter.html",
        title=plain.name_of(letter.content) or call.words("Letter"),
        back=linked(call, "/patient"),
        day=dates.in_words(call.words, plain.date_of(letter.content)),
        author=circumstances.person_of(letter.content),
        source=source_of(call.words, letter),
        caution=caution_words(call.words, letter),
        conclusion=conclusion_of(letter) if letter.type == "DiagnosticReport" else "",
        files=[_row(call, letter, each, place) for place, each in enumerate(found) if each is not None],
    )
    response.headers["content-security-policy"] += "; frame-src 'self'"
    return response


def show_file(call: Call) -> Response:
    """One file of it, for the browser to show or to save."""
    letter = _letter(call)
    attachments = circumstances.attachments_of(letter.content) if letter is not None else []
    place = place_in(call.path["place"], len(attachments))
    found = None if letter is None or place is None else _file(call, letter, attachments[place])
    if letter is None or found is None:
        return _missing(call)
    name = found.title or plain.name_of(letter.content)
    return files.file(found.content, content_type=found.content_type, name=name, is_framed=True)


def _letter(call: Call) -> Known | None:
    patient = opened(call)
    if patient is None:
        return None
    return find(view(call, patient, LETTERS, name=call.path["letter"]).of(*LETTERS), call.path["letter"])


def _file(call: Call, letter: Known, attachment: Attachment) -> Attachment | None:
    """An attachment with its bytes: its own, or those of the Binary that it names, from where the letter is."""
    patient = opened(call)
    if attachment.content or patient is None or not attachment.reference.startswith("Binary/"):
        return attachment if attachment.content else None
    name = name_of(call, letter.source, "Binary", attachment.reference.removeprefix("Binary/"))
    binary = find(view(call, patient, BINARIES, name=name).records, name)
    return None if binary is None else circumstances.binary_of(binary.content)


def _row(call: Call, letter: Known, found: Attachment, place: int) -> FileRow:
    kind = files.essence(found.content_type)
    text = found.content[:TEXT_MAX].decode("utf-8", "replace") if kind == "text/plain" else ""
    return FileRow(linked(call, f"/patient/letters/{letter.name}/{place}"), kind, kind in files.SHOWN, text)


def _missing(call: Call) -> Response:
    return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)


PAGES: Final = (
    Page("/patient/letters/{letter}", Person.CLINICIAN, of_the_same(show)),
    Page("/patient/letters/{letter}/{place}", Person.CLINICIAN, of_the_same(show_file)),
)
