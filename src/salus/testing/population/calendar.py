"""Days and times of the population: it ends on one fixed day, so that the same seed gives the same records for ever."""

from __future__ import annotations

from datetime import date, timedelta

from salus.testing.population.chance import Chance

AS_OF = date(2026, 6, 30)


def years_before(day: date, years: int) -> date:
    """The same day so many years earlier; 29 February becomes the 28th."""
    return day.replace(year=day.year - years, day=min(day.day, 28) if day.month == 2 else day.day)


def age_at(day: date, born: date) -> int:
    """Completed years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def some_day(chance: Chance, first: date, last: date) -> date:
    """A day from first to last; the first when there is none between."""
    return first + timedelta(days=chance.below(max(1, (last - first).days + 1)))


def working_day(chance: Chance, first: date, last: date) -> date:
    """A day from Monday to Friday, moved back from a weekend, but not to before the first."""
    day = some_day(chance, first, last)
    return max(first, day - timedelta(days=max(0, day.weekday() - 4)))


def at(day: date, minutes: int) -> str:
    """A FHIR dateTime at so many minutes after midnight, local time.

    April to September are summer time; the changeover days in March and October are not followed.
    """
    zone = "+01:00" if 4 <= day.month <= 9 else "+00:00"
    hour, minute = divmod(minutes, 60)
    return f"{day.isoformat()}T{hour:02}:{minute:02}:00{zone}"


def opening_minute(chance: Chance) -> int:
    """A time at which clinics are open: 8:30 to 17:20, in steps of ten minutes."""
    return 510 + 10 * chance.below(54)
