"""Add a document or a photo: the file, and what it is called."""

import re
import unicodedata
from typing import Final

from starlette.responses import Response

from salus.clinical.file_types import file_type
from salus.node.services.contributions import FILE_BYTES_MAX, add_file
from salus.portal.call import Call, Error, Page, Person
from salus.portal.settings import BODY_BYTES_MAX

TITLE_MAX: Final = 100
_PATH: Final = re.compile(r"[\\/]")


def show(call: Call, *errors: Error) -> Response:
    """Choose the file."""
    return call.page(
        "pages/patient/add_file.html",
        title=call.words("Add a document or a photo"),
        back="/add",
        errors=errors,
        entered=call.form.get("title", ""),
    )


def answer(call: Call) -> Response:
    """Put it into the record."""
    words, file = call.words, call.files.get("file")
    title, errors = plain_line(call.form.get("title", "")), []
    if not title or len(title) > TITLE_MAX:
        errors.append(Error("title", words("Say in a few words what it is, such as: letter from my physio")))
    if file is None or not file.content:
        errors.append(Error("file", words("Choose a file")))
    elif len(file.content) > FILE_BYTES_MAX:
        errors.append(Error("file", words("Choose a file of at most 10 MB")))
    elif not file_type(file.content):
        errors.append(Error("file", words("The file must be a PDF, a photo (JPEG or PNG) or plain text")))
    if errors or file is None:
        return show(call, *errors)
    name = plain_line(_PATH.split(file.name)[-1])[:TITLE_MAX]
    add_file(call.portal.node, call.login, call.owner.pseudonym, title=title, name=name, content=file.content)
    return call.go("/add/done")


def plain_line(text: str) -> str:
    """Return text as one line, without signs that are not seen and could turn the rest around (Unicode C)."""
    seen = (each if unicodedata.category(each)[0] not in "CZ" else " " for each in unicodedata.normalize("NFC", text))
    kept = "".join(each for each in seen)
    return " ".join(kept.split())


PAGES: Final = (
    Page("/add/file", Person.PATIENT, show, answer, body_bytes_max=FILE_BYTES_MAX + BODY_BYTES_MAX, takes_files=True),
)
