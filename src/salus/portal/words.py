"""Words: what a page says, in the language of whoever reads it; dates and times as people write them in the UK.

English is in the code and the templates; `languages/cy.po` has the Welsh of each. A sentence that is not translated yet
is said in English.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from babel.core import Locale
from babel.dates import format_date
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

LANGUAGES: Final = {"en": "English", "cy": "Cymraeg"}
PLACE: Final = Path(__file__).parent / "languages"
LONDON: Final = ZoneInfo("Europe/London")
_LOCALES: Final = {"en": Locale("en", "GB"), "cy": Locale("cy")}
_HALVES: Final = {"en": ("am", "pm"), "cy": ("yb", "yp")}
_NOON: Final = {"en": ("midnight", "midday"), "cy": ("hanner nos", "hanner dydd")}


@dataclass(frozen=True)
class Words:
    """One language."""

    language: str
    catalog: Catalog | None = field(default=None, repr=False)

    def __call__(self, message: str) -> str:
        """Return a sentence in this language."""
        found = None if self.catalog is None else self.catalog.get(message)
        return str(found.string) if found is not None and found.string and not found.fuzzy else message

    def many(self, one: str, several: str, count: int) -> str:
        """Return the sentence for a count; `%(num)s` in it is the count."""
        found = None if self.catalog is None else self.catalog.get(one)
        if self.catalog is None or found is None or not isinstance(found.string, tuple | list) or found.fuzzy:
            return (one if count == 1 else several) % {"num": count}
        form = _plural(count) if self.language == "cy" else int(count != 1)
        return (str(found.string[form]) or several) % {"num": count}

    def date(self, moment: datetime.date | datetime.datetime) -> str:
        """`29 November 2026`, in London."""
        day = moment.astimezone(LONDON).date() if isinstance(moment, datetime.datetime) else moment
        return format_date(day, "d MMMM y", locale=_LOCALES[self.language])

    def time(self, moment: datetime.datetime) -> str:
        """`3:04pm`, `midday`, `midnight`, in London."""
        here = moment.astimezone(LONDON)
        is_later = here.hour >= 12
        if here.hour % 12 == 0 and here.minute == 0:
            return _NOON[self.language][is_later]
        minutes = f":{here.minute:02}" if here.minute else ""
        return f"{here.hour % 12 or 12}{minutes}{_HALVES[self.language][is_later]}"

    def moment(self, at_s: int) -> str:
        """`29 November 2026 at 3:04pm`, of Unix seconds."""
        moment = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
        return self("%(date)s at %(time)s") % {"date": self.date(moment), "time": self.time(moment)}

    def clock(self, at_s: int) -> str:
        """`3:04pm`, of Unix seconds."""
        return self.time(datetime.datetime.fromtimestamp(at_s, datetime.UTC))

    def day(self, at_s: int) -> str:
        """`29 November 2026`, of Unix seconds."""
        return self.date(datetime.datetime.fromtimestamp(at_s, datetime.UTC))

    def listed(self, items: Iterable[str]) -> str:
        """`this, that and the other`."""
        every = list(items)
        if len(every) < 2:
            return "".join(every)
        return self("%(first)s and %(last)s") % {"first": ", ".join(every[:-1]), "last": every[-1]}


@cache
def words_of(language: str) -> Words:
    """Return a language, one of LANGUAGES."""
    if language == "en":
        return Words(language)
    with (PLACE / f"{language}.po").open("rb") as file:
        return Words(language, read_po(file, locale=language))


def _plural(count: int) -> int:
    """Which of the six forms Welsh takes (CLDR): of the order in which the catalog has them."""
    return {0: 0, 1: 1, 2: 2, 3: 3, 6: 4}.get(count, 5)
