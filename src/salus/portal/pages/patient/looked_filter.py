"""What a patient wants to see of who has looked: whose looks, at which organisation, between which days."""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from salus.node.projections.looks import Wanted
from salus.node.services.looks import Person
from salus.portal.call import Call, Error
from salus.portal.words import LONDON, Words

NAME_DIGITS: Final = 12
DAYS: Final = ("from", "to")
PARTS: Final = ("day", "month", "year")
YEARS: Final = range(1900, 2200)
NOBODY: Final = b"nobody"
"""Stands for a person whom nobody has seen here: nothing fits."""
Item = dict[str, str | bool]


@dataclass(frozen=True)
class Filter:
    """What an address asks for.

    Args:
        only: `refused`, `emergency`, or empty for both and all others.
        is_own: whether the patient's own looks are among them.
        person: as `digits_of` has it; organisation: its code; empty for any.
        days: the first and the last; None for no bound.
        upto: the newest look that the first page had, so that pages stay as they are; 0 for none.
        entered: of each day, what was typed.
    """

    only: str
    is_own: bool
    person: str
    organisation: str
    days: tuple[datetime.date | None, datetime.date | None]
    upto: int
    entered: Mapping[str, str]

    @property
    def narrows(self) -> bool:
        """Whether it is more than what a page asks first."""
        return bool(self.person or self.organisation or any(self.entered.values()))

    def wanted(self, people: Iterable[bytes]) -> Wanted:
        """Return it as services take it."""
        first, last = self.days
        person = next((each for each in people if digits_of(each) == self.person), NOBODY) if self.person else b""
        return Wanted(
            with_own=self.is_own,
            is_refused=self.only == "refused",
            is_emergency=self.only == "emergency",
            person=person,
            requester=self.organisation,
            from_s=0 if first is None else _second(first),
            until_s=0 if last is None else _second(last + datetime.timedelta(days=1)),
            upto=self.upto,
        )

    def errors(self, words: Words) -> list[Error]:
        """Return what is wrong with the days that were typed."""
        said = words("Enter a real date, for example 27 3 2026")
        typed = {name: any(self.entered[f"{name}-{part}"] for part in PARTS) for name in DAYS}
        return [Error(name, said) for name, day in zip(DAYS, self.days, strict=True) if typed[name] and day is None]


def filter_of(call: Call) -> Filter:
    """Return what an address asks for."""
    query = call.query
    entered = {f"{name}-{part}": query.get(f"{name}-{part}", "").strip() for name in DAYS for part in PARTS}
    upto = query.get("upto", "")
    return Filter(
        only=query.get("only", ""),
        is_own=query.get("own") == "yes",
        person=query.get("who", ""),
        organisation=query.get("at", ""),
        days=(_day(entered, "from"), _day(entered, "to")),
        upto=int(upto) if upto.isascii() and upto.isdigit() and len(upto) <= NAME_DIGITS else 0,
        entered=entered,
    )


def digits_of(person: bytes) -> str:
    """Return how an address names a person: digits that mean nothing elsewhere."""
    return str(int.from_bytes(person[:8]) % 10**NAME_DIGITS).zfill(NAME_DIGITS)


def people_of(words: Words, asked: Filter, people: Mapping[bytes, Person]) -> list[Item]:
    """Return the people to whom the list can be narrowed, as the select component takes them."""
    named = {digits_of(key): f"{each.name} ({each.role})" if each.role else each.name for key, each in people.items()}
    return _items(words("Anybody"), named, asked.person)


def organisations_of(words: Words, asked: Filter, organisations: Mapping[str, str]) -> list[Item]:
    """Return the organisations to which the list can be narrowed, as the select component takes them."""
    return _items(words("Any organisation"), organisations, asked.organisation)


def _items(everything: str, named: Mapping[str, str], wanted: str) -> list[Item]:
    listed = [("", everything), *sorted(named.items(), key=lambda each: each[1].casefold())]
    return [{"value": value, "text": text, "selected": value == wanted} for value, text in listed]


def _day(entered: Mapping[str, str], name: str) -> datetime.date | None:
    parts = [entered[f"{name}-{part}"] for part in PARTS]
    if not all(each.isascii() and each.isdigit() and len(each) < 5 for each in parts):
        return None
    day, month, year = map(int, parts)
    try:
        return datetime.date(year, month, day) if year in YEARS else None
    except ValueError:
        return None


def _second(day: datetime.date) -> int:
    """When a day begins in London, in Unix seconds."""
    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=LONDON).timestamp())
