"""Code systems and value sets as values."""

from __future__ import annotations

import msgspec


class Concept(msgspec.Struct, frozen=True, array_like=True):
    """One code: what it is called, what it means, its direct parents by code; `is_abstract`: not for selection."""

    code: str
    display: str = ""
    definition: str = ""
    parents: tuple[str, ...] = ()
    is_abstract: bool = False
    properties: tuple[tuple[str, str], ...] = ()


class CodeSystem(msgspec.Struct, frozen=True, array_like=True):
    """A code system; content `complete` when all its codes are here, `not-present` or `fragment` when they are not."""

    url: str
    version: str
    name: str
    content: str
    is_case_sensitive: bool
    concepts: tuple[Concept, ...] = ()
    value_set: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether a code that is not here is no code of it."""
        return self.content == "complete"


class Filter(msgspec.Struct, frozen=True, array_like=True):
    """A rule that selects codes: `concept is-a 123`."""

    property: str
    operation: str
    value: str


class Include(msgspec.Struct, frozen=True, array_like=True):
    """Part of a value set: codes of a system, all or those listed or filtered, that are in all of the value sets."""

    system: str = ""
    version: str = ""
    concepts: tuple[Concept, ...] = ()
    filters: tuple[Filter, ...] = ()
    value_sets: tuple[str, ...] = ()


class ValueSet(msgspec.Struct, frozen=True, array_like=True):
    """A set of codes: what is in it, and what of that is not."""

    url: str
    version: str
    name: str
    includes: tuple[Include, ...] = ()
    excludes: tuple[Include, ...] = ()
