"""FHIR dates as whole seconds: what is known to the year, month or day is the span of all its seconds.

A date without a zone is taken in UTC, so that the same record has the same span everywhere; it can be off by the
local offset, at most 14 hours. Pure integer code, the same on every machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from salus.clinical.fhir.faults import Fault, FhirRejected

DAY_S = 86_400
EPOCH_DAY = date(1970, 1, 1).toordinal()

# FHIR R4 datatypes, `dateTime` and `instant`: year, year-month, date, or date and time with seconds and a zone.
DATE_TIME = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.\d+)?(?P<zone>Z|[+-]\d\d:\d\d))?)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Span:
    """From the first to the last second, both included, as Unix seconds; None where no bound is known."""

    from_s: int | None
    to_s: int | None


def span(text: str) -> Span:
    """The seconds that a FHIR date, dateTime or instant covers; fractions of a second are cut off.

    Raises:
        FhirRejected: BAD_DATE when the text has another form or names a day that does not exist.

    Source: FHIR R4 2.24.0.1; a leap second counts as the first second of the next minute, as in Unix time.
    """
    match = DATE_TIME.fullmatch(text)
    if match is None:
        raise bad_date("another form")
    try:
        return span_of(match)
    except ValueError:
        raise bad_date("a day or time that does not exist") from None


def last_s(text: str) -> int | None:
    """The last second that a date covers, Unix; None for what is no date, so that a list of dates has an order."""
    try:
        return span(text).to_s
    except FhirRejected:
        return None


def span_of(match: re.Match[str]) -> Span:
    """The span at the precision of the match; ValueError for a day or a time that does not exist."""
    year, month, day = int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)
    first_s = (date(year, month, day).toordinal() - EPOCH_DAY) * DAY_S
    if match["hour"]:
        second_s = first_s + time_of_day_s(match) - offset_s(match["zone"])
        return Span(second_s, second_s)
    if match["day"]:
        return Span(first_s, first_s + DAY_S - 1)
    if match["month"]:
        return Span(first_s, first_s + days_in_month(year, month) * DAY_S - 1)
    return Span(first_s, first_s + days_in_year(year) * DAY_S - 1)


def time_of_day_s(match: re.Match[str]) -> int:
    """Seconds since midnight; 60 is a leap second, 24:00 is not FHIR."""
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("time of day")
    return hour * 3600 + minute * 60 + second


def offset_s(zone: str) -> int:
    """How many seconds a zone is ahead of UTC; at most 14 hours either way."""
    if zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    if int(zone[4:6]) > 59 or minutes > 14 * 60:
        raise ValueError("zone")
    return minutes * 60 if zone[0] == "+" else -minutes * 60


def days_in_month(year: int, month: int) -> int:
    """28 to 31."""
    if month == 12:
        return 31
    return date(year, month + 1, 1).toordinal() - date(year, month, 1).toordinal()


def days_in_year(year: int) -> int:
    """365 or 366."""
    return date(year, 12, 31).toordinal() - date(year, 1, 1).toordinal() + 1


def bad_date(came: str) -> FhirRejected:
    """The refusal of a date, without the date: a birth date can identify a person."""
    expected = "a date as YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone"
    return FhirRejected(Fault.BAD_DATE, expected=expected, came=came, hint="correct it at the source")
