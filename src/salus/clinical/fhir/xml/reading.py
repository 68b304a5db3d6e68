"""FHIR XML to the value that the same resource has in JSON.

1. The bytes are within the limit and say of themselves, or do not deny, that they are UTF-8.
2. Expat reads them with handlers that stop at a document type, an entity or an instruction.
3. Each element that opens is looked up in the layout of its parent, in FHIR's order; it becomes a frame on the stack.
4. Each element that closes is put into its parent's object: a value, an object, or the `_name` beside a value.
5. Narrative is not taken apart: its bytes are the value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

from salus.clinical.fhir.exact_json import ExactDecimal
from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.fhir.strict_json import DEPTH_MAX, DIGITS_MAX
from salus.clinical.fhir.xml.faults import forbidden, not_fhir, not_xml
from salus.clinical.fhir.xml.layouts import XHTML, Child, Layout, Layouts, layouts

XML_BYTES_MAX: Final = 50_000_000
FHIR: Final = "http://hl7.org/fhir "
XHTML_SPACE: Final = "http://www.w3.org/1999/xhtml "
SCHEMA_SPACE: Final = "http://www.w3.org/2001/XMLSchema-instance "
NARRATIVE_DEPTH_MAX: Final = 64
INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
WHOLE_NUMBERS: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
DIV: Final = re.compile(rb"<div(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>")

Json = dict[str, Any]


@dataclass(slots=True)
class Frame:
    """An element that is open.

    Args:
        child: what it is to its parent; None for a resource inside a container.
        layout: of its children; None for a container that waits for its resource.
        content: what it holds so far, as in JSON.
        value: of a primitive, its literal.
        order: the place of the last child, which no later one may precede.
    """

    child: Child | None
    layout: Layout | None
    content: Json = field(default_factory=dict)
    value: str | None = None
    order: int = -1


def read_xml(source: bytes, *, in_order: bool = False) -> Json:
    """Read one resource.

    Args:
        source: the document.
        in_order: whether elements must stand in the order of their type. Nothing is lost when they do not, and
            published examples break it; but FHIR asks for it, so validation does.

    Raises:
        FhirRejected: TOO_LARGE, NOT_XML, XML_FORBIDDEN, NOT_FHIR_XML, TOO_DEEP, NO_RESOURCE_TYPE.
    """
    if len(source) > XML_BYTES_MAX:  # 1
        expected, came = f"at most {XML_BYTES_MAX:,} bytes of XML", f"{len(source):,}"
        raise FhirRejected(Fault.TOO_LARGE, expected=expected, came=came, hint="send it in parts")
    try:
        source.decode("utf-8")
    except UnicodeDecodeError:
        raise not_xml("bytes that are not UTF-8") from None
    return Reader(source, layouts(), in_order=in_order).read()


class Reader:
    """Reads one document."""

    def __init__(self, source: bytes, table: Layouts, *, in_order: bool) -> None:
        self._source, self._table, self._in_order = source, table, in_order
        self._stack: list[Frame] = []
        self._done: Json | None = None
        self._narrative_from = -1
        self._narrative_depth = 0
        self._parser = parser = expat.ParserCreate("utf-8", " ")
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = lambda *_: self._forbid("a document type")
        parser.EntityDeclHandler = lambda *_: self._forbid("an entity")
        parser.ProcessingInstructionHandler = lambda *_: self._forbid("a processing instruction")
        parser.XmlDeclHandler = self._declaration

    def read(self) -> Json:
        """The resource."""
        isfinal = True
        try:
            self._parser.Parse(self._source, isfinal)  # 2
        except expat.ExpatError as error:
            raise not_xml(expat.ErrorString(error.code), f"line {error.lineno}") from None
        assert self._done is not None, "a document that is well formed has one element"
        return self._done

    def _line(self) -> str:
        return f"line {self._parser.CurrentLineNumber}"

    def _forbid(self, came: str) -> None:
        raise forbidden(came, self._line())

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            raise not_xml("another encoding", self._line())

    # --- 3: an element opens -----------------------------------------------------------------------------------------

    def _start(self, name: str, attributes: list[str]) -> None:
        if self._narrative_depth:
            self._narrative_depth += 1
            if not name.startswith(XHTML_SPACE) or self._narrative_depth > NARRATIVE_DEPTH_MAX:
                raise not_fhir("XHTML inside narrative", "another namespace, or too many levels", self._line())
            return
        if len(self._stack) >= 2 * DEPTH_MAX:
            raise FhirRejected(Fault.TOO_DEEP, expected="fewer levels of elements", came="more", hint="flatten it")
        frame = self._opened(name)
        if frame is None:
            return
        self._attributes(frame, attributes)
        self._stack.append(frame)

    def _opened(self, name: str) -> Frame | None:
        parent = self._stack[-1] if self._stack else None
        if parent is None or parent.layout is None:
            return self._resource(name, parent)
        child = parent.layout.children.get(name.removeprefix(FHIR).removeprefix(XHTML_SPACE))
        if child is None or child.is_attribute or (child.primitive == XHTML) != name.startswith(XHTML_SPACE):
            raise not_fhir(f"elements of {parent.layout.path}", "another", self._line())
        if not name.startswith((FHIR, XHTML_SPACE)):
            raise not_fhir("the namespace of FHIR", "another", self._line())
        if self._in_order and child.order < parent.order:
            raise not_fhir(f"the elements of {parent.layout.path} in FHIR's order", "one too late", self._line())
        if child.name in parent.content and not child.is_list:
            raise not_fhir(f"{parent.layout.path}.{child.name} once", "it again", self._line())
        parent.order = child.order
        if child.primitive == XHTML:
            self._narrative_from, self._narrative_depth = self._parser.CurrentByteIndex, 1
            return None
        layout = self._table.of_type("Element") if child.primitive else child.layout
        return Frame(child, layout)

    def _resource(self, name: str, parent: Frame | None) -> Frame:
        kind = name.removeprefix(FHIR)
        if not name.startswith(FHIR) or kind not in self._table.resource_types:
            raise not_fhir("the element of a resource in the namespace of FHIR", "another", self._line())
        if parent is not None and parent.content:
            raise not_fhir("one resource", "another beside it", self._line())
        return Frame(None, self._table.of_type(kind), {"resourceType": kind})

    def _attributes(self, frame: Frame, attributes: list[str]) -> None:
        for name, value in zip(attributes[::2], attributes[1::2], strict=True):
            if frame.child is not None and frame.child.primitive and name == "value":
                frame.value = value
            elif frame.layout is not None and (found := frame.layout.children.get(name)) and found.is_attribute:
                frame.content[name] = value
            elif not name.startswith(SCHEMA_SPACE) or len(self._stack) > 0:
                raise not_fhir("attributes that the element has in FHIR", "another", self._line())

    # --- 4: an element closes ----------------------------------------------------------------------------------------

    def _end(self, _name: str) -> None:
        if self._narrative_depth:
            self._narrative_depth -= 1
            if self._narrative_depth == 0:
                self._end_narrative()
            return
        frame = self._stack.pop()
        if not self._stack:
            self._done = frame.content
        elif frame.child is None:
            self._stack[-1].content = frame.content
        else:
            put(self._stack[-1].content, frame)

    def _end_narrative(self) -> None:  # 5
        tag = DIV.match(self._source, self._narrative_from)
        if tag is None or b"xmlns" not in tag[0]:
            raise not_fhir("a div that states the namespace of XHTML itself, without a prefix", "another", self._line())
        is_empty = tag[0].endswith(b"/>")
        end = tag.end() if is_empty else self._source.index(b">", self._parser.CurrentByteIndex) + 1
        self._stack[-1].content["div"] = self._source[self._narrative_from : end].decode("utf-8")

    def _text(self, text: str) -> None:
        if not self._narrative_depth and not text.isspace():
            raise not_fhir("values in attributes", "text between elements", self._line())


def put(owner: Json, frame: Frame) -> None:
    """Put a closed element into its owner's object."""
    child = frame.child
    assert child is not None, "resources in containers are put elsewhere"
    if not child.primitive:
        if child.is_list:
            owner.setdefault(child.name, []).append(frame.content)
        else:
            owner[child.name] = frame.content
        return
    value = None if frame.value is None else literal(frame.value, child.primitive)
    if child.is_list:
        put_listed(owner, child.name, value, frame.content or None)
        return
    if value is not None:
        owner[child.name] = value
    if frame.content or value is None:
        owner["_" + child.name] = frame.content


def put_listed(owner: Json, name: str, value: object, beside: Json | None) -> None:
    """Append a repeated primitive; `_name` has null wherever only the value is there, and the other way round."""
    values, others = owner.get(name, []), owner.get("_" + name, [])
    count = max(len(values), len(others))
    if value is not None or values:
        owner[name] = [*values, *[None] * (count - len(values)), value]
    if beside is not None or others or value is None:
        owner["_" + name] = [*others, *[None] * (count - len(others)), beside]


def literal(text: str, kind: str) -> object:
    """The JSON value of a literal; one that JSON has no such value for stays text."""
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind in WHOLE_NUMBERS:
        return int(text) if INTEGER.fullmatch(text) and text != "-0" else text
    if kind == "decimal" and len(text) <= DIGITS_MAX and DECIMAL.fullmatch(text):
        return int(text) if INTEGER.fullmatch(text) and text != "-0" else ExactDecimal(text)
    return text
