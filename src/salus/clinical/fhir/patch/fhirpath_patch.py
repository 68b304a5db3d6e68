"""FHIRPath Patch: a Parameters resource whose operations name places by FHIRPath.

Promises: an element that becomes empty goes with its last value, as FHIR has no empty elements; the extensions of
primitives, which JSON keeps under another key, stay with the values that they belong to.

Source: FHIR R4, fhirpatch.html; R5's clarifications: a delete of what is not there does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from salus.clinical.fhir.faults import FhirRejected
from salus.clinical.fhir.fhirpath import Node, PathRejected, Surroundings, compile_expression, r4_types, root_of
from salus.clinical.fhir.fhirpath.environment import STEPS_MAX
from salus.clinical.fhir.fhirpath.syntax import Member, parse
from salus.clinical.fhir.patch.limits import (
    bad_patch,
    finished,
    fixed_of,
    read_patch,
    read_resource,
    refuse_too_many,
    unfit,
)

HINT = "read the resource again and write the patch against what it is now"
LOOK_UP = "look the element up in the definition of the type"


@dataclass(frozen=True, slots=True)
class Value:
    """A new value: the suffix of the key under which it came (`String` of `valueString`), itself, its extensions."""

    suffix: str
    content: Any
    extra: Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation with its parts by name; absent parts are None. `steps` is how much work its paths may be."""

    type: str
    path: str
    name: str | None
    index: int | None
    source: int | None
    destination: int | None
    value: Value | None
    steps: int


def apply_fhirpath_patch(body: bytes, patch: bytes) -> bytes:
    """Return the resource with all operations done.

    Args:
        body: the resource in JSON.
        patch: a Parameters resource in JSON.

    Raises:
        FhirRejected: BAD_PATCH (no FHIRPath Patch, or too much of it), PATCH_UNFIT (a place that is not there or not
            one, a change of type or id), the faults of JSON; operations are counted from 1.
    """
    content, parameters = read_resource(body), read_patch(patch)
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise bad_patch("a Parameters resource", "something else")
    before = fixed_of(content)
    listed = parameters.get("parameter", [])
    if not isinstance(listed, list):
        raise bad_patch("an array of parameters", "another JSON value")
    refuse_too_many(len(listed))
    steps = STEPS_MAX // max(1, len(listed))  # one bound for the whole patch
    for number, parameter in enumerate(listed, start=1):
        try:
            operation = read_operation(parameter, steps)
            OPERATIONS[operation.type](content, operation)
        except PathRejected as error:
            raise bad_patch(error.expected, error.came, f"operation {number}") from error
        except FhirRejected as fault:
            raise fault.at(f"operation {number}") from fault
    return finished(before, content)


def read_operation(parameter: Any, steps: int) -> Operation:
    """One parameter as an operation. Raises BAD_PATCH."""
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise bad_patch("parameters named operation", "another")
    parts = {part["name"]: part for part in parts_of(parameter)}
    operation = Operation(
        type=text(parts, "type") or "",
        path=text(parts, "path") or "",
        name=text(parts, "name"),
        index=whole(parts, "index"),
        source=whole(parts, "source"),
        destination=whole(parts, "destination"),
        value=value_of(parts["value"]) if "value" in parts else None,
        steps=steps,
    )
    if operation.type not in OPERATIONS or not operation.path:
        raise bad_patch(f"a type of {', '.join(OPERATIONS)}, and a path", "another or none")
    return operation


def parts_of(parameter: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a parameter. Raises BAD_PATCH when they have no name."""
    parts = parameter.get("part", [])
    if not isinstance(parts, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in parts
    ):
        raise bad_patch("parts that have names", "others")
    return parts


def has_name(part: Any) -> bool:
    """Whether it is a part with a name."""
    return isinstance(part, dict) and isinstance(part.get("name"), str)


def text(parts: dict[str, Any], name: str) -> str | None:
    """A part that is a string or a code."""
    found = next((parts[name].get(key) for key in ("valueString", "valueCode") if key in parts.get(name, {})), None)
    if found is not None and not isinstance(found, str):
        raise bad_patch(f"a string as {name}", "another value")
    return found


def whole(parts: dict[str, Any], name: str) -> int | None:
    """A part that is an integer."""
    found = parts.get(name, {}).get("valueInteger")
    if found is not None and (not isinstance(found, int) or isinstance(found, bool)):
        raise bad_patch(f"an integer as {name}", "another value")
    return found


def value_of(part: dict[str, Any]) -> Value:
    """A part's value, or an object of its own parts, for which FHIR has no type of its own."""
    keys = [key for key in part if key.startswith("value")]
    extras = [key for key in part if key.startswith("_value")]
    if len(keys) > 1 or len(extras) > 1 or not (keys or extras or part.get("part")):
        raise bad_patch("one value, or parts", "none or several")
    if not keys and not extras:
        return Value("", of_parts(part), None)
    suffix = (keys or [extras[0][1:]])[0].removeprefix("value")
    return Value(suffix, part.get(f"value{suffix}"), part.get(f"_value{suffix}"))


def of_parts(part: dict[str, Any]) -> dict[str, Any]:
    """An object whose elements came as parts; repeated ones make an array."""
    found: dict[str, Any] = {}
    for each in parts_of(part):
        name, value = each["name"], value_of(each)
        if name in found:
            found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), value.content]
        else:
            found[name] = value.content
    return found


def add(content: dict[str, Any], operation: Operation) -> None:
    """`add`: a new element in an object; of one that may be repeated, at the end."""
    if operation.name is None or operation.value is None:
        raise bad_patch("an add with name and value", "one without")
    (node,) = places(content, operation.path, operation.steps, one=True)
    if not isinstance(node.value, dict):
        raise unfit("a path to an element that has elements", "another", HINT)
    put(node, operation.name, operation.value, None)


def put(node: Node, name: str, value: Value, index: int | None) -> None:
    """Put a value under a name of an object: into its array if it has one, else where nothing is yet."""
    types = r4_types()
    keys = types.keys(node.type, name)
    if keys is None:
        raise unfit(
            "the name of an element of this type", "another", "look the element up in the definition of the type"
        )
    key = f"{name}{value.suffix}" if len(keys) > 1 or keys[0][0] != name else name
    if all(key != known for known, _, _ in keys):
        raise unfit(
            "a value of a type that the element has", "another", "look the element up in the definition of the type"
        )
    owner = node.value
    if types.is_array(node.type or "", name):
        insert_at(owner, key, wrapped(value, keys[0][2]), index)
    elif any(known in owner or extra in owner for known, extra, _ in keys):
        raise unfit("an add of what is not there yet", "one of an element that is", "use replace")
    else:
        set_value(owner, key, value)


def wrapped(value: Value, type_name: str | None) -> Value:
    """A value for an array: inside an object of parts, elements that may be repeated are arrays too."""
    if not value.suffix and isinstance(value.content, dict) and type_name is not None:
        types = r4_types()
        for name, each in value.content.items():
            if types.is_array(type_name, name) and not isinstance(each, list):
                value.content[name] = [each]
    return value


def set_value(owner: dict[str, Any], key: str, value: Value) -> None:
    """Set a value and its extensions."""
    for name, content in ((key, value.content), (f"_{key}", value.extra)):
        if content is not None:
            owner[name] = content


def insert_at(owner: dict[str, Any], key: str, value: Value, index: int | None) -> None:
    """Insert into an array and into the array of its extensions, if there is one or the value has some."""
    values, extras = owner.get(key, []), owner.get(f"_{key}")
    if not isinstance(values, list) or not isinstance(extras, list | None):
        raise unfit("an array", "another value", HINT)
    length = max(len(values), len(extras or ()))
    at = length if index is None else index
    if not 0 <= at <= length:
        raise unfit(f"an index of 0 to {length}", "another", HINT)
    if extras is not None or value.extra is not None:
        filled = [*(extras or ()), *[None] * (length - len(extras or ()))]
        owner[f"_{key}"] = [*filled[:at], value.extra, *filled[at:]]
    owner[key] = [*values[:at], value.content, *values[at:]]


def insert(content: dict[str, Any], operation: Operation) -> None:
    """`insert`: a value into a list, at an index."""
    if operation.index is None or operation.value is None:
        raise bad_patch("an insert with index and value", "one without")
    found = places(content, operation.path, operation.steps)
    if not found:
        node, name = parent_of(content, operation.path, operation.steps)
        put(node, name, operation.value, operation.index)
        return
    owner, key = list_of(found)
    insert_at(owner, key, wrapped(operation.value, found[0].type), operation.index)


def parent_of(content: dict[str, Any], path: str, steps: int) -> tuple[Node, str]:
    """The element in which a path's last name stands, and that name: the list is still empty."""
    tree = parse(path)
    if not isinstance(tree, Member) or tree.source is None:
        raise unfit("a path to a list", "another", HINT)
    (node,) = places(content, path[: tree.at].rstrip().removesuffix("."), steps, one=True)
    return node, tree.name


def list_of(found: list[Node]) -> tuple[dict[str, Any], str]:
    """The object and the key of the one list in which all these elements are."""
    owner, key = found[0].owner, found[0].key
    if owner is None or any(each.owner is not owner or each.key != key or each.index is None for each in found):
        raise unfit("a path to one list", "another", HINT)
    return owner, key


def delete(content: dict[str, Any], operation: Operation) -> None:
    """`delete`: one element; nothing where there is none."""
    found = places(content, operation.path, operation.steps)
    if not found:
        return
    if len(found) > 1:
        raise unfit("a path to one element", f"one to {len(found)}", "name the one by its index")
    remove(found[0])
    if found[0].owner is not None and not found[0].owner:
        drop_empty(content, found[0].owner)


def remove(node: Node) -> None:
    """Take an element out of its object or its array."""
    owner, key, index = node.owner, node.key, node.index
    if owner is None:
        raise unfit("a path to an element of the resource", "the resource itself", "delete the resource instead")
    for name in (key, f"_{key}"):
        values = owner.get(name)
        if index is None:
            owner.pop(name, None)
        elif isinstance(values, list) and index < len(values):
            set_or_drop(owner, name, [*values[:index], *values[index + 1 :]])


def drop_empty(value: dict[str, Any], owner: dict[str, Any]) -> bool:
    """Whether an object is, or is inside, this value; what became empty on the way to it is taken out."""
    if value is owner:
        return True
    for key, inside in value.items():
        listed = inside if isinstance(inside, list) else [inside]
        for at, each in enumerate(listed):
            if isinstance(each, dict) and drop_empty(each, owner):
                if not each:
                    set_or_drop(value, key, [*listed[:at], *listed[at + 1 :]])
                return True
    return False


def set_or_drop(owner: dict[str, Any], key: str, values: list[Any]) -> None:
    """Set an array; one that holds nothing goes."""
    if any(each is not None for each in values):
        owner[key] = values
    else:
        del owner[key]


def replace(content: dict[str, Any], operation: Operation) -> None:
    """`replace`: one element by a value; of a choice, perhaps by one of another type."""
    if operation.value is None:
        raise bad_patch("a replace with a value", "one without")
    (node,) = places(content, operation.path, operation.steps, one=True)
    owner = node.owner
    if owner is None:
        raise unfit("a path to an element of the resource", "the resource itself", "update the resource instead")
    value = wrapped(operation.value, node.type)
    if node.index is not None:
        remove(node)
        insert_at(owner, node.key, value, node.index)
        return
    exchange(owner, node.key, key_for(node, value), value)


def key_for(node: Node, value: Value) -> str:
    """Under which key the new value stands: the old one, or of a choice that of the value's type."""
    kind = node.type or ""
    suffix = kind[:1].upper() + kind[1:]
    if not value.suffix or not node.key.endswith(suffix) or node.key == suffix:
        return node.key
    return node.key.removesuffix(suffix) + value.suffix


def exchange(owner: dict[str, Any], old: str, new: str, value: Value) -> None:
    """Put a value in the place of another, among the other keys."""
    found: dict[str, Any] = {}
    for key, content in owner.items():
        if key not in (old, f"_{old}"):
            found[key] = content
        elif new not in found:
            set_value(found, new, value)
    owner.clear()
    owner.update(found)


def move(content: dict[str, Any], operation: Operation) -> None:
    """`move`: an item of a list to another place in it."""
    source, destination = operation.source, operation.destination
    if source is None or destination is None:
        raise bad_patch("a move with source and destination", "one without")
    owner, key = list_of(places(content, operation.path, operation.steps) or [Node(None)])
    length = max(len(owner.get(name, ())) for name in (key, f"_{key}"))
    if not (0 <= source < length and 0 <= destination < length):
        raise unfit(f"indexes below {length}", "others", HINT)
    for name in (key, f"_{key}"):
        if name in owner:
            values = [*owner[name], *[None] * (length - len(owner[name]))]
            values.insert(destination, values.pop(source))
            owner[name] = values


def places(content: dict[str, Any], path: str, steps: int, *, one: bool = False) -> list[Node]:
    """The elements at a path; with `one`, exactly one."""
    found = compile_expression(path, r4_types()).items(root_of(content), around=Surroundings(steps=steps))
    if not all(isinstance(each, Node) for each in found):
        raise unfit("a path to elements of the resource", "another", HINT)
    if one and len(found) != 1:
        raise unfit("a path to one element", f"one to {len(found)}", HINT)
    return found


OPERATIONS: dict[str, Callable[[dict[str, Any], Operation], None]] = {
    "add": add,
    "insert": insert,
    "delete": delete,
    "replace": replace,
    "move": move,
}
