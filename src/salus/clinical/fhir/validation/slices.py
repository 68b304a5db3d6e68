"""Which slice an item belongs to, by the discriminators of its element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from salus.clinical.fhir.definitions import Discriminator, Slicing
from salus.clinical.fhir.validation.constraints import Part
from salus.clinical.fhir.validation.matching import at_path, contains, equals

BY_URL: Final = Slicing((Discriminator("value", "url"),), "open")
"""How extensions are sliced where nothing else is said (R4 5.1.0.13)."""

BY_TYPE: Final = Slicing((Discriminator("type", "$this"),), "open")
"""How choices are sliced where nothing else is said."""

Matcher = Callable[[Any, str], bool]
"""Whether an item, of a type, belongs to a slice."""


def matcher(part: Part, slicing: Slicing) -> Matcher | None:
    """The matcher of a slice; None when what tells it apart cannot be seen in the item itself."""
    tests = [test_of(part, each) for each in slicing.discriminators]
    known = [each for each in tests if each is not None]
    if not known or len(known) < len(tests):
        return None
    return lambda item, kind: all(each(item, kind) for each in known)


def test_of(part: Part, discriminator: Discriminator) -> Matcher | None:
    """The test of one discriminator; None when the slice does not say what it must be."""
    if discriminator.type == "type" and discriminator.path == "$this":
        codes = frozenset(each.code for each in part.types)
        return (lambda _, kind: kind in codes) if codes else None
    target, rest = descend(part, discriminator.path)
    if discriminator.type == "exists" and target is not None and not rest:
        if target.max == 0:
            return lambda item, _: next(at_path(item, discriminator.path), None) is None
        return (lambda item, _: next(at_path(item, discriminator.path), None) is not None) if target.min else None
    if discriminator.type in ("value", "pattern") and target is not None:
        return value_test(target, discriminator.path, rest)
    return None


def value_test(target: Part, path: str, rest: str) -> Matcher | None:
    """The test of what stands at a path, which the slice states there or, with a `rest` of the path, above it."""
    if rest:
        stated = target.fixed if target.fixed is not None else target.pattern
        values = [each for each in at_path(stated, rest) if each is not None]
        return (lambda item, _: any(each in values for each in at_path(item, path))) if values else None
    if target.fixed is not None:
        return lambda item, _: any(equals(each, target.fixed) for each in at_path(item, path))
    if target.pattern is not None:
        return lambda item, _: any(contains(each, target.pattern) for each in at_path(item, path))
    return None


def descend(part: Part, path: str) -> tuple[Part | None, str]:
    """The part at a path below a slice, or the nearest above it that states a value, with the rest of the path."""
    at, names = part, [] if path == "$this" else path.removeprefix("$this.").split(".")
    for index, name in enumerate(names):
        if at.fixed is not None or at.pattern is not None:
            return at, ".".join(names[index:])
        child = at.children.get(name) or at.children.get(name + "[x]")
        if child is None:
            return None, ""
        only = list(child.slices.values())
        at = only[0] if len(only) == 1 and not child.children and child.fixed is None else child
    return at, ""
