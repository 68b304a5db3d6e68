"""What FHIRPath has to know of FHIR's types: which elements they have, under which keys of JSON, and their bases.

A type is named as FHIR names it (`Patient`, `HumanName`, `code`); what is described inside a type by its path
(`Patient.contact`). Of a choice, an element has one key for each type: `value` is `valueQuantity`, `valueString` …
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from salus.clinical.fhir.definitions import Definitions, Element, r4

Key = tuple[str, str, str | None]  # key in JSON, key of a primitive's extensions, type

SYSTEM_TYPES = frozenset(("Boolean", "Integer", "Decimal", "String", "Date", "DateTime", "Time", "Quantity", "Long"))
INNER = ("BackboneElement", "Element", "Base")
DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


class Types:
    """The types of a version of FHIR; each is looked at when it is first asked for."""

    def __init__(self, definitions: Definitions | None) -> None:
        """Know what these definitions say; with none, elements are found by name and have no type."""
        self.definitions = definitions
        self._elements: dict[str, Mapping[str, tuple[tuple[str, str], ...]]] = {}
        self._keys: dict[tuple[str | None, str], tuple[Key, ...] | None] = {}
        self._children: dict[str, Mapping[str, str]] = {}
        self._ancestors: dict[str, frozenset[str]] = {}
        self._arrays: set[tuple[str, str]] = set()

    def keys(self, type_name: str | None, name: str) -> tuple[Key, ...] | None:
        """Under which keys an element may stand; None when the type has no such element."""
        found = self._keys.get((type_name, name))
        return self._find(type_name, name) if found is None else found

    def _find(self, type_name: str | None, name: str) -> tuple[Key, ...] | None:
        """The keys, remembered if there are any: names and types that are none could be anything, without end."""
        elements = {} if type_name is None else self.elements(type_name)
        if not elements:
            return ((name, f"_{name}", None),)
        if name not in elements:
            return None
        found = tuple((key, f"_{key}", kind) for key, kind in elements[name])
        return self._keys.setdefault((type_name, name), found)

    def children(self, type_name: str | None) -> Mapping[str, str]:
        """The type of what stands under each key of a type."""
        if type_name in self._children:
            return self._children[type_name]
        elements = {} if type_name is None else self.elements(type_name)
        found = {key: kind for keys in elements.values() for key, kind in keys}
        return self._children.setdefault(type_name or "", found) if elements else {}

    def elements(self, type_name: str) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Of a type or an inner path, each element's keys in JSON with their types; nothing of an unknown one."""
        root = type_name.partition(".")[0]
        if root not in self._elements and self.is_known(root):
            self._elements.update(self._described(root))
        return self._elements.get(type_name, {})

    def _described(self, root: str) -> dict[str, dict[str, tuple[tuple[str, str], ...]]]:
        """All elements of a type, by the path in which they stand."""
        structure = None if self.definitions is None else self.definitions.structure(root)
        found: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {root: {}}
        for element in structure.elements[1:] if structure else ():
            owner, _, name = element.path.rpartition(".")
            found.setdefault(owner, {})[name.removesuffix("[x]")] = tuple(keys_of(element, name))
            if element.base_max != 1:
                self._arrays.add((owner, name))
        return found

    def is_array(self, type_name: str, name: str) -> bool:
        """Whether an element of a type may be repeated, so that JSON has it in an array."""
        self.elements(type_name)
        return (type_name, name) in self._arrays

    def is_known(self, type_name: str) -> bool:
        """Whether FHIR has a type of this name, or of its path's first name."""
        root = type_name.partition(".")[0]
        return self.definitions is not None and self.definitions.structure(root) is not None

    def ancestors(self, type_name: str) -> frozenset[str]:
        """A type and all that it is a special case of."""
        if type_name in self._ancestors:
            return self._ancestors[type_name]
        found = frozenset(self._bases(type_name))
        return self._ancestors.setdefault(type_name, found) if self.elements(type_name) else found

    def _bases(self, type_name: str) -> Iterator[str]:
        yield type_name
        if "." in type_name:
            yield from INNER
            return
        structure = None if self.definitions is None else self.definitions.structure(type_name)
        while structure is not None and structure.base:
            yield structure.base.removeprefix(DEFINITION)
            structure = self.definitions.structure(structure.base) if self.definitions else None


def keys_of(element: Element, name: str) -> Iterator[tuple[str, str]]:
    """Under which keys of JSON an element stands, each with its type."""
    if element.content_reference:
        yield name, element.content_reference.partition("#")[2] or element.content_reference
        return
    for each in element.types:
        kind = element.path if each.code in ("BackboneElement", "Element") else each.code
        if name.endswith("[x]"):
            yield name[:-3] + kind[:1].upper() + kind[1:], kind
        else:
            yield name, kind
            return


NO_TYPES = Types(None)


@lru_cache(maxsize=1)
def r4_types() -> Types:
    """The types of R4.

    Raises:
        DefinitionsMissing: they have not been compiled.
    """
    return Types(r4())
