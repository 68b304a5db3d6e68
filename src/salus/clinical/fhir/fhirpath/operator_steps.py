"""What operators do between two closures: each evaluates its sides when, and only if, it needs them.

Source: FHIRPath 2.0.0, section 6; three-valued logic in 6.5.
"""

from __future__ import annotations

from collections.abc import Callable

from salus.clinical.fhir.fhirpath import operators
from salus.clinical.fhir.fhirpath.environment import Environment, bounded_text
from salus.clinical.fhir.fhirpath.functions.collections import union as united
from salus.clinical.fhir.fhirpath.nodes import Items, identity, system
from salus.clinical.fhir.fhirpath.operators import as_items, singleton, truth

Step = Callable[[Environment], Items]


def calculation(operator: str) -> Callable[[Step, Step], Step]:
    """An arithmetic operator; empty where either side is."""

    def make(left: Step, right: Step) -> Step:
        def step(env: Environment) -> Items:
            ours, theirs = system(singleton(left(env))), system(singleton(right(env)))
            if ours is None or theirs is None:
                return []
            result = operators.calculate(operator, ours, theirs)
            return [bounded_text(env, result)] if result.__class__ is str else as_items(result)

        return step

    return make


def comparison(holds: Callable[[int], bool]) -> Callable[[Step, Step], Step]:
    """`<`, `<=`, `>` or `>=`."""

    def make(left: Step, right: Step) -> Step:
        def step(env: Environment) -> Items:
            found = operators.order(left(env), right(env))
            return [] if found is None else [holds(found)]

        return step

    return make


def equality(left: Step, right: Step) -> Step:
    """`=`."""

    def step(env: Environment) -> Items:
        ours, theirs = left(env), right(env)
        env.spend(len(ours))
        return as_items(operators.equal(ours, theirs))

    return step


def equivalence(left: Step, right: Step) -> Step:
    """`~`."""

    def step(env: Environment) -> Items:
        ours, theirs = left(env), right(env)
        env.spend(len(ours) * len(theirs) if len(ours) == len(theirs) else 1)
        return [operators.equivalent(ours, theirs)]

    return step


def negated(make: Callable[[Step, Step], Step]) -> Callable[[Step, Step], Step]:
    """The opposite; of nothing, nothing."""

    def make_opposite(left: Step, right: Step) -> Step:
        step = make(left, right)
        return lambda env: [not each for each in step(env)]

    return make_opposite


def conjunction(left: Step, right: Step) -> Step:
    """`and`: the right side is not looked at when the left is false."""

    def step(env: Environment) -> Items:
        ours = truth(left(env))
        if ours is False:
            return [False]
        theirs = truth(right(env))
        return [False] if theirs is False else as_items(True if ours and theirs else None)

    return step


def disjunction(left: Step, right: Step) -> Step:
    """`or`: the right side is not looked at when the left is true."""

    def step(env: Environment) -> Items:
        ours = truth(left(env))
        if ours:
            return [True]
        theirs = truth(right(env))
        return [True] if theirs else as_items(None if None in (ours, theirs) else False)

    return step


def exclusion(left: Step, right: Step) -> Step:
    """`xor`."""

    def step(env: Environment) -> Items:
        ours, theirs = truth(left(env)), truth(right(env))
        return [] if ours is None or theirs is None else [ours != theirs]

    return step


def implication(left: Step, right: Step) -> Step:
    """`implies`: the right side is not looked at when the left is false."""

    def step(env: Environment) -> Items:
        ours = truth(left(env))
        if ours is False:
            return [True]
        theirs = truth(right(env))
        return [True] if theirs else as_items(None if None in (ours, theirs) else False)

    return step


def membership(left: Step, right: Step) -> Step:
    """`in`: whether one item is among others."""

    def step(env: Environment) -> Items:
        item, others = singleton(left(env)), right(env)
        if item is None:
            return []
        env.spend(len(others))
        sought = identity(item)
        return [any(identity(each) == sought for each in others)]

    return step


def union(left: Step, right: Step) -> Step:
    """`|`: each item once."""
    return lambda env: united(env, left(env), right(env))


def concatenation(left: Step, right: Step) -> Step:
    """`&`: nothing counts as an empty string."""

    def step(env: Environment) -> Items:
        found = [system(singleton(each(env))) for each in (left, right)]
        if not all(each is None or each.__class__ is str for each in found):
            raise operators.wrong_pair("two strings for &", *found)
        return [bounded_text(env, "".join(each or "" for each in found))]

    return step


OPERATORS: dict[str, Callable[[Step, Step], Step]] = {
    **{each: calculation(each) for each in ("+", "-", "*", "/", "div", "mod")},
    "<": comparison(lambda found: found < 0),
    "<=": comparison(lambda found: found <= 0),
    ">": comparison(lambda found: found > 0),
    ">=": comparison(lambda found: found >= 0),
    "=": equality,
    "!=": negated(equality),
    "~": equivalence,
    "!~": negated(equivalence),
    "and": conjunction,
    "or": disjunction,
    "xor": exclusion,
    "implies": implication,
    "in": membership,
    "contains": lambda left, right: membership(right, left),
    "|": union,
    "&": concatenation,
}
