"""Checks of one property of a JSON object, each a closure that was made once for one element of one type.

A field is called with the item, the object that owns it, the owner's place and the run. What is sound costs a few
look-ups; a place is only told in words when there is something to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from salus.clinical.fhir.validation.issues import Place, Run

Json = dict[str, Any]
Check = Callable[[Any, Place, Run], None]
Field = Callable[[Any, Json, Place, Run], None]
Fault = Callable[[Any], str]


def ignored(item: object, owner: Json, place: Place, run: Run) -> None:
    """What is looked at elsewhere: `resourceType`."""


def single_value(segment: str, fault_of: Fault, kind: str, then: Check | None) -> Field:
    """A primitive that stands there once."""

    def check(item: Any, _owner: Json, place: Place, run: Run) -> None:
        fault = fault_of(item)
        if fault:
            bad_value(item, fault, kind, (place, segment), run)
        elif then is not None:
            then(item, (place, segment), run)

    return check


def listed_value(name: str, fault_of: Fault, kind: str, then: Check | None, most: int) -> Field:
    """A primitive that may be repeated; null stands where only `_name` has something."""
    sibling = "_" + name

    def check(item: Any, owner: Json, place: Place, run: Run) -> None:
        if not is_list(item, name, place, run, most):
            return
        for index, each in enumerate(item):
            if each is None:
                others = owner.get(sibling)
                if type(others) is not list or index >= len(others) or others[index] is None:
                    run.add((place, name, index), "structure", "ele-1", "expected a value or an extension, came null")
            elif fault := fault_of(each):
                bad_value(each, fault, kind, (place, name, index), run)
            elif then is not None:
                then(each, (place, name, index), run)

    return check


def single_object(segment: str, inner: Check) -> Field:
    """An object that stands there once."""

    def check(item: Any, _owner: Json, place: Place, run: Run) -> None:
        inner(item, (place, segment), run)

    return check


def listed_object(name: str, inner: Check, most: int) -> Field:
    """An object that may be repeated."""

    def check(item: Any, _owner: Json, place: Place, run: Run) -> None:
        if is_list(item, name, place, run, most):
            for index, each in enumerate(item):
                inner(each, (place, name, index), run)

    return check


def single_sibling(segment: str, name: str, inner: Check) -> Field:
    """The id and extensions of a primitive that stands there once; with a value, an id alone is enough."""

    def check(item: Any, owner: Json, place: Place, run: Run) -> None:
        if not (owner.get(name) is not None and has_only_id(item)):
            inner(item, (place, segment), run)

    return check


def has_only_id(item: object) -> bool:
    """Whether something is an object with an id and nothing else."""
    return type(item) is dict and len(item) == 1 and type(item.get("id")) is str


def listed_siblings(name: str, inner: Check) -> Field:
    """The ids and extensions of a repeated primitive, with null where there are none."""
    sibling = "_" + name

    def check(item: Any, owner: Json, place: Place, run: Run) -> None:
        if not is_list(item, sibling, place, run, -1):
            return
        values = owner.get(name, ())
        for index, each in enumerate(item):
            value = values[index] if type(values) is list and index < len(values) else None
            if each is not None:
                if value is None or not has_only_id(each):
                    inner(each, (place, name, index), run)
            elif type(values) is list and index >= len(values):
                run.add((place, name, index), "structure", "ele-1", "expected a value or an extension, came null")

    return check


def is_list(item: object, name: str, place: Place, run: Run, most: int) -> bool:
    """Whether there is a list to go through; issues when it is none, is empty or has too many (-1 for no limit)."""
    if type(item) is not list:
        run.add((place, name), "structure", "json-array", "expected an array, came a single value")
        return False
    if not item:
        run.add((place, name), "invalid", "json-array-empty", "Array cannot be empty: leave the property out")
    elif 0 <= most < len(item):
        run.add((place, name), "structure", "max", f"maximum allowed = {most}, but found {len(item)}")
    return True


def bad_value(item: object, fault: str, kind: str, place: Place, run: Run) -> None:
    """The issue of a primitive: another JSON type is about structure, another text about the value."""
    if isinstance(item, (dict, list)) or item is None:
        came = "an object" if isinstance(item, dict) else "an array" if isinstance(item, list) else "null"
        run.add(place, "structure", "json-type", f"expected {fault}, came {came}")
    else:
        run.add(place, "invalid", f"type-{kind}", f"expected {fault}, came something else")
