"""A parsed query: filters that must all hold, what else is to be sent with the hits, and how they are shown."""

from __future__ import annotations

from msgspec import Struct

from salus.clinical.fhir.search.sought import Sought


class Criterion(Struct, frozen=True):
    """That a parameter has one of some values.

    Attributes:
        type: of the resources that are looked at.
        parameter: its code; kind: its kind.
        modifier: empty, or `exact`, `contains`, `text`, `not`, `of-type`, `in`, `not-in`, `identifier`, `above`,
            `below`; a type as a modifier is in the values.
        values: alternatives; empty only for `missing`.
        missing: whether the parameter must have no value (True) or some (False); None when that is not asked.
    """

    type: str
    parameter: str
    kind: str
    modifier: str = ""
    values: tuple[Sought, ...] = ()
    missing: bool | None = None


class Alternative(Struct, frozen=True):
    """Of a chain: a type that the reference may point to, and what must hold there."""

    type: str
    filter: Filter


class Chain(Struct, frozen=True):
    """That a reference points to a resource for which something holds: any of the alternatives."""

    type: str
    parameter: str
    alternatives: tuple[Alternative, ...]


class Has(Struct, frozen=True):
    """That a resource of another type refers to this one by a parameter, and something holds there."""

    type: str
    source_type: str
    parameter: str
    filter: Filter


Filter = Criterion | Chain | Has


class Include(Struct, frozen=True):
    """What is sent with the hits: what they refer to, or what refers to them.

    Attributes:
        source_type: the type that has the reference.
        parameter: its parameter; `*` for all of its reference parameters.
        target_type: only what is of this type; None for any.
        is_reverse: `_revinclude`.
        is_iterated: also for what was included.
    """

    source_type: str
    parameter: str
    target_type: str | None
    is_reverse: bool
    is_iterated: bool


class Sort(Struct, frozen=True):
    """A parameter by which hits are ordered; its kind; whether the greatest comes first."""

    parameter: str
    kind: str
    is_descending: bool


class Query(Struct, frozen=True):
    """A search of one type.

    Attributes:
        count: hits on a page, at most COUNT_MAX; None for the server's own.
        total: `none`, `estimate` or `accurate`; None for the server's own.
        summary: `true`, `text`, `data`, `count`, `false`; None when not asked.
        elements: names of the only elements wanted; empty for all.
        ignored: the parameters that were passed over, by their number from 1: unknown ones when handling is lenient,
            and those without a value.
    """

    type: str
    filters: tuple[Filter, ...] = ()
    includes: tuple[Include, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int | None = None
    total: str | None = None
    summary: str | None = None
    elements: tuple[str, ...] = ()
    ignored: tuple[int, ...] = ()
