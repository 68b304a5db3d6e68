"""From definitions as FHIR resources (parsed JSON) to values. What a value does not hold is passed over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from salus.clinical.fhir.definitions.terminology import CodeSystem, Concept, Filter, Include, ValueSet
from salus.clinical.fhir.definitions.values import (
    UNBOUNDED,
    UNSTATED,
    Binding,
    Compartment,
    Component,
    Context,
    Discriminator,
    Element,
    ElementType,
    Invariant,
    SearchParameter,
    Slicing,
    Structure,
)

Json = Mapping[str, Any]

SYSTEM_TYPE: Final = "http://hl7.org/fhirpath/System."
FHIR_TYPE: Final = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
REGEX: Final = "http://hl7.org/fhir/StructureDefinition/regex"
VALUE_SET_MAX: Final = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
ABSTRACT: Final = frozenset({"notSelectable", "abstract"})


def structure(source: Json) -> Structure:
    """A StructureDefinition; its snapshot where it has one, else its differential."""
    snapshot = source.get("snapshot")
    listed = (snapshot or source.get("differential") or {}).get("element", ())
    return Structure(
        url=source["url"],
        version=source.get("version", ""),
        name=source["name"],
        kind=source["kind"],
        type=source["type"],
        base=source.get("baseDefinition", ""),
        derivation=source.get("derivation", ""),
        is_abstract=source["abstract"],
        elements=tuple(element(each, source["kind"]) for each in listed),
        has_snapshot=snapshot is not None,
        context=tuple(Context(each["type"], each["expression"]) for each in source.get("context", ())),
        context_invariants=tuple(source.get("contextInvariant", ())),
    )


def element(source: Json, kind: str) -> Element:
    """An ElementDefinition; of a differential, `min` and `max` are the base's where it states none (UNSTATED)."""
    path: str = source["path"]
    return Element(
        id=source.get("id", path),
        path=path,
        min=source.get("min", UNSTATED),
        max=maximum(source.get("max")),
        base_max=maximum(source.get("base", {}).get("max", source.get("max"))),
        types=types_of(source, kind),
        content_reference=source.get("contentReference", "").partition("#")[2],
        binding=binding(source.get("binding")),
        invariants=tuple(invariant(each) for each in source.get("constraint", ()) if "expression" in each),
        slice_name=source.get("sliceName", ""),
        slicing=slicing(source.get("slicing")),
        fixed=choice(source, "fixed"),
        pattern=choice(source, "pattern"),
        length_max=source.get("maxLength", 0),
        smallest=text_of(choice(source, "minValue")),
        largest=text_of(choice(source, "maxValue")),
        is_modifier=source.get("isModifier", False),
        is_summary=source.get("isSummary", False),
        must_support=source.get("mustSupport", False),
        is_attribute="xmlAttr" in source.get("representation", ()),
        short=source.get("short", ""),
    )


def maximum(source: str | None) -> int:
    """`1`, `*` or nothing as a number."""
    if source is None:
        return UNSTATED
    return UNBOUNDED if source == "*" else int(source)


def types_of(source: Json, kind: str) -> tuple[ElementType, ...]:
    """The types; that of a resource's id is `id`, where R4 says `string` for the sake of its own schemas."""
    if kind == "resource" and source["path"].endswith(".id") and source["path"].count(".") == 1:
        return (ElementType("id"),)
    return tuple(element_type(each) for each in source.get("type", ()))


def element_type(source: Json) -> ElementType:
    """A type; where R4 states one of FHIRPath's, the FHIR type that it stands for."""
    code: str = source["code"]
    if code.startswith(SYSTEM_TYPE):
        code = extension(source, FHIR_TYPE) or code.removeprefix(SYSTEM_TYPE).lower()
    profiles, targets = tuple(source.get("profile", ())), tuple(source.get("targetProfile", ()))
    return ElementType(code, profiles, targets, extension(source, REGEX))


def binding(source: Json | None) -> Binding | None:
    """A binding; one without a value set says nothing that a program can check."""
    if source is None or "valueSet" not in source:
        return None
    return Binding(source["strength"], source["valueSet"], extension(source, VALUE_SET_MAX))


def invariant(source: Json) -> Invariant:
    """A constraint."""
    return Invariant(
        source["key"], source["severity"], source.get("human", ""), source["expression"], source.get("source", "")
    )


def slicing(source: Json | None) -> Slicing | None:
    """How the element is sliced."""
    if source is None:
        return None
    discriminators = tuple(Discriminator(each["type"], each["path"]) for each in source.get("discriminator", ()))
    return Slicing(discriminators, source.get("rules", "open"), source.get("ordered", False))


def search_parameter(source: Json) -> SearchParameter:
    """A SearchParameter."""
    return SearchParameter(
        url=source["url"],
        code=source["code"],
        bases=tuple(source["base"]),
        type=source["type"],
        expression=source.get("expression", ""),
        targets=tuple(source.get("target", ())),
        components=tuple(Component(each["definition"], each["expression"]) for each in source.get("component", ())),
        usage=source.get("xpathUsage", ""),
        description=source.get("description", ""),
    )


def compartment(source: Json) -> Compartment:
    """A CompartmentDefinition."""
    parameters = {each["code"]: tuple(each.get("param", ())) for each in source.get("resource", ())}
    return Compartment(source["url"], source["code"], parameters)


def code_system(source: Json) -> CodeSystem:
    """A CodeSystem; concepts that stand inside others are listed after them."""
    return CodeSystem(
        url=source["url"],
        version=source.get("version", ""),
        name=source.get("name", ""),
        content=source["content"],
        is_case_sensitive=source.get("caseSensitive", False),
        concepts=tuple(concepts(source.get("concept", ()), parent=())),
        value_set=source.get("valueSet", ""),
    )


def concepts(source: Sequence[Json], *, parent: tuple[str, ...]) -> Iterator[Concept]:
    """Concepts with those that stand inside them."""
    for each in source:
        stated = each.get("property", ())
        properties = tuple((one["code"], text_of(choice(one, "value"))) for one in stated)
        yield Concept(
            code=each["code"],
            display=each.get("display", ""),
            definition=each.get("definition", ""),
            parents=parent + tuple(value for name, value in properties if name in ("parent", "subsumedBy")),
            is_abstract=any(name in ABSTRACT and value == "true" for name, value in properties),
            properties=properties,
        )
        yield from concepts(each.get("concept", ()), parent=(each["code"],))


def value_set(source: Json) -> ValueSet:
    """A ValueSet by its compose part."""
    compose = source.get("compose", {})
    return ValueSet(
        url=source["url"],
        version=source.get("version", ""),
        name=source.get("name", ""),
        includes=tuple(include(each) for each in compose.get("include", ())),
        excludes=tuple(include(each) for each in compose.get("exclude", ())),
    )


def include(source: Json) -> Include:
    """One part of a value set."""
    return Include(
        system=source.get("system", ""),
        version=source.get("version", ""),
        concepts=tuple(Concept(each["code"], each.get("display", "")) for each in source.get("concept", ())),
        filters=tuple(Filter(each["property"], each["op"], each["value"]) for each in source.get("filter", ())),
        value_sets=tuple(source.get("valueSet", ())),
    )


def choice(source: Json, name: str) -> object:
    """The value of a choice element such as `fixed[x]`, whatever its type; None when there is none."""
    return next(
        (value for key, value in source.items() if key.startswith(name) and key[len(name) :][:1].isupper()), None
    )


def extension(source: Json, url: str) -> str:
    """The value of an extension as text; empty when there is none."""
    found = (choice(each, "value") for each in source.get("extension", ()) if each["url"] == url)
    return text_of(next(found, None))


def text_of(value: object) -> str:
    """A primitive in its literal form; empty for None."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
