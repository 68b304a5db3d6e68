"""Small data types as msgspec structs, which accept at the speed of C what nearly always stands there.

A quick type accepts less than the type: no ids, no extensions, no nested types but Coding, no value that needs a second
look. What it accepts is sound, and has no issue at all; what it does not is left to the checks that can say why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Literal

import msgspec

from salus.clinical.fhir.definitions import Definitions, Element, Structure
from salus.clinical.fhir.definitions.tree import children
from salus.clinical.fhir.validation.primitives import ACCEPT
from salus.clinical.fhir.validation.terms import SYSTEM_CHARS_MAX, Terms

PRIMITIVES: Final[dict[str, Any]] = {
    "boolean": bool,
    "code": str,
    "dateTime": str,
    "decimal": int | float,
    "string": str,
    "uri": str,
}
"""By type: what JSON has for it; texts are then put to the quick test of their type."""


class QuickTypes:
    """Makes structs of data types and keeps them."""

    def __init__(self, definitions: Definitions, terms: Terms, *, others: frozenset[str]) -> None:
        """Know the definitions; `others` are types of which more is asked than a struct can see."""
        self._definitions, self._terms, self._others = definitions, terms, others
        self._kept: dict[str, Any] = {}

    def of_type(self, name: str) -> Any:
        """The struct of a data type; None when it is not small enough."""
        if name not in self._kept:
            self._kept[name] = None  # a type that holds itself has none
            structure = self._definitions.structure(name)
            is_data = name in self._definitions.data_types and name not in self._others
            self._kept[name] = self._made(structure) if structure and is_data else None
        return self._kept[name]

    def _made(self, structure: Structure) -> Any:
        fields = [(name, kind | msgspec.UnsetType, msgspec.UNSET) for name, kind in self._fields(structure)]
        if not fields or any(each.min for each in children(structure, structure.type)):
            return None
        tests = tuple((name, ACCEPT[kind]) for name, kind in self._texts(structure, {each[0] for each in fields}))
        hook = coding_hook(tests, self._terms) if structure.type == "Coding" else text_hook(tests)
        namespace = {"__post_init__": hook}
        return msgspec.defstruct(structure.type, fields, forbid_unknown_fields=True, gc=False, namespace=namespace)

    def _texts(self, structure: Structure, among: set[str]) -> Iterator[tuple[str, str]]:
        for each in children(structure, structure.type):
            name, code = each.path.rpartition(".")[2], each.types[0].code
            if name in among and each.base_max == 1 and PRIMITIVES.get(code) is str and self._kind(each) is str:
                yield name, code

    def _fields(self, structure: Structure) -> Iterator[tuple[str, Any]]:
        for each in children(structure, structure.type):
            name = each.path.rpartition(".")[2]
            kind = self._kind(each) if name.isidentifier() and name not in ("id", "extension") else None
            if kind is not None:
                yield name, kind if each.base_max == 1 else Annotated[list[kind], msgspec.Meta(min_length=1)]  # type: ignore[valid-type]

    def _kind(self, element: Element) -> Any:
        code = element.types[0].code if len(element.types) == 1 else ""
        bound = element.binding if element.binding and element.binding.strength in ("required", "extensible") else None
        if code in PRIMITIVES and element.base_max != 1:
            return None
        if bound is None:
            return PRIMITIVES.get(code) or (self.of_type(code) if code == "Coding" else None)
        codes = self._terms.codes(bound.value_set)
        if code in PRIMITIVES and not codes.is_closed:  # nothing can be said of a code alone
            return PRIMITIVES[code]
        if code == "code" and bound.strength == "required":
            return Literal[tuple(sorted({each for _, each in codes.known}))]
        return None


Tests = tuple[tuple[str, Callable[[str], object]], ...]
"""The quick test of each text, by its name."""


def text_hook(tests: Tests) -> Callable[[Any], None]:
    """What is asked of the texts of a struct; one that fails goes to the checks that can say why."""
    unset = msgspec.UNSET

    def hook(self: Any) -> None:
        for name, test in tests:
            value = getattr(self, name)
            if value is not unset and not test(value):
                raise ValueError

    return hook


def coding_hook(tests: Tests, terms: Terms) -> Callable[[Any], None]:
    """The same of a Coding, and whether its system has its code; one without a system goes to the checks."""
    others = text_hook(tuple(each for each in tests if each[0] != "system"))
    unset, codes_of = msgspec.UNSET, terms.codes_if_sound

    def hook(self: Any) -> None:
        system = self.system
        if system is unset or len(system) > SYSTEM_CHARS_MAX:
            raise ValueError
        codes = codes_of(system)
        if codes is not None and self.code not in codes:
            raise ValueError
        others(self)

    return hook
