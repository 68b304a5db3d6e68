"""One test over time, whoever did it: a chart, and the same values as a table."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from salus.clinical.fhir import circumstances, plain
from salus.clinical.fhir.dates import last_s
from salus.portal.call import Call, Page, Person
from salus.portal.line_chart import LineChart, Point, draw
from salus.portal.pages.clinician.same_patient import linked, of_the_same
from salus.portal.pages.clinician.sections import Row, Section, flag_of, moment_of, result_cells
from salus.portal.pages.clinician.tested import by_test, codes_in
from salus.portal.pages.clinician.viewing import Known, View, go_to_search, has_older, opened, view
from salus.portal.paging import number_of, pages
from salus.portal.words import Words

TYPES: Final = ("Observation",)
SIZE: Final = 60
"""So many of this organisation's results are on one page."""


def show(call: Call) -> Response:
    """The page; a test of which this patient has no result is not there."""
    patient = opened(call)
    if patient is None:
        return go_to_search(call)
    code, number = call.path["code"], number_of(call)
    codes, skip = codes_in(code), (number - 1) * SIZE
    seen = view(call, patient, TYPES, most=SIZE, skip=skip, code=code) if codes else View([], [])
    wanted = {each.name for tested in by_test(seen) if codes & {*tested.codes} for each in tested.results}
    values = [each for each in seen.of(*TYPES) if each.name in wanted]
    if not values:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    return call.page(
        "pages/clinician/results.html",
        title=plain.name_of(values[0].content) or call.words("Test results"),
        back=linked(call, "/patient"),
        section=_table(call.words, values),
        chart=_chart(call.words, values),
        is_partial=len(_drawn(values)) < len(values),
        unit=plain.value_of(values[0].content).unit,
        pages=pages(call, number, has_more=has_older(call, patient, TYPES, beyond=number * SIZE, code=code)),
    )


def _table(words: Words, values: Sequence[Known]) -> Section:
    """Every value, the newest first."""
    columns = [words("Date"), words("Result"), words("Usual range"), words("From")]
    rows = []
    for each in values:
        _, value, usual, _, source = result_cells(words, each)
        rows.append(Row([moment_of(words, each) or words("No date"), value, usual, source], "", flag_of(each)))
    return Section("results", words("All results"), columns, rows, "")


def _chart(words: Words, values: Sequence[Known]) -> LineChart | None:
    """The numbers in the unit of the newest value; None where fewer than two make no line."""
    usual = plain.range_of(values[0].content)
    return draw([_drawn(values)], words, low=usual.low, high=usual.high)


def _drawn(values: Sequence[Known]) -> list[Point]:
    """What a line can be drawn through, the oldest first: numbers in the unit of the newest, with a date."""
    unit, points = plain.value_of(values[0].content).unit, []
    for each in reversed(values):
        value, at_s = plain.value_of(each.content), last_s(plain.date_of(each.content))
        is_so = circumstances.caution_of(each.content) is not circumstances.Caution.CANCELLED
        if value.number is not None and value.unit == unit and at_s is not None and is_so:
            points.append(Point(at_s, value.number))
    return points


PAGES: Final = (Page("/patient/results/{code}", Person.CLINICIAN, of_the_same(show)),)
