"""From a parameter's expression to the shortest way to its values: keys of JSON, and tests on the way.

Nearly all of R4's expressions are paths, choices of types and simple conditions; they become *walks*, which cost a
look-up a key. What is none (two parameters of R4) is evaluated as FHIRPath.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from salus.clinical.fhir.fhirpath import PathRejected, compile_expression, r4_types, root_of
from salus.clinical.fhir.fhirpath.nodes import Node
from salus.clinical.fhir.fhirpath.syntax import (
    Binary,
    Call,
    Literal,
    Member,
    OfType,
    Special,
    Tree,
    parse,
    type_name_of,
)

Condition = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Walk:
    """A way from an object to values of one type.

    Attributes:
        steps: keys; or a key and the text that must stand under it, of the objects that go on.
        type: of what is found.
        path: the element in the definitions, such as `Patient.gender`.
        target: the type that a reference found there must name; None for any.
    """

    steps: tuple[str | Condition, ...]
    type: str
    path: str
    target: str | None = None

    def values(self, content: dict[str, Any]) -> list[Any]:
        """What stands at the end; whatever is missing or of another shape on the way."""
        if not self.steps:
            return [content]
        first = content.get(self.steps[0])  # type: ignore[arg-type]  # no walk begins with a condition
        found = first if first.__class__ is list else [] if first is None else [first]
        for step in self.steps[1:]:
            if step.__class__ is tuple:
                key, text = step
                found = [each for each in found if each.__class__ is dict and each.get(key) == text]
            else:
                found = below(found, step)
        return found


def below(found: list[Any], key: object) -> list[Any]:
    """What stands under a key of some objects; arrays are walked through."""
    onward: list[Any] = []
    for each in found:
        value = each.get(key) if each.__class__ is dict else None
        if value.__class__ is list:
            onward += value
        elif value is not None:
            onward.append(value)
    return onward


def walks(expression: str, type_name: str) -> list[Walk] | None:
    """The walks of an expression from a type; None when it is more than walks."""
    found = list(ways(parse(expression), type_name))
    return None if None in found else [each for each in found if each is not None]


def ways(tree: Tree, root: str) -> Iterator[Walk | None]:
    """Each walk of a tree; None for what is none."""
    if isinstance(tree, Binary) and tree.operator == "|":
        yield from ways(tree.left, root)
        yield from ways(tree.right, root)
    elif isinstance(tree, Member):
        yield from members(tree, root)
    elif isinstance(tree, OfType) and tree.operator == "as":
        yield from of_type(ways(tree.operand, root), tree.type_name)
    elif isinstance(tree, Call):
        yield from calls(tree, root)
    elif isinstance(tree, Special) and tree.name == "$this":
        yield Walk((), root, root)
    else:
        yield None


def members(tree: Member, root: str) -> Iterator[Walk | None]:
    """A name: of the type itself, of another type (which gives nothing), or of an element."""
    if tree.source is None:
        if tree.name in r4_types().ancestors(root):
            yield Walk((), root, root)
        elif not tree.name[:1].isupper():
            yield from onward(Walk((), root, root), tree.name)
        return
    for walk in ways(tree.source, root):
        if walk is None or walk.target is not None:
            yield None
        else:
            yield from onward(walk, tree.name)


def onward(walk: Walk, name: str) -> Iterator[Walk]:
    """One element further, one walk for each type that it may have."""
    for key, _, kind in r4_types().keys(walk.type, name) or ():
        owner = walk.type
        yield Walk((*walk.steps, key), kind or "", f"{owner}.{name}")


def of_type(found: Iterator[Walk | None], type_name: str) -> Iterator[Walk | None]:
    """The walks that end at a type."""
    for walk in found:
        if walk is None or walk.type == type_name:
            yield walk


def calls(tree: Call, root: str) -> Iterator[Walk | None]:
    """`as`, `ofType`, and `where` with a condition that a walk can test."""
    inside = list(ways(tree.source, root)) if tree.source is not None else [None]
    name = type_name_of(tree.arguments[0]) if len(tree.arguments) == 1 else None
    if tree.name in ("as", "ofType") and name is not None:
        yield from of_type(iter(inside), name)
        return
    for walk in inside:
        yield (
            None
            if walk is None or tree.name != "where" or len(tree.arguments) != 1
            else tested(walk, tree.arguments[0])
        )


def tested(walk: Walk, condition: Tree) -> Walk | None:
    """A walk with `where(key = 'text')` or `where(resolve() is Type)`; None for another condition."""
    if isinstance(condition, OfType) and condition.operator == "is":
        is_resolved = isinstance(condition.operand, Call) and condition.operand.name == "resolve"
        return replace(walk, target=condition.type_name) if is_resolved else None
    if not (isinstance(condition, Binary) and condition.operator == "="):
        return None
    left, right = condition.left, condition.right
    if isinstance(left, Member) and left.source is None and isinstance(right, Literal) and right.kind == "string":
        return replace(walk, steps=(*walk.steps, (left.name, right.text)))
    return None


class Evaluation:
    """An expression that is more than walks."""

    def __init__(self, expression: str) -> None:
        """Compile it."""
        self.expression = compile_expression(expression, r4_types())

    def found(self, context: dict[str, Any], type_name: str, resource: dict[str, Any]) -> list[tuple[Any, str]]:
        """Each value with its type; a plain value has the type that it is indexed as.

        Nothing where the expression cannot be evaluated: a bundle of a million entries, several values where one is.
        """
        try:
            items = self.expression.items(root_of(context, type_name), resource=root_of(resource))
        except PathRejected:
            return []
        return [(each.value, each.type or "") if isinstance(each, Node) else (each, plain(each)) for each in items]


def plain(value: Any) -> str:
    """The FHIR type that a plain value is indexed as."""
    return "boolean" if isinstance(value, bool) else "string"
