"""The validator: a resource and the profiles that it must conform to in, issues out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from salus.clinical.fhir.definitions import Definitions, r4
from salus.clinical.fhir.validation.conformance import check_search_parameter
from salus.clinical.fhir.validation.issues import EnoughIssues, Issue, Run
from salus.clinical.fhir.validation.shapes import Shapes
from salus.clinical.fhir.validation.terms import Terms


class Validator:
    """Validates resources; what it compiles for a type it keeps, so one per process is enough."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._shapes = Shapes(definitions, Terms(definitions))

    def validate(self, resource: Mapping[str, Any]) -> tuple[Issue, ...]:
        """Everything that is wrong with a resource as `strict_json` reads it, in the order in which it was met.

        The result has at most `ISSUES_MAX` issues. No issue repeats content of the resource (P4).
        """
        run = Run()
        kind = resource.get("resourceType")
        place = (None, kind if type(kind) is str and kind in self._shapes.resource_types else "Resource")
        try:
            self._shapes.resource(resource, place, run)
            if kind == "SearchParameter":
                check_search_parameter(dict(resource), place, run, self._definitions)
        except EnoughIssues:
            pass
        return tuple(run.issues)


@lru_cache(maxsize=1)
def base_validator() -> Validator:
    """The validator by R4's own definitions. Raises DefinitionsMissing."""
    return Validator(r4())


def has_errors(issues: tuple[Issue, ...]) -> bool:
    """Whether the resource is not to be accepted."""
    return any(each.severity == "error" for each in issues)
