"""Functions that evaluate an argument for each item: filters, projections, recursion, sums, order.

Source: FHIRPath 2.0.0, 5.2, 5.5.1, 5.8, 7; `sort` as in the draft of version 3.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from salus.clinical.fhir.fhirpath.environment import Environment
from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.functions.function import Function
from salus.clinical.fhir.fhirpath.nodes import Item, Items, Node, children, identity, system
from salus.clinical.fhir.fhirpath.operators import order_of, singleton, truth

Step = Callable[[Environment], Items]


def for_each(env: Environment, items: Items, step: Step) -> list[Items]:
    """What an argument gives for each item."""
    env.spend(len(items))
    this, index = env.this, env.index
    results = []
    for env.index, item in enumerate(items):
        env.this = [item]
        results.append(step(env))
    env.this, env.index = this, index
    return results


def where(env: Environment, items: Items, criteria: Step) -> Items:
    """The items for which something holds."""
    results = for_each(env, items, criteria)
    return [item for item, result in zip(items, results, strict=True) if truth(result)]


def select(env: Environment, items: Items, projection: Step) -> Items:
    """What a projection gives of all items."""
    return [each for result in for_each(env, items, projection) for each in result]


def exists(env: Environment, items: Items, *criteria: Step) -> Items:
    """Whether there is anything, or anything for which something holds."""
    return [bool(where(env, items, criteria[0]) if criteria else items)]


def every(env: Environment, items: Items, criteria: Step) -> Items:
    """Whether something holds for all items."""
    return [all(truth(result) for result in for_each(env, items, criteria))]


def repeat(env: Environment, items: Items, projection: Step) -> Items:
    """A projection of the items, of what that gave, and so on, each item once."""
    found: dict[object, Item] = {}
    fresh = items
    while fresh:
        results = select(env, fresh, projection)
        fresh = []
        for each in results:
            name = identity(each)
            if name not in found:
                found[name] = each
                fresh.append(each)
    return list(found.values())


def aggregate(env: Environment, items: Items, aggregator: Step, *start: Step) -> Items:
    """One value of all items: each result is `$total` for the next."""
    total = env.total
    this, index = env.this, env.index
    env.total = start[0](env) if start else []
    for env.index, item in enumerate(items):
        env.spend(1)
        env.this = [item]
        env.total = aggregator(env)
    result, env.total = env.total, total
    env.this, env.index = this, index
    return result


def iif(env: Environment, items: Items, criterion: Step, yes: Step, *no: Step) -> Items:
    """One of two results; the other is not evaluated.

    Raises:
        PathRejected: WRONG_COUNT on several items, WRONG_TYPE when the criterion is no boolean.
    """
    singleton(items)
    this, env.this = env.this, items
    decided = system(singleton(criterion(env)))
    if decided is not None and decided.__class__ is not bool:
        raise PathRejected(PathFault.WRONG_TYPE, expected="a boolean as criterion", came="another type")
    result = yes(env) if decided else (no[0](env) if no else [])
    env.this = this
    return result


def child_elements(env: Environment, items: Items) -> Items:
    """All elements directly inside the items."""
    found = [each for item in items for each in children(item, env.types)]
    env.spend(len(found) + 1)
    return found


def descendants(env: Environment, items: Items) -> Items:
    """All elements inside the items, at any depth."""
    if len(items) != 1 or items[0].__class__ is not Node or items[0].value.__class__ is not dict:
        return below(env, items)
    name = id(items[0].value)
    if name not in env.inside:
        env.inside[name] = below(env, items)
    return env.inside[name]


def below(env: Environment, items: Items) -> Items:
    """Level by level, what is inside the items."""
    found: Items = []
    fresh = child_elements(env, items)
    while fresh:
        found += fresh
        fresh = child_elements(env, fresh)
    return found


def sort(env: Environment, items: Items, *keys: tuple[Step, bool]) -> Items:
    """The items in order of keys, or of themselves; a key with a minus before it descends; nothing comes first.

    Raises:
        PathRejected: WRONG_TYPE for keys that have no order.
    """
    env.spend(len(items) * 16)
    columns = [(for_each(env, items, step), descending) for step, descending in keys or ((itself, False),)]
    values = [([system(singleton(column[at])) for column, _ in columns], each) for at, each in enumerate(items)]

    def compare(left: tuple[list[Any], Item], right: tuple[list[Any], Item]) -> int:
        for ours, theirs, (_, descending) in zip(left[0], right[0], columns, strict=True):
            if ours is None or theirs is None:
                found = (ours is not None) - (theirs is not None)
            else:
                found = (order_of(ours, theirs) or 0) * (-1 if descending else 1)
            if found:
                return found
        return 0

    return [item for _, item in sorted(values, key=cmp_to_key(compare))]


def itself(env: Environment) -> Items:
    """The item that is sorted."""
    return env.this


def trace(env: Environment, items: Items, name: Step, *projection: Step) -> Items:
    """The items themselves: nothing of a resource is ever written to a log (P4)."""
    return items


WALKING = {
    "where": Function(where, (1, 1), is_lazy=True),
    "select": Function(select, (1, 1), is_lazy=True),
    "exists": Function(exists, (0, 1), is_lazy=True),
    "all": Function(every, (1, 1), is_lazy=True),
    "repeat": Function(repeat, (1, 1), is_lazy=True),
    "aggregate": Function(aggregate, (1, 2), is_lazy=True),
    "iif": Function(iif, (2, 3), is_lazy=True),
    "trace": Function(trace, (1, 2), is_lazy=True),
    "sort": Function(sort, (0, 8), is_lazy=True),
    "children": Function(child_elements),
    "descendants": Function(descendants),
}
