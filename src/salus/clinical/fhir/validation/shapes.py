"""Types compiled to checks: which properties an object may have, how often, of which type, with which codes.

Each type is compiled once, when a resource first needs it, into one closure for each object and each property.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from salus.clinical.fhir.definitions import UNBOUNDED, Definitions, Element, ElementType, Structure
from salus.clinical.fhir.definitions.tree import CHOICE, children, names
from salus.clinical.fhir.fhirpath import Node
from salus.clinical.fhir.validation import narrative
from salus.clinical.fhir.validation.bundles import check_bundle
from salus.clinical.fhir.validation.conformance import check_expression
from salus.clinical.fhir.validation.fields import (
    Check,
    Field,
    Json,
    ignored,
    listed_object,
    listed_siblings,
    listed_value,
    single_object,
    single_sibling,
    single_value,
)
from salus.clinical.fhir.validation.issues import Linked, Place, Run
from salus.clinical.fhir.validation.parameters import check_parameters
from salus.clinical.fhir.validation.primitives import ACCEPT, CHECKS
from salus.clinical.fhir.validation.references import check_reference, targets_of
from salus.clinical.fhir.validation.rules import check_extension, check_resource
from salus.clinical.fhir.validation.terms import SEVERITY, Bound, Terms


@dataclass(slots=True)
class Shape:
    """What an object of one type must look like; filled after its check exists, because types hold themselves.

    Args:
        fields: the check of each property.
        accept: of a text that stands there once, a quick test that most sound values pass.
        objects: of an object that stands there once, its check and what it is called in a place.
        required: names of which one must be there, and what the element is called.
        choices: the element of each property that is one way to write it (`valueString`: `value[x]`).
        is_resource: whether it has a `resourceType`.
        after: what is looked at when all properties were.
    """

    path: str
    fields: dict[str, Field] = field(default_factory=dict)
    accept: dict[str, Callable[[str], object]] = field(default_factory=dict)
    objects: dict[str, tuple[Check, str]] = field(default_factory=dict)
    required: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    is_resource: bool = False
    after: Check | None = None


class Shapes:
    """Compiles types and keeps what it compiled."""

    def __init__(self, definitions: Definitions, terms: Terms, also: Callable[[str], Check | None]) -> None:
        """Compile by these definitions; `also` gives what else is to be checked in each object of a type."""
        self._definitions, self._terms, self._also = definitions, terms, also
        self._checks: dict[str, Check] = {}
        self.resource_types = frozenset(definitions.resource_types)
        self.after: dict[str, Check] = {
            "Coding": terms.check_coding,
            "Expression": check_expression,
            "Extension": check_extension,
            "Narrative": check_narrative,
        }
        """What is looked at in each object of a type beside its properties."""

    def resource(self, value: Any, place: Place, run: Run) -> None:
        """Check an object that may be any resource."""
        kind = value.get("resourceType") if type(value) is dict else None
        if type(kind) is str and kind in self.resource_types:
            first, outer = len(run.references), (run.resource, run.root)
            is_contained = len(place) == 3 and place[1] == "contained"
            run.resource = Node(value, kind)
            run.root = run.root if is_contained else run.resource
            self.of_type(kind)(value, place, run)
            if not is_contained:
                self._whole(value, kind, place, run, run.references[first:])
            run.resource, run.root = outer
        elif type(value) is dict:
            run.add(place, "structure", "resource-type", "expected resourceType to name a type of R4")
        else:
            run.add(place, "structure", "json-type", "expected an object")

    def _whole(self, value: Json, kind: str, place: Place, run: Run, references: list[Linked]) -> None:
        if kind == "Bundle":
            check_bundle(value, place, run, references, self.resource_types)
        elif kind == "Parameters":
            check_parameters(value, run, references)
        elif references or "contained" in value:
            check_resource(value, place, run, references)

    def of_type(self, name: str) -> Check:
        """The check of a resource type or data type."""
        if name not in self._checks:
            structure = self._definitions.structure(name)
            assert structure is not None, "only types that are defined are asked for"
            self._compile(structure, name, name)
        return self._checks[name]

    def _compile(self, structure: Structure, key: str, path: str) -> Check:
        shape = Shape(path, is_resource=structure.kind == "resource" and path == structure.type)
        self._checks[key] = check = object_check(shape)
        shape.after = both(self.after.get(key), None if "." in key else self._also(key))
        if shape.is_resource:
            shape.fields["resourceType"] = ignored
        for element in children(structure, path):
            self._add(shape, structure, element)
        return check

    def _add(self, shape: Shape, structure: Structure, element: Element) -> None:
        called = element.path.rpartition(".")[2]
        ways = []
        for name, segment, kind in names(element) if element.max != 0 else ():
            self._add_field(shape, structure, element, kind, name, segment)
            ways.append(name)
            if called.endswith(CHOICE):
                shape.choices[name] = called.removesuffix(CHOICE)
        if element.min > 0:
            both = (*ways, *(f"_{each}" for each in ways if f"_{each}" in shape.fields))
            shape.required.append((both, called))

    def _add_field(
        self, shape: Shape, structure: Structure, element: Element, kind: ElementType, name: str, segment: str
    ) -> None:
        is_list = element.base_max != 1
        most = -1 if element.max == UNBOUNDED else element.max
        if kind.code in CHECKS and element.path.rpartition(".")[2] != "resourceType":
            bound = self._bound(element)
            shape.fields[name] = value_field(bound, kind.code, name, segment, is_list=is_list, most=most)
            if not is_list and (accept := quick_test(bound, kind.code)):
                shape.accept[name] = accept
            if not element.is_attribute and kind.code != "xhtml":
                inner = self.of_type("Element")
                shape.fields["_" + name] = (
                    listed_siblings(name, inner) if is_list else single_sibling(segment, name, inner)
                )
            return
        inner = self._object(structure, element, kind)
        shape.fields[name] = listed_object(name, inner, most) if is_list else single_object(segment, inner)
        if not is_list:
            shape.objects[name] = (inner, segment)

    def _object(self, structure: Structure, element: Element, kind: ElementType) -> Check:
        if element.content_reference:
            return self._part(structure, element.content_reference)
        if kind.code in ("Resource", "DomainResource"):
            return self.resource
        if any(children(structure, element.path)):
            return self._part(structure, element.path)
        inner = self.of_type(kind.code)
        if kind.code == "Reference":
            inner = with_targets(inner, targets_of([kind]))
        bound = self._bound(element)
        return with_binding(inner, bound) if bound else inner

    def _part(self, structure: Structure, path: str) -> Check:
        return self._checks.get(path) or self._compile(structure, path, path)

    def _bound(self, element: Element) -> Bound | None:
        if element.binding is None or element.binding.strength not in SEVERITY:
            return None
        return Bound(element.binding, self._terms, element.path)


def both(first: Check | None, second: Check | None) -> Check | None:
    """One check of two, either of which may be absent."""
    if first is None or second is None:
        return first or second

    def check(value: Any, place: Place, run: Run) -> None:
        first(value, place, run)
        second(value, place, run)

    return check


def value_field(bound: Bound | None, kind: str, name: str, segment: str, *, is_list: bool, most: int) -> Field:
    """The check of a primitive property."""
    then = bound.check if bound else None
    if is_list:
        return listed_value(name, CHECKS[kind], kind, then, most)
    return single_value(segment, CHECKS[kind], kind, then)


def quick_test(bound: Bound | None, kind: str) -> Callable[[str], object] | None:
    """The quick test of a primitive; of a bound one, whether it is a code of the set, where the set is wholly known."""
    if bound is None:
        return ACCEPT.get(kind)
    if bound.severity == "error" and kind == "code" and bound.codes.is_closed:
        return frozenset(code for _, code in bound.codes.known).__contains__
    return None


def object_check(shape: Shape) -> Check:  # noqa: C901 -- one loop, written out because it runs for every property
    """The check of an object of a shape."""
    fields, accept, objects, choices = shape.fields, shape.accept, shape.objects, shape.choices

    def check(value: Any, place: Place, run: Run) -> None:
        if type(value) is not dict or (len(value) < 2 and (not value or "id" in value)):
            no_content(value, place, run)
            return
        for name, item in value.items():
            if type(item) is str:
                if name in accept and accept[name](item):
                    continue
            elif name in objects:
                inner, segment = objects[name]
                inner(item, (place, segment), run)
                continue
            known = fields.get(name)
            if known is not None:
                known(item, value, place, run)
            else:
                unknown(value, name, shape, place, run)
        if shape.required:
            all_there(value, shape, place, run)
        if choices:
            once_each(value, choices, place, run)
        if shape.after is not None:
            shape.after(value, place, run)

    return check


def unknown(value: Json, name: str, shape: Shape, place: Place, run: Run) -> None:
    """The issue of a property that the type has not; its name could be anything, so it is counted and not shown."""
    which = list(value).index(name) + 1
    run.add(place, "structure", "unknown", f"Unrecognized property: number {which} in order is none of {shape.path}")


def no_content(value: object, place: Place, run: Run) -> None:
    """The issue of what is no object, or one that says nothing."""
    if type(value) is dict:
        run.add(place, "structure", "ele-1", "Object must have some content")
    else:
        run.add(place, "structure", "json-type", "expected an object, came another JSON value")


def all_there(value: Json, shape: Shape, place: Place, run: Run) -> None:
    """Every element that must be there is, in one of the ways to write it."""
    for ways, called in shape.required:
        if ways[0] not in value and value.keys().isdisjoint(ways):
            run.add(place, "structure", "min", f"{shape.path}.{called}: minimum required = 1, but only found 0")


def once_each(value: Json, choices: dict[str, str], place: Place, run: Run) -> None:
    """Of each choice element at most one way to write it."""
    found = [choices[name] for name in value if name in choices]
    if len(found) > 1:
        for stem in dict.fromkeys(found):
            if found.count(stem) > 1:
                run.add(place, "structure", "max", f"{stem}[x]: max allowed = 1, but found {found.count(stem)}")


def with_binding(inner: Check, bound: Bound) -> Check:
    """The check of a coded object with its binding."""

    def check(value: Any, place: Place, run: Run) -> None:
        inner(value, place, run)
        bound.check(value, place, run)

    return check


def with_targets(inner: Check, targets: frozenset[str]) -> Check:
    """The check of a Reference with the types that it may point to."""

    def check(value: Any, place: Place, run: Run) -> None:
        inner(value, place, run)
        if type(value) is dict:
            check_reference(value, targets, place, run)

    return check


def check_narrative(value: Json, place: Place, run: Run) -> None:
    """Check the XHTML of a Narrative."""
    div = value.get("div")
    if type(div) is not str:
        return
    try:
        narrative.check(div)
    except narrative.NotNarrative as fault:
        code = "invariant" if fault.rule.startswith("txt-") else "invalid"
        run.add((place, "div"), code, fault.rule, f"expected {fault}")  # type: ignore[arg-type]
