"""What is kept of a resource so that a search finds it: one value for each row of an index.

Every value has the parameter's code. The parts of a composite have the composite's code, the number of the group in
which they stand together (from 1), and which component they are (from 0); all other values have group 0 and part 0.
"""

from __future__ import annotations

from msgspec import Struct


class StringValue(Struct, frozen=True):
    """A string as it is written, and folded: without case, accents and repeated spaces."""

    code: str
    text: str
    folded: str
    group: int = 0
    part: int = 0


class TokenValue(Struct, frozen=True):
    """A code, an identifier, a boolean.

    Attributes:
        system: the code system or the identifier's system; None when none is stated.
        value: the code or the identifier; None of a concept that has only words.
        text: its words, folded, for `:text`; None when there are none.
        type_system, type_code: of an identifier, its type, for `:of-type`.
    """

    code: str
    system: str | None
    value: str | None
    text: str | None = None
    type_system: str | None = None
    type_code: str | None = None
    group: int = 0
    part: int = 0


class DateValue(Struct, frozen=True):
    """A time: from the first millisecond since 1970 in UTC up to, and without, the last; None where it is open."""

    code: str
    from_ms: int | None
    to_ms: int | None
    group: int = 0
    part: int = 0


class NumberValue(Struct, frozen=True):
    """A number, or the range in which it lies; None where a range is open."""

    code: str
    low: float | None
    high: float | None
    group: int = 0
    part: int = 0


class QuantityValue(Struct, frozen=True):
    """An amount, or the range in which it lies, in its own unit and in base units.

    Attributes:
        system, unit_code: the coded unit; None when it is not coded.
        unit: how the unit is written for people.
        base_low, base_high, base_unit: the same in UCUM's base units; None of a unit that is not known here.
    """

    code: str
    low: float | None
    high: float | None
    system: str | None
    unit_code: str | None
    unit: str | None
    base_low: float | None = None
    base_high: float | None = None
    base_unit: str | None = None
    group: int = 0
    part: int = 0


class ReferenceValue(Struct, frozen=True):
    """A reference: to a resource here (type and id), elsewhere (url), or by an identifier.

    Attributes:
        version: of the resource or the canonical; None when none is stated.
    """

    code: str
    type: str | None = None
    id: str | None = None
    url: str | None = None
    version: str | None = None
    identifier_system: str | None = None
    identifier_value: str | None = None
    group: int = 0
    part: int = 0


class UriValue(Struct, frozen=True):
    """A URI as it is written."""

    code: str
    uri: str
    group: int = 0
    part: int = 0


IndexValue = StringValue | TokenValue | DateValue | NumberValue | QuantityValue | ReferenceValue | UriValue
