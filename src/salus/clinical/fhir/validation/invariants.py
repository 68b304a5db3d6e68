"""Invariants: rules in FHIRPath, compiled once and asked of each element that has them."""

from __future__ import annotations

from typing import Any

from salus.clinical.fhir.definitions import Invariant
from salus.clinical.fhir.fhirpath import Expression, Node, PathRejected, compile_expression, r4_types
from salus.clinical.fhir.validation.fields import Check
from salus.clinical.fhir.validation.issues import Place, Run, Severity


def invariant_check(invariant: Invariant, kind: str) -> Check:
    """The check of an element of a type (or, inside a type, of a path) by one invariant."""
    expression = compiled(invariant)
    severity: Severity = "error" if invariant.severity == "error" else "warning"

    def check(value: Any, place: Place, run: Run) -> None:
        if expression is None:
            run.add(place, "exception", invariant.key, "this invariant cannot be evaluated here", "warning")
            return
        context = run.resource if run.resource is not None and run.resource.value is value else Node(value, kind)
        try:
            holds = expression.verdict(context, around=run.around, resource=run.resource, root=run.root)
        except PathRejected:
            run.add(place, "exception", invariant.key, "this invariant cannot be evaluated on this element", "warning")
            return
        if holds is False:
            run.add(place, "invariant", invariant.key, f"Constraint failed: {invariant.human}", severity)

    return check


def compiled(invariant: Invariant) -> Expression | None:
    """The expression; None when FHIRPath does not understand it."""
    try:
        return compile_expression(invariant.expression, r4_types())
    except PathRejected:
        return None
