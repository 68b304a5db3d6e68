"""What a query looks for, one value for each alternative; in the same forms as the index has.

Prefixes are FHIR's: `eq ne gt lt ge le sa eb ap`. What they mean for ranges is FHIR R4 3.1.1.4.5.
"""

from __future__ import annotations

from msgspec import Struct


class SoughtString(Struct, frozen=True):
    """A string: equal from its beginning when folded, unless the modifier says otherwise."""

    text: str
    folded: str


class SoughtToken(Struct, frozen=True):
    """A code or identifier.

    Attributes:
        system: None for any, empty for none stated.
        value: None for any of the system.
        text: of `:text`, folded.
        type_system, type_code: of `:of-type`.
    """

    system: str | None = None
    value: str | None = None
    text: str | None = None
    type_system: str | None = None
    type_code: str | None = None


class SoughtDate(Struct, frozen=True):
    """A time with its prefix, in milliseconds since 1970 in UTC, the last not included."""

    prefix: str
    from_ms: int
    to_ms: int


class SoughtNumber(Struct, frozen=True):
    """A number with its prefix; `low` and `high` (not included) are what its digits imply, of `ap` a tenth."""

    prefix: str
    value: float
    low: float
    high: float


class SoughtQuantity(Struct, frozen=True):
    """An amount with its prefix; in its own unit, and in UCUM's base units where the unit is known.

    Attributes:
        system: None for any unit's system, empty for none stated.
        unit: a code or the written unit; None for any.
    """

    prefix: str
    value: float
    low: float
    high: float
    system: str | None = None
    unit: str | None = None
    base_value: float | None = None
    base_low: float | None = None
    base_high: float | None = None
    base_unit: str | None = None


class SoughtReference(Struct, frozen=True):
    """A reference to a resource here, elsewhere, or by an identifier.

    Attributes:
        type: None for any of the parameter's types.
        version: of a canonical.
    """

    type: str | None = None
    id: str | None = None
    url: str | None = None
    version: str | None = None
    identifier: SoughtToken | None = None


class SoughtUri(Struct, frozen=True):
    """A URI."""

    uri: str


class SoughtComposite(Struct, frozen=True):
    """One value for each part, all to be met in one group."""

    parts: tuple[SoughtPart, ...]


SoughtPart = SoughtString | SoughtToken | SoughtDate | SoughtNumber | SoughtQuantity | SoughtReference | SoughtUri
Sought = SoughtPart | SoughtComposite
