"""Amounts with units: which units measure the same thing, and by how much they differ.

A small part of UCUM, exact: units that are products and powers of the ones below, with metric prefixes. A unit outside
it is only ever equal to itself. Celsius and Fahrenheit have another zero and are therefore left out.

Source: UCUM 2.1, tables 1 to 5; FHIRPath 2.0.0, 4.1.8 (quantities and calendar periods).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

UCUM = "http://unitsofmeasure.org"
UNIT_CHARS_MAX = 64
EXPONENT_MAX = 9
PREFIXES = dict(
    zip(
        ("Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f", "a", "z", "y"),
        (24, 21, 18, 15, 12, 9, 6, 3, 2, 1, -1, -2, -3, -6, -9, -12, -15, -18, -21, -24),
        strict=True,
    )
)
Dimension = tuple[tuple[str, int], ...]  # base units with their powers, in order
# Metric units: how much of which base units they are.
METRIC: dict[str, tuple[Fraction, str]] = {
    **{base: (Fraction(1), base) for base in ("m", "s", "g", "rad", "K", "C", "cd", "[iU]", "eq", "osm")},
    "[IU]": (Fraction(1), "[iU]"),  # two spellings of one unit
    "mol": (Fraction(6_022_136_700_000_000) * 10**8, "1"),
    "L": (Fraction(1, 1000), "m3"),
    "l": (Fraction(1, 1000), "m3"),
    "Hz": (Fraction(1), "s-1"),
    "N": (Fraction(1000), "g.m/s2"),
    "Pa": (Fraction(1000), "g/m/s2"),
    "J": (Fraction(1000), "g.m2/s2"),
    "W": (Fraction(1000), "g.m2/s3"),
    "A": (Fraction(1), "C/s"),
    "V": (Fraction(1000), "g.m2/s2/C"),
    "bar": (Fraction(10**8), "g/m/s2"),
    "cal": (Fraction(4184), "g.m2/s2"),
    "m[Hg]": (Fraction(133_322_000), "g/m/s2"),
    "m[H2O]": (Fraction(9_806_650), "g/m/s2"),
    "kat": (Fraction(6_022_136_700_000_000) * 10**8, "s-1"),
    "U": (Fraction(6_022_136_700_000_000) * 100 / 60, "s-1"),
    "t": (Fraction(10**6), "g"),
}
PLAIN: dict[str, tuple[Fraction, str]] = {
    "1": (Fraction(1), ""),
    "%": (Fraction(1, 100), "1"),
    "[ppth]": (Fraction(1, 1000), "1"),
    "[ppm]": (Fraction(1, 10**6), "1"),
    "min": (Fraction(60), "s"),
    "h": (Fraction(3_600), "s"),
    "d": (Fraction(86_400), "s"),
    "wk": (Fraction(604_800), "s"),
    "mo": (Fraction(2_629_800), "s"),
    "a": (Fraction(31_557_600), "s"),
    "deg": (Fraction(1), "deg"),
    "[in_i]": (Fraction(254, 10_000), "m"),
    "[ft_i]": (Fraction(3048, 10_000), "m"),
    "[yd_i]": (Fraction(9144, 10_000), "m"),
    "[mi_i]": (Fraction(1_609_344, 1000), "m"),
    "[lb_av]": (Fraction(45_359_237, 100_000), "g"),
    "[oz_av]": (Fraction(45_359_237, 1_600_000), "g"),
    "[stone_av]": (Fraction(45_359_237 * 14, 100_000), "g"),
    "[gr]": (Fraction(6_479_891, 100_000_000), "g"),
}
ATOM = re.compile(
    r"((?:\[[^\]]*\]|[A-Za-z%]|1(?!\d))(?:[A-Za-z]|\[[^\]]*\])*|10\*|10\^|\d+)([+-]?\d+)?(\{[^}]*\})?|(\{[^}]*\})"
)
PERIOD_CODES = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
LOOSE_CODES = {"year": "a", "month": "mo", **PERIOD_CODES}
PARTS_OF_CODES = {code: period for period, code in PERIOD_CODES.items()}  # UCUM's units by which a date can be moved


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and its unit: a UCUM code, or the name of a calendar period."""

    number: Decimal
    unit: str
    is_period: bool = False

    def __str__(self) -> str:
        """As FHIRPath writes it: `1 week`, `5.5 'mg'`."""
        number = format(self.number, "f")
        if self.is_period:
            return f"{number} {self.unit}" if self.number == 1 else f"{number} {self.unit}s"
        return f"{number} '{self.unit}'"


def canonical(quantity: Quantity, *, loosely: bool = False) -> tuple[Fraction, object]:
    """The amount in base units, and what it measures; quantities can be compared where the latter is equal.

    A calendar year or month is no definite time, so that it measures something else than `a` and `mo` do; loosely
    (for equivalence), the same.
    """
    unit = quantity.unit
    if quantity.is_period:
        codes = LOOSE_CODES if loosely else PERIOD_CODES
        if unit not in codes:
            return Fraction(quantity.number) * (12 if unit == "year" else 1), "calendar month"
        unit = codes[unit]
    known = unit_of(unit)
    if known is None:
        return Fraction(quantity.number), ("unit", unit)
    return Fraction(quantity.number) * known[0], known[1]


@lru_cache(maxsize=2048)
def unit_of(code: str) -> tuple[Fraction, Dimension] | None:
    """How much of which base units a UCUM code is; None when it is not among those known here."""
    if len(code) > UNIT_CHARS_MAX:
        return None
    factor, powers, sign, at = Fraction(1), dict[str, int](), 1, 0
    if code.startswith("/"):
        sign, at = -1, 1
    while at < len(code):
        match = ATOM.match(code, at)
        part = None if match is None else atom(match[1], match[2])
        if match is None or part is None:
            return None
        factor *= part[0] ** sign
        for base, power in part[1]:
            powers[base] = powers.get(base, 0) + sign * power
        at = match.end()
        if at < len(code):
            if code[at] not in "./" or at + 1 == len(code):
                return None
            sign, at = (1 if code[at] == "." else -1), at + 1
    return factor, tuple(sorted((base, power) for base, power in powers.items() if power))


def atom(symbol: str | None, exponent: str | None) -> tuple[Fraction, Dimension] | None:
    """One factor of a unit with its power; an annotation alone is 1."""
    if symbol is None:
        return Fraction(1), ()
    power = int(exponent or 1)
    if symbol in ("10*", "10^"):
        return (Fraction(10) ** power, ()) if abs(power) <= 30 else None
    if abs(power) > EXPONENT_MAX:
        return None
    if symbol.isdigit():
        return (Fraction(int(symbol)), ()) if exponent is None and int(symbol) else None
    known = symbol_of(symbol)
    if known is None:
        return None
    return known[0] ** power, tuple((base, each * power) for base, each in known[1])


def symbol_of(symbol: str) -> tuple[Fraction, Dimension] | None:
    """A unit, or a metric unit with its prefix."""
    for units, name, factor in readings(symbol):
        if name in units:
            scale, of = units[name]
            if of in ("", name):
                return factor * scale, ((name, 1),) if of else ()
            inner = unit_of(of)
            assert inner is not None, "the table refers to its own units"
            return factor * scale * inner[0], inner[1]
    return None


def readings(symbol: str) -> list[tuple[dict[str, tuple[Fraction, str]], str, Fraction]]:
    """How a symbol may be read: as it stands, else with a prefix."""
    found = [(PLAIN, symbol, Fraction(1)), (METRIC, symbol, Fraction(1))]
    for length in (1, 2):
        if symbol[:length] in PREFIXES and len(symbol) > length:
            found.append((METRIC, symbol[length:], Fraction(10) ** PREFIXES[symbol[:length]]))
    return found


def product(left: Quantity, right: Quantity, *, divide: bool = False) -> Quantity | None:
    """Left times, or divided by, right, with the unit written as UCUM; None for a division by zero."""
    if divide and right.number == 0:
        return None
    number = left.number / right.number if divide else left.number * right.number
    ours, theirs = code_of(left), code_of(right)
    if divide and ours == theirs:
        return Quantity(number, "1")
    if theirs == "1":
        return Quantity(number, ours)
    unit = f"{'' if ours == '1' and divide else ours}{'/' if divide else '.'}{theirs}"
    return Quantity(number, unit if ours != "1" or divide else theirs)


def code_of(quantity: Quantity) -> str:
    """The UCUM code of a quantity's unit."""
    return LOOSE_CODES[quantity.unit] if quantity.is_period else quantity.unit
