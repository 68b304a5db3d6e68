"""Where extensions may stand: the contexts that their definitions name (FHIR R4 2.4.1, defining extensions)."""

from __future__ import annotations

from typing import Final

from salus.clinical.fhir.definitions import Definitions, Structure
from salus.clinical.fhir.definitions.tree import CHOICE, children, names
from salus.clinical.fhir.validation.issues import Place

RESOURCE_STEPS: Final = frozenset({"resource", "contained"})
EXTENSIONS: Final = frozenset({"extension", "modifierExtension"})
ANY_RESOURCE: Final = frozenset({"Element", "Resource", "DomainResource", "MetadataResource", "CanonicalResource"})
"""What every resource is called; extensions for `Element` are published on resources too."""


def is_allowed(extension: Structure, place: Place, resource_type: str, definitions: Definitions) -> bool:
    """Whether a place in a resource is one of an extension's contexts; what cannot be told is allowed."""
    owner: Place = place[0]
    if not extension.context or any(each.type == "fhirpath" for each in extension.context):
        return True
    if owner[1] in EXTENSIONS:
        return any(
            each.type == "extension" or each.expression in ("Extension", "Element") for each in extension.context
        )
    called = names_of(owner, resource_type, definitions)
    return not called or any(each.expression.removesuffix(CHOICE) in called for each in extension.context)


def names_of(owner: Place, resource_type: str, definitions: Definitions) -> frozenset[str]:
    """What the definitions call an element: its type, its path in the resource and in each type on the way."""
    steps: list[str] = []
    at: Place | None = owner
    while at is not None and at[0] is not None and at[1] not in RESOURCE_STEPS:
        steps.append(at[1].partition(".ofType(")[0])
        at = at[0]
    if not steps:
        return ANY_RESOURCE | {resource_type}
    paths = [resource_type]
    kinds: frozenset[str] = frozenset()
    for step in reversed(steps):
        found = [described(path, step, definitions) for path in paths]
        if not any(found):
            return frozenset()
        kinds = frozenset(kind for one in found for kind in one[1:])
        paths = [path for one in found for path in one]
    return frozenset({"Element", *kinds, *paths, ".".join([resource_type, *reversed(steps)])})


def described(path: str, step: str, definitions: Definitions) -> list[str]:
    """The path of an element below another, and the types that it may have; empty when there is no such element."""
    structure = definitions.structure(path.partition(".")[0])
    for each in children(structure, path) if structure else ():
        name = each.path.rpartition(".")[2]
        if name.removesuffix(CHOICE) == step or any(way == step for way, _, _ in names(each)):
            return [each.content_reference or each.path.removesuffix(CHOICE), *(kind.code for kind in each.types)]
    return []
