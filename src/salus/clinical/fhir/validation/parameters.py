"""Parameters: references between the resources that stand in one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from salus.clinical.fhir.validation.issues import Linked, Run


def check_parameters(value: dict[str, Any], run: Run, references: Iterable[Linked]) -> None:
    """A relative reference to a type of which resources stand in the request means one of them."""
    names = {f"{each.get('resourceType')}/{each.get('id')}" for each in resources(value.get("parameter"))}
    types = {name.partition("/")[0] for name in names}
    for each in references:
        if each.reference.count("/") == 1 and each.reference.partition("/")[0] in types and each.reference not in names:
            text = "expected a reference to a resource of the request, as its type is in it; came one to another"
            run.add(each.place, "structure", "parameters-link", text)


def resources(parameters: object) -> Iterator[dict[str, Any]]:
    """The resources in a list of parameters and their parts."""
    for each in parameters if isinstance(parameters, list) else ():
        if isinstance(each, dict):
            if isinstance(each.get("resource"), dict):
                yield each["resource"]
            yield from resources(each.get("part"))
