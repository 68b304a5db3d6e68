"""The functions that FHIR adds, and those that ask for the time.

Source: FHIR R4 2.9.1.5 (functions); FHIRPath 2.0.0, 5.9.
"""

from __future__ import annotations

from typing import Any

from salus.clinical.fhir.fhirpath.environment import Environment
from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.functions.function import Function
from salus.clinical.fhir.fhirpath.functions.strings import text
from salus.clinical.fhir.fhirpath.moments import date_or_time, time_of_day
from salus.clinical.fhir.fhirpath.nodes import Items, Node, members, root_of, system
from salus.clinical.fhir.fhirpath.operators import as_items, singleton
from salus.clinical.fhir.fhirpath.type_tests import has_type, type_info

DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


def extension(env: Environment, items: Items, url: Items) -> Items:
    """The extensions of a URL."""
    wanted = text(url)
    found: Items = []
    for each in items:
        members(each, "extension", env.types, found)
    env.spend(len(found) + 1)
    return [each for each in found if each.value.__class__ is dict and each.value.get("url") == wanted]


def has_value(env: Environment, items: Items) -> Items:
    """Whether there is one item, a primitive that has a value."""
    return [len(items) == 1 and is_primitive(items[0])]


def is_primitive(item: Any) -> bool:
    """Whether an item is a primitive with a value."""
    value = item.value if item.__class__ is Node else item
    return value is not None and value.__class__ is not dict


def get_value(env: Environment, items: Items) -> Items:
    """The plain value of a primitive."""
    return [system(items[0])] if len(items) == 1 and is_primitive(items[0]) else []


def resolve(env: Environment, items: Items) -> Items:
    """The resources that references mean; what cannot be found is left out."""
    env.spend(len(items))
    found = (resolved(env, reference) for reference in map(reference_of, items) if reference)
    return [root_of(each) for each in found if each is not None]


def reference_of(item: Any) -> str | None:
    """The reference of a Reference, or a string itself."""
    value = item.value if item.__class__ is Node else item
    found = value.get("reference") if value.__class__ is dict else value
    return found if found.__class__ is str else None


def resolved(env: Environment, reference: str) -> dict[str, Any] | None:
    """A contained resource of the root, or what the surroundings know."""
    if reference.startswith("#"):
        root = env.root.value
        contained = root.get("contained") if root.__class__ is dict else None
        if reference == "#":
            return dict(root) if root.__class__ is dict else None
        inside = contained if contained.__class__ is list else ()
        return next((each for each in inside or () if each.__class__ is dict and each.get("id") == reference[1:]), None)
    return None if env.around.resolve is None else env.around.resolve(reference)


def member_of(env: Environment, items: Items, value_set: Items) -> Items:
    """Whether a coded element is in a value set; nothing when that cannot be told."""
    item, url = singleton(items), text(value_set)
    if item is None or url is None or env.around.is_member is None:
        return []
    return as_items(env.around.is_member(item if isinstance(item, Node) else Node(item), url))


def conforms_to(env: Environment, items: Items, profile: Items) -> Items:
    """Whether an element conforms to a profile; FHIR's own types by type, unless the surroundings know more.

    Raises:
        PathRejected: BAD_ARGUMENT for a profile that is not known.
    """
    item, url = singleton(items), text(profile)
    if item is None or url is None:
        return []
    if env.around.conforms is not None and isinstance(item, Node):
        return as_items(env.around.conforms(item, url))
    name = url.removeprefix(DEFINITION)
    if name == url or not (env.types.is_known(name) or env.types.definitions is None):
        raise PathRejected(PathFault.BAD_ARGUMENT, expected="a profile that is known", came="another")
    return [has_type(item, f"FHIR.{name}", env.types)]


def html_checks(env: Environment, items: Items) -> Items:
    """Whether narratives are XHTML that FHIR allows (txt-1, txt-2)."""
    for each in items:
        whole = text([each])
        env.spend(1 + len(whole or "") // 16)
        if whole is not None and not is_narrative(whole):
            return [False]
    return [True]


def is_narrative(div: str) -> bool:
    """Whether validation would pass a narrative."""
    # Validation evaluates FHIRPath: it cannot be imported before this module is there.
    from salus.clinical.fhir.validation.narrative import NotNarrative, check

    try:
        check(div)
    except NotNarrative:
        return False
    return True


def now(env: Environment, items: Items) -> Items:
    """The date and time, to the millisecond."""
    return [date_or_time(env.around.time().isoformat(timespec="milliseconds"), "dateTime")]


def today(env: Environment, items: Items) -> Items:
    """The date."""
    return [date_or_time(env.around.time().date().isoformat(), "date")]


def time_now(env: Environment, items: Items) -> Items:
    """The time of day."""
    return [time_of_day(env.around.time().time().isoformat(timespec="milliseconds"))]


FHIR = {
    "extension": Function(extension, (1, 1)),
    "hasValue": Function(has_value),
    "getValue": Function(get_value),
    "resolve": Function(resolve),
    "memberOf": Function(member_of, (1, 1)),
    "conformsTo": Function(conforms_to, (1, 1)),
    "htmlChecks": Function(html_checks),
    "type": Function(lambda env, items: [type_info(each) for each in items]),
    "now": Function(now),
    "today": Function(today),
    "timeOfDay": Function(time_now),
}
