"""What a profile adds to the type that it constrains, as a tree by element names and slices.

A tree is made from the profile's snapshot or, where it came without one, from the differentials of the profile and of
all profiles below it; what the type itself says already is left out, so that nothing is checked twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from salus.clinical.fhir.definitions import Binding, Definitions, Element, ElementType, Invariant, Slicing, Structure
from salus.clinical.fhir.definitions.values import UNSTATED
from salus.clinical.fhir.validation.rules import BY_HAND

CHAIN_MAX: Final = 16  # profiles of profiles


@dataclass(slots=True)
class Part:
    """The constraints on one element or slice; None and empty for what is as it is in the type.

    Args:
        label: what it is called in messages, `identifier:nhsNumber`.
        children: by the name that the definitions use, `value[x]`.
        slices: by name, of a sliced element.
    """

    label: str = ""
    min: int | None = None
    max: int | None = None
    types: tuple[ElementType, ...] = ()
    fixed: object = None
    pattern: object = None
    binding: Binding | None = None
    length_max: int = 0
    invariants: tuple[Invariant, ...] = ()
    slicing: Slicing | None = None
    children: dict[str, Part] = field(default_factory=dict)
    slices: dict[str, Part] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to check here or below."""
        return not self.children and not self.slices and self == Part(self.label, slicing=self.slicing)


def tree_of(url: str, definitions: Definitions, depth: int = 0) -> Part | None:
    """The tree of a profile; of a type, only its invariants. None when it is not defined."""
    structure = definitions.structure(url)
    if structure is None or depth > CHAIN_MAX:
        return None
    core = definitions.structure(structure.type)
    known = {each.id: each for each in core.elements} if core and structure.is_profile else {}
    below = None
    if structure.is_profile and not structure.has_snapshot:
        below = tree_of(structure.base, definitions, depth + 1) if structure.base != (core and core.url) else None
    root = below or Part(structure.type)
    for element in structure.elements:
        apply(root, element, known.get(element.id), structure)
    pruned(root)
    return root


def apply(root: Part, element: Element, known: Element | None, structure: Structure) -> None:
    """Put what an element of a profile states into the tree."""
    at = root
    for segment in element.id.split(".")[1:]:
        name, _, slice_name = segment.partition(":")
        at = at.children.setdefault(name, Part(name))
        if slice_name:
            at = at.slices.setdefault(slice_name, Part(segment))
    if not structure.is_profile:
        at.invariants = tuple(each for each in element.invariants if each.key not in BY_HAND)
        return
    at.min = stated(element.min, known.min if known else 0, at.min)
    at.max = stated(element.max, known.max if known else UNSTATED, at.max)
    if element.types and (known is None or element.types != known.types):
        at.types = element.types
    if element.binding and (known is None or element.binding != known.binding):
        at.binding = element.binding
    at.fixed = element.fixed if element.fixed is not None else at.fixed
    at.pattern = element.pattern if element.pattern is not None else at.pattern
    at.length_max = element.length_max or at.length_max
    at.slicing = element.slicing or at.slicing
    said = {each.key for each in (*(known.invariants if known else ()), *at.invariants)} | BY_HAND
    own = (each for each in element.invariants if each.source in ("", structure.url))
    at.invariants += tuple(each for each in own if each.key not in said)


def stated(value: int, known: int, before: int | None) -> int | None:
    """A minimum or maximum, unless it says nothing new."""
    return before if value in (UNSTATED, known) else value


def pruned(part: Part) -> bool:
    """Take out what constrains nothing; whether anything is left."""
    part.children = {name: child for name, child in part.children.items() if pruned(child)}
    part.slices = {name: child for name, child in part.slices.items() if pruned(child) or child.types}
    return not part.is_empty


def merged(below: Part, above: Part) -> Part:
    """One tree with the constraints of both; where both state something, what is above stands."""
    both = replace(above)
    for name in ("min", "max", "fixed", "pattern", "binding", "slicing"):
        if getattr(above, name) is None:
            setattr(both, name, getattr(below, name))
    both.types = above.types or below.types
    both.length_max = above.length_max or below.length_max
    both.invariants = below.invariants + above.invariants
    both.children = merged_all(below.children, above.children)
    both.slices = merged_all(below.slices, above.slices)
    return both


def merged_all(below: dict[str, Part], above: dict[str, Part]) -> dict[str, Part]:
    """The parts of both, by name."""
    names = dict.fromkeys((*below, *above))
    pairs = {name: (below.get(name), above.get(name)) for name in names}
    return {name: merged(low, high) if low and high else (low or high or Part()) for name, (low, high) in pairs.items()}
