"""FHIR dates of each precision as whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.clinical.fhir.dates import Span, span
from salus.clinical.fhir.faults import Fault, FhirRejected

SPANS = {
    "epoch": ("1970-01-01T00:00:00Z", 0, 0),
    "year": ("2004", 1072915200, 1104537599),
    "leap year": ("2024", 1704067200, 1735689599),
    "month": ("2012-06", 1338508800, 1341100799),
    "February of a leap year": ("2024-02", 1706745600, 1709251199),
    "February of 1900, no leap year": ("1900-02", -2206310400, -2203891201),
    "December": ("2023-12", 1701388800, 1704067199),
    "December of the last year": ("9999-12", 253399622400, 253402300799),
    "day": ("2014-08-16", 1408147200, 1408233599),
    "before the epoch": ("1932-09-24", -1176163200, -1176076801),
    "instant in UTC": ("2013-06-20T23:41:23Z", 1371771683, 1371771683),
    "zone ahead": ("2013-06-21T09:41:23+10:00", 1371771683, 1371771683),
    "zone behind": ("2013-06-20T13:41:23-10:00", 1371771683, 1371771683),
    "half-hour zone": ("2013-06-21T05:11:23+05:30", 1371771683, 1371771683),
    "fraction is cut off": ("2013-06-20T23:41:23.999Z", 1371771683, 1371771683),
    "leap second": ("2016-12-31T23:59:60Z", 1483228800, 1483228800),
}

REFUSED = {
    "empty": "",
    "words": "last summer",
    "day first": "24-09-1932",
    "no zone": "2013-06-20T23:41:23",
    "no seconds": "2013-06-20T23:41Z",
    "two-digit year": "13",
    "month 13": "2013-13",
    "month 0": "2013-00-01",
    "30 February": "2013-02-30",
    "29 February of a common year": "2023-02-29",
    "hour 24": "2013-06-20T24:00:00Z",
    "minute 60": "2013-06-20T23:60:00Z",
    "second 61": "2013-06-20T23:59:61Z",
    "zone of 15 hours": "2013-06-20T23:41:23+15:00",
    "zone minute 60": "2013-06-20T23:41:23+01:60",
    "year 0": "0000-01-01",
    "space before": " 2013-06-20",
    "newline after": "2013-06-20\n",
    "other digits": "٢٠١٣",
}


@pytest.mark.parametrize(("text", "from_s", "to_s"), SPANS.values(), ids=SPANS)
def test_span(text: str, from_s: int, to_s: int) -> None:
    assert span(text) == Span(from_s, to_s)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(FhirRejected) as refusal:
        span(text)
    assert refusal.value.fault is Fault.BAD_DATE
    assert not text.strip() or text not in str(refusal.value)


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_instants_agree_with_the_calendar_of_the_library(moment: datetime) -> None:
    text = moment.isoformat(timespec="seconds").replace("+00:00", "Z")
    expected = int((moment.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    assert span(text.zfill(20)) == Span(expected, expected)


@given(st.dates())
def test_days_tile_months_and_months_tile_years(day) -> None:
    iso = day.isoformat()
    whole_day, month, year = span(iso), span(iso[:7]), span(iso[:4])
    assert whole_day.to_s - whole_day.from_s == 86_399
    assert year.from_s <= month.from_s <= whole_day.from_s <= whole_day.to_s <= month.to_s <= year.to_s
    if year.to_s < 253402300799:
        assert span(f"{day.year + 1:04}").from_s == year.to_s + 1
