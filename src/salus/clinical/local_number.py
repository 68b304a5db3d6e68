"""A number that an organisation gave a person itself, for those who have no NHS number: newborns, visitors, imports.

Promises: means something at its organisation only, so nobody is matched by it across organisations; shows in no `repr`
(P4).
"""

from __future__ import annotations

from dataclasses import dataclass

LENGTH_MAX = 256


class LocalNumberInvalid(ValueError):
    """Not such a number; the message never repeats the input."""


@dataclass(frozen=True, slots=True, order=True, repr=False)
class LocalNumber:
    """A value in a system, both as FHIR `Identifier` has them."""

    system: str
    value: str

    def __post_init__(self) -> None:
        """Refuse what cannot name a person."""
        if not self.system or not self.value or len(self.system) + len(self.value) > LENGTH_MAX:
            raise LocalNumberInvalid(f"expected a system and a value of together 1 to {LENGTH_MAX} characters")

    def __repr__(self) -> str:
        """Hide the number."""
        return "LocalNumber(hidden)"
