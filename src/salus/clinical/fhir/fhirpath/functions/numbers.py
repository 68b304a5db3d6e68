"""Functions on numbers, and on the precision of numbers and moments.

Source: FHIRPath 2.0.0, 5.7 (standard for trial use); boundaries and precision as in version 3.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, DecimalException
from typing import Any

from salus.clinical.fhir.fhirpath.environment import Environment
from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.functions.collections import whole_number
from salus.clinical.fhir.fhirpath.functions.function import Function
from salus.clinical.fhir.fhirpath.moments import Moment, boundary, precision
from salus.clinical.fhir.fhirpath.nodes import Items, system
from salus.clinical.fhir.fhirpath.operators import ARITHMETIC, decimals, is_number, singleton
from salus.clinical.fhir.fhirpath.quantities import Quantity, canonical

DIGITS_MAX = 31
EXACT = Context(prec=1000)


def number(items: Items) -> Decimal | None:
    """The one number; None when there is nothing.

    Raises:
        PathRejected: WRONG_COUNT, WRONG_TYPE.
    """
    value = system(singleton(items))
    if value is None:
        return None
    if not is_number(value):
        raise PathRejected(PathFault.WRONG_TYPE, expected="a number", came="another type")
    return Decimal(value)


def calculated(items: Items, change: Callable[[Decimal], Any]) -> Items:
    """A function of one number; nothing where mathematics has no result."""
    value = number(items)
    if value is None:
        return []
    try:
        result = change(value)
    except (DecimalException, ValueError):
        return []
    return [result] if result.__class__ is int or result.is_finite() else []


def absolute(env: Environment, items: Items) -> Items:
    """Without its sign; a quantity keeps its unit."""
    value = system(singleton(items))
    if value.__class__ is Quantity:
        return [Quantity(value.number.copy_abs(), value.unit, value.is_period)]
    if value.__class__ is int:
        return [abs(value)]
    return calculated(items, Decimal.copy_abs)


def simple(change: Callable[[Decimal], Any]) -> Function:
    """A function of one number."""
    return Function(lambda env, items: calculated(items, change))


def logarithm(env: Environment, items: Items, base: Items) -> Items:
    """To a base."""
    to = number(base)
    return (
        []
        if to is None
        else calculated(
            items,
            lambda value: (
                ARITHMETIC.divide(value.ln(ARITHMETIC), to.ln(ARITHMETIC)).quantize(Decimal(1).scaleb(-15)).normalize()
            ),
        )
    )


def power(env: Environment, items: Items, exponent: Items) -> Items:
    """To a power; an integer when both are whole and it fits."""
    base, to = system(singleton(items)), number(exponent)
    if to is None or base is None:
        return []
    found = calculated(items, lambda value: ARITHMETIC.power(value, to))
    is_whole = base.__class__ is int and to >= 0 and to == to.to_integral_value()
    return [int(found[0])] if found and is_whole and abs(found[0]) < 2**63 else found


def round_to(env: Environment, items: Items, *digits: Items) -> Items:
    """To so many digits after the point, or to a whole number."""
    places = whole_number(digits[0]) if digits else 0
    if not 0 <= places <= DIGITS_MAX:
        raise PathRejected(PathFault.BAD_ARGUMENT, expected=f"0 to {DIGITS_MAX} digits", came="another number")
    return calculated(items, lambda value: value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, EXACT))


def bound(env: Environment, items: Items, digits: tuple[Items, ...], *, high: bool) -> Items:
    """The least or greatest that a value with this precision can mean."""
    value = system(singleton(items))
    places = whole_number(digits[0]) if digits else None
    if isinstance(value, Moment):
        default = 9 if value.kind == "time" else 8 if value.kind == "date" else 17
        found = boundary(value, default if places is None else places, high=high)
        return [] if found is None else [found]
    if isinstance(value, Quantity):
        edge = decimal_bound(value.number, places, high=high)
        return [] if edge is None else [Quantity(edge, value.unit, value.is_period)]
    if not is_number(value):
        return []
    edge = decimal_bound(Decimal(value), places, high=high)
    return [] if edge is None else [edge]


def decimal_bound(value: Decimal, places: int | None, *, high: bool) -> Decimal | None:
    """Half a unit of the last digit away, to so many digits (8 unless said), never on the inner side of the bound."""
    wanted = 8 if places is None else places
    if not 0 <= wanted <= DIGITS_MAX:
        return None
    half = Decimal(5).scaleb(-decimals(value) - 1)
    edge = value + half if high else value - half
    found = edge.quantize(Decimal(1).scaleb(-wanted), ROUND_CEILING if high else ROUND_FLOOR, EXACT)
    return found if found else abs(found)


def precision_of(env: Environment, items: Items) -> Items:
    """How many digits a number or a moment shows."""
    value = system(singleton(items))
    if isinstance(value, Moment):
        return [precision(value)]
    return [decimals(Decimal(value))] if is_number(value) else []


def comparable(env: Environment, items: Items, other: Items) -> Items:
    """Whether two quantities measure the same thing."""
    ours, theirs = system(singleton(items)), system(singleton(other))
    if not (isinstance(ours, Quantity) and isinstance(theirs, Quantity)):
        return []
    return [canonical(ours)[1] == canonical(theirs)[1]]


NUMBERS = {
    "abs": Function(absolute),
    "ceiling": simple(lambda value: int(value.to_integral_value(ROUND_CEILING))),
    "floor": simple(lambda value: int(value.to_integral_value(ROUND_FLOOR))),
    "truncate": simple(int),
    "exp": simple(lambda value: value.exp(ARITHMETIC)),
    "ln": simple(lambda value: value.ln(ARITHMETIC)),
    "sqrt": simple(lambda value: value.sqrt(ARITHMETIC)),
    "log": Function(logarithm, (1, 1)),
    "power": Function(power, (1, 1)),
    "round": Function(round_to, (0, 1)),
    "lowBoundary": Function(lambda env, items, *digits: bound(env, items, digits, high=False), (0, 1)),
    "highBoundary": Function(lambda env, items, *digits: bound(env, items, digits, high=True), (0, 1)),
    "precision": Function(precision_of),
    "comparable": Function(comparable, (1, 1)),
}
