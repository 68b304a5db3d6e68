"""A line chart of values over time, as places in an SVG picture; its text alternative is the table beside it."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from salus.portal.words import Words

WIDTH: Final = 560
HEIGHT: Final = 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 16, 40
STEPS: Final = 4
DATES_MAX: Final = 3


@dataclass(frozen=True)
class Point:
    """A value at a moment, Unix seconds."""

    at_s: int
    value: Decimal = field(repr=False)


@dataclass(frozen=True)
class Tick:
    """A label of an axis, and how far along it stands."""

    at: float
    words: str = field(repr=False)


@dataclass(frozen=True)
class LineChart:
    """What a template draws, in units of the picture.

    Args:
        lines: for each series the corners of its line; dots: where its values are.
        band: top and height of the usual range, or None.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    lines: tuple[str, ...] = field(repr=False)
    dots: tuple[tuple[tuple[float, float], ...], ...] = field(repr=False)
    band: tuple[float, float] | None = field(repr=False)
    across: tuple[Tick, ...] = field(repr=False)
    up: tuple[Tick, ...] = field(repr=False)


def draw(
    series: Sequence[Sequence[Point]], words: Words, *, low: Decimal | None = None, high: Decimal | None = None
) -> LineChart | None:
    """Lay a chart out; None where fewer than two values make no line.

    Args:
        series: each in the order of time.
        low, high: the usual range of the first series, as far as it is known.
    """
    every = [point for each in series for point in each]
    if len({point.at_s for point in every}) < 2:
        return None
    values = [point.value for point in every] + [each for each in (low, high) if each is not None]
    bottom, step = _scale(min(values), max(values))
    top = bottom + step * STEPS
    first_s, last_s = min(point.at_s for point in every), max(point.at_s for point in every)

    def x(at_s: int) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (at_s - first_s) / (last_s - first_s), 1)

    def y(value: Decimal) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * float((top - value) / (top - bottom)), 1)

    dots = tuple(tuple((x(point.at_s), y(point.value)) for point in each) for each in series)
    band = None
    if low is not None or high is not None:
        upper, lower = y(top if high is None else high), y(bottom if low is None else low)
        band = upper, round(lower - upper, 1)
    return LineChart(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
        lines=tuple(" ".join(f"{across},{down}" for across, down in each) for each in dots),
        dots=dots,
        band=band,
        across=tuple(Tick(x(at_s), _month(words, at_s)) for at_s in _moments(first_s, last_s)),
        up=tuple(Tick(y(bottom + step * number), f"{bottom + step * number:f}") for number in range(STEPS + 1)),
    )


def _scale(least: Decimal, most: Decimal) -> tuple[Decimal, Decimal]:
    """Return where an axis begins and how far apart its labels are: 1, 2, 2.5 or 5 of some power of ten."""
    rough = (most - least) / STEPS or max(abs(most), Decimal(1)) / STEPS
    power = Decimal(10) ** rough.adjusted()
    for factor in (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10), Decimal(20)):
        step = (factor * power).normalize()
        bottom = (least / step).to_integral_value(ROUND_FLOOR) * step
        if (most / step).to_integral_value(ROUND_CEILING) * step <= bottom + step * STEPS:
            return bottom, step
    raise AssertionError("twenty powers of ten hold what four steps of one do")


def _moments(first_s: int, last_s: int) -> list[int]:
    return [first_s + (last_s - first_s) * number // (DATES_MAX - 1) for number in range(DATES_MAX)]


def _month(words: Words, at_s: int) -> str:
    day = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    return " ".join(words.date(day).split(" ")[1:])
