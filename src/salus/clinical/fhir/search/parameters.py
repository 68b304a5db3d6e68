"""Which search parameters a type has: its own, and those of all resources.

Left out are those that R4 gives no expression (`_text`, `_content`, `_query`), and `near`, which needs a map.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

from salus.clinical.fhir.definitions import SearchParameter, r4

KINDS = frozenset(("string", "token", "date", "number", "quantity", "reference", "uri", "composite"))
EVERY = ("Resource", "DomainResource")

# R4 writes FHIRPath's DateTime where it means FHIR's dateTime; by it no value would be found.
CORRECTION = ("(DateTime)", "(dateTime)")


class Part(Struct, frozen=True):
    """A component of a composite: the parameter's code and kind, and the path from what the composite selects."""

    code: str
    kind: str
    expression: str


class Parameter(Struct, frozen=True):
    """A search parameter of one type.

    Attributes:
        code: what stands in the query.
        kind: `string`, `token`, `date`, `number`, `quantity`, `reference`, `uri`, `composite`.
        url: the address of its definition.
        expression: FHIRPath from the resource to the values.
        targets: of a reference, the types that it may point to.
        parts: of a composite.
    """

    code: str
    kind: str
    url: str
    expression: str
    targets: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()


@lru_cache(maxsize=256)
def parameters_of(type_name: str) -> Mapping[str, Parameter]:
    """The parameters of a type by code, in the order of the alphabet; none of a type that is not FHIR's.

    Raises:
        DefinitionsMissing: R4's definitions have not been compiled.
    """
    if type_name not in r4().resource_types:
        return {}
    listed = [each for each in r4().search_parameters if is_of(each, type_name)]
    found = {each.code: parameter(each) for each in listed}
    return dict(sorted(found.items()))


def is_of(defined: SearchParameter, type_name: str) -> bool:
    """Whether a definition is of this type and can be answered."""
    is_base = type_name in defined.bases or any(each in defined.bases for each in EVERY)
    return is_base and defined.type in KINDS and bool(defined.expression)


def parameter(defined: SearchParameter) -> Parameter:
    """A parameter from its definition."""
    return Parameter(
        code=defined.code,
        kind=defined.type,
        url=defined.url,
        expression=defined.expression,
        targets=defined.targets,
        parts=tuple(part(each.definition, each.expression) for each in defined.components),
    )


def part(url: str, expression: str) -> Part:
    """A component from its definition."""
    defined = by_url()[url]
    return Part(defined.code, defined.type, expression.replace(*CORRECTION))


@lru_cache(maxsize=1)
def by_url() -> Mapping[str, SearchParameter]:
    """All definitions by their address."""
    return {each.url: each for each in r4().search_parameters}
