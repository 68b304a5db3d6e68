"""Dates in words, and where a chart puts its values."""

from __future__ import annotations

from decimal import Decimal

import pytest

from salus.portal import dates
from salus.portal.line_chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Point, draw
from salus.portal.words import words_of

DAY_S = 86_400


@pytest.mark.parametrize(
    ("written", "language", "want"),
    [
        ("2026-11-29T23:30:00Z", "en", "29 November 2026"),
        ("2026-06-30T23:30:00Z", "en", "1 July 2026"),
        ("2026-11-29", "en", "29 November 2026"),
        ("2026-11", "en", "November 2026"),
        ("2026-11", "cy", "Tachwedd 2026"),
        ("2026", "en", "2026"),
        ("2016-12-31T23:59:60Z", "en", "1 January 2017"),
        ("2026-13", "en", ""),
        ("", "en", ""),
        ("<b>", "en", ""),
    ],
)
def test_a_date_is_said_as_exactly_as_it_was_written(written: str, language: str, want: str) -> None:
    assert dates.in_words(words_of(language), written) == want


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["130", "141"], ["130", "135", "140", "145", "150"]),
        (["0.4", "0.9"], ["0.4", "0.6", "0.8", "1.0", "1.2"]),
        (["5", "5"], ["5", "6", "7", "8", "9"]),
        (["-3", "3"], ["-4", "-2", "0", "2", "4"]),
        (["1", "1000000"], ["0", "250000", "500000", "750000", "1000000"]),
    ],
)
def test_the_labels_of_a_chart_are_round_and_hold_all_values(values: list[str], labels: list[str]) -> None:
    points = [Point(number * DAY_S, Decimal(each)) for number, each in enumerate(values)]
    chart = draw([points], words_of("en"))
    assert chart is not None
    assert [Decimal(each.words) for each in chart.up] == [Decimal(each) for each in labels]
    for x, y in chart.dots[0]:
        assert LEFT <= x <= WIDTH - RIGHT
        assert TOP <= y <= HEIGHT - BOTTOM


def test_the_usual_range_is_a_band_and_the_first_moment_is_on_the_left() -> None:
    points = [Point(0, Decimal(1)), Point(DAY_S, Decimal(9))]
    chart = draw([points], words_of("en"), low=Decimal(2), high=Decimal(4))
    assert chart is not None
    assert chart.band is not None
    assert chart.dots[0][0][0] == LEFT
    assert chart.band[1] == round((HEIGHT - TOP - BOTTOM) * 2 / 10, 1)


def test_one_value_makes_no_chart() -> None:
    assert draw([[Point(0, Decimal(1))]], words_of("en")) is None
    assert draw([], words_of("en")) is None
