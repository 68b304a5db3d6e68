"""Dates and times that are known to some precision, as FHIRPath compares and moves them.

A moment is a list of parts: year, month, day, hour, minute, nanoseconds of the minute; as many as are known. Two
moments that agree in all parts that both know, and of which one knows more, can be neither equal nor unequal: None.

Source: FHIRPath 2.0.0, 6.1 (equality), 6.2 (comparison), 6.6.1 (arithmetic).
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

SECOND_NS = 1_000_000_000
LEAST = (1, 1, 1, 0, 0, 0)
DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?(?P<time>T(?:(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?)?(Z|[+-]\d\d:\d\d)?)?)?",
    re.ASCII,
)
TIME = re.compile(r"T?(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?)?", re.ASCII)
ZONE_MINUTES_MAX = 14 * 60

# How many parts of a moment a period moves; and of shorter ones, how many make one of the next.
PARTS = {"year": 1, "month": 2, "week": 3, "day": 3, "hour": 4, "minute": 5, "second": 6, "millisecond": 6}
SHORTER_NS = {
    "week": 7 * 86_400 * SECOND_NS,
    "day": 86_400 * SECOND_NS,
    "hour": 3_600 * SECOND_NS,
    "minute": 60 * SECOND_NS,
    "second": SECOND_NS,
    "millisecond": 1_000_000,
}
# Where a moment knows no part as short as what is added: what is added, in the shortest part that it knows.
PART_NS = (365 * 86_400 * SECOND_NS, 30 * 86_400 * SECOND_NS, *(SHORTER_NS[each] for each in ("day", "hour", "minute")))


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, dateTime or time.

    Attributes:
        kind: `date`, `dateTime` or `time`.
        parts: what is known; of a time, year, month and day are 1.
        digits: of the fraction of a second, as it was written.
        zone_minutes: how far the zone is ahead of UTC; None where none was given.
    """

    kind: str
    parts: tuple[int, ...]
    digits: int
    zone_minutes: int | None

    def __str__(self) -> str:
        """As FHIR writes it."""
        day = "-".join(f"{part:0{width}}" for part, width in zip(self.parts[:3], (4, 2, 2), strict=False))
        time = clock(self)
        if self.kind == "time":
            return time
        return f"{day}T{time}{zone_text(self.zone_minutes)}" if time else day


def clock(moment: Moment) -> str:
    """Hours, minutes and seconds as far as they are known."""
    shown = [f"{part:02}" for part in moment.parts[3:5]]
    if len(moment.parts) == 6:
        seconds, rest = divmod(moment.parts[5], SECOND_NS)
        fraction = f".{rest:09}"[: moment.digits + 1] if moment.digits else ""
        shown.append(f"{seconds:02}{fraction}")
    return ":".join(shown)


def zone_text(minutes: int | None) -> str:
    """`Z`, `+01:00`, or nothing."""
    if minutes is None:
        return ""
    return "Z" if minutes == 0 else f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


@lru_cache(maxsize=4096)
def date_or_time(text: str, kind: str) -> Moment | None:
    """Read a date, dateTime or instant; None when it is none, or names a day or a time that does not exist.

    Args:
        text: as FHIR writes it.
        kind: `date` or `dateTime`: what it is if it ends before the time of day.
    """
    match = DATE_TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, _, hour, minute, second, fraction, zone = match.groups()
    parts = known(year, month, day, hour, minute, second, fraction)
    minutes = zone_of(zone)
    if not exists(parts) or (minutes is not None and abs(minutes) > ZONE_MINUTES_MAX):
        return None
    return Moment("dateTime" if match["time"] else kind, parts, len(fraction or ""), minutes)


@lru_cache(maxsize=256)
def time_of_day(text: str) -> Moment | None:
    """Read a time; None when it is none."""
    match = TIME.fullmatch(text)
    if match is None:
        return None
    hour, minute, second, fraction = match.groups()
    parts = known("1", "1", "1", hour, minute, second, fraction)
    return Moment("time", parts, len(fraction or ""), None) if exists(parts) else None


def known(*texts: str | None) -> tuple[int, ...]:
    """The parts that were written: year, month, day, hour, minute, second with its fraction."""
    *parts, second, fraction = texts
    found = tuple(int(part) for part in parts if part is not None)
    if second is None:
        return found
    return (*found, int(second) * SECOND_NS + int((fraction or "").ljust(9, "0")))


def zone_of(zone: str | None) -> int | None:
    """Minutes ahead of UTC."""
    if zone is None or zone == "Z":
        return None if zone is None else 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return minutes if zone[0] == "+" else -minutes


def exists(parts: tuple[int, ...]) -> bool:
    """Whether a calendar has this day and a clock this time; a leap second is left to the clock."""
    year, month, day, hour, minute, nanoseconds = (*parts, *LEAST[len(parts) :])
    if not (1 <= year <= 9999 and 1 <= month <= 12 and hour <= 23 and minute <= 59):
        return False
    return 1 <= day <= monthrange(year, month)[1] and nanoseconds < 61 * SECOND_NS


def compare(left: Moment, right: Moment) -> int | None:
    """-1, 0 or 1 as left is before, at or after right; None when what is known does not say."""
    if has_zone(left) != has_zone(right) and len(left.parts) > 3 and len(right.parts) > 3:
        return far_apart(left, right)
    in_one_zone = left.zone_minutes == right.zone_minutes
    ours, theirs = (left.parts, right.parts) if in_one_zone else (in_utc(left), in_utc(right))
    shared = min(len(ours), len(theirs))
    if ours[:shared] != theirs[:shared]:
        return -1 if ours[:shared] < theirs[:shared] else 1
    return 0 if len(ours) == len(theirs) else None


def to_minute(parts: tuple[int, ...]) -> datetime:
    """The minute that some parts name, in whatever zone they are."""
    year, month, day, hour, minute = (*parts, *LEAST[len(parts) :])[:5]
    return datetime(year, month, day, hour, minute)  # noqa: DTZ001 (the zone, if any, is kept beside the parts)


def has_zone(moment: Moment) -> bool:
    """Whether its zone is known."""
    return moment.zone_minutes is not None


def far_apart(left: Moment, right: Moment) -> int | None:
    """The order of two moments of which one has no zone: known when they are further apart than zones can be."""
    ours, theirs = to_minute(in_utc(left)), to_minute(in_utc(right))
    if abs(ours - theirs) <= timedelta(minutes=ZONE_MINUTES_MAX):
        return None
    return -1 if ours < theirs else 1


def in_utc(moment: Moment) -> tuple[int, ...]:
    """The parts as they would be in UTC; unchanged where the zone is not known or does not matter."""
    if not moment.zone_minutes or len(moment.parts) < 4:
        return moment.parts
    return shifted(moment.parts, -moment.zone_minutes * 60 * SECOND_NS)


def shifted(parts: tuple[int, ...], nanoseconds: int) -> tuple[int, ...]:
    """The same number of parts, moved; at the ends of the calendar unchanged."""
    full = (*parts, *LEAST[len(parts) :])
    total = full[5] + nanoseconds
    minutes, rest = divmod(total, 60 * SECOND_NS)
    try:
        moved = to_minute(full) + timedelta(minutes=minutes)
    except OverflowError:
        return parts
    return (moved.year, moved.month, moved.day, moved.hour, moved.minute, rest)[: len(parts)]


def moved(moment: Moment, amount: int, period: str) -> Moment:
    """The moment later by an amount of calendar periods, at its own precision.

    A day that a month does not have becomes the month's last.
    """
    parts = moment.parts
    if period in ("year", "month"):
        changed = by_months(parts, amount * 12 if period == "year" else amount)
    elif PARTS[period] <= len(parts):
        changed = shifted(parts, amount * SHORTER_NS[period])
    elif len(parts) == 1:
        changed = by_months(parts, 12 * toward_zero(amount * SHORTER_NS[period], PART_NS[0]))
    elif len(parts) == 2:
        changed = by_months(parts, toward_zero(amount * SHORTER_NS[period], PART_NS[1]))
    else:
        unit = PART_NS[len(parts) - 1]
        changed = shifted(parts, toward_zero(amount * SHORTER_NS[period], unit) * unit)
    if moment.kind == "time":
        changed = (1, 1, 1, *changed[3:])
    return Moment(moment.kind, changed, digits(moment, period), moment.zone_minutes)


def digits(moment: Moment, period: str) -> int:
    """How many digits of a second's fraction are shown after a move."""
    return max(moment.digits, 3) if period == "millisecond" and len(moment.parts) == 6 else moment.digits


def toward_zero(amount: int, unit: int) -> int:
    """How many whole units."""
    return amount // unit if amount >= 0 else -(-amount // unit)


def by_months(parts: tuple[int, ...], months: int) -> tuple[int, ...]:
    """Some months later; of a year alone, as many whole years."""
    if len(parts) == 1:
        return (within(parts[0] + toward_zero(months, 12)),)
    years, month = divmod(parts[1] - 1 + months, 12)
    year = within(parts[0] + years)
    if len(parts) == 2:
        return (year, month + 1)
    return (year, month + 1, min(parts[2], monthrange(year, month + 1)[1]), *parts[3:])


def within(year: int) -> int:
    """A year of the calendar; past its ends, the end."""
    return min(max(year, 1), 9999)


def boundary(moment: Moment, digits_wanted: int, *, high: bool) -> Moment | None:
    """The first or the last moment that it may be, to a precision as FHIRPath counts it in digits; None for another.

    A dateTime without a zone begins where its day begins first, at +14:00, and ends where it ends last, at -12:00.
    """
    counts = {9: 6, 4: 5, 2: 4} if moment.kind == "time" else {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 17: 6}
    if digits_wanted not in counts:
        return None
    parts = filled(moment.parts, high=high)[: counts[digits_wanted]]
    fraction = 3 if len(parts) == 6 else 0
    if moment.kind == "time" or len(parts) <= 3:
        return Moment("time" if moment.kind == "time" else "date", parts, fraction, None)
    zone = moment.zone_minutes
    widest = -12 * 60 if high else ZONE_MINUTES_MAX
    return Moment("dateTime", parts, fraction, widest if zone is None else zone)


def filled(parts: tuple[int, ...], *, high: bool) -> tuple[int, ...]:
    """All six parts, the unknown ones at their least or their greatest, to the millisecond."""
    if not high:
        return (*parts, *LEAST[len(parts) :])
    found = list(parts)
    greatest = (0, 12, 0, 23, 59, 60 * SECOND_NS - 1_000_000)
    while len(found) < 6:
        found.append(monthrange(found[0], found[1])[1] if len(found) == 2 else greatest[len(found)])
    return tuple(found)


def precision(moment: Moment) -> int:
    """In digits, as FHIRPath counts it."""
    if moment.kind == "time":
        return (2, 4, 9)[len(moment.parts) - 4] if moment.digits else (2, 4, 6)[len(moment.parts) - 4]
    whole = (4, 6, 8, 10, 12, 14)[len(moment.parts) - 1]
    return whole + 3 if moment.digits else whole
