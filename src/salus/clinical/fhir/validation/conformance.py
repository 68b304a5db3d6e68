"""Definitions that are themselves stored as resources: what makes one of no use although it has the right shape."""

from __future__ import annotations

from typing import Any

from salus.clinical.fhir.definitions import Definitions
from salus.clinical.fhir.fhirpath import PathFault, PathRejected, compile_expression
from salus.clinical.fhir.validation.issues import Place, Run


def check_expression(value: dict[str, Any], place: Place, run: Run) -> None:
    """An Expression in FHIRPath can be parsed; what its names mean is not asked."""
    if value.get("language") != "text/fhirpath" or type(value.get("expression")) is not str:
        return
    try:
        compile_expression(value["expression"])
    except PathRejected as fault:
        if fault.fault is PathFault.SYNTAX:
            run.add(place, "exception", "fhirpath", "The value of the expression is not a valid FHIRPath")


def check_search_parameter(value: dict[str, Any], place: Place, run: Run, definitions: Definitions) -> None:
    """A SearchParameter that is derived from one of R4's is of its type, and of types that it has."""
    derived = value.get("derivedFrom")
    if type(derived) is not str:
        return
    found = definitions.search_parameter(derived)
    if found is None:
        return
    if value.get("type") != found.type:
        run.add(place, "business-rule", "sp-type", f"expected type {found.type}, as what it is derived from has it")
    bases = value.get("base")
    others = set(bases) - set(found.bases) if type(bases) is list and all(type(each) is str for each in bases) else ()
    if others and not {"Resource", "DomainResource"} & set(found.bases):
        run.add(place, "business-rule", "sp-base", f"expected bases among {', '.join(found.bases)}, came another")
