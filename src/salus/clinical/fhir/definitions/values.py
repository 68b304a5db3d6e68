"""What FHIR defines, as values: structures with their elements, search parameters, compartments.

Only what a program acts on: texts for readers, mappings and examples are left out. The names are those of
StructureDefinition, SearchParameter and CompartmentDefinition in FHIR R4, in this project's spelling.
"""

from __future__ import annotations

from typing import Final

import msgspec

UNBOUNDED: Final = -1
"""The `max` of an element that may be repeated without end (`*`)."""

UNSTATED: Final = -2
"""The `min` or `max` of an element of a differential that leaves it as it is in the base."""


class ElementType(msgspec.Struct, frozen=True, array_like=True):
    """One type that an element may have.

    Args:
        code: `string`, `Reference`, `Patient`; `System.String` of FHIRPath is told as the FHIR type that it stands for.
        profiles: what the type itself must conform to, one of them; empty for any.
        targets: what a reference or canonical may point to, one of them; empty for anything.
        regex: the form of a primitive's text, empty where FHIR gives none.
    """

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    regex: str = ""


class Binding(msgspec.Struct, frozen=True, array_like=True):
    """The value set of a coded element: strength `required`, `extensible`, `preferred` or `example`."""

    strength: str
    value_set: str
    value_set_max: str = ""


class Invariant(msgspec.Struct, frozen=True, array_like=True):
    """A rule in FHIRPath: its key, `error` or `warning`, what it says to people, the expression, who states it."""

    key: str
    severity: str
    human: str
    expression: str
    source: str = ""


class Discriminator(msgspec.Struct, frozen=True, array_like=True):
    """By what slices are told apart: type `value`, `exists`, `pattern`, `type` or `profile`, and the path to it."""

    type: str
    path: str


class Slicing(msgspec.Struct, frozen=True, array_like=True):
    """How a repeating element is sliced; rules `open`, `closed` or `openAtEnd`."""

    discriminators: tuple[Discriminator, ...]
    rules: str
    is_ordered: bool = False


class Element(msgspec.Struct, frozen=True, array_like=True):
    """One element of a structure, as its snapshot has it.

    Args:
        id: the path with slice names, `Observation.component:systolic.code`.
        path: `Observation.value[x]`.
        slice_name: empty unless the element opens a slice.
        min, max: how often it stands there; UNBOUNDED for `*`.
        base_max: the `max` of the type that first has it; JSON has an array unless it is 1.
        content_reference: the id of the element of the same structure whose children this one has; else empty.
        fixed, pattern: the JSON value that it must be, or contain; None where there is none.
        length_max: in characters, 0 for no limit.
        smallest, largest: bounds in their literal form, empty for none.
        is_attribute: in XML it is an attribute.
    """

    id: str
    path: str
    min: int
    max: int
    base_max: int
    types: tuple[ElementType, ...] = ()
    content_reference: str = ""
    binding: Binding | None = None
    invariants: tuple[Invariant, ...] = ()
    slice_name: str = ""
    slicing: Slicing | None = None
    fixed: object = None
    pattern: object = None
    length_max: int = 0
    smallest: str = ""
    largest: str = ""
    is_modifier: bool = False
    is_summary: bool = False
    must_support: bool = False
    is_attribute: bool = False
    short: str = ""


class Context(msgspec.Struct, frozen=True, array_like=True):
    """Where an extension may stand: type `element`, `extension` or `fhirpath`, and the expression."""

    type: str
    expression: str


class Structure(msgspec.Struct, frozen=True, array_like=True):
    """A type, a profile of one, or an extension.

    Args:
        kind: `primitive-type`, `complex-type`, `resource` or `logical`.
        type: what it describes, `Observation`; of a profile the type that it constrains.
        base: the address of what it is made from, empty for Element and Resource.
        derivation: `specialization` for a type, `constraint` for a profile, empty for Element and Resource.
        elements: the snapshot in order, the type itself first; of a profile that came without one, the differential.
        has_snapshot: whether `elements` is the snapshot.
        context, context_invariants: of an extension, where it may stand.
    """

    url: str
    version: str
    name: str
    kind: str
    type: str
    base: str
    derivation: str
    is_abstract: bool
    elements: tuple[Element, ...]
    has_snapshot: bool = True
    context: tuple[Context, ...] = ()
    context_invariants: tuple[str, ...] = ()

    @property
    def is_profile(self) -> bool:
        """Whether it constrains a type rather than being one."""
        return self.derivation == "constraint"


class Component(msgspec.Struct, frozen=True, array_like=True):
    """A part of a composite parameter: the parameter's address, and the path from what the composite selects."""

    definition: str
    expression: str


class SearchParameter(msgspec.Struct, frozen=True, array_like=True):
    """A way to search.

    Args:
        code: what stands in the query.
        bases: the types that have it; `Resource` and `DomainResource` for all.
        type: `string`, `token`, `date`, `number`, `quantity`, `reference`, `uri`, `composite` or `special`.
        expression: FHIRPath from the resource to the values; empty for `_text`, `_content` and `_query`.
        targets: the types that a reference may point to.
        usage: xpathUsage: `normal`, `phonetic`, `nearby`, `distance`, `other`, or empty.
    """

    url: str
    code: str
    bases: tuple[str, ...]
    type: str
    expression: str = ""
    targets: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    usage: str = ""
    description: str = ""


class Compartment(msgspec.Struct, frozen=True, array_like=True):
    """What belongs to a Patient (Encounter, …): by type, the codes of the search parameters that say so.

    `{def}` among them means the resource itself; a type that is never in it has none.
    """

    url: str
    code: str
    parameters: dict[str, tuple[str, ...]]
