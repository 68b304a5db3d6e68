"""References: which type they name, and whether the element may point to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from salus.clinical.fhir.definitions import ElementType
from salus.clinical.fhir.validation.issues import Linked, Place, Run

CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
ANY: Final = frozenset({"Resource", "DomainResource"})
LITERAL: Final = re.compile(
    r"(?:[a-z]+://\S+/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/\S+)?"
)


def targets_of(types: Iterable[ElementType]) -> frozenset[str]:
    """The types that a reference may point to; empty when it may be any, or a profile says which."""
    targets = {target.removeprefix(CORE) for each in types if each.code == "Reference" for target in each.targets}
    if not targets or targets & ANY or any(":" in target for target in targets):
        return frozenset()
    return frozenset(targets)


def type_named(reference: str) -> str:
    """The type that a literal reference names, `Patient/1`; empty when it names none."""
    found = LITERAL.fullmatch(reference)
    return found["type"] if found else ""


def check_reference(value: dict[str, Any], targets: frozenset[str], place: Place, run: Run) -> None:
    """Check what a Reference says of itself, and note it to be looked up."""
    reference = value.get("reference")
    if type(reference) is not str:
        return
    run.references.append(Linked(place, reference, targets))
    if reference.startswith("urn:"):
        return
    named, stated = type_named(reference), value.get("type")
    if named and type(stated) is str and stated.removeprefix(CORE) != named:
        run.add(place, "invalid", "reference-type", "expected Reference.type of what the reference names, came another")
    if targets and named and named not in targets:
        text = f"expected a reference to {', '.join(sorted(targets))}, came one to another type"
        run.add(place, "structure", "reference-target", text)
