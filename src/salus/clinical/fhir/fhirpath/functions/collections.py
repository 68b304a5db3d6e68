"""Functions on whole collections: existence, subsets, sets.

Source: FHIRPath 2.0.0, 5.1, 5.3, 5.4.
"""

from __future__ import annotations

from typing import Any

from salus.clinical.fhir.fhirpath.environment import Environment
from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.functions.function import Function
from salus.clinical.fhir.fhirpath.nodes import Items, Node, identity, system
from salus.clinical.fhir.fhirpath.operators import singleton, truth


def empty(env: Environment, items: Items) -> Items:
    """Whether there is nothing."""
    return [not items]


def count(env: Environment, items: Items) -> Items:
    """How many items there are."""
    return [len(items)]


def negation(env: Environment, items: Items) -> Items:
    """`not()`: of one item; any number counts by FHIRPath 4.5 as true."""
    value = truth(items)
    return [] if value is None else [not value]


def booleans(items: Items) -> list[bool]:
    """The items, which have to be booleans."""
    found = [each.value if each.__class__ is Node else each for each in items]
    if not all(each.__class__ is bool for each in found):
        raise PathRejected(PathFault.WRONG_TYPE, expected="booleans only", came="an item of another type")
    return found


def identities(env: Environment, items: Items) -> list[Any]:
    """What items are compared by; counted as work."""
    env.spend(len(items))
    return [identity(each) for each in items]


def distinct(env: Environment, items: Items) -> Items:
    """Each item once, the first of equal ones."""
    if len(items) < 2:
        return items
    return list(dict(reversed(list(zip(identities(env, items), items, strict=True)))).values())[::-1]


def is_distinct(env: Environment, items: Items) -> Items:
    """Whether no two items are equal."""
    return [len(set(identities(env, items))) == len(items)]


def subset_of(env: Environment, items: Items, others: Items) -> Items:
    """Whether all items are among others."""
    return [set(identities(env, items)) <= set(identities(env, others))]


def superset_of(env: Environment, items: Items, others: Items) -> Items:
    """Whether all others are among the items."""
    return subset_of(env, others, items)


def single(env: Environment, items: Items) -> Items:
    """The only item.

    Raises:
        PathRejected: WRONG_COUNT when there are several.
    """
    singleton(items)
    return items


def whole_number(items: Items) -> int:
    """An argument that says how many."""
    value = system(singleton(items))
    if value.__class__ is not int:
        raise PathRejected(PathFault.BAD_ARGUMENT, expected="an integer", came="something else")
    return int(value)


def skip(env: Environment, items: Items, number: Items) -> Items:
    """All but the first so many."""
    return items[max(0, whole_number(number)) :]


def take(env: Environment, items: Items, number: Items) -> Items:
    """The first so many."""
    return items[: max(0, whole_number(number))]


def intersect(env: Environment, items: Items, others: Items) -> Items:
    """The items that are among others, each once."""
    wanted = set(identities(env, others))
    return distinct(env, [each for each in items if identity(each) in wanted])


def exclude(env: Environment, items: Items, others: Items) -> Items:
    """The items that are not among others."""
    unwanted = set(identities(env, others))
    return [each for each, sought in zip(items, identities(env, items), strict=True) if sought not in unwanted]


def combine(env: Environment, items: Items, others: Items) -> Items:
    """All items of both."""
    env.spend(len(items) + len(others))
    return [*items, *others]


def union(env: Environment, items: Items, others: Items) -> Items:
    """The items of both, each once."""
    if not others and len(items) < 2:
        return items
    if not items and len(others) < 2:
        return others
    return distinct(env, [*items, *others])


COLLECTIONS = {
    "empty": Function(empty),
    "count": Function(count),
    "not": Function(negation),
    "allTrue": Function(lambda env, items: [all(booleans(items))]),
    "anyTrue": Function(lambda env, items: [any(booleans(items))]),
    "allFalse": Function(lambda env, items: [not any(booleans(items))]),
    "anyFalse": Function(lambda env, items: [not all(booleans(items))]),
    "distinct": Function(distinct),
    "isDistinct": Function(is_distinct),
    "subsetOf": Function(subset_of, (1, 1)),
    "supersetOf": Function(superset_of, (1, 1)),
    "single": Function(single),
    "first": Function(lambda env, items: items[:1]),
    "last": Function(lambda env, items: items[-1:]),
    "tail": Function(lambda env, items: items[1:]),
    "skip": Function(skip, (1, 1)),
    "take": Function(take, (1, 1)),
    "intersect": Function(intersect, (1, 1)),
    "exclude": Function(exclude, (1, 1)),
    "combine": Function(combine, (1, 1)),
    "union": Function(union, (1, 1)),
}
