"""Entries: one record of a patient in words, for the lists of their pages."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from salus.clinical.fhir import circumstances, contributed, plain
from salus.clinical.fhir.circumstances import Caution
from salus.clinical.fhir.elements import objects, text
from salus.clinical.fhir.plain import Content
from salus.node.services.own_chart import Held, OwnChart
from salus.portal import dates
from salus.portal.call import Call
from salus.portal.pages.patient.plain_names import LOINC, SNOMED, plain_name
from salus.portal.words import Words

_CODE: Final = re.compile(r"[0-9]{1,18}(?:-[0-9])?", re.ASCII)
_NO_TERM: Final = frozenset({"DiagnosticReport", "DocumentReference"})
"""What is named for its subject: the term of its code only says that it is a letter, or a report."""
_UNITS: Final = {
    "10*12/L": "× 10¹²/L",
    "10*9/L": "× 10⁹/L",
    "kilogram": "kg",
    "kilogram per square meter": "kg/m²",
    "millimeter of mercury": "mmHg",
    "beats a minute": "beats/min",
    "umol/L": "µmol/L",
}
"""How people write what sources write otherwise."""


@dataclass(frozen=True)
class Value:
    """One value, in words.

    Args:
        name: of a part, such as the upper number of a blood pressure; empty for the only one.
        usual: the usual range; said: how the value stands to it, empty where nobody said.
        colour: of the tag that says it; never the only sign of it.
    """

    name: str = field(repr=False)
    words: str = field(repr=False)
    usual: str = field(repr=False)
    said: str = field(repr=False)
    colour: str = field(repr=False)


@dataclass(frozen=True)
class Entry:
    """A record, in words.

    Args:
        where: it was made; kept_by: whose record it is, where that is not the same.
        href: leads to more about it; empty for none.
    """

    title: str = field(repr=False)
    term: str = field(repr=False)
    when: str = field(repr=False)
    where: str = field(repr=False)
    kept_by: str = field(repr=False)
    person: str = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)
    values: tuple[Value, ...] = field(repr=False)
    mark: str = field(repr=False)
    href: str = field(repr=False)


def own_chart(call: Call, others: Sequence[Held] = ()) -> OwnChart:
    """Return the chart of whoever is signed in, for one request.

    Args:
        others: what other custodians answered.
    """
    return OwnChart(call.portal.node, call.portal.responder, call.login, call.owner.pseudonym, others, call.hidden)


def entry(words: Words, held: Held, chart: OwnChart) -> Entry:
    """Return a record of a chart in words."""
    content = held.content
    named, name = plain.name_of(content), plain_name(plain.codes_of(content))
    where = circumstances.place_of(content) or held.organisation
    return Entry(
        title=words(name) if name else named or words("Without a name"),
        term=_term(content, named, is_plain=bool(name)),
        when=dates.in_words(words, plain.date_of(content)),
        where=where,
        kept_by="" if where == held.organisation else held.organisation,
        person=circumstances.person_of(content),
        notes=tuple(_notes(words, content)),
        values=values_of(words, content),
        mark=_mark(words, content),
        href=_href(held, chart),
    )


def values_of(words: Words, observation: Content) -> tuple[Value, ...]:
    """Return the values of an observation, of its parts where it has some."""
    parts = parts_of(observation)
    return tuple(_value(words, each, name=part_name(words, each) if len(parts) > 1 else "") for each in parts)


def parts_of(observation: Content) -> list[Content]:
    """Return what has a value: the observation itself, or its components."""
    parts = [each for each in (observation, *objects(observation, "component")) if _has_value(each)]
    return parts if observation.get("resourceType") == "Observation" else []


def part_name(words: Words, part: Content) -> str:
    """Return what a part is called."""
    codes = [(text(each, "system") or "", text(each, "code") or "") for each in objects(part, "code.coding")]
    name = plain_name(codes)
    return words(name) if name else plain.concept(part.get("code"))


def unit_of(value: plain.Value) -> str:
    """Return a unit as people write it."""
    return _UNITS.get(value.unit, value.unit)


def code_of(observation: Content) -> str:
    """Return the code by which results of one test have an address; empty for a test of a code system of its own."""
    codes = [code for known in (LOINC, SNOMED) for system, code in plain.codes_of(observation) if system == known]
    return next((each for each in codes if _CODE.fullmatch(each)), "")


def is_code(code: str) -> bool:
    """Tell whether something could be such a code."""
    return _CODE.fullmatch(code) is not None


def _has_value(part: Content) -> bool:
    return bool(plain.value_of({each: part[each] for each in part if each != "component"}).words)


def _value(words: Words, part: Content, *, name: str) -> Value:
    value, usual = plain.value_of(part), plain.range_of(part)
    unit = unit_of(value)
    said, colour = {
        "high": (words("Higher than the usual range"), "orange"),
        "low": (words("Lower than the usual range"), "orange"),
        "": ("", ""),
    }[plain.flag_of(part)]
    if not said and value.number is not None and (usual.low is not None or usual.high is not None):
        said, colour = words("In the usual range"), "green"
    return Value(name, f"{value.words} {unit}".strip(), _usual(words, usual, unit), said, colour)


def _usual(words: Words, usual: plain.Range, unit: str) -> str:
    ends = {"low": f"{usual.low:f}" if usual.low is not None else "", "unit": unit}
    ends["high"] = f"{usual.high:f}" if usual.high is not None else ""
    if ends["low"] and ends["high"]:
        return words("%(low)s to %(high)s %(unit)s") % ends
    if ends["low"]:
        return words("%(low)s %(unit)s or more") % ends
    return words("up to %(high)s %(unit)s") % ends if ends["high"] else usual.words


def _notes(words: Words, content: Content) -> list[str]:
    said = [words("You added this yourself")] if contributed.is_contributed(content) else []
    return [*said, *circumstances.notes_of(content)]


def _term(content: Content, named: str, *, is_plain: bool) -> str:
    """The clinical term beside a plain name; beside the source's words, the term of its code where it is another."""
    if is_plain:
        return named
    if content.get("resourceType") in _NO_TERM:
        return ""
    places = plain.NAMES.get(str(content.get("resourceType")), ("code",))
    return circumstances.term_of(content, named, of=next(each for each in places if each != "description"))


def _mark(words: Words, content: Content) -> str:
    if circumstances.is_wrong(content):
        return words("Written down by mistake")
    caution = circumstances.caution_of(content)
    if caution is not None:
        return _CAUTIONS[caution](words)
    if circumstances.is_over(content):
        kind = str(content.get("resourceType"))
        return words("Not taken any more") if kind.startswith("Medication") else words("In the past")
    return ""


def _href(held: Held, chart: OwnChart) -> str:
    if held.type == "DocumentReference":
        return f"/record/letters/{chart.name_of(held)}"
    code = code_of(held.content) if held.type == "Observation" else ""
    return f"/record/results/{code}" if code else ""


_CAUTIONS: Final[dict[Caution, Callable[[Words], str]]] = {
    Caution.REFUTED: lambda words: words("Ruled out: this is not so"),
    Caution.UNCONFIRMED: lambda words: words("Not certain yet"),
    Caution.NOT_DONE: lambda words: words("This was not done"),
    Caution.NOT_TAKEN: lambda words: words("This is not taken"),
    Caution.NOT_TO_TAKE: lambda words: words("Not to be taken"),
    Caution.NOT_BEGUN: lambda words: words("Not started yet"),
    Caution.ON_HOLD: lambda words: words("Stopped for now"),
    Caution.NOT_FINAL: lambda words: words("Not final: it may change"),
    Caution.CORRECTED: lambda words: words("Corrected since"),
    Caution.CANCELLED: lambda words: words("Cancelled"),
    Caution.REPLACED: lambda words: words("A newer one takes its place"),
}
