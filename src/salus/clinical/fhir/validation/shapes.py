"""Types compiled to checks: which properties an object may have, how often, of which type, with which codes.

Each type is compiled once, when a resource first needs it, into one closure for each object and each property.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from salus.clinical.fhir.definitions import UNBOUNDED, Definitions, Element, ElementType, Structure
from salus.clinical.fhir.definitions.tree import CHOICE, children, names
from salus.clinical.fhir.fhirpath import Node
from salus.clinical.fhir.validation import narrative
from salus.clinical.fhir.validation.bundles import check_bundle
from salus.clinical.fhir.validation.compiled import Compiled
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
from salus.clinical.fhir.validation.primitives import ACCEPT, CHECKS, LENGTH_MAX, plain_text
from salus.clinical.fhir.validation.quick_types import QuickTypes
from salus.clinical.fhir.validation.references import check_reference, targets_of
from salus.clinical.fhir.validation.rules import check_extension, check_resource
from salus.clinical.fhir.validation.terms import SEVERITY, Bound, Terms

PLANS_MAX: Final = 1000
"""Lists of names that one type remembers; a client can send any order of them."""

Step = tuple[Callable[[str], object] | None, Check | None, Check | None, str, Field]
"""What to do with a property: test a text, check one object, check each of a list, its name, and all else."""


@dataclass(slots=True)
class Shape:
    """What an object of one type must look like; filled after its check exists, because types hold themselves.

    Args:
        fields: the check of each property.
        accept: of a text that stands there once, a quick test that most sound values pass.
        objects: of an object that stands there once, its check and what it is called in a place.
        lists: of objects that may be repeated without end, the check of each.
        required: names of which one must be there, and what the element is called.
        choices: the element of each property that is one way to write it (`valueString`: `value[x]`).
        is_resource: whether it has a `resourceType`.
        after: what is looked at when all properties were.
    """

    path: str
    fields: dict[str, Field] = field(default_factory=dict)
    accept: dict[str, Callable[[str], object]] = field(default_factory=dict)
    objects: dict[str, tuple[Check, str]] = field(default_factory=dict)
    lists: dict[str, Check] = field(default_factory=dict)
    required: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    is_resource: bool = False
    after: Check | None = None

    def step(self, name: str) -> Step:
        """What to do with a property; an unknown one is passed over."""
        one, segment = self.objects.get(name, (None, name))
        return self.accept.get(name), one, self.lists.get(name), segment, self.fields.get(name, ignored)


class Shapes:
    """Compiles types and keeps what it compiled."""

    def __init__(self, definitions: Definitions, terms: Terms, also: Callable[[str], Check | None]) -> None:
        """Compile by these definitions; `also` gives what else is to be checked in each object of a type."""
        self._definitions, self._terms, self._also = definitions, terms, also
        self._checks: Compiled[Check] = Compiled()
        self.resource_types = frozenset(definitions.resource_types)
        self.after: dict[str, Check] = {
            "Coding": terms.check_coding,
            "Expression": check_expression,
            "Extension": check_extension,
            "Narrative": check_narrative,
        }
        """What is looked at in each object of a type beside its properties."""
        others = {each for each in definitions.data_types if each in self.after or also(each)} - {"Coding"}
        self._quick_types = QuickTypes(definitions, terms, others=frozenset(others))

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
        return self._checks.of(name, lambda: self._compile(self._structure(name), name, name))

    def _structure(self, name: str) -> Structure:
        structure = self._definitions.structure(name)
        assert structure is not None, "only types that are defined are asked for"
        return structure

    def _compile(self, structure: Structure, key: str, path: str) -> Check:
        shape = Shape(path, is_resource=structure.kind == "resource" and path == structure.type)
        quick = self._quick_types.of_type(key)
        check = quickly(quick, object_check(shape)) if quick else object_check(shape)
        self._checks.begin(key, check)
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
        elif most < 0:
            shape.lists[name] = inner

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
        return self._checks.of(path, lambda: self._compile(structure, path, path))

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
    """The check of an object of a shape.

    What can be said of an object by the names of its properties alone is worked out once for each list of names.
    """
    plans: dict[tuple[str, ...], list[Step]] = {}

    def check(value: Any, place: Place, run: Run) -> None:  # noqa: C901 -- the same
        if value.__class__ is not dict:
            run.add(place, "structure", "json-type", "expected an object, came another JSON value")
            return
        names = tuple(value)
        steps = plans.get(names)
        if steps is None:
            steps = planned(shape, names, place, run)
            if steps is None:
                return
            if len(plans) < PLANS_MAX and is_sound(shape, names):
                plans[names] = steps
        for (test, one, many, segment, known), item in zip(steps, value.values(), strict=True):
            if item.__class__ is str:
                if test is not None and test(item):
                    continue
            elif one is not None:
                one(item, (place, segment), run)
                continue
            elif many is not None and item.__class__ is list and item:
                for index, each in enumerate(item):
                    many(each, (place, segment, index), run)
                continue
            known(item, value, place, run)
        if shape.after is not None:
            shape.after(value, place, run)

    return check


def quickly(quick: Any, slow: Check) -> Check:
    """The check of a small data type: what its struct accepts is sound, all else is looked at in full."""
    convert, other = msgspec.convert, msgspec.ValidationError

    def check(value: Any, place: Place, run: Run) -> None:
        try:
            if value:
                convert(value, quick)
                return
        except other:
            pass
        slow(value, place, run)

    return check


def planned(shape: Shape, names: tuple[str, ...], place: Place, run: Run) -> list[Step] | None:
    """What to do with each property of an object, after the issues of its names; None when it says nothing at all."""
    if not names or names == ("id",):
        run.add(place, "structure", "ele-1", "Object must have some content")
        return None
    for index, name in enumerate(names):
        if name not in shape.fields:  # the name could be anything: it is counted and not shown
            text = f"Unrecognized property: number {index + 1} in order is none of {shape.path}"
            run.add(place, "structure", "unknown", text)
    for called in missing(shape, names):
        run.add(place, "structure", "min", f"{shape.path}.{called}: minimum required = 1, but only found 0")
    for stem, found in twice(shape, names):
        run.add(place, "structure", "max", f"{stem}[x]: max allowed = 1, but found {found}")
    return [shape.step(name) for name in names]


def is_sound(shape: Shape, names: tuple[str, ...]) -> bool:
    """Whether there is no issue of the names."""
    return shape.fields.keys() >= set(names) and not any(missing(shape, names)) and not any(twice(shape, names))


def missing(shape: Shape, names: tuple[str, ...]) -> Iterator[str]:
    """The elements that must be there and are in none of the ways to write them."""
    return (called for ways, called in shape.required if not set(ways).intersection(names))


def twice(shape: Shape, names: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """The choice elements that are written in several ways, and in how many."""
    found = Counter(shape.choices[name] for name in names if name in shape.choices)
    return ((stem, count) for stem, count in found.items() if count > 1)


def with_binding(inner: Check, bound: Bound) -> Check:
    """The check of a coded object with its binding."""

    def check(value: Any, place: Place, run: Run) -> None:
        inner(value, place, run)
        bound.check(value, place, run)

    return check


def with_targets(inner: Check, targets: frozenset[str]) -> Check:
    """The check of a Reference with the types that it may point to."""

    def check(value: Any, place: Place, run: Run) -> None:
        if value.__class__ is dict and len(value) == 1:  # `{"reference": "urn:…"}`, as nearly all in a bundle are
            reference = value.get("reference")
            if reference.__class__ is str and reference.startswith("urn:") and plain_text(reference):
                run.references.append(Linked(place, reference, targets))
                return
        inner(value, place, run)
        if type(value) is dict:
            check_reference(value, targets, place, run)

    return check


def check_narrative(value: Json, place: Place, run: Run) -> None:
    """Check the XHTML of a Narrative."""
    div = value.get("div")
    if type(div) is not str or len(div) > LENGTH_MAX:
        return
    try:
        narrative.check(div)
    except narrative.NotNarrative as fault:
        code = "invariant" if fault.rule.startswith("txt-") else "invalid"
        run.add((place, "div"), code, fault.rule, f"expected {fault}")  # type: ignore[arg-type]
