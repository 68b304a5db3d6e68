"""What validation finds, and where: issues in the words of OperationOutcome, places as links that are told when needed.

Promises: an issue names elements, types and what the definitions allow; never a value that stood in the resource (P4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from salus.clinical.fhir.fhirpath import Node, Surroundings

Severity = Literal["error", "warning", "information"]
Code = Literal[
    "structure", "required", "value", "invalid", "invariant", "code-invalid", "not-found", "business-rule", "exception"
]

NOTHING: Final = Surroundings()
ISSUES_MAX: Final = 1000
Place = tuple[Any, ...]
"""A link: the place above (or None), what stands there, and, in an array, at which index."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding.

    Args:
        severity: `error`, `warning` or `information`, as the reference validator has them.
        code: of the value set issue-type.
        expression: FHIRPath to the element, `Patient.contact[0].value.ofType(Period)`.
        message: what was expected, for people.
        rule: the key of the invariant or the name of the check; what a program can ask for.
    """

    severity: Severity
    code: Code
    expression: str
    message: str
    rule: str


class EnoughIssues(Exception):
    """More issues than anybody reads; the rest of the resource is not looked at."""


@dataclass(slots=True)
class Run:
    """One validation under way.

    Args:
        issues: what was found.
        references: those that were met, to be looked up when all was seen.
        resource, root: the resource that is being looked at, and the one that contains it, as FHIRPath has them.
        around: what FHIRPath may ask beside the resource.
    """

    issues: list[Issue] = field(default_factory=list)
    references: list[Linked] = field(default_factory=list)
    resource: Node | None = None
    root: Node | None = None
    around: Surroundings = NOTHING

    def add(self, place: Place, code: Code, rule: str, message: str, severity: Severity = "error") -> None:
        """Note an issue. Raises EnoughIssues."""
        self.issues.append(Issue(severity, code, told(place), message, rule))
        if len(self.issues) >= ISSUES_MAX:
            raise EnoughIssues


class Linked(msgspec.Struct, frozen=True):
    """A reference that was met: where, what it says, which types its element may point to (empty for any)."""

    place: Place
    reference: str
    targets: frozenset[str]


def told(place: Place) -> str:
    """A place as FHIRPath."""
    parts: list[str] = []
    at: Place | None = place
    while at is not None:
        parts.append(at[1] if len(at) == 2 else f"{at[1]}[{at[2]}]")
        at = at[0]
    return ".".join(reversed(parts))
