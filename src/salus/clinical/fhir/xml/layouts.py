"""How the elements of a type stand in XML: in which order, as attributes or elements, of which types."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from salus.clinical.fhir.definitions import Definitions, Element, ElementType, Structure, r4
from salus.clinical.fhir.definitions.tree import children, names

ANY_RESOURCE: Final = frozenset({"Resource", "DomainResource"})
XHTML: Final = "xhtml"


@dataclass(slots=True)
class Child:
    """One element of a layout.

    Args:
        name: in JSON and in XML.
        order: its place among its siblings; the ways to write one choice share it.
        is_list: whether JSON has an array.
        primitive: its type when it has a value of its own, else empty.
        layout: of its children; None for a primitive and for any resource.
        is_attribute: whether XML has an attribute.
    """

    name: str
    order: int
    is_list: bool
    primitive: str = ""
    layout: Layout | None = None
    is_attribute: bool = False


@dataclass(slots=True)
class Layout:
    """A type: its children by name, in order; filled after it exists, because types hold themselves."""

    path: str
    is_resource: bool = False
    children: dict[str, Child] = field(default_factory=dict)


class Layouts:
    """Lays types out and keeps them."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._kept: dict[str, Layout] = {}
        self.resource_types = frozenset(definitions.resource_types)

    def of_type(self, name: str) -> Layout:
        """The layout of a resource type or data type."""
        if name not in self._kept:
            structure = self._definitions.structure(name)
            assert structure is not None, "only types that are defined are asked for"
            self._lay_out(structure, name)
        return self._kept[name]

    def _lay_out(self, structure: Structure, path: str) -> Layout:
        is_resource = structure.kind == "resource" and path == structure.type
        self._kept[path] = layout = Layout(path, is_resource)
        for order, element in enumerate(children(structure, path)):
            for name, _, kind in names(element):
                layout.children[name] = self._child(structure, element, kind, name, order)
        return layout

    def _child(self, structure: Structure, element: Element, kind: ElementType, name: str, order: int) -> Child:
        child = Child(name, order, is_list=element.base_max != 1, is_attribute=element.is_attribute)
        if kind.code in self._definitions.primitive_types:
            child.primitive = kind.code
        elif element.content_reference:
            child.layout = self._part(structure, element.content_reference)
        elif kind.code not in ANY_RESOURCE:
            has_parts = any(children(structure, element.path))
            child.layout = self._part(structure, element.path) if has_parts else self.of_type(kind.code)
        return child

    def _part(self, structure: Structure, path: str) -> Layout:
        return self._kept.get(path) or self._lay_out(structure, path)


@lru_cache(maxsize=1)
def layouts() -> Layouts:
    """The layouts of R4. Raises DefinitionsMissing."""
    return Layouts(r4())
