"""The value of a resource as FHIR XML, in FHIR's order; `read_xml` reads the same value from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from xml.parsers import expat

from salus.clinical.fhir.exact_json import ExactDecimal
from salus.clinical.fhir.validation.narrative import NAMESPACE, with_characters
from salus.clinical.fhir.xml.faults import no_xml_form
from salus.clinical.fhir.xml.layouts import XHTML, Child, Layout, layouts

Json = dict[str, Any]

ESCAPED: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
TO_ESCAPE: Final = re.compile(r'[&<>"\t\n\r]')
NO_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # XML 1.0, 2.2


def write_xml(resource: Json) -> bytes:
    """Write one resource as `exact_json` reads it.

    Raises:
        FhirRejected: NO_XML_FORM, when the value has not the shape of its type or holds what XML cannot.
    """
    return b'<?xml version="1.0" encoding="UTF-8"?>' + "".join(of_resource(resource, "", is_root=True)).encode()


def of_resource(resource: object, place: str, *, is_root: bool) -> Iterator[str]:
    """A resource as an element of its type."""
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(resource, dict) or not isinstance(kind, str) or kind not in layouts().resource_types:
        raise no_xml_form("a resource of a type of R4", "another value", place)
    yield f'<{kind} xmlns="http://hl7.org/fhir">' if is_root else f"<{kind}>"
    yield from of_content(resource, layouts().of_type(kind), place or kind)
    yield f"</{kind}>"


def of_content(content: Json, layout: Layout, place: str) -> Iterator[str]:
    """The children of an object, in order."""
    names = dict.fromkeys(name.removeprefix("_") for name in content)
    found = []
    for name in names:
        child = layout.children.get(name)
        if child is not None:
            found.append(child)
        elif not (layout.is_resource and name == "resourceType"):
            raise no_xml_form(f"properties of {layout.path}", "another", place)
    for child in sorted(found, key=lambda each: each.order):
        if not child.is_attribute:
            yield from of_child(child, content, f"{place}.{child.name}")


def of_child(child: Child, owner: Json, place: str) -> Iterator[str]:
    """One child of an object, or all of its repetitions."""
    value, beside = owner.get(child.name), owner.get("_" + child.name)
    if not child.is_list:
        yield from of_one(child, value, beside, place)
        return
    values, others = value if value is not None else [], beside if beside is not None else []
    if not isinstance(values, list) or not isinstance(others, list):
        raise no_xml_form("an array", "another value", place)
    for index in range(max(len(values), len(others))):
        one = values[index] if index < len(values) else None
        other = others[index] if index < len(others) else None
        yield from of_one(child, one, other, f"{place}[{index}]")


def of_one(child: Child, value: object, beside: object, place: str) -> Iterator[str]:
    """One element."""
    if child.primitive == XHTML:
        yield of_narrative(value, place)
    elif child.primitive:
        yield from of_primitive(child, value, beside, place)
    elif not isinstance(value, dict) or beside is not None:
        raise no_xml_form("an object", "another value", place)
    elif child.layout is None:
        yield f"<{child.name}>"
        yield from of_resource(value, place, is_root=False)
        yield f"</{child.name}>"
    else:
        yield f"<{child.name}{attributes(value, child.layout, place)}>"
        yield from of_content(value, child.layout, place)
        yield f"</{child.name}>"


def of_primitive(child: Child, value: object, beside: object, place: str) -> Iterator[str]:
    """A value with its id and extensions."""
    if not isinstance(beside, dict | None) or isinstance(value, dict | list):
        raise no_xml_form("a value, with an object beside it at most", "another", place)
    layout = layouts().of_type("Element")
    inside = "".join(of_content(beside, layout, place)) if beside else ""
    said = "" if value is None else f' value="{text_of(value, place)}"'
    yield f"<{child.name}{attributes(beside or {}, layout, place)}{said}"
    yield f">{inside}</{child.name}>" if inside else "/>"


def attributes(content: Json, layout: Layout, place: str) -> str:
    """What stands in attributes: ids of elements, addresses of extensions."""
    found = ((name, content[name]) for name, child in layout.children.items() if child.is_attribute and name in content)
    said = []
    for name, value in found:
        if not isinstance(value, str):
            raise no_xml_form("text", "another value", f"{place}.{name}")
        said.append(f' {name}="{text_of(value, place)}"')
    return "".join(said)


def text_of(value: object, place: str) -> str:
    """A primitive as the text of an attribute."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, ExactDecimal):
        return value.literal
    if not isinstance(value, str):
        return str(value)
    if NO_CHARACTER.search(value):
        raise no_xml_form("characters that XML has", "another", place)
    return TO_ESCAPE.sub(lambda found: ESCAPED[found[0]], value)


def of_narrative(value: object, place: str) -> str:
    """Narrative as it is, after it was seen to be one element that XML can hold, and nothing else."""
    if not isinstance(value, str):
        raise no_xml_form("text", "another value", place)
    div = with_characters(value.strip())
    isfinal = True
    opened: list[str] = []
    parser = expat.ParserCreate(None, " ")
    parser.StartElementHandler = lambda name, _: opened.append(name)

    def refuse(*_: object) -> None:
        raise no_xml_form("narrative without document type and instructions", "one", place)

    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = parser.XmlDeclHandler = refuse
    try:
        parser.Parse(div, isfinal)
    except expat.ExpatError:
        raise no_xml_form("narrative that is well formed", "other text", place) from None
    if opened[0] != f"{NAMESPACE} div" or not div.startswith("<div"):
        raise no_xml_form("a div in the namespace of XHTML", "another element", place)
    return div
