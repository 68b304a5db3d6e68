"""Times in words: against the zone database where the machine has it, and by hand at both changes of the clocks."""

import zoneinfo
from datetime import UTC, date, datetime, timedelta

import pytest

from salus.clinical.uk_time import uk_date, uk_datetime, uk_time


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2026-03-29T00:59:59", "29 March 2026, 00:59:59 GMT"),
        ("2026-03-29T01:00:00", "29 March 2026, 02:00:00 BST"),
        ("2026-10-25T00:59:59", "25 October 2026, 01:59:59 BST"),
        ("2026-10-25T01:00:00", "25 October 2026, 01:00:00 GMT"),
        ("2026-06-30T23:30:00", "1 July 2026, 00:30:00 BST"),
        ("2026-12-31T23:59:59", "31 December 2026, 23:59:59 GMT"),
    ],
)
def test_words(moment: str, words: str) -> None:
    assert uk_time(int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())) == words


def test_the_zone_database_says_the_same() -> None:
    try:
        london = zoneinfo.ZoneInfo("Europe/London")
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("this machine has no database of time zones")
    moment = datetime(1996, 1, 1, tzinfo=UTC)
    while moment.year < 2060:
        local = uk_datetime(int(moment.timestamp()))
        assert (local.utcoffset(), local.tzname()) == (
            moment.astimezone(london).utcoffset(),
            moment.astimezone(london).tzname(),
        ), moment
        moment += timedelta(hours=31)


def test_a_date_has_no_leading_zero() -> None:
    assert uk_date(date(2026, 1, 2)) == "2 January 2026"
