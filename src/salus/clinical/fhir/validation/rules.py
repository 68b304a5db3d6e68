"""Rules of whole resources that are cheaper by hand than as FHIRPath: ids, contained resources, local references.

Covers dom-2 to dom-5, ref-1 and ext-1 of the definitions, and what the reference validator checks beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from salus.clinical.fhir.validation.issues import Linked, Place, Run
from salus.clinical.fhir.validation.terms import ABSOLUTE

Json = dict[str, Any]

BY_HAND: Final = frozenset(
    {"ele-1", "ext-1", "ref-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "txt-1", "txt-2", "dom-r4b"}
)
"""The invariants that are not asked of FHIRPath; dom-6, narrative, is advice that nobody needs with each resource."""
EXTENSIONS: Final = frozenset({"extension", "modifierExtension"})


def check_resource(value: Json, place: Place, run: Run, references: list[Linked]) -> None:
    """Check a resource that is not contained, after its elements; `references` are those inside it."""
    contained = value.get("contained")
    inside = [each for each in contained if isinstance(each, dict)] if type(contained) is list else []
    ids = {each["id"] for each in inside if type(each.get("id")) is str}
    for each in references:
        if each.reference.startswith("#") and len(each.reference) > 1 and each.reference[1:] not in ids:
            text = "expected a contained resource of this id, came none"
            run.add(each.place, "invariant", "ref-1", text)
    if inside:
        check_contained(value, inside, {each.reference for each in references}, place, run)
        check_local_targets(inside, references, run)


def check_contained(value: Json, inside: list[Json], references: set[str], place: Place, run: Run) -> None:
    """dom-2 to dom-5, and that contained resources have ids of their own."""
    mentioned = references
    if not all(f"#{each.get('id')}" in references for each in inside):
        mentioned = references.union(texts(value))  # canonicals and URIs may mention them too
    ids = [each.get("id") for each in inside]
    often = Counter(str(each) for each in ids)
    for index, each in enumerate(inside):
        at = (place, "contained", index)
        meta = each.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        if "contained" in each:
            run.add(at, "invariant", "dom-2", "expected no contained resources inside a contained one")
        if "versionId" in meta or "lastUpdated" in meta:
            run.add(at, "invariant", "dom-4", "expected a contained resource without versionId and lastUpdated")
        if "security" in meta:
            run.add(at, "invariant", "dom-5", "expected a contained resource without security labels")
        if type(ids[index]) is not str:
            run.add(at, "invalid", "contained-id", "expected a contained resource with an id")
        elif often[str(ids[index])] > 1:
            run.add(at, "invalid", "contained-id", "expected each id once among contained resources")
        elif f"#{ids[index]}" not in mentioned and "#" not in set(texts(each)):
            run.add(at, "invariant", "dom-3", "expected a contained resource that is referred to from elsewhere")


def check_local_targets(inside: list[Json], references: Iterable[Linked], run: Run) -> None:
    """Local references point to a type that their element allows."""
    types = {f"#{each.get('id')}": each.get("resourceType") for each in inside}
    for each in references:
        found = types.get(each.reference)
        if each.targets and type(found) is str and found not in each.targets:
            text = f"expected a reference to {', '.join(sorted(each.targets))}, came one to another type"
            run.add(each.place, "structure", "reference-target", text)


def texts(value: object) -> Iterator[str]:
    """Every text inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def check_extension(value: Json, place: Place, run: Run) -> None:
    """ext-1, and an address that is absolute unless the extension is part of another."""
    has_value = any(name.startswith(("value", "_value")) for name in value)
    if has_value == ("extension" in value):
        run.add(place, "invariant", "ext-1", "Must have either extensions or value[x], not both")
    url = value.get("url")
    is_part = len(place) == 3 and place[0] is not None and place[0][1] in EXTENSIONS
    if type(url) is str and not is_part and not ABSOLUTE.fullmatch(url):
        run.add(place, "invalid", "extension-url", "Extension.url must be an absolute URL")
