"""One test over time: a chart, and the same values as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.clinical.fhir import circumstances, plain
from salus.clinical.fhir.circumstances import Caution
from salus.clinical.fhir.dates import last_s
from salus.clinical.fhir.plain import Content
from salus.node.services.own_chart import Held
from salus.portal.call import Call, Page, Person
from salus.portal.line_chart import LineChart, Point, draw
from salus.portal.pages.patient.entries import Entry, entry, is_code, part_name, parts_of, unit_of
from salus.portal.pages.patient.gathered import gathered

RESULTS_MAX: Final = 60


@dataclass(frozen=True)
class Series:
    """Values of one thing in one unit."""

    name: str
    unit: str
    points: list[Point] = field(repr=False)
    usual: plain.Range = field(repr=False)


def show(call: Call) -> Response:
    """The page of one test, by its code; a code of which this patient has no result is not there."""
    code, found = call.path["code"], gathered(call)
    held = found.chart.with_code(code, RESULTS_MAX) if is_code(code) else []
    if not held:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    entries = [entry(call.words, each, found.chart) for each in held]
    series = series_of(call, held)
    return call.page(
        "pages/patient/result.html",
        title=entries[0].title,
        back="/record/results",
        term=entries[0].term,
        entries=entries,
        names=_names(entries),
        chart=_chart(call, series),
        caption=call.words.listed([f"{each.name} ({each.unit})" if each.unit else each.name for each in series]),
        has_usual=bool(series) and (series[0].usual.low is not None or series[0].usual.high is not None),
        is_partial=bool(series) and len(series[0].points) < len(entries),
        is_cut=len(held) == RESULTS_MAX,
        answers=found.answers,
    )


def series_of(call: Call, held: Sequence[Held]) -> list[Series]:
    """Return what can be drawn: the numbers of each part, in the unit of its newest value, in the order of time.

    A result that was cancelled, or written down by mistake, is in the table alone.
    """
    found: dict[str, Series] = {}
    for each in held:
        if circumstances.is_wrong(each.content) or circumstances.caution_of(each.content) is Caution.CANCELLED:
            continue
        for part in parts_of(each.content):
            name, value = part_name(call.words, part), plain.value_of(_alone(part))
            at_s = last_s(plain.date_of(each.content))
            if value.number is None or at_s is None:
                continue
            series = found.setdefault(name, Series(name, unit_of(value), [], plain.range_of(part)))
            if unit_of(value) == series.unit:
                series.points.insert(0, Point(at_s, value.number))
    return list(found.values())


def _chart(call: Call, series: Sequence[Series]) -> LineChart | None:
    """Return the chart of what shares one unit."""
    drawn = [each for each in series if each.unit == series[0].unit]
    if not drawn:
        return None
    usual = drawn[0].usual
    return draw([each.points for each in drawn], call.words, low=usual.low, high=usual.high)


def _alone(part: Content) -> Content:
    return {name: value for name, value in part.items() if name != "component"}


def _names(entries: Sequence[Entry]) -> list[str]:
    """The names of the table's columns; one without a name for a test of one value."""
    return list(dict.fromkeys(value.name for each in entries for value in each.values))


PAGES: Final = (Page("/record/results/{code}", Person.PATIENT, show),)
