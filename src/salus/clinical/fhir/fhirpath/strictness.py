"""What strict mode refuses before anything is evaluated: what can give nothing, or something by chance.

Source: FHIRPath 2.0.0, 1.3 (order of collections), 11 (type safety); further names are refused when they are met.
"""

from __future__ import annotations

from collections.abc import Iterator

from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.syntax import Binary, Call, Index, Member, OfType, Sign, Tree, type_name_of
from salus.clinical.fhir.fhirpath.types import Types

ORDERED = ("first", "last", "tail", "skip", "take")
UNORDERED = ("children", "descendants")


def refuse_loose(tree: Tree, types: Types) -> None:
    """Look through an expression.

    Raises:
        PathRejected: WRONG_TYPE for a place in a collection that has no order; UNKNOWN_ELEMENT for an element that the
            type to which something was cast does not have.
    """
    for each in parts_of(tree):
        source = source_of(each)
        is_by_place = isinstance(each, Index) or (isinstance(each, Call) and each.name in ORDERED)
        if is_by_place and isinstance(source, Call) and source.name in UNORDERED:
            expected = "a collection that has an order"
            raise PathRejected(PathFault.WRONG_TYPE, expected=expected, came=f"{source.name}()", at=each.at)
        cast = None if source is None else cast_of(source)
        if isinstance(each, Member) and cast is not None and types.keys(cast, each.name) is None:
            expected = f"an element of {cast}"
            raise PathRejected(PathFault.UNKNOWN_ELEMENT, expected=expected, came="another name", at=each.at)


def parts_of(tree: Tree) -> Iterator[Tree]:
    """A tree and all that is inside it."""
    waiting: list[Tree | None] = [tree]
    while waiting:
        each = waiting.pop()
        if each is None:
            continue
        yield each
        waiting.append(source_of(each))
        if isinstance(each, Call):
            waiting += each.arguments
        elif isinstance(each, Binary):
            waiting += (each.left, each.right)
        elif isinstance(each, Index):
            waiting.append(each.index)


def source_of(tree: Tree) -> Tree | None:
    """What something is asked of."""
    if isinstance(tree, Member | Call | Index):
        return tree.source
    return tree.operand if isinstance(tree, Sign | OfType) else None


def cast_of(tree: Tree) -> str | None:
    """The FHIR type to which a term is cast by `as` or `ofType`; None when it is not, or to a plain type."""
    name = None
    if isinstance(tree, OfType) and tree.operator == "as":
        name = tree.type_name
    elif isinstance(tree, Call) and tree.name in ("as", "ofType") and len(tree.arguments) == 1:
        name = type_name_of(tree.arguments[0])
    return None if name is None or name.startswith("System.") else name.removeprefix("FHIR.")
