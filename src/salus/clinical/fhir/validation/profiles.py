"""Profiles compiled to checks that run beside those of the type."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from salus.clinical.fhir.definitions import UNBOUNDED, Definitions, Element, ElementType, Structure
from salus.clinical.fhir.definitions.tree import children, names
from salus.clinical.fhir.validation.compiled import Compiled
from salus.clinical.fhir.validation.constraints import Part, merged, tree_of
from salus.clinical.fhir.validation.fields import Check, Json
from salus.clinical.fhir.validation.invariants import invariant_check
from salus.clinical.fhir.validation.issues import Place, Run
from salus.clinical.fhir.validation.matching import contains, equals
from salus.clinical.fhir.validation.references import targets_of, type_named
from salus.clinical.fhir.validation.slices import BY_TYPE, BY_URL, Matcher, matcher
from salus.clinical.fhir.validation.terms import SEVERITY, Bound, Terms

EXTENSIONS: Final = frozenset({"extension", "modifierExtension"})
DEPTH_MAX: Final = 24  # profiles of extensions inside profiles


@dataclass(frozen=True, slots=True)
class Typed:
    """Where in which structure an element's children are described."""

    structure: Structure
    path: str

    @property
    def kind(self) -> str:
        """The type as FHIRPath names it."""
        return self.path


@dataclass(slots=True)
class Way:
    """One way in which an element can be written: its name in JSON, and the checks of one item.

    Args:
        of_value: checks of the value itself.
        of_inside: checks of its children; of a primitive, of what stands beside it.
    """

    name: str
    segment: str
    kind: str
    is_list: bool
    is_primitive: bool
    of_value: list[Check]
    of_inside: list[Check]


@dataclass(slots=True)
class Item:
    """One item of an element: the value, and the object that has its children (of a primitive, what stands beside)."""

    value: Any
    inside: Any
    place: Place
    way: Way


class Profiles:
    """Compiles profiles and keeps what it compiled."""

    def __init__(self, definitions: Definitions, terms: Terms) -> None:
        self._definitions, self._terms = definitions, terms
        self._trees: dict[str, Part | None] = {}
        self._checks: Compiled[Check | None] = Compiled()

    def check_of(self, url: str) -> Check | None:
        """The check of what a profile adds, or of a type's invariants; None when it is not defined."""
        return self._checks.of(url, lambda: self._compile(url))

    def _compile(self, url: str) -> Check | None:
        self._checks.begin(url, None)  # a profile that comes back to itself adds nothing the second time
        structure, tree = self._definitions.structure(url), self._tree(url)
        core = self._definitions.structure(structure.type) if structure else None
        if core is None or tree is None:
            return None
        checks = self._object(tree, Typed(core, core.type), 0)
        checks += [parts_check(tree)] if core.type == "Extension" and structure and structure.is_profile else []
        return all_of(checks)

    def type_of(self, url: str) -> str:
        """The type that a profile constrains; empty when it is not defined."""
        structure = self._definitions.structure(url)
        return structure.type if structure else ""

    def _tree(self, url: str) -> Part | None:
        if url not in self._trees:
            self._trees[url] = tree_of(url, self._definitions)
        return self._trees[url]

    # --- checks of one object ----------------------------------------------------------------------------------------

    def _object(self, part: Part, typed: Typed, depth: int) -> list[Check]:
        checks = [self._child(name, child, typed, depth) for name, child in part.children.items()]
        checks += [invariant_check(each, typed.kind) for each in part.invariants]
        return [each for each in checks if each is not None]

    def _child(self, name: str, part: Part, typed: Typed, depth: int) -> Check | None:
        element = element_named(name, typed)
        if element is None or depth > DEPTH_MAX:
            return None
        part = self._with_profile(part)
        allowed = frozenset(each.code for each in part.types)
        ways, others = [], []
        for json_name, segment, kind in names(element):
            if name not in (json_name, element.path.rpartition(".")[2]):
                continue
            if allowed and kind.code not in allowed and name.endswith("[x]"):
                others.append(json_name)
            else:
                ways.append(self._way(json_name, segment, kind, element, part, typed, depth))
        slices = self._slices(name, part, element, typed, depth)
        return child_check(part, ways, frozenset(others), slices)

    def _with_profile(self, part: Part) -> Part:
        profiles = [each for one in part.types for each in one.profiles]
        below = self._tree(profiles[0]) if len(profiles) == 1 else None
        return part if below is None else merged(below, part)

    def _way(
        self, name: str, segment: str, kind: ElementType, element: Element, part: Part, typed: Typed, depth: int
    ) -> Way:
        is_primitive = kind.code in self._definitions.primitive_types
        of_value = value_checks(part, self._terms)
        inner = self._inside(kind, element, typed, is_primitive=is_primitive)
        of_inside = self._object(Part(children=part.children), inner, depth + 1) if inner else []
        path = kind.code if is_primitive or inner is None else inner.kind
        of_value += [invariant_check(each, path) for each in part.invariants]
        targets = self._targets(part) if kind.code == "Reference" else frozenset()
        if targets:
            of_value.append(target_check(targets))
        return Way(name, segment, kind.code, element.base_max != 1, is_primitive, of_value, of_inside)

    def _targets(self, part: Part) -> frozenset[str]:
        urls = [target for each in part.types if each.code == "Reference" for target in each.targets]
        kinds = [self.type_of(url) for url in urls]
        if not kinds or "" in kinds:
            return frozenset()
        return targets_of([ElementType("Reference", (), tuple(kinds))])

    def _inside(self, kind: ElementType, element: Element, typed: Typed, *, is_primitive: bool) -> Typed | None:
        if element.content_reference:
            return Typed(typed.structure, element.content_reference)
        if any(children(typed.structure, element.path)):
            return Typed(typed.structure, element.path)
        structure = self._definitions.structure("Element" if is_primitive else kind.code)
        return Typed(structure, structure.type) if structure else None

    # --- slices ------------------------------------------------------------------------------------------------------

    def _slices(self, name: str, part: Part, element: Element, typed: Typed, depth: int) -> list[Slice]:
        slicing = part.slicing or (BY_URL if name in EXTENSIONS else None)
        if slicing is None and name.endswith("[x]"):
            slicing = BY_TYPE
        found = []
        for each in part.slices.values() if slicing else ():
            own = with_url(self._with_profile(each)) if name in EXTENSIONS else self._with_profile(each)
            match = matcher(own, slicing) if slicing else None
            if match is not None:
                ways = [self._way(way, way, kind, element, own, typed, depth + 1) for way, _, kind in names(element)]
                inner = self._slices(name, own, element, typed, depth + 1) if depth < DEPTH_MAX else []
                found.append(Slice(own, match, {way.name: way for way in ways}, inner))
        return found


@dataclass(slots=True)
class Slice:
    """One slice: its constraints, what belongs to it, and the checks of an item by the way in which it is written."""

    part: Part
    match: Matcher
    ways: dict[str, Way]
    inner: list[Slice]


def element_named(name: str, typed: Typed) -> Element | None:
    """The element of this name, or the choice of which it is one name."""
    for each in children(typed.structure, typed.path):
        own = each.path.rpartition(".")[2]
        if own == name or (own.endswith("[x]") and name in [way for way, _, _ in names(each)]):
            return each
    return None


def all_of(checks: list[Check]) -> Check:
    """One check of several."""

    def check(value: Any, place: Place, run: Run) -> None:
        for each in checks:
            each(value, place, run)

    return check


def child_check(part: Part, ways: list[Way], others: frozenset[str], slices: list[Slice]) -> Check:
    """The check of one element, given the object that owns it."""

    def check(owner: Any, place: Place, run: Run) -> None:
        if not isinstance(owner, dict):
            return
        if others and not others.isdisjoint(owner):
            expected = ", ".join(sorted({each.code for each in part.types}))
            run.add(place, "structure", "profile-type", f"{part.label}: expected type {expected}, came another")
        items = [item for way in ways for item in items_of(owner, way, place)]
        count(part, len(items), place, run)
        for item in items:
            run_checks(item, item.way, run)
        if slices:
            check_slices(part, slices, items, place, run)

    return check


def items_of(owner: Json, way: Way, place: Place) -> Iterable[Item]:
    """The items that stand under one name."""
    value, beside = owner.get(way.name), owner.get("_" + way.name) if way.is_primitive else None
    if value is None and beside is None:
        return
    if not way.is_list:
        yield Item(value, beside if way.is_primitive else value, (place, way.segment), way)
        return
    values = value if isinstance(value, list) else []
    others = beside if isinstance(beside, list) else []
    for index in range(max(len(values), len(others))):
        one = values[index] if index < len(values) else None
        other = others[index] if index < len(others) else None
        yield Item(one, other if way.is_primitive else one, (place, way.name, index), way)


def run_checks(item: Item, way: Way, run: Run) -> None:
    """Run the checks of a way to write an element, or of its slice, on an item."""
    if item.value is not None:
        for each in way.of_value:
            each(item.value, item.place, run)
    inside = item.inside if isinstance(item.inside, dict) else {}
    for each in way.of_inside:
        each(inside, item.place, run)


def value_checks(part: Part, terms: Terms) -> list[Check]:
    """The checks of what a profile states of a value: fixed, pattern, binding, length."""
    checks: list[Check] = []
    if part.fixed is not None:
        checks.append(stated_check(part.label, part.fixed, equals, "fixed"))
    if part.pattern is not None:
        checks.append(stated_check(part.label, part.pattern, contains, "pattern"))
    if part.binding is not None and part.binding.strength in SEVERITY:
        checks.append(Bound(part.binding, terms, part.label).check)
    if part.length_max:
        checks.append(length_check(part.label, part.length_max))
    return checks


def parts_check(tree: Part) -> Check:
    """An extension made of parts has only those parts that its definition names."""
    parts = tree.children["extension"].slices.values() if "extension" in tree.children else ()
    known = {each.children["url"].fixed for each in parts if "url" in each.children}

    def check(value: Any, place: Place, run: Run) -> None:
        inside = value.get("extension") if known else None
        for index, each in enumerate(inside if isinstance(inside, list) else ()):
            url = each.get("url") if isinstance(each, dict) else None
            if isinstance(url, str) and ":" not in url and url not in known:
                text = "expected a part that the extension's definition names, came another"
                run.add((place, "extension", index), "invalid", "extension-part", text)

    return check


def stated_check(label: str, stated: object, holds: Callable[[object, object], bool], rule: str) -> Check:
    """A value must be, or contain, what the profile states."""

    def check(value: Any, place: Place, run: Run) -> None:
        if not holds(value, stated):
            run.add(place, "value", rule, f"{label}: expected the {rule} value of the profile, came another")

    return check


def length_check(label: str, most: int) -> Check:
    """A text has at most so many characters."""

    def check(value: Any, place: Place, run: Run) -> None:
        if isinstance(value, str) and len(value) > most:
            run.add(place, "value", "length", f"{label}: expected at most {most} characters, came {len(value)}")

    return check


def target_check(targets: frozenset[str]) -> Check:
    """A reference that names a type names one of these."""

    def check(value: Any, place: Place, run: Run) -> None:
        reference = value.get("reference") if isinstance(value, dict) else None
        named = type_named(reference) if isinstance(reference, str) else ""
        if named and named not in targets:
            text = f"expected a reference to {', '.join(sorted(targets))}, came one to another type"
            run.add(place, "structure", "reference-target", text)

    return check


def with_url(part: Part) -> Part:
    """The slice of an extension; it is told apart by the address of its profile when nothing else is known of it."""
    profiles = [each for one in part.types for each in one.profiles]
    if "url" in part.children or len(profiles) != 1:
        return part
    return replace(part, children={**part.children, "url": Part("url", fixed=profiles[0].partition("|")[0])})


def count(part: Part, found: int, place: Place, run: Run) -> None:
    """The minimum and maximum that the profile states."""
    if part.min is not None and found < part.min:
        run.add(place, "structure", "min", f"{part.label}: minimum required = {part.min}, but only found {found}")
    if part.max is not None and part.max != UNBOUNDED and found > part.max:
        run.add(place, "structure", "max", f"{part.label}: max allowed = {part.max}, but found {found}")


def check_slices(part: Part, slices: list[Slice], items: list[Item], place: Place, run: Run) -> None:
    """Each item against the slice to which it belongs, and how many belong to each."""
    counts = [0] * len(slices)
    for item in items:
        seen = item.value if item.value is not None else item.inside
        found = next((index for index, each in enumerate(slices) if each.match(seen, item.way.kind)), None)
        if found is None:
            if part.slicing is not None and part.slicing.rules == "closed":
                run.add(item.place, "structure", "slice-closed", f"{part.label}: expected an item of a slice")
            continue
        counts[found] += 1
        chosen = slices[found]
        run_checks(item, chosen.ways[item.way.name], run)
        if chosen.inner:
            check_slices(chosen.part, chosen.inner, [item], item.place, run)
    for each, found in zip(slices, counts, strict=True):
        count(each.part, found, place, run)
