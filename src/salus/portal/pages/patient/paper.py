"""Paper: a patient's record as a PDF, kind by kind, in the words of the pages."""

import io
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Final
from xml.sax.saxutils import escape

from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph, SimpleDocTemplate

from salus.portal.pages.patient.entries import Entry
from salus.portal.words import Words

PLAIN, BOLD = "Vera", "VeraBd"
_TITLE: Final = ParagraphStyle("title", fontName=BOLD, fontSize=20, leading=26, spaceAfter=12, alignment=TA_LEFT)
_KIND: Final = ParagraphStyle("kind", fontName=BOLD, fontSize=14, leading=18, spaceBefore=18, spaceAfter=6)
_NAME: Final = ParagraphStyle("name", fontName=BOLD, fontSize=10, leading=14, spaceBefore=8)
_LINE: Final = ParagraphStyle("line", fontName=PLAIN, fontSize=10, leading=14)


def paper(words: Words, *, title: str, about: Sequence[str], kinds: Sequence[tuple[str, Sequence[Entry]]]) -> bytes:
    """Return a record as a PDF.

    Args:
        about: lines below the title; kinds: each with its entries, as the pages list them.
    """
    _fonts()
    lines = [Paragraph(_said(title), _TITLE), *(Paragraph(_said(each), _LINE) for each in about)]
    for kind, entries in kinds:
        lines.append(Paragraph(_said(kind), _KIND))
        lines += [line for each in entries for line in _entry(words, each)]
    file = io.BytesIO()
    SimpleDocTemplate(file, pagesize=A4, title=title, author="", lang=words.language).build(lines)
    return file.getvalue()


def _entry(words: Words, entry: Entry) -> list[Paragraph]:
    name = f"{entry.title} ({entry.mark})" if entry.mark else entry.title
    said = [words("Clinical name: %(name)s") % {"name": entry.term}] if entry.term else []
    for each in entry.values:
        value = f"{each.name}: {each.words}" if each.name else each.words
        usual = words("Usual range: %(range)s") % {"range": each.usual} if each.usual else ""
        said.append(". ".join(part for part in (value, each.said, usual) if part))
    where = ", ".join(part for part in (entry.when or words("No date"), entry.person, entry.where) if part)
    return [Paragraph(_said(name), _NAME), *(Paragraph(_said(each), _LINE) for each in (*said, *entry.notes, where))]


def _said(text: str) -> str:
    """Text as a paragraph takes it: no markup of a record counts, and a letter that the font lacks loses its accent."""
    known = _fonts()
    plain = (each if ord(each) in known else unicodedata.normalize("NFKD", each)[0] for each in text)
    return escape("".join(each if ord(each) in known else " " for each in plain))


@cache
def _fonts() -> frozenset[int]:
    """Register the fonts; return which characters both have."""
    faces = [TTFont(name, f"{name}.ttf") for name in (PLAIN, BOLD)]
    for each in faces:
        pdfmetrics.registerFont(each)
    return frozenset(faces[0].face.charToGlyph) & frozenset(faces[1].face.charToGlyph)
