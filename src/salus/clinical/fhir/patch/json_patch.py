"""JSON Patch, on the JSON of a resource.

Source: RFC 6902 (operations), RFC 6901 (pointers); FHIR R4 3.1.0.9.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from salus.clinical.fhir.exact_json import refuse_deep
from salus.clinical.fhir.faults import FhirRejected
from salus.clinical.fhir.patch.limits import (
    COPIED_VALUES_MAX,
    bad_patch,
    finished,
    fixed_of,
    read_patch,
    read_resource,
    refuse_too_many,
    unfit,
    values_in,
)

INDEX = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
HINT = "read the resource again and write the patch against what it is now"


def apply_json_patch(body: bytes, patch: bytes) -> bytes:
    """Return the resource with all operations done.

    Args:
        body: the resource in JSON.
        patch: an array of operations.

    Raises:
        FhirRejected: BAD_PATCH (no JSON Patch, or too much of it), PATCH_UNFIT (a place that is not there, a test that
            fails, a change of type or id), the faults of JSON; operations are counted from 1.
    """
    content, operations = read_resource(body), read_patch(patch)
    if not isinstance(operations, list):
        raise bad_patch("an array of operations", "another JSON value")
    before = fixed_of(content)
    document = Document(content)
    refuse_too_many(len(operations))
    for number, operation in enumerate(operations, start=1):
        try:
            document.apply(operation)
        except FhirRejected as fault:
            raise fault.at(f"operation {number}") from fault
    if not isinstance(document.content, dict):
        raise unfit("a patch that leaves a resource", "one that leaves another value", HINT)
    return finished(before, document.content)


@dataclass(slots=True)
class Document:
    """The JSON value that the operations change, and how many values were copied in it."""

    content: Any
    copied: int = 0

    def apply(self, operation: Any) -> None:
        """Do one operation. Raises BAD_PATCH, PATCH_UNFIT."""
        if not isinstance(operation, dict):
            raise bad_patch("an operation as a JSON object", "another JSON value")
        name = operation.get("op")
        run = OPERATIONS.get(name) if isinstance(name, str) else None
        if run is None:
            raise bad_patch(f"an op of {', '.join(OPERATIONS)}", "another or none")
        run(self, operation)

    def add(self, operation: dict[str, Any]) -> None:
        """`add`."""
        self.put(pointer(operation, "path"), value_of(operation))

    def remove(self, operation: dict[str, Any]) -> None:
        """`remove`."""
        self.take(pointer(operation, "path"))

    def replace(self, operation: dict[str, Any]) -> None:
        """`replace`: the value must be there; it keeps its place among the others."""
        path, value = pointer(operation, "path"), value_of(operation)
        self.get(path)
        if not path:
            self.content = value
            return
        owner = self.get(path[:-1])
        owner[index_of(path[-1], len(owner)) if isinstance(owner, list) else path[-1]] = value

    def move(self, operation: dict[str, Any]) -> None:
        """`move`: nothing can be moved into itself."""
        source, target = pointer(operation, "from"), pointer(operation, "path")
        if target[: len(source)] == source and len(target) > len(source):
            raise unfit("a move to another place", "one into what is moved", HINT)
        self.put(target, self.take(source))

    def copy(self, operation: dict[str, Any]) -> None:
        """`copy`."""
        value = self.get(pointer(operation, "from"))
        refuse_deep(value)  # copies of copies double, and what counts and copies goes down level by level
        self.copied += values_in(value)
        if self.copied > COPIED_VALUES_MAX:
            raise bad_patch(f"copies of at most {COPIED_VALUES_MAX:,} values", "more")
        self.put(pointer(operation, "path"), deepcopy(value))

    def test(self, operation: dict[str, Any]) -> None:
        """`test`."""
        value = self.get(pointer(operation, "path"))
        refuse_deep(value)
        if not same(value, value_of(operation)):
            raise unfit("the value that the patch tests for", "another", HINT)

    def get(self, path: tuple[str, ...]) -> Any:
        """The value at a place."""
        value = self.content
        for step in path:
            value = below(value, step)
        return value

    def put(self, path: tuple[str, ...], value: Any) -> None:
        """Set a key, or insert into an array; `-` is the place after the last."""
        if not path:
            self.content = value
            return
        owner, step = self.get(path[:-1]), path[-1]
        if isinstance(owner, dict):
            owner[step] = value
        elif isinstance(owner, list):
            owner.insert(len(owner) if step == "-" else index_of(step, len(owner) + 1), value)
        else:
            raise absent()

    def take(self, path: tuple[str, ...]) -> Any:
        """Remove a value from its place."""
        value = self.get(path)
        if not path:
            raise unfit("a patch that leaves a resource", "one that removes it", "delete the resource instead")
        owner = self.get(path[:-1])
        del owner[index_of(path[-1], len(owner)) if isinstance(owner, list) else path[-1]]
        return value


def pointer(operation: dict[str, Any], name: str) -> tuple[str, ...]:
    """A JSON Pointer as steps. Raises BAD_PATCH when it is none."""
    text = operation.get(name)
    if not isinstance(text, str) or (text and text[0] != "/") or re.search(r"~(?![01])", text):
        raise bad_patch(f"a JSON Pointer as {name}", "something else")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])


def value_of(operation: dict[str, Any]) -> Any:
    """The operation's value, which may be null. Raises BAD_PATCH when there is none."""
    if "value" not in operation:
        raise bad_patch("an operation with a value", "one without")
    return operation["value"]


def below(value: Any, step: str) -> Any:
    """One step down."""
    if isinstance(value, dict) and step in value:
        return value[step]
    if isinstance(value, list):
        return value[index_of(step, len(value))]
    raise absent()


def index_of(step: str, length: int) -> int:
    """A place in an array. Raises PATCH_UNFIT when there is none of this name."""
    if not INDEX.fullmatch(step) or int(step) >= length:
        raise absent()
    return int(step)


def absent() -> FhirRejected:
    """The refusal of a place that is not there."""
    return unfit("a place that is in the resource", "one that is not", HINT)


def same(left: Any, right: Any) -> bool:
    """Equality of JSON: numbers by value, and no boolean is a number (RFC 6902, 4.6)."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    numbers = (int, Decimal)
    return bool(left == right) and (isinstance(left, numbers) == isinstance(right, numbers))


OPERATIONS: dict[str, Callable[[Document, dict[str, Any]], None]] = {
    "add": Document.add,
    "remove": Document.remove,
    "replace": Document.replace,
    "move": Document.move,
    "copy": Document.copy,
    "test": Document.test,
}
