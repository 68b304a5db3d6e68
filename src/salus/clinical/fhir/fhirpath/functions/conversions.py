"""Functions that make one plain type of another: `toX`, and `convertsToX`, which asks whether that is possible.

Source: FHIRPath 2.0.0, 5.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from salus.clinical.fhir.fhirpath.environment import Environment
from salus.clinical.fhir.fhirpath.functions.function import Function
from salus.clinical.fhir.fhirpath.moments import Moment, date_or_time, time_of_day
from salus.clinical.fhir.fhirpath.nodes import Items, system
from salus.clinical.fhir.fhirpath.operators import INTEGER_MAX, as_items, is_number, singleton
from salus.clinical.fhir.fhirpath.quantities import Quantity
from salus.clinical.fhir.fhirpath.syntax import PERIOD_WORDS

YES = {"true", "t", "yes", "y", "1", "1.0"}
NO = {"false", "f", "no", "n", "0", "0.0"}
INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
DECIMAL = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?", re.ASCII)
QUANTITY = re.compile(r"([+-]?\d{1,30}(?:\.\d{1,30})?)\s*(?:'([^']+)'|([a-zA-Z]+))?", re.ASCII)


def to_boolean(value: Any) -> bool | None:
    """Of 0 and 1 and of the usual words."""
    if value.__class__ is bool:
        return bool(value)
    if is_number(value):
        return bool(value) if value in (0, 1) else None
    if value.__class__ is str:
        return True if value.lower() in YES else False if value.lower() in NO else None
    return None


def to_integer(value: Any) -> int | None:
    """Of a boolean, and of a string of digits."""
    if value.__class__ is bool or value.__class__ is int:
        return int(value)
    if value.__class__ is str and INTEGER.fullmatch(value) and abs(int(value)) <= INTEGER_MAX:
        return int(value)
    return None


def to_decimal(value: Any) -> Decimal | None:
    """Of a number, a boolean, and a string of digits."""
    if value.__class__ is bool or is_number(value):
        return Decimal(int(value) if value.__class__ is bool else value)
    return Decimal(value) if value.__class__ is str and DECIMAL.fullmatch(value) else None


def to_text(value: Any) -> str | None:
    """As FHIRPath writes it; no object has a string."""
    if value.__class__ is bool:
        return "true" if value else "false"
    if value.__class__ is Decimal:
        return format(value, "f")
    return str(value) if value.__class__ in (str, int, Moment, Quantity) else None


def to_date(value: Any) -> Moment | None:
    """Of a dateTime, its date; of a string that writes one."""
    moment = date_or_time(value, "date") if value.__class__ is str else value
    if not isinstance(moment, Moment) or moment.kind == "time":
        return None
    return Moment("date", moment.parts[:3], 0, None)


def to_date_time(value: Any) -> Moment | None:
    """Of a date, and of a string that writes one."""
    moment = date_or_time(value, "dateTime") if value.__class__ is str else value
    if not isinstance(moment, Moment) or moment.kind == "time":
        return None
    return Moment("dateTime", moment.parts, moment.digits, moment.zone_minutes)


def to_time(value: Any) -> Moment | None:
    """Of a string that writes one."""
    if value.__class__ is str:
        return time_of_day(value)
    return value if isinstance(value, Moment) and value.kind == "time" else None


def to_quantity(value: Any) -> Quantity | None:
    """Of a number, with the unit 1, and of a string that writes one."""
    if isinstance(value, Quantity):
        return value
    if value.__class__ is bool or is_number(value):
        return Quantity(Decimal(int(value) if value.__class__ is bool else value), "1")
    match = QUANTITY.fullmatch(value) if value.__class__ is str else None
    if match is None or (match[3] and match[3] not in PERIOD_WORDS):
        return None
    if match[3]:
        return Quantity(Decimal(match[1]), PERIOD_WORDS[match[3]], is_period=True)
    return Quantity(Decimal(match[1]), match[2] or "1")


def both(name: str, convert: Callable[[Any], Any]) -> dict[str, Function]:
    """`toX` and `convertsToX`."""

    def run(env: Environment, items: Items, *unit: Items) -> Items:
        return as_items(convert(system(singleton(items))))

    def test(env: Environment, items: Items, *unit: Items) -> Items:
        return [convert(system(singleton(items))) is not None] if items else []

    arguments = (0, 1) if name == "Quantity" else (0, 0)
    return {f"to{name}": Function(run, arguments), f"convertsTo{name}": Function(test, arguments)}


CONVERSIONS = {
    **both("Boolean", to_boolean),
    **both("Integer", to_integer),
    **both("Decimal", to_decimal),
    **both("String", to_text),
    **both("Date", to_date),
    **both("DateTime", to_date_time),
    **both("Time", to_time),
    **both("Quantity", to_quantity),
}
