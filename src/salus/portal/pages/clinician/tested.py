"""Tested: the results of one test together, by whatever codes laboratories write it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from salus.clinical.fhir import plain
from salus.portal.pages.clinician.viewing import Known, View

CODE: Final = re.compile(r"[A-Za-z0-9.-]{1,40}")
CODES_MAX: Final = 5
LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"

_Name = tuple[str, ...]


@dataclass(frozen=True)
class Tested:
    """The results of one test, the newest first; `codes` are those that mean it, LOINC's first, or none."""

    codes: tuple[str, ...]
    results: list[Known] = field(repr=False)

    @property
    def address(self) -> str:
        """By which codes an address names the test; empty for one without."""
        return ",".join(each for each in self.codes[:CODES_MAX] if CODE.fullmatch(each))


def codes_in(address: str) -> frozenset[str]:
    """Return the codes that an address names; none where one of them is none, or there are too many."""
    codes = address.split(",")
    return frozenset(codes) if len(codes) <= CODES_MAX and all(map(CODE.fullmatch, codes)) else frozenset()


def by_test(view: View) -> list[Tested]:
    """Return observations by what was tested, that of the newest first: by a code that they share, else by name.

    One laboratory writes LOINC's code, another SNOMED CT's and beside it LOINC's: it is one test. A code of SNOMED CT
    that stands beside LOINC's codes of two tests means neither.
    """
    observed = [
        (each, plain.codes_of(each.content)) for each in view.of("Observation") if plain.value_of(each.content).words
    ]
    same: dict[_Name, _Name] = {}
    for _, codes in observed:
        one, *others = [_first(same, name) for name in _of_system(codes, LOINC)] or [()]
        same |= {other: one for other in others if other != one}
    beside: dict[_Name, set[_Name]] = {}
    for _, codes in observed:
        for name in _of_system(codes, SNOMED):
            beside.setdefault(name, set()).update(_first(same, one) for one in _of_system(codes, LOINC))
    same |= {name: one for name, ones in beside.items() if len(ones) == 1 for one in ones}
    found: dict[_Name, list[Known]] = {}
    for each, codes in observed:
        found.setdefault(_first(same, _name_of(each, codes)), []).append(each)
    return [Tested(_meaning(same, name), results) for name, results in found.items()]


def _first(same: Mapping[_Name, _Name], name: _Name) -> _Name:
    while name in same:
        name = same[name]
    return name


def _of_system(codes: Sequence[_Name], system: str) -> list[_Name]:
    return [each for each in codes if each[0] == system]


def _name_of(observation: Known, codes: Sequence[_Name]) -> _Name:
    """What was tested: by a code that means the same everywhere, else by the first one, else by its name."""
    known = [*_of_system(codes, LOINC), *_of_system(codes, SNOMED), *codes]
    return known[0] if known else (plain.name_of(observation.content).casefold(),)


def _meaning(same: Mapping[_Name, _Name], name: _Name) -> tuple[str, ...]:
    """The codes of a test, LOINC's first; none of one that goes by its name."""
    names = [name, *(other for other in same if _first(same, other) == name)] if len(name) > 1 else []
    return tuple(dict.fromkeys(code for _, code in sorted(names, key=lambda each: each[0] != LOINC)))
