"""Which codes a value set has, as far as the definitions can say.

Promises: a set is only called known when every code in it is; what rests on a code system that is not here (SNOMED CT,
LOINC, UCUM, languages, media types) is unknown, and then nothing is concluded from a code's absence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from salus.clinical.fhir.definitions.terminology import CodeSystem, Concept, Filter, Include, ValueSet

Coded = tuple[str, str]
"""System and code."""


@dataclass(frozen=True)
class Codes:
    """The codes of a value set, and the systems of which it may have more than can be listed here."""

    known: frozenset[Coded]
    open_systems: frozenset[str] = frozenset()
    is_open: bool = False
    """Whether anything at all may be in it, because a part of it is not known."""

    @property
    def is_closed(self) -> bool:
        """Whether a code that is not listed is not in it."""
        return not self.is_open and not self.open_systems

    def may_have(self, system: str, code: str) -> bool:
        """Whether the code is in the set, or cannot be said not to be."""
        return self.is_open or system in self.open_systems or (system, code) in self.known


UNKNOWN: Final = Codes(frozenset(), is_open=True)


class Expander:
    """Expands value sets by look-ups; what it found once it keeps."""

    def __init__(
        self, value_set: Callable[[str], ValueSet | None], code_system: Callable[[str], CodeSystem | None]
    ) -> None:
        self._value_set, self._code_system = value_set, code_system
        self._kept: dict[str, Codes] = {}

    def codes(self, url: str) -> Codes:
        """The codes of the value set of this address; UNKNOWN when it is not here."""
        if url not in self._kept:
            self._kept[url] = UNKNOWN  # to itself, while it is expanded
            found = self._value_set(url)
            self._kept[url] = UNKNOWN if found is None else self._all(found)
        return self._kept[url]

    def _all(self, found: ValueSet) -> Codes:
        within = union(self._part(each) for each in found.includes)
        without = [self._part(each) for each in found.excludes]
        if any(not each.is_closed for each in without):  # what is left out is not known: then neither is what is in
            return Codes(frozenset(), within.open_systems | {system for system, _ in within.known}, within.is_open)
        left_out = {coded for each in without for coded in each.known}
        return Codes(within.known - left_out, within.open_systems, within.is_open)

    def _part(self, part: Include) -> Codes:
        sets = [self.codes(url) for url in part.value_sets]
        if part.system:
            sets.append(self._of_system(part))
        return both(sets)

    def _of_system(self, part: Include) -> Codes:
        if part.concepts:
            return Codes(frozenset((part.system, each.code) for each in part.concepts))
        system = self._code_system(part.system)
        if system is None or not system.is_complete:
            return Codes(frozenset(), frozenset({part.system}))
        chosen: Iterable[Concept] = system.concepts
        for rule in part.filters:
            selected = filtered(system, rule)
            if selected is None:
                return Codes(frozenset(), frozenset({part.system}))
            chosen = [each for each in chosen if each.code in selected]
        return Codes(frozenset((part.system, each.code) for each in chosen))


def union(parts: Iterable[Codes]) -> Codes:
    """What is in any of them."""
    listed = list(parts)
    return Codes(
        frozenset().union(*(each.known for each in listed)),
        frozenset().union(*(each.open_systems for each in listed)),
        any(each.is_open for each in listed),
    )


def both(parts: list[Codes]) -> Codes:
    """What is in all of them; where one of several is not known, what the others have may be in it."""
    if not parts:
        return UNKNOWN
    closed = [each for each in parts if each.is_closed]
    if not closed:
        return parts[0]
    return Codes(frozenset.intersection(*(each.known for each in closed)))


def filtered(system: CodeSystem, rule: Filter) -> set[str] | None:
    """The codes that a filter selects; None for a filter that is not understood."""
    if rule.property not in ("concept", "code", "parent"):
        return None
    below = {rule.value}
    for each in hierarchy(system):
        if below.intersection(each.parents):
            below.add(each.code)
    every = {each.code for each in system.concepts}
    if rule.operation in ("is-a", "="):
        return {rule.value} if rule.operation == "=" and rule.property != "parent" else below
    if rule.operation == "descendent-of":
        return below - {rule.value}
    return every - below if rule.operation == "is-not-a" else None


def hierarchy(system: CodeSystem) -> list[Concept]:
    """The concepts, those above before those below; HL7 lists them so, a loaded system may not."""
    placed: set[str] = set()
    order: list[Concept] = []
    waiting = list(system.concepts)
    codes = {each.code for each in waiting}
    while waiting:
        ready = [each for each in waiting if placed.issuperset(codes.intersection(each.parents) - {each.code})]
        if not ready:  # a circle: what is left has no order
            return order + waiting
        order += ready
        placed.update(each.code for each in ready)
        waiting = [each for each in waiting if each.code not in placed]
    return order
