"""The elements of a structure as a tree, and the names that they have in JSON and XML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from salus.clinical.fhir.definitions.values import Element, ElementType, Structure

CHOICE: Final = "[x]"
PART: Final = ElementType("BackboneElement")
"""The type of an element that states none: its children stand in the same structure."""


def children(structure: Structure, path: str) -> Iterator[Element]:
    """The elements right under a path, without slices, in order."""
    start = path + "."
    for each in structure.elements:
        if each.path.startswith(start) and "." not in each.path[len(start) :] and not each.slice_name:
            yield each


def names(element: Element) -> Iterator[tuple[str, str, ElementType]]:
    """Each name that an element can have, what FHIRPath calls it then, and its type: one, or one for each choice."""
    name = element.path.rpartition(".")[2]
    if not name.endswith(CHOICE):
        yield name, name, element.types[0] if element.types else PART
        return
    stem = name.removesuffix(CHOICE)
    for each in element.types:
        yield stem + each.code[0].upper() + each.code[1:], f"{stem}.ofType({each.code})", each
