"""The definitions of FHIR R4 in one file, compiled by `tools/fhir_definitions.py` and opened once a process.

Promises: what is looked up is decoded when it is first asked for, so that opening costs milliseconds.
Never fetches anything: where the file is missing or of another version, the error says how to make it.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from salus.clinical.fhir.definitions.terminology import CodeSystem, ValueSet
from salus.clinical.fhir.definitions.values import Compartment, SearchParameter, Structure

FORMAT: Final = 1
"""Raised with every change of what stands in the file."""
PLACE: Final = Path(__file__).with_name("r4.table")
CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"

Value = TypeVar("Value", Structure, CodeSystem, ValueSet)


class DefinitionsMissing(Exception):
    """The compiled definitions are not there, or are not those that this version reads."""


class Heading(msgspec.Struct, frozen=True):
    """What the file begins with: its format, and of what it was compiled."""

    format: int
    stamp: str


class Content(msgspec.Struct, frozen=True):
    """Everything in the file; by address, each definition still encoded."""

    format: int
    stamp: str
    structures: dict[str, msgspec.Raw]
    code_systems: dict[str, msgspec.Raw]
    value_sets: dict[str, msgspec.Raw]
    search_parameters: msgspec.Raw
    compartments: msgspec.Raw
    kinds: dict[str, tuple[str, bool]]
    """Of each type that is no profile: its kind, and whether it is abstract."""


class Definitions:
    """Look-ups in the definitions; what is not defined is None."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self._structures: dict[str, Structure] = {}
        self._code_systems: dict[str, CodeSystem] = {}
        self._value_sets: dict[str, ValueSet] = {}

    def structure(self, name: str) -> Structure | None:
        """The structure of this address, with or without a version, or of this core type (`Observation`)."""
        url = name if ":" in name else CORE + name
        return _found(url, self._structures, self.content.structures, Structure)

    def code_system(self, url: str) -> CodeSystem | None:
        """The code system of this address, with or without a version."""
        return _found(url, self._code_systems, self.content.code_systems, CodeSystem)

    def value_set(self, url: str) -> ValueSet | None:
        """The value set of this address, with or without a version."""
        return _found(url, self._value_sets, self.content.value_sets, ValueSet)

    @property
    def structure_urls(self) -> tuple[str, ...]:
        """The addresses of all structures, in order."""
        return tuple(self.content.structures)

    @property
    def code_system_urls(self) -> tuple[str, ...]:
        """The addresses of all code systems, in order."""
        return tuple(self.content.code_systems)

    @property
    def value_set_urls(self) -> tuple[str, ...]:
        """The addresses of all value sets, in order."""
        return tuple(self.content.value_sets)

    @cached_property
    def resource_types(self) -> tuple[str, ...]:
        """The types of resource that R4 has and that can be stored, in the order of the alphabet.

        The package that is compiled has one of R4B beside them, SubscriptionStatus.
        """
        named = self.code_system(RESOURCE_TYPES)
        assert named is not None, "R4 lists its types"
        of_r4 = {each.code for each in named.concepts}
        kinds = self.content.kinds.items()
        return tuple(
            sorted(
                name for name, (kind, is_abstract) in kinds if kind == "resource" and not is_abstract and name in of_r4
            )
        )

    @cached_property
    def primitive_types(self) -> frozenset[str]:
        """The types that have a value of their own: `string`, `dateTime`, …"""
        return frozenset(name for name, (kind, _) in self.content.kinds.items() if kind == "primitive-type")

    @cached_property
    def data_types(self) -> frozenset[str]:
        """The types of elements with children: `Period`, `Reference`, … and the abstract ones."""
        return frozenset(name for name, (kind, _) in self.content.kinds.items() if kind == "complex-type")

    @cached_property
    def search_parameters(self) -> tuple[SearchParameter, ...]:
        """All search parameters, in the order of their addresses."""
        return msgspec.msgpack.decode(self.content.search_parameters, type=tuple[SearchParameter, ...])

    def search_parameter(self, url: str) -> SearchParameter | None:
        """The search parameter of this address."""
        return self._parameters_by_url.get(url)

    @cached_property
    def _parameters_by_url(self) -> dict[str, SearchParameter]:
        return {each.url: each for each in self.search_parameters}

    @cached_property
    def compartments(self) -> dict[str, Compartment]:
        """The compartments by their code: `Patient`, `Encounter`, …"""
        found = msgspec.msgpack.decode(self.content.compartments, type=tuple[Compartment, ...])
        return {each.code: each for each in found}


@lru_cache(maxsize=1)
def r4() -> Definitions:
    """The definitions of R4, opened when they are first asked for.

    Raises:
        DefinitionsMissing: the file is not there or is not one that this version reads.
    """
    return Definitions(opened(PLACE))


def opened(place: Path) -> Content:
    """Read a table. Raises DefinitionsMissing."""
    try:
        source = place.read_bytes()
        if msgspec.msgpack.decode(source, type=Heading).format != FORMAT:
            raise DefinitionsMissing(f"expected format {FORMAT} in {place}, came another: {HINT}")
        return msgspec.msgpack.decode(source, type=Content)
    except OSError as error:
        raise DefinitionsMissing(f"expected FHIR R4 in {place}, it is not there: {HINT}") from error
    except msgspec.DecodeError as error:
        raise DefinitionsMissing(f"expected FHIR R4 in {place}, came something else: {HINT}") from error


HINT: Final = "run `make setup`"


def _found(url: str, known: dict[str, Value], raw: dict[str, msgspec.Raw], kind: type[Value]) -> Value | None:
    name = url if url in raw else url.partition("|")[0]
    if name not in raw:  # nothing is kept of it: whoever asks could ask for anything
        return None
    if name not in known:
        known[name] = msgspec.msgpack.decode(raw[name], type=kind)
    return known[name]
