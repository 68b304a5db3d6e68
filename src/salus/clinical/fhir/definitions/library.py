"""Definitions beside R4's own: profiles, extensions, value sets and code systems that an operator lays out.

Whoever runs the node reads the files; here they become values, and look-ups that ask them before R4's table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from salus.clinical.fhir.definitions import reading
from salus.clinical.fhir.definitions.table import Definitions
from salus.clinical.fhir.definitions.terminology import CodeSystem, ValueSet
from salus.clinical.fhir.definitions.values import Structure


class Library(Definitions):
    """R4's definitions with others beside them; of two of one address the later one stands."""

    def __init__(self, base: Definitions, resources: Iterable[dict[str, Any]]) -> None:
        """Take what is a definition among these resources (as JSON); what else is there is passed over."""
        super().__init__(base.content)
        self._base = base
        self.loaded_structures: dict[str, Structure] = {}
        self.loaded_value_sets: dict[str, ValueSet] = {}
        self.loaded_code_systems: dict[str, CodeSystem] = {}
        for each in resources:
            kind, url = each.get("resourceType"), str(each.get("url", ""))
            if kind == "StructureDefinition":
                self.loaded_structures[url] = reading.structure(each)
            elif kind == "ValueSet":
                self.loaded_value_sets[url] = reading.value_set(each)
            elif kind == "CodeSystem":
                self.loaded_code_systems[url] = reading.code_system(each)

    def structure(self, name: str) -> Structure | None:
        """The structure of this address, with or without a version, or of this core type."""
        return self.loaded_structures.get(name.partition("|")[0]) or self._base.structure(name)

    def code_system(self, url: str) -> CodeSystem | None:
        """The code system of this address, with or without a version."""
        return self.loaded_code_systems.get(url.partition("|")[0]) or self._base.code_system(url)

    def value_set(self, url: str) -> ValueSet | None:
        """The value set of this address, with or without a version."""
        return self.loaded_value_sets.get(url.partition("|")[0]) or self._base.value_set(url)
