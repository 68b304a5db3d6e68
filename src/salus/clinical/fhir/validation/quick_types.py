"""Small data types as msgspec structs, which accept at the speed of C what nearly always stands there.

A quick type accepts less than the type: no ids, no extensions, no nested types but Coding, no value that needs a second
look. What it accepts is sound, and has no issue at all; what it does not is left to the checks that can say why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

import msgspec

from salus.clinical.fhir.definitions import Definitions, Element, Structure
from salus.clinical.fhir.definitions.tree import children
from salus.clinical.fhir.validation.primitives import ALWAYS_A_DAY, CLOCK, YEAR, ZONE
from salus.clinical.fhir.validation.terms import Terms

TEXT_CHARS_MAX: Final = 10_000
PLAIN: Final = Annotated[str, msgspec.Meta(pattern=r"\A[^\s\x00-\x1f<][^\x00-\x1f<]*\Z", max_length=TEXT_CHARS_MAX)]
SOLID: Final = Annotated[str, msgspec.Meta(pattern=r"\A\S+\Z", max_length=TEXT_CHARS_MAX)]
MOMENT: Final = Annotated[str, msgspec.Meta(pattern=rf"\A{YEAR}{ALWAYS_A_DAY}(?:T{CLOCK}{ZONE})?\Z")]
PRIMITIVES: Final[dict[str, Any]] = {
    "boolean": bool,
    "code": SOLID,
    "dateTime": MOMENT,
    "decimal": int | float,
    "string": PLAIN,
    "uri": SOLID,
}
"""By type: what stands in most sound values of it."""


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
        namespace = {"__post_init__": coding_hook(self._terms)} if structure.type == "Coding" else None
        return msgspec.defstruct(structure.type, fields, forbid_unknown_fields=True, gc=False, namespace=namespace)

    def _fields(self, structure: Structure) -> Iterator[tuple[str, Any]]:
        for each in children(structure, structure.type):
            name = each.path.rpartition(".")[2]
            kind = self._kind(each) if name.isidentifier() and name not in ("id", "extension") else None
            if kind is not None:
                yield name, kind if each.base_max == 1 else Annotated[list[kind], msgspec.Meta(min_length=1)]  # type: ignore[valid-type]

    def _kind(self, element: Element) -> Any:
        code = element.types[0].code if len(element.types) == 1 else ""
        bound = element.binding if element.binding and element.binding.strength in ("required", "extensible") else None
        if bound is None:
            return PRIMITIVES.get(code) or (self.of_type(code) if code == "Coding" else None)
        codes = self._terms.codes(bound.value_set)
        if code in PRIMITIVES and not codes.is_closed:  # nothing can be said of a code alone
            return PRIMITIVES[code]
        if code == "code" and bound.strength == "required":
            return Literal[tuple(sorted({each for _, each in codes.known}))]
        return None


def coding_hook(terms: Terms) -> Any:
    """What is asked of each Coding beside its form; any doubt, and one that is empty, goes to the checks."""

    def hook(self: Any) -> None:
        if self.system is msgspec.UNSET or not terms.is_sound(self.system, self.code):
            raise ValueError

    return hook
