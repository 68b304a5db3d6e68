"""Whether a narrative is XHTML that FHIR allows: known elements and attributes, nothing active, something to read.

Source: FHIR R4 2.4 (Narrative), invariants txt-1 and txt-2. Never resolves an entity of its own: a document type
declaration is refused before any would be.
"""

from __future__ import annotations

import re
from html.entities import html5
from xml.parsers import expat

ELEMENTS = frozenset(
    (
        *("a", "abbr", "acronym", "b", "big", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd"),
        *("del", "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "li"),
        *("map", "area", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup"),
        *("table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var", "kbd", "center", "font"),
    )
)
ATTRIBUTES = frozenset(
    (
        *("abbr", "accesskey", "align", "alt", "axis", "bgcolor", "border", "cellhalign", "cellpadding", "cellspacing"),
        *("cellvalign", "char", "charoff", "charset", "cite", "class", "color", "colspan", "compact", "coords", "dir"),
        *(
            "face",
            "frame",
            "headers",
            "height",
            "href",
            "hreflang",
            "hspace",
            "id",
            "ismap",
            "lang",
            "longdesc",
            "name",
        ),
        *("nowrap", "rel", "rev", "rowspan", "rules", "scope", "shape", "size", "span", "src", "start", "style"),
        *("summary", "tabindex", "target", "title", "type", "usemap", "valign", "value", "vspace", "width", "xml:lang"),
        *("xmlns", "xml:space", "clear", "datetime"),
    )
)
ACTIVE = re.compile(r"\s*(?:javascript|vbscript|data(?!:image/))", re.IGNORECASE)
NAMESPACE = "http://www.w3.org/1999/xhtml"
DEPTH_MAX = 128
NAMED = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
XML_OWN = frozenset(("amp", "lt", "gt", "quot", "apos"))


class NotAllowed(ValueError):
    """Something that a narrative must not have."""


class Reading:
    """What was seen of a narrative."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.depth = 0
        self.has_content = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if self.depth == 0 and (name != "div" or attributes.get("xmlns") != NAMESPACE):
            raise NotAllowed
        self.depth += 1
        if self.depth > DEPTH_MAX or name not in ELEMENTS or not ATTRIBUTES.issuperset(attributes):
            raise NotAllowed
        if any(ACTIVE.match(attributes.get(each, "")) for each in ("href", "src")):
            raise NotAllowed
        self.has_content = self.has_content or name == "img"

    def end(self, name: str) -> None:
        """An element ends."""
        self.depth -= 1

    def text(self, data: str) -> None:
        """Text between elements."""
        self.has_content = self.has_content or not data.isspace()

    def refuse(self, *found: object) -> int:
        """A declaration or an instruction."""
        raise NotAllowed


def is_safe_narrative(whole: str) -> bool:
    """Whether this is a `div` of XHTML with allowed content only."""
    reading = Reading()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.StartDoctypeDeclHandler = reading.refuse
    parser.ProcessingInstructionHandler = reading.refuse
    try:
        parser.Parse(NAMED.sub(by_number, whole).encode("utf-8"), True)  # noqa: FBT003 (expat takes it by place only)
    except (expat.ExpatError, NotAllowed, UnicodeEncodeError):
        return False
    return reading.has_content


def by_number(match: re.Match[str]) -> str:
    """An entity of HTML as a character; one that HTML does not have stays and is refused by the parser."""
    return match[0] if match[1] in XML_OWN else html5.get(f"{match[1]};", match[0])
