"""Narrative: XHTML that shows text and does nothing else (txt-1, txt-2; FHIR R4 2.26.0.4).

Promises: no document type, no entity of one, no script, no style sheet, no frame passes; depth and size are bounded.
"""

from __future__ import annotations

import re
from html.entities import name2codepoint
from typing import Final
from xml.parsers import expat

NAMESPACE: Final = "http://www.w3.org/1999/xhtml"
DEPTH_MAX: Final = 64
ELEMENTS: Final = frozenset(
    (
        *("a", "abbr", "acronym", "b", "big", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd"),
        *("dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li", "map", "area"),
        *("ol", "p", "pre", "q", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot"),
        *("th", "thead", "tr", "tt", "ul", "var", "address", "bdo", "del", "ins", "kbd"),
    )
)
ATTRIBUTES: Final = frozenset(
    (
        *("title", "style", "class", "id", "lang", "xml:lang", "dir", "accesskey", "tabindex", "name", "href", "rel"),
        *("rev", "charset", "type", "hreflang", "src", "alt", "longdesc", "height", "width", "usemap", "ismap"),
        *("cite", "datetime", "span", "align", "char", "charoff", "valign", "summary", "border", "frame", "rules"),
        *("cellspacing", "cellpadding", "abbr", "axis", "headers", "scope", "rowspan", "colspan", "shape", "coords"),
        *("xml:space", "nowrap", "bgcolor", "value", "start", "clear", "size", "noshade", "color", "face", "compact"),
    )
)
LINKS: Final = frozenset({"href", "src", "cite", "longdesc"})
SCHEMES: Final = ("javascript:", "vbscript:", "data:text", "urn:")
VISIBLE: Final = frozenset({"img"})
ENTITY: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,15});")
CHARACTERS: Final = {
    name: chr(point) for name, point in name2codepoint.items() if name not in ("amp", "lt", "gt", "quot")
}


class NotNarrative(Exception):
    """The first thing that is wrong: the key of its rule, and what was expected."""

    def __init__(self, rule: str, expected: str) -> None:
        super().__init__(expected)
        self.rule = rule


class Reader:
    """Walks one narrative; `has_content` once it showed anything."""

    def __init__(self) -> None:
        self.has_content = False
        self.depth = 0

    def start(self, name: str, attributes: list[str]) -> None:
        """An element opens; `attributes` are names and values by turns."""
        self.depth += 1
        named = dict(zip(attributes[::2], attributes[1::2], strict=True))
        if self.depth > DEPTH_MAX:
            raise NotNarrative("txt-1", f"at most {DEPTH_MAX} levels of elements")
        if self.depth == 1 and (name != "div" or named.get("xmlns") != NAMESPACE):
            raise NotNarrative("txt-1", "a div in the namespace of XHTML")
        if name not in ELEMENTS:
            raise NotNarrative("txt-1", "only elements that format text, show images or link")
        self.has_content = self.has_content or name in VISIBLE
        for attribute, value in named.items():
            self.attribute(attribute, value)

    def attribute(self, name: str, value: str) -> None:
        """One attribute of an element."""
        if name == "xmlns":
            if value != NAMESPACE:
                raise NotNarrative("txt-1", "only the namespace of XHTML")
        elif name not in ATTRIBUTES:
            raise NotNarrative("txt-1", "only attributes that format text, show images or link")
        if name in LINKS and value.strip().lower().startswith(SCHEMES):
            raise NotNarrative("xhtml-link", "links that can be followed: http, https, mailto, or to a fragment")

    def end(self, _name: str) -> None:
        """An element closes."""
        self.depth -= 1

    def text(self, data: str) -> None:
        """Text between elements."""
        self.has_content = self.has_content or not data.isspace()

    def refuse(self, *_: object) -> None:
        """A document type, or an instruction to a program."""
        raise NotNarrative("txt-1", "no document type and no processing instruction")


def check(div: str) -> None:
    """Check one narrative. Raises NotNarrative with the first thing that is wrong."""
    reader, isfinal = Reader(), True
    try:
        parser_for(reader).Parse(with_characters(div.strip()), isfinal)
    except expat.ExpatError as error:
        raise NotNarrative("txt-1", "XHTML that is well formed") from error
    if not reader.has_content:
        raise NotNarrative("txt-2", "some content that is not white space")


def parser_for(reader: Reader) -> expat.XMLParserType:
    """A parser that tells the reader what it meets."""
    parser = expat.ParserCreate()
    parser.ordered_attributes = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = reader.refuse
    return parser


def with_characters(div: str) -> str:
    """The text with the characters that XHTML's own entities name, which XML does not know (R4 2.26.0.4)."""
    return ENTITY.sub(lambda found: CHARACTERS.get(found[1], found[0]), div) if "&" in div else div
