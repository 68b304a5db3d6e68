"""Forms in which values are compared: folded strings, times as milliseconds, numbers with their implied precision.

Index and query use the same functions, so that what is equal by FHIR's rules is equal here.

Source: FHIR R4 3.1.1.4.4 to 3.1.1.4.11.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from salus.clinical.fhir.fhirpath.moments import LEAST, Moment, date_or_time
from salus.clinical.fhir.fhirpath.quantities import Dimension, unit_of

TEXT_CHARS_MAX = 1_000  # what is longer is found by its beginning
EXPONENT_MAX = 300
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND_NS = 1_000_000
LAST_YEAR_END_MS = 253_402_300_800_000


def folded(text: str) -> str:
    """A string without case, accents, and with one space between words."""
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", text)
        text = "".join(each for each in apart if not unicodedata.combining(each)).casefold()
    return " ".join(text[:TEXT_CHARS_MAX].lower().split())


@lru_cache(maxsize=8192)
def span_ms(text: str) -> tuple[int, int] | None:
    """The milliseconds that a date, dateTime or instant covers, the last not included; None when it is none.

    A time without a zone is taken in UTC, so that the same record has the same place everywhere.
    """
    moment = date_or_time(text, "dateTime")
    return None if moment is None else (first_ms(moment), last_ms(moment))


def first_ms(moment: Moment) -> int:
    """When it begins."""
    year, month, day, hour, minute, nanoseconds = (*moment.parts, *LEAST[len(moment.parts) :])
    whole = datetime(year, month, day, hour, minute, tzinfo=UTC) - EPOCH
    zone_ms = (moment.zone_minutes or 0) * 60_000
    return int(whole.total_seconds()) * 1_000 + nanoseconds // MILLISECOND_NS - zone_ms


def last_ms(moment: Moment) -> int:
    """When it is over, by the precision with which it is known."""
    begun, parts = first_ms(moment), moment.parts
    if len(parts) == 6:
        return begun + (1_000, 100, 10, 1)[min(moment.digits, 3)]
    if len(parts) > 2:
        return begun + {3: 86_400_000, 4: 3_600_000, 5: 60_000}[len(parts)]
    year, month = (parts[0] + 1, 1) if len(parts) == 1 else next_month(parts[0], parts[1])
    if year > 9999:
        return LAST_YEAR_END_MS
    return (datetime(year, month, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)


def next_month(year: int, month: int) -> tuple[int, int]:
    """The month after."""
    return (year + 1, 1) if month == 12 else (year, month + 1)


def half_unit(number: Decimal) -> Decimal:
    """Half of the last digit that is written: 5.40 means 5.395 to 5.405, 100 means 99.5 to 100.5 (FHIR 3.1.1.4.6)."""
    exponent = int(number.as_tuple().exponent)
    return Decimal(5).scaleb(exponent - 1)


def is_calculable(number: Decimal) -> bool:
    """Whether a number fits into a column of floating point."""
    return number.is_finite() and (not number or abs(number.adjusted()) <= EXPONENT_MAX)


@lru_cache(maxsize=4096)
def base_amount(number: Decimal, code: str) -> tuple[float, str] | None:
    """An amount in base units, and which; None of a unit that is not known here, or of an amount beyond any column."""
    known = unit_of(code)
    if known is None or not is_calculable(number):
        return None
    amount = Fraction(number) * known[0]
    try:
        return float(amount), dimension_text(known[1])
    except OverflowError:
        return None


def dimension_text(dimension: Dimension) -> str:
    """Base units as UCUM writes them: `g.m-3`."""
    return ".".join(base if power == 1 else f"{base}{power}" for base, power in dimension) or "1"
