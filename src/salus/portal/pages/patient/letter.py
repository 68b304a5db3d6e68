"""One letter: what it is, and its files, each given so that it can do nothing in a browser."""

from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.clinical.fhir import circumstances
from salus.clinical.fhir.circumstances import Attachment
from salus.node.services.own_chart import Held, OwnChart
from salus.portal import files
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.entries import entry
from salus.portal.pages.patient.gathered import gathered

TEXT_MAX: Final = 200_000
"""So many characters of a letter in plain text are shown on the page."""


@dataclass(frozen=True)
class FileRow:
    """A file of a letter; `text` is what it says where that is plain text."""

    href: str
    kind: str
    size: str
    is_shown: bool
    text: str = field(repr=False)


def show(call: Call) -> Response:
    """The letter."""
    chart, held = _found(call)
    if held is None:
        return _missing(call)
    found = [_opened(chart, held, each) for each in circumstances.attachments_of(held.content)]
    letter = entry(call.words, held, chart)
    return call.page(
        "pages/patient/letter.html",
        title=letter.title,
        back="/record/letters",
        letter=letter,
        files=[_row(call, each, number) for number, each in enumerate(found, start=1) if each is not None],
    )


def show_file(call: Call) -> Response:
    """One file of it."""
    chart, held = _found(call)
    if held is None:
        return _missing(call)
    attachments, number = circumstances.attachments_of(held.content), _number(call.path["part"])
    opened = _opened(chart, held, attachments[number - 1]) if 1 <= number <= len(attachments) else None
    if opened is None:
        return _missing(call)
    name = opened.title or call.words("letter")
    return files.file(opened.content, content_type=opened.content_type, name=name)


def _found(call: Call) -> tuple[OwnChart, Held | None]:
    chart = gathered(call).chart
    return chart, chart.letter(call.path["letter"])


def _opened(chart: OwnChart, letter: Held, attachment: Attachment) -> Attachment | None:
    """Return an attachment with its bytes, which may be a record of their own; None where they are not here."""
    if not attachment.reference:
        return attachment if attachment.content else None
    content = chart.binary(letter, attachment.reference)
    binary = None if content is None else circumstances.binary_of(content)
    if binary is None:
        return None
    return Attachment(binary.content_type or attachment.content_type, attachment.title, "", binary.content)


def _row(call: Call, file: Attachment, number: int) -> FileRow:
    kind = files.essence(file.content_type)
    size = max(len(file.content) // 1000, 1)
    return FileRow(
        href=f"/record/letters/{call.path['letter']}/file/{number}",
        kind=files.SHOWN.get(kind, "").removeprefix(".").upper() or call.words("file"),
        size=call.words("%(size)s kB") % {"size": size} if size < 1000 else f"{size / 1000:.1f} MB",
        is_shown=kind in files.SHOWN,
        text=file.content.decode("utf-8", "replace")[:TEXT_MAX] if kind == "text/plain" else "",
    )


def _number(text: str) -> int:
    """A number of an address; 0, which nothing has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def _missing(call: Call) -> Response:
    return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)


PAGES: Final = (
    Page("/record/letters/{letter}", Person.PATIENT, show),
    Page("/record/letters/{letter}/file/{part}", Person.PATIENT, show_file),
)
