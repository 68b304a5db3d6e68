"""Which type an item has, and what `is`, `as` and `ofType` make of it.

A name without a namespace means FHIR's type where FHIR has one (`string`), else a plain type (`String`). `is` counts
special cases (a `code` is a `string`); `as` and `ofType` take a primitive only by its own type, as the official test
suite has it, and any other type with its special cases.
"""

from __future__ import annotations

from decimal import Decimal

from salus.clinical.fhir.fhirpath.environment import Environment
from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.moments import Moment
from salus.clinical.fhir.fhirpath.nodes import Item, Items, Node
from salus.clinical.fhir.fhirpath.operators import singleton
from salus.clinical.fhir.fhirpath.quantities import Quantity
from salus.clinical.fhir.fhirpath.types import SYSTEM_TYPES, Types

PLAIN = {bool: "Boolean", int: "Integer", Decimal: "Decimal", str: "String", Quantity: "Quantity"}
MOMENTS = {"date": "Date", "dateTime": "DateTime", "time": "Time"}


def named_type(name: str, types: Types, at: int) -> str:
    """A type with its namespace: `FHIR.string`, `System.String`.

    Raises:
        PathRejected: UNKNOWN_TYPE when there is none of this name.
    """
    if name.startswith(("System.", "FHIR.")):
        return name
    if types.is_known(name) or (types.definitions is None and name not in SYSTEM_TYPES):
        return f"FHIR.{name}"
    if name in SYSTEM_TYPES:
        return f"System.{name}"
    raise PathRejected(PathFault.UNKNOWN_TYPE, expected="a type of FHIR", came="another name", at=at)


def is_type(items: Items, name: str, types: Types) -> Items:
    """`is`: of one item."""
    item = singleton(items)
    return [] if item is None else [has_type(item, name, types)]


def has_type(item: Item, name: str, types: Types) -> bool:
    """Whether an item has a type or is a special case of it."""
    namespace, _, wanted = name.partition(".")
    if item.__class__ is not Node:
        return (
            namespace == "System" and plain_type(item) == wanted
        ) or name == "FHIR.Quantity" == f"FHIR.{plain_type(item)}"
    return namespace == "FHIR" and item.type is not None and wanted in types.ancestors(item.type)


def cast(env: Environment, items: Items, name: str, *, one: bool) -> Items:
    """`as` and `ofType`: the items that have a type.

    `as` is for one item; R4's own invariants and search parameters have it on many, so only strict mode refuses that.
    """
    if one and env.strict:
        singleton(items)
    env.spend(len(items))
    is_primitive = name.startswith("FHIR.") and name[5:6].islower()
    if is_primitive:
        wanted = name[5:]
        return [each for each in items if each.__class__ is Node and each.type == wanted]
    return [each for each in items if has_type(each, name, env.types)]


def plain_type(item: Item) -> str:
    """The name of a plain value's type."""
    return MOMENTS[item.kind] if isinstance(item, Moment) else PLAIN[item.__class__]


def type_info(item: Item) -> Node:
    """What `type()` answers: namespace and name."""
    if isinstance(item, Node):
        name = "BackboneElement" if item.type and "." in item.type else item.type
        return Node({"namespace": "FHIR", "name": name}, None)
    return Node({"namespace": "System", "name": plain_type(item)}, None)
