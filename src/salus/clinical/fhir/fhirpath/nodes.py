"""What a FHIRPath collection holds: elements of a resource, which know their type and place, and plain values.

Plain values are `bool`, `int`, `Decimal`, `str`, `Moment`, `Quantity`. `system` gives the plain value of an element.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.moments import Moment, date_or_time, time_of_day
from salus.clinical.fhir.fhirpath.quantities import UCUM, Quantity, canonical
from salus.clinical.fhir.fhirpath.types import Types

DIGITS_MAX = 200
QUANTITIES = frozenset(("Quantity", "Age", "Count", "Distance", "Duration", "Money", "SimpleQuantity", "MoneyQuantity"))


class Node(msgspec.Struct, gc=False):
    """An element of a resource.

    Attributes:
        value: as JSON has it; None of a primitive that has only extensions.
        type: its FHIR type; None when it is not known.
        extra: id and extensions of a primitive.
        owner: the object in which it stands; None of a root.
        key: under which key of the owner.
        index: in which place of the array there; None when there is no array.
    """

    value: Any  # JSON
    type: str | None = None
    extra: Any = None  # JSON
    owner: dict[str, Any] | None = None
    key: str = ""
    index: int | None = None


Item = Node | bool | int | Decimal | str | Moment | Quantity
Items = list[Any]  # of Item


def root_of(resource: dict[str, Any], type_name: str | None = None) -> Node:
    """The node of a whole resource, or of a complex value whose type is given."""
    return Node(resource, type_name or of_resource(None, resource))


def members(node: Any, name: str, types: Types, found: Items) -> bool:
    """Append the elements of a node that have this name; False when its type has no such element."""
    if node.__class__ is not Node:
        return False
    value = node.value
    if value.__class__ is not dict:
        if name not in ("extension", "id"):
            return False
        if node.extra.__class__ is dict and name in node.extra:
            append(found, node.extra, name, None, "Extension" if name == "extension" else "string")
        return True
    keys = types.keys(node.type, name)
    if keys is None:
        return False
    for key, extra_key, kind in keys:
        if key in value or extra_key in value:
            append(found, value, key, extra_key, kind)
    return True


def append(found: Items, owner: dict[str, Any], key: str, extra_key: str | None, kind: str | None) -> None:
    """Append what stands under a key: one element, or those of an array."""
    value = owner.get(key)
    extra = None if extra_key is None else owner.get(extra_key)
    if value.__class__ is list or extra.__class__ is list:
        values: list[Any] = value if value.__class__ is list else []
        extras: list[Any] = extra if extra.__class__ is list else []
        for index in range(max(len(values), len(extras))):
            each = values[index] if index < len(values) else None
            more = extras[index] if index < len(extras) else None
            if each is not None or more is not None:
                found.append(Node(each, of_resource(kind, each), more, owner, key, index))
    elif value is not None or extra is not None:
        found.append(Node(value, of_resource(kind, value), extra, owner, key))


def of_resource(kind: str | None, value: Any) -> str | None:
    """The type; of any resource, the one that it says."""
    if value.__class__ is dict and (kind == "Resource" or kind is None):
        said = value.get("resourceType")
        return said if said.__class__ is str else kind
    return kind


def children(node: Any, types: Types) -> Items:
    """All elements of a node, in the order in which they stand."""
    if node.__class__ is not Node:
        return []
    inside = node.value if node.value.__class__ is dict else node.extra
    if inside.__class__ is not dict:
        return []
    kinds = types.children(node.type if inside is node.value else "Element")
    found: Items = []
    for key, value in inside.items():
        if key[:1] == "_":
            if key[1:] not in inside:
                append(found, inside, key[1:], key, kinds.get(key[1:]))
        elif value.__class__ is list or f"_{key}" in inside:
            append(found, inside, key, f"_{key}", kinds.get(key))
        elif key != "resourceType" and value is not None:
            found.append(Node(value, of_resource(kinds.get(key), value), None, inside, key))
    return found


def system(item: Any) -> Any:
    """The plain value of an item; of a complex element its object, of a primitive without value None."""
    if item.__class__ is not Node:
        return item
    value = item.value
    kind = value.__class__
    if kind is str:
        return text_value(value, item.type)
    if kind is int:
        return Decimal(value) if item.type == "decimal" else value
    if kind is float:
        return Decimal(repr(value))
    if isinstance(value, Decimal):
        return bounded(value)
    if kind is dict and item.type in QUANTITIES:
        return quantity_of(value)
    return value


def text_value(value: str, kind: str | None) -> Any:
    """A string, or the moment that it writes; what is no moment stays a string."""
    if kind in ("date", "dateTime", "instant"):
        return date_or_time(value, "date" if kind == "date" else "dateTime") or value
    if kind == "time":
        return time_of_day(value) or value
    return value


def bounded(value: Decimal) -> Decimal:
    """A number that can be calculated with."""
    if (value and abs(value.adjusted()) > DIGITS_MAX) or len(value.as_tuple().digits) > DIGITS_MAX:
        expected = f"a number of at most {DIGITS_MAX} digits"
        raise PathRejected(PathFault.WRONG_TYPE, expected=expected, came="a longer one")
    return Decimal(value)


def quantity_of(content: dict[str, Any]) -> Any:
    """A FHIR Quantity as a plain one; the object itself when it has no number."""
    number = system(Node(content.get("value"), "decimal"))
    if not isinstance(number, Decimal):
        return content
    code, system_url = content.get("code"), content.get("system")
    if isinstance(code, str) and system_url == UCUM:
        return Quantity(number, code)
    if isinstance(code, str) and isinstance(system_url, str):
        return Quantity(number, f"{system_url}|{code}")
    unit = content.get("unit") or content.get("currency")
    return Quantity(number, unit if isinstance(unit, str) else "1")


def identity(item: Any) -> Any:
    """Something that can be hashed, and is the same for equal items."""
    value = system(item)
    kind = value.__class__
    if kind is str:
        return value
    if kind is bool:
        return ("boolean", value)
    if kind is int or kind is Decimal:
        return ("number", value)
    if kind is Moment:
        return ("moment", value.kind == "time", value.parts, value.zone_minutes)
    if kind is Quantity:
        return ("quantity", canonical(value))
    if value is None:
        return ("none", frozen(item.extra))
    return ("object", frozen(value))


def frozen(value: Any) -> Any:
    """JSON as something that can be hashed; numbers by their value."""
    if value.__class__ is dict:
        return frozenset((key, frozen(each)) for key, each in value.items())
    if value.__class__ is list:
        return tuple(frozen(each) for each in value)
    if value.__class__ is bool:
        return ("boolean", value)
    return system(Node(value))


def text_of(item: Any) -> str | None:
    """An item's string; None when it is none."""
    value = item.value if item.__class__ is Node else item
    return value if value.__class__ is str else None
