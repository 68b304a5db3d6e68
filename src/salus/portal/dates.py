"""Dates of records, as people read them: to whatever precision they were written, in London."""

import datetime
from typing import Final

from babel.core import Locale
from babel.dates import format_date

from salus.clinical.fhir.dates import last_s
from salus.portal.words import Words

_LOCALES: Final = {"en": Locale("en", "GB"), "cy": Locale("cy")}
_MONTH, _DAY = len("2026-11"), len("2026-11-29")


def in_words(words: Words, written: str) -> str:
    """`29 November 2026`, `November 2026` or `2026`, of a FHIR date; empty for what is none."""
    at_s = last_s(written)
    if at_s is None:
        return ""
    if len(written) > _DAY:
        return words.day(at_s)
    if len(written) == _DAY:
        return words.date(datetime.date.fromisoformat(written))
    if len(written) == _MONTH:
        return format_date(datetime.date.fromisoformat(f"{written}-01"), "MMMM y", locale=_LOCALES[words.language])
    return written
