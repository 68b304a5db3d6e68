"""Validation of R4 resources by the table of definitions, compiled to closures once a type.

Promises: no issue repeats content of a resource (P4), only names of elements and types and what the definitions allow;
whatever the input, it ends, with issues.
Never changes the resource and never fetches anything: what is not in the definitions or loaded beside them is unknown.
"""

from salus.clinical.fhir.validation.issues import ISSUES_MAX, Issue
from salus.clinical.fhir.validation.validator import Validator, base_validator, has_errors

__all__ = ["ISSUES_MAX", "Issue", "Validator", "base_validator", "has_errors"]
