"""What of a resource is found by which parameter.

For each type a plan is made once: by the first key of each walk, so that a resource is looked at only where it has
something. A Synthea resource costs well under 100 µs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import msgspec

from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.search.converters import CONVERTERS, Convert
from salus.clinical.fhir.search.parameters import Parameter, parameters_of
from salus.clinical.fhir.search.references import target_of
from salus.clinical.fhir.search.values import IndexValue
from salus.clinical.fhir.search.walks import Evaluation, Walk, walks

GROUPS_MAX = 200  # of one composite in one resource
COMBINATIONS_MAX = 200  # of values in one group


@dataclass(frozen=True, slots=True)
class Extractor:
    """A walk, and what is made of the values at its end, for all parameters that have both.

    `context` is the system of codes, or empty.
    """

    codes: tuple[str, ...]
    walk: Walk
    convert: Convert
    context: str
    is_reference: bool

    def extract(self, content: dict[str, Any], base: str, found: list[IndexValue]) -> None:
        """Append the index values."""
        context = base if self.is_reference else self.context
        target = self.walk.target
        begun = len(found)
        code, *others = self.codes
        for value in self.walk.values(content):
            if target is None or names(value, target, base):
                self.convert(value, code, context, found)
        if others:
            made = found[begun:]
            for other in others:
                found += [msgspec.structs.replace(each, code=other) for each in made]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A parameter whose expression is more than walks."""

    code: str
    kind: str
    targets: tuple[str, ...]
    evaluation: Evaluation

    def extract(
        self, content: dict[str, Any], type_name: str, resource: dict[str, Any], base: str, found: list[IndexValue]
    ) -> None:
        """Append the index values."""
        for value, kind in self.evaluation.found(content, type_name, resource):
            convert = CONVERTERS[self.kind].get("Resource" if kind in self.targets else kind)
            if convert is not None:
                convert(value, self.code, base if self.kind == "reference" else "", found)


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a composite, from what the composite selects."""

    type: str
    extractors: tuple[Extractor, ...]
    evaluated: Evaluated | None

    def values(self, context: dict[str, Any], resource: dict[str, Any], base: str) -> list[IndexValue]:
        """Its values, without a code."""
        found: list[IndexValue] = []
        for extractor in self.extractors:
            extractor.extract(context, base, found)
        if self.evaluated is not None:
            self.evaluated.extract(context, self.type, resource, base, found)
        return found[:COMBINATIONS_MAX]


Known = dict[tuple[int, int], list[IndexValue]]  # by context and component, by their addresses: composites share both


@dataclass(frozen=True, slots=True)
class Composite:
    """A composite: the walks to what it selects, and the components from there."""

    code: str
    walks: tuple[tuple[Walk, tuple[Component, ...]], ...]

    def extract(self, resource: dict[str, Any], base: str, found: list[IndexValue], known: Known) -> None:
        """Append the values of all groups in which every component has some."""
        group = 0
        for walk, components in self.walks:
            for context in walk.values(resource)[:GROUPS_MAX]:
                parts = parts_of(components, context, resource, base, known)
                group += bool(parts)
                for number, values in enumerate(parts):
                    found += [in_group(each, self.code, group, number) for each in values]


def parts_of(
    components: tuple[Component, ...], context: Any, resource: dict[str, Any], base: str, known: Known
) -> list[list[IndexValue]]:
    """The values of each component; nothing when one has none, which the last of them shows most often."""
    parts: list[list[IndexValue]] = []
    for component in reversed(components) if context.__class__ is dict else ():
        key = (id(context), id(component))
        if key not in known:
            known[key] = component.values(context, resource, base)
        if not known[key]:
            return []
        parts.insert(0, known[key])
    return parts


def in_group(value: IndexValue, code: str, group: int, part: int) -> IndexValue:
    """The same value as part of a composite."""
    return msgspec.structs.replace(value, code=code, group=group, part=part)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a type is indexed."""

    by_key: Mapping[str, tuple[Extractor, ...]]
    evaluated: tuple[Evaluated, ...]
    composites: tuple[Composite, ...]


def index(type_name: str, content: dict[str, Any], *, base: str = "") -> list[IndexValue]:
    """The index values of a resource, by all parameters of its type.

    Args:
        type_name: its type.
        content: the resource as parsed JSON, of any shape.
        base: the address of this server's FHIR: references that begin with it are to resources here.

    Raises:
        DefinitionsMissing: R4's definitions have not been compiled.
    """
    plan = plan_of(type_name)
    found: list[IndexValue] = []
    by_key = plan.by_key
    for key in content:
        if key in by_key:
            for extractor in by_key[key]:
                extractor.extract(content, base, found)
    for each in plan.evaluated:
        each.extract(content, type_name, content, base, found)
    known: Known = {}
    for composite in plan.composites:
        composite.extract(content, base, found, known)
    return found


@lru_cache(maxsize=256)
def plan_of(type_name: str) -> Plan:
    """The plan of a type."""
    shared: dict[Extractor, list[str]] = {}
    evaluated: list[Evaluated] = []
    composites: list[Composite] = []
    for parameter in parameters_of(type_name).values():
        if parameter.kind == "composite":
            composites.append(composite_of(parameter, type_name))
            continue
        extractors, rest = extraction(
            parameter.code, parameter.kind, parameter.expression, type_name, parameter.targets
        )
        for each in extractors:
            shared.setdefault(replace(each, codes=()), []).append(parameter.code)
        evaluated += [rest] if rest is not None else []
    by_key: dict[str, list[Extractor]] = {}
    for each, codes in shared.items():
        by_key.setdefault(str(each.walk.steps[0]), []).append(replace(each, codes=tuple(codes)))
    return Plan({key: tuple(each) for key, each in by_key.items()}, tuple(evaluated), tuple(composites))


def extraction(
    code: str, kind: str, expression: str, type_name: str, targets: tuple[str, ...] = ()
) -> tuple[tuple[Extractor, ...], Evaluated | None]:
    """The extractors of an expression, or its evaluation where it is more than walks."""
    found = walks(expression, type_name)
    if found is None:
        return (), Evaluated(code, kind, targets, Evaluation(expression))
    made = [
        Extractor((code,), walk, convert, system_of(walk) if kind == "token" else "", kind == "reference")
        for walk in found
        if walk.steps and (convert := CONVERTERS[kind].get(walk.type)) is not None
    ]
    return tuple(made), None


def composite_of(parameter: Parameter, type_name: str) -> Composite:
    """A composite's walks and components."""
    selected = walks(parameter.expression, type_name)
    assert selected is not None, "R4's composites select by paths"
    components = [
        tuple(component(each.kind, each.expression, walk.type) for each in parameter.parts) for walk in selected
    ]
    return Composite(parameter.code, tuple(zip(selected, components, strict=True)))


@lru_cache(maxsize=1024)
def component(kind: str, expression: str, type_name: str) -> Component:
    """A component; the same one for all composites that have it."""
    extractors, rest = extraction("", kind, expression, type_name)
    return Component(type_name, extractors, rest)


def system_of(walk: Walk) -> str:
    """The code system to which a `code` is bound, when it is one; empty when that cannot be said."""
    structure = r4().structure(walk.path.partition(".")[0]) if walk.type == "code" else None
    binding = next((each.binding for each in structure.elements if each.path == walk.path), None) if structure else None
    value_set = r4().value_set(binding.value_set) if binding else None
    systems = {each.system for each in value_set.includes} if value_set else set()
    return systems.pop() if len(systems) == 1 else ""


def names(value: Any, target: str, base: str) -> bool:
    """Whether a reference names a type, by its address or by saying so."""
    if value.__class__ is not dict:
        return False
    reference = value.get("reference")
    found = target_of(reference, base) if reference.__class__ is str else None
    return (found.type if found is not None and found.type else value.get("type")) == target
