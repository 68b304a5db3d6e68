"""FHIRPath's operators on plain values: equality, equivalence, order, arithmetic, logic.

Source: FHIRPath 2.0.0, section 6.
"""

from __future__ import annotations

from collections import Counter
from decimal import ROUND_HALF_UP, Context, Decimal, DecimalException
from fractions import Fraction
from typing import Any

from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.moments import PARTS, Moment, compare, moved
from salus.clinical.fhir.fhirpath.nodes import Items, Node, identity, system
from salus.clinical.fhir.fhirpath.quantities import PARTS_OF_CODES, Quantity, canonical, code_of, product, unit_of

ARITHMETIC = Context(prec=34, rounding=ROUND_HALF_UP)
INTEGER_MAX = 2**63 - 1


def singleton(items: Items) -> Any:
    """The one item; None when there is none.

    Raises:
        PathRejected: WRONG_COUNT when there are several.
    """
    if len(items) > 1:
        raise PathRejected(PathFault.WRONG_COUNT, expected="at most one item", came=str(len(items)))
    return items[0] if items else None


def truth(items: Items) -> bool | None:
    """A collection as a boolean: what is no boolean counts as true, nothing as unknown (FHIRPath 4.5)."""
    item = singleton(items)
    if item is None:
        return None
    value = item.value if item.__class__ is Node else item
    if value is None and item.__class__ is Node and item.type == "boolean":
        return None
    return value if value.__class__ is bool else True


def as_items(value: Any) -> Items:
    """A value as a collection; None is the empty one."""
    return [] if value is None else [value]


def equal(left: Items, right: Items) -> bool | None:
    """`=`: in order, and None where one side is empty or a precision leaves it open."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    unknown = False
    for ours, theirs in zip(left, right, strict=True):
        same = equal_items(ours, theirs)
        if same is False:
            return False
        unknown = unknown or same is None
    return None if unknown else True


def equal_items(left: Any, right: Any) -> bool | None:
    """Whether two items are equal."""
    ours, theirs = system(left), system(right)
    if ours.__class__ is Moment and theirs.__class__ is Moment:
        if (ours.kind == "time") != (theirs.kind == "time"):
            return False
        order = compare(ours, theirs)
        return None if order is None else order == 0
    if ours.__class__ is Quantity or theirs.__class__ is Quantity:
        pair = as_quantities(ours, theirs)
        if pair is None:
            return False
        (amount, measure), (other, other_measure) = canonical(pair[0]), canonical(pair[1])
        return None if measure != other_measure else amount == other
    return bool(identity(left) == identity(right))


def as_quantities(left: Any, right: Any) -> tuple[Quantity, Quantity] | None:
    """Two values as quantities, a number as one of the unit 1; None when either is something else."""
    found = [
        each if each.__class__ is Quantity else Quantity(Decimal(each), "1")
        for each in (left, right)
        if each.__class__ is Quantity or is_number(each)
    ]
    return (found[0], found[1]) if len(found) == 2 else None


def is_number(value: Any) -> bool:
    """Whether it is an integer or a decimal; a boolean is neither."""
    return value.__class__ is int or value.__class__ is Decimal


def equivalent(left: Items, right: Items) -> bool:
    """`~`: in any order, strings without case and spacing, numbers at the lesser precision; never unknown."""
    if len(left) != len(right):
        return False
    if len(left) == 1:
        return alike(left[0], right[0])
    if Counter(map(identity, left)) == Counter(map(identity, right)):
        return True
    rest = list(right)
    for each in left:
        found = next((at for at, other in enumerate(rest) if alike(each, other)), None)
        if found is None:
            return False
        del rest[found]
    return True


def alike(left: Any, right: Any) -> bool:
    """Whether two items are equivalent."""
    ours, theirs = system(left), system(right)
    if ours.__class__ is str and theirs.__class__ is str:
        return " ".join(ours.lower().split()) == " ".join(theirs.lower().split())
    if is_number(ours) and is_number(theirs):
        return alike_numbers(Decimal(ours), Decimal(theirs))
    if ours.__class__ is Quantity and theirs.__class__ is Quantity:
        return alike_quantities(ours, theirs)
    if ours.__class__ is dict and theirs.__class__ is dict:
        return alike_objects(ours, theirs)
    return equal_items(left, right) is True


def alike_numbers(left: Decimal, right: Decimal) -> bool:
    """Equal when both are rounded to the digits of the one that has fewer."""
    digits = min(decimals(left), decimals(right))
    return rounded(left, digits) == rounded(right, digits)


def decimals(number: Decimal) -> int:
    """How many digits stand after the point."""
    return max(0, -int(number.as_tuple().exponent))


def rounded(number: Decimal, digits: int) -> Decimal:
    """A number with so many digits after the point."""
    return number.quantize(Decimal(1).scaleb(-digits), context=Context(prec=1000, rounding=ROUND_HALF_UP))


def alike_quantities(left: Quantity, right: Quantity) -> bool:
    """Equal when either is converted to the unit of the other and rounded to its digits."""
    (amount, measure), (other, other_measure) = canonical(left, loosely=True), canonical(right, loosely=True)
    if measure != other_measure:
        return False
    return near(left.number, amount, other) or near(right.number, other, amount)


def near(number: Decimal, amount: Fraction, other: Fraction) -> bool:
    """Whether `other`, in the unit in which `amount` is `number`, rounds to that number."""
    if not amount:
        return not other
    return rounded(number * as_decimal(other / amount), decimals(number)) == number


def as_decimal(ratio: Fraction) -> Decimal:
    """A ratio to 34 digits."""
    return ARITHMETIC.divide(Decimal(ratio.numerator), Decimal(ratio.denominator))


def alike_objects(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Objects whose elements are all equivalent; ids do not count."""
    keys = {*left, *right} - {"id"}
    return all(key in left and key in right and alike_values(left[key], right[key]) for key in keys)


def alike_values(left: Any, right: Any) -> bool:
    """Two values of JSON."""
    ours, theirs = ([each] if each.__class__ is not list else each for each in (left, right))
    return equivalent([Node(each) for each in ours], [Node(each) for each in theirs])


def order(left: Items, right: Items) -> int | None:
    """-1, 0 or 1 as left is less than, equal to or greater than right; None when one is empty or nobody can know.

    Raises:
        PathRejected: WRONG_COUNT, or WRONG_TYPE for what has no order.
    """
    ours, theirs = system(singleton(left)), system(singleton(right))
    if ours is None or theirs is None:
        return None
    return order_of(ours, theirs)


def order_of(left: Any, right: Any) -> int | None:
    """The order of two plain values."""
    if left.__class__ is Moment and right.__class__ is Moment and (left.kind == "time") == (right.kind == "time"):
        return compare(left, right)
    if (left.__class__ is str and right.__class__ is str) or (is_number(left) and is_number(right)):
        return bool(left > right) - bool(left < right)
    if left.__class__ is Quantity or right.__class__ is Quantity:
        pair = as_quantities(left, right)
        if pair is not None:
            (amount, measure), (other, other_measure) = canonical(pair[0]), canonical(pair[1])
            return (amount > other) - (amount < other) if measure == other_measure else None
    raise wrong_pair("two values that have an order", left, right)


def wrong_pair(expected: str, left: Any, right: Any) -> PathRejected:
    """The refusal of two operands, by their types."""
    came = f"{type_word(left)} and {type_word(right)}"
    return PathRejected(PathFault.WRONG_TYPE, expected=expected, came=came)


def type_word(value: Any) -> str:
    """What a plain value is."""
    words = {bool: "a boolean", int: "an integer", Decimal: "a decimal", str: "a string", Quantity: "a quantity"}
    return value.kind if value.__class__ is Moment else words.get(value.__class__, "an object")


def calculate(operator: str, left: Any, right: Any) -> Any:
    """`+ - * / div mod` of two plain values; None where there is no result (division by zero, overflow).

    Raises:
        PathRejected: WRONG_TYPE for what cannot be calculated.
    """
    if is_number(left) and is_number(right):
        return of_numbers(operator, left, right)
    if operator == "+" and left.__class__ is str and right.__class__ is str:
        return left + right
    if left.__class__ is Moment and right.__class__ is Quantity and operator in "+-":
        return of_moment(left, right, -1 if operator == "-" else 1)
    if operator in ("*", "/", "+", "-") and Quantity in (left.__class__, right.__class__):
        pair = as_quantities(left, right)
        if pair is not None:
            return of_quantities(operator, *pair)
    raise wrong_pair(f"two values for {operator}", left, right)


def of_numbers(operator: str, left: Any, right: Any) -> Any:
    """Integers stay integers, except in a division."""
    if operator in ("/", "div", "mod") and right == 0:
        return None
    try:
        result = NUMBERS[operator](left, right)
    except DecimalException:
        return None
    return None if abs(result) > INTEGER_MAX and result.__class__ is int else result


def divide(left: Any, right: Any) -> Decimal:
    """A decimal quotient."""
    return ARITHMETIC.divide(Decimal(left), Decimal(right))


def whole(left: Any, right: Any) -> int:
    """The integer quotient, cut off."""
    return int(ARITHMETIC.divide_int(Decimal(left), Decimal(right)))


def remainder(left: Any, right: Any) -> Any:
    """What `div` leaves."""
    found = ARITHMETIC.remainder(Decimal(left), Decimal(right))
    return int(found) if left.__class__ is int and right.__class__ is int else found


NUMBERS: dict[str, Any] = {
    "+": lambda left, right: left + right if left.__class__ is right.__class__ is int else ARITHMETIC.add(left, right),
    "-": lambda left, right: (
        left - right if left.__class__ is right.__class__ is int else ARITHMETIC.subtract(left, right)
    ),
    "*": lambda left, right: (
        left * right if left.__class__ is right.__class__ is int else ARITHMETIC.multiply(left, right)
    ),
    "/": divide,
    "div": whole,
    "mod": remainder,
}


def of_moment(moment: Moment, amount: Quantity, sign: int) -> Moment:
    """A date or a time, moved by whole periods; a fraction of a period is cut off.

    Raises:
        PathRejected: WRONG_TYPE for a unit that is no time, and for UCUM's years and months, which no calendar has.
    """
    is_named = amount.is_period or amount.unit in PARTS  # the official suite also has `1 'month'`
    period = amount.unit if is_named else PARTS_OF_CODES.get(amount.unit)
    if period is None or (moment.kind == "time" and period in ("year", "month")):
        raise PathRejected(PathFault.WRONG_TYPE, expected="a calendar period", came="another unit")
    return moved(moment, sign * int(amount.number), period)


def of_quantities(operator: str, left: Quantity, right: Quantity) -> Quantity | None:
    """Sums in the unit of the left; products in a unit that is made."""
    if operator in ("*", "/"):
        return product(left, right, divide=operator == "/")
    (_, measure), (other, other_measure) = canonical(left), canonical(right)
    if measure != other_measure:
        return None
    scale = unit_of(code_of(left)) if left.unit != right.unit else None
    addend = right.number if scale is None else as_decimal(other / scale[0])
    return Quantity(left.number + (addend if operator == "+" else -addend), left.unit, left.is_period)
