"""FHIRPath, compiled once and evaluated on parsed JSON.

Promises: an expression does a bounded amount of work, whatever it says and whatever it is evaluated on; patterns are
matched in linear time; no message holds anything of a resource (P4). Never resolves, looks up or fetches by itself:
what is outside the resource, `Surroundings` answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from salus.clinical.fhir.fhirpath.compiler import Compiler, Step
from salus.clinical.fhir.fhirpath.environment import Environment, Surroundings
from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.nodes import Items, Node, root_of, system
from salus.clinical.fhir.fhirpath.operators import truth
from salus.clinical.fhir.fhirpath.strictness import refuse_loose
from salus.clinical.fhir.fhirpath.syntax import parse
from salus.clinical.fhir.fhirpath.types import NO_TYPES, Types, r4_types

__all__ = [
    "NO_TYPES",
    "Expression",
    "Node",
    "PathFault",
    "PathRejected",
    "Surroundings",
    "Types",
    "compile_expression",
    "plain_values",
    "r4_types",
    "root_of",
    "system",
]

NOTHING = Surroundings()


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; it can be evaluated any number of times, by several threads."""

    step: Step
    types: Types
    strict: bool

    def items(
        self, context: Node, *, around: Surroundings = NOTHING, resource: Node | None = None, root: Node | None = None
    ) -> Items:
        """The collection that it gives: elements as nodes, all else as plain values.

        Args:
            context: the element that it is about, `%context`.
            around: what it may ask.
            resource: `%resource`, the resource that holds the element; the element itself unless given.
            root: `%rootResource`, what contains that resource; that resource unless given.

        Raises:
            PathRejected: WRONG_COUNT, WRONG_TYPE, BAD_ARGUMENT, BAD_PATTERN, TOO_COSTLY; strictly UNKNOWN_ELEMENT.
        """
        env = Environment(context, types=self.types, around=around, resource=resource, root=root, strict=self.strict)
        return self.step(env)

    def verdict(
        self, context: Node, *, around: Surroundings = NOTHING, resource: Node | None = None, root: Node | None = None
    ) -> bool | None:
        """Whether it holds, as an invariant; raises as `items` does.

        None when it gives nothing, as R4's own invariants do where what they compare is absent: ref-1 of a reference
        that has only a display.
        """
        return truth(self.items(context, around=around, resource=resource, root=root))


def compile_expression(
    expression: str, types: Types = NO_TYPES, *, strict: bool = False, variables: frozenset[str] = frozenset()
) -> Expression:
    """Compile an expression.

    Args:
        expression: FHIRPath 2.0.0 with FHIR's functions.
        types: what is known of FHIR's types; without them, elements are found by name and have no type.
        strict: whether a name that no type has is refused when it is met, instead of giving nothing; so are places in
            what has no order.
        variables: names beside FHIR's own that may stand after `%`; `Surroundings` gives their values.

    Raises:
        PathRejected: SYNTAX, TOO_LONG, UNKNOWN_FUNCTION, UNKNOWN_TYPE, UNKNOWN_VARIABLE, BAD_ARGUMENT; strictly
            UNKNOWN_ELEMENT, WRONG_TYPE.
    """
    tree = parse(expression)
    if strict:
        refuse_loose(tree, types)
    return Expression(Compiler(types, variables).step(tree), types, strict)


def plain_values(items: Items) -> list[Any]:
    """The plain values of items."""
    return [system(each) for each in items]
