"""Whom a clinician has open: one person at a time, kept in the session and in no address."""

import datetime
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from salus.portal.words import Words

NAME_DIGITS: Final = 12


class OpenPatient(msgspec.Struct, frozen=True, array_like=True):
    """A person whom a clinician has looked for, and why.

    Args:
        justification: the reason and the relationship that were given, as the person reads them.
        pseudonym: here; empty for somebody who is known by number only, and was not seen here.
        name: as people write it; empty as long as nobody has said it.
        born: YYYY-MM-DD, or empty; number: ten digits, or empty.
        place: where they live, in a word, to tell two of one name apart.
        emergency_until_s: until when emergency access lasts, Unix seconds; 0 without.
        emergency: the reason that was given for that.
        collection: what other organisations were asked; empty when nobody was.
    """

    justification: str
    pseudonym: bytes = b""
    name: str = ""
    born: str = ""
    number: str = ""
    place: str = ""
    emergency_until_s: int = 0
    emergency: str = ""
    collection: bytes = b""

    def is_emergency(self, now_s: int) -> bool:
        """Whether emergency access lasts at this moment."""
        return self.emergency_until_s > now_s

    def is_over(self, now_s: int) -> bool:
        """Whether this person was open by emergency access that has ended: then they are open no more."""
        return 0 < self.emergency_until_s <= now_s

    def __repr__(self) -> str:
        """Hide who it is."""
        return "OpenPatient(…)"


@dataclass(frozen=True)
class AboutPatient:
    """Whom every page is about while somebody is open, in words; `of` says so in addresses (`whose`)."""

    name: str = field(repr=False)
    number: str = field(repr=False)
    born: str = field(repr=False)
    age: str = field(repr=False)
    place: str = field(repr=False)
    emergency_until: str
    emergency_left_s: int = 0
    of: str = ""


def about(patient: OpenPatient, words: Words, *, now_s: int) -> AboutPatient:
    """Return whom a page is about, in words."""
    today = datetime.datetime.fromtimestamp(now_s, datetime.UTC).date()
    born = day_of(patient.born)
    return AboutPatient(
        name=patient.name or words("Name not known here"),
        number=grouped(patient.number) or words("not known here"),
        born=patient.born if born is None else words.date(born),
        age="" if born is None else words.many("%(num)s year", "%(num)s years", _age(born, today)),
        place=patient.place,
        emergency_until=words.clock(patient.emergency_until_s) if patient.is_emergency(now_s) else "",
        emergency_left_s=max(0, patient.emergency_until_s - now_s),
    )


def whose(key: str, people: Iterable[OpenPatient]) -> str:
    """Return the digits by which addresses say whom a page is about: one, or those who were found, in their order."""
    return digits(key, "of", *(each.pseudonym.hex() or f"{each.number} {each.born}" for each in people))


def digits(key: str, *parts: str) -> str:
    """Return digits that name something, and mean nothing to who has not the key: the form token of a session."""
    mac = hmac.digest(key.encode(), "\n".join(parts).encode(), "sha256")
    return str(int.from_bytes(mac[:8]) % 10**NAME_DIGITS).zfill(NAME_DIGITS)


def grouped(number: str) -> str:
    """An NHS number as people read it, 3-3-4."""
    return f"{number[:3]} {number[3:6]} {number[6:]}".strip()


def day_of(text: str) -> datetime.date | None:
    """A whole day out of its text; None for less than a day, and for none."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _age(born: datetime.date, today: datetime.date) -> int:
    """Completed years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
