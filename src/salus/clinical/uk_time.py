"""Times as people in the UK read them: `25 November 2026, 20:14:05 GMT`.

Promises: the same second gives the same words on every machine, whatever zone it is set to and whether or not it has a
database of time zones: the rule is part of this file, for times since 1996.
"""

from datetime import UTC, date, datetime, timedelta, timezone

GMT = timezone(timedelta(0), "GMT")
BST = timezone(timedelta(hours=1), "BST")
_CHANGE_HOUR_UTC = 1
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def uk_time(time_s: int) -> str:
    """Return a moment in words, to the second, with its zone.

    Args:
        time_s: seconds since 1970.
    """
    local = uk_datetime(time_s)
    return f"{uk_date(local.date())}, {local:%H:%M:%S} {local.tzname()}"


def uk_datetime(time_s: int) -> datetime:
    """Return a moment as the clocks of the UK show it."""
    moment = datetime.fromtimestamp(time_s, UTC)
    return moment.astimezone(BST if is_summer_time(moment) else GMT)


def uk_date(day: date) -> str:
    """Return a date in words."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def is_summer_time(moment: datetime) -> bool:
    """Tell whether British Summer Time is in force.

    Source: Summer Time Act 1972 as amended by the Summer Time Order 2002: from one o'clock in the morning GMT of the
    last Sunday of March to the same hour of the last Sunday of October.
    """
    return _change(moment.year, 3) <= moment < _change(moment.year, 10)


def _change(year: int, month: int) -> datetime:
    last_of_month = datetime(year, month, 31, _CHANGE_HOUR_UTC, tzinfo=UTC)  # March and October both have 31 days
    return last_of_month - timedelta(days=(last_of_month.weekday() + 1) % 7)
