"""Add a reading: its values, when it was measured, and all of it to check; one question a page."""

import datetime
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from starlette.responses import Response

from salus.clinical.fhir.contributed import READINGS, Measure
from salus.node.services.contributions import add_reading
from salus.portal import dates
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.add import READING_NAMES
from salus.portal.words import LONDON

KIND, VALUES, WHEN = "add-kind", "add-values", "add-when"
DAY_PARTS: Final = ("year", "month", "day")
_NUMBER: Final = re.compile(r"[0-9]{1,4}(?:[.,][0-9]{1,3})?")
_TIME: Final = re.compile(r"([01]?[0-9]|2[0-3])[:.]([0-5][0-9])")
FIRST_YEAR: Final = 1900


def _(english: str) -> str:
    """Mark words for translation."""
    return english


PARTS: Final = {
    "8480-6": _("Upper number"),
    "8462-4": _("Lower number"),
    "29463-7": _("Your weight"),
    "8310-5": _("Your temperature"),
    "8867-4": _("Your pulse"),
    "15074-8": _("Your blood sugar"),
    "59408-5": _("Oxygen"),
}
UNITS: Final = {"/min": _("beats a minute")}
"""Units that are words."""


@dataclass(frozen=True)
class Field:
    """One value to fill in."""

    name: str
    label: str
    unit: str
    entered: str


def show(call: Call, *errors: Error) -> Response:
    """The values."""
    kind = call.path["kind"]
    if kind not in READINGS:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    parts = enumerate(READINGS[kind].parts)
    return call.page(
        "pages/patient/add_reading.html",
        title=call.words(READING_NAMES[kind]),
        back="/add",
        errors=errors,
        fields=[_field(call, number, each) for number, each in parts],
    )


def answer(call: Call) -> Response:
    """Keep the values; ask when it was."""
    kind = call.path["kind"]
    if kind not in READINGS:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    values, errors = [], []
    for number, part in enumerate(READINGS[kind].parts):
        value = _value(call.form.get(f"value-{number}", ""), part)
        if value is None:
            between = {"low": part.low, "high": part.high, "what": call.words(PARTS[part.codes[0][0]])}
            said = call.words("%(what)s: enter a number from %(low)s to %(high)s") % between
            errors.append(Error(f"value-{number}", said))
        else:
            values.append(value)
    if not errors and kind == "blood-pressure" and values[0] <= values[1]:
        errors.append(Error("value-0", call.words("The upper number must be more than the lower number")))
    if errors:
        return show(call, *errors)
    return _kept(call, "/add/when", {KIND: kind, VALUES: "\n".join(map(str, values))})


def show_when(call: Call, *errors: Error) -> Response:
    """When it was measured; now, unless the patient says otherwise."""
    kind = _answers(call).get(KIND, "")
    if kind not in READINGS:
        return call.go("/add")
    now = datetime.datetime.fromtimestamp(call.portal.node.clock(), LONDON)
    today = {"day-day": f"{now.day}", "day-month": f"{now.month}", "day-year": f"{now.year}", "time": f"{now:%H:%M}"}
    return call.page(
        "pages/patient/add_when.html",
        title=call.words("When did you measure it?"),
        back=f"/add/reading/{kind}",
        errors=errors,
        entered=dict(call.form) if errors else today,
    )


def answer_when(call: Call) -> Response:
    """Keep it."""
    day, time = _day(call), call.form.get("time", "").strip()
    now = datetime.datetime.fromtimestamp(call.portal.node.clock(), LONDON)
    if day is None or day.year < FIRST_YEAR or day > now.date():
        return show_when(call, Error("day", call.words("Enter a day that has been, such as 27 3 2026")))
    if not time:
        return _kept(call, "/add/check", {WHEN: day.isoformat()})
    found = _TIME.fullmatch(time)
    at = None if found is None else _at(day, *map(int, found.groups()))
    if at is None or at > now:
        return show_when(call, Error("time", call.words("Enter a time that has been, such as 14:30, or nothing")))
    return _kept(call, "/add/check", {WHEN: at.isoformat()})


def show_check(call: Call) -> Response:
    """All of it."""
    answered = _answers(call)
    if not {KIND, VALUES, WHEN} <= answered.keys():
        return call.go("/add")
    rows = [
        (call.words(PARTS[part.codes[0][0]]), f"{value} {_unit(call, part)}")
        for part, value in zip(READINGS[answered[KIND]].parts, answered[VALUES].split("\n"), strict=True)
    ]
    return call.page(
        "pages/patient/add_check.html",
        title=call.words("Check what you add"),
        back="/add/when",
        rows=[(call.words("What"), call.words(READING_NAMES[answered[KIND]])), *rows],
        when=_when(call, answered[WHEN]),
        change=f"/add/reading/{answered[KIND]}",
    )


def answer_check(call: Call) -> Response:
    """Put it into the record."""
    answered = _answers(call)
    if not {KIND, VALUES, WHEN} <= answered.keys():
        return call.go("/add")
    values = tuple(map(Decimal, answered[VALUES].split("\n")))
    pseudonym, kind = call.owner.pseudonym, answered[KIND]
    add_reading(call.portal.node, call.login, pseudonym, kind, values, at=answered[WHEN])
    return call.go("/add/done", answers=())


def _field(call: Call, number: int, part: Measure) -> Field:
    name = f"value-{number}"
    return Field(name, call.words(PARTS[part.codes[0][0]]), _unit(call, part), call.form.get(name, ""))


def _unit(call: Call, part: Measure) -> str:
    return call.words(UNITS[part.ucum]) if part.ucum in UNITS else part.unit


def _when(call: Call, at: str) -> str:
    if len(at) == len("2026-11-29"):
        return dates.in_words(call.words, at)
    return call.words.moment(int(datetime.datetime.fromisoformat(at).timestamp()))


def _value(written: str, part: Measure) -> Decimal | None:
    """A number as people write it, within its bounds; None for anything else."""
    found = written.strip().replace(",", ".")
    if not _NUMBER.fullmatch(found):
        return None
    value = Decimal(found)
    is_exact = -int(value.as_tuple().exponent) <= part.digits
    return value if is_exact and part.low <= value <= part.high else None


def _day(call: Call) -> datetime.date | None:
    parts = [call.form.get(f"day-{each}", "").strip() for each in DAY_PARTS]
    if not all(each.isascii() and each.isdigit() and len(each) < 5 for each in parts):
        return None
    try:
        return datetime.date(*map(int, parts))
    except ValueError:
        return None


def _at(day: datetime.date, hour: int, minute: int) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(hour, minute), LONDON)


def _answers(call: Call) -> dict[str, str]:
    return dict(call.signed_in.state.answers)


def _kept(call: Call, leads_to: str, fresh: dict[str, str]) -> Response:
    return call.go(leads_to, answers=tuple((_answers(call) | fresh).items()))


PAGES: Final = (
    Page("/add/reading/{kind}", Person.PATIENT, show, answer),
    Page("/add/when", Person.PATIENT, show_when, answer_when),
    Page("/add/check", Person.PATIENT, show_check, answer_check),
)
