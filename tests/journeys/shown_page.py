"""What a page says and asks for in a browser without JavaScript: its words, links, buttons and fields, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
UNSHOWN = frozenset(("head", "script", "style", "template", "svg"))
INLINE = frozenset(("a", "b", "em", "i", "span", "strong"))
FIELDS = ("input", "select", "textarea")
BY_SCRIPT = ("data-passkey", "data-push")
"""Forms that only a script fills in."""


@dataclass(eq=False)
class Element:
    """A part of a page."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None
    inside: list[Element | str] = field(default_factory=list)

    def all(self, *tags: str) -> Iterator[Element]:
        """Go through what is inside, of these tags, from top to bottom."""
        for each in self.inside:
            if isinstance(each, Element):
                if not tags or each.tag in tags:
                    yield each
                yield from each.all(*tags)

    def around(self, *tags: str) -> Element | None:
        """Return the nearest part of these tags that this one stands in, which may be itself; None: there is none."""
        at: Element | None = self
        while at is not None and at.tag not in tags:
            at = at.parent
        return at

    def get(self, name: str) -> str:
        """Return an attribute, empty without it."""
        return self.attributes.get(name, "")

    def is_shown(self) -> bool:
        """Tell whether people see it."""
        if "hidden" in self.attributes or self.tag in UNSHOWN or self.get("type") == "hidden":
            return False
        return self.parent is None or self.parent.is_shown()

    def words(self, *, for_eyes: bool = False) -> str:
        """Return what is read aloud, or only what is seen."""
        return re.sub(r"\s+", " ", "".join(self._pieces(for_eyes=for_eyes))).strip()

    def _pieces(self, *, for_eyes: bool) -> Iterator[str]:
        around = "" if self.tag in INLINE else " "
        yield around + self.get("alt")
        for each in self.inside:
            if isinstance(each, str):
                yield each
            elif each.is_shown() and not (for_eyes and "nhsuk-u-visually-hidden" in each.get("class")):
                yield from each._pieces(for_eyes=for_eyes)
        yield around


class _Reading(HTMLParser):
    """Builds the tree of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.top = self.at = Element("", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.inside.append(made)
        if tag not in VOID:
            self.at = made

    def handle_endtag(self, tag: str) -> None:
        ended = self.at.around(tag)
        if ended is not None and ended.parent is not None:
            self.at = ended.parent

    def handle_data(self, data: str) -> None:
        self.at.inside.append(data)


class ShownPage:
    """A page as it came, and what somebody has filled in on it."""

    def __init__(self, text: str) -> None:
        reading = _Reading()
        reading.feed(text)
        reading.close()
        self.top = reading.top
        self.files: dict[Element, tuple[str, bytes, str]] = {}

    def shown(self, *tags: str) -> list[Element]:
        """Return all parts of these tags that people see."""
        return [each for each in self.top.all(*tags) if each.is_shown()]

    def heading(self) -> str:
        """Return what the page is called; there is one such heading."""
        (found,) = self.shown("h1")
        return found.words()

    def words(self) -> str:
        """Return all that the page says."""
        return self.top.words()

    def named(self, name: str, *tags: str, within: str = "") -> Element:
        """Return the first part of these tags with this name, or that shows it.

        Args:
            within: words that stand in the same item of a list, row or section.
        """
        found = [each for each in self.shown(*tags) if name in (each.words(), each.words(for_eyes=True))]
        near = [each for each in found if not within or within in _item(each).words()]
        assert near, f"no {tags} {name!r} {within!r} among {[each.words() for each in self.shown(*tags)]}"
        return near[0]

    def field(self, label: str, *, group: str = "") -> Element:
        """Return the field of a label, in the group that has this legend."""
        said = [each for each in self.shown("label") if each.words() == label]
        near = [each for each in said if not group or group == _legend(each)]
        assert near, f"no field {label!r} {group!r} among {[each.words() for each in self.shown('label')]}"
        (found,) = [each for each in self.shown(*FIELDS) if each.get("id") == near[0].get("for")]
        return found

    def sends(self, form: Element, pressed: Element) -> list[tuple[str, str]]:
        """Return what a form sends when a button of it is pressed (HTML 4.10.21.4); files are apart."""
        sent = []
        for each in form.all(*FIELDS, "button"):
            if each.get("name") and "disabled" not in each.attributes:
                sent += [(each.get("name"), value) for value in _values(each, is_pressed=each is pressed)]
        return sent

    def faults(self) -> list[str]:
        """Return what is shown as though it worked, though only a script makes it work."""
        found = [f"{each.tag} with {name}" for each in self.top.all() for name in each.attributes if name[:2] == "on"]
        found += [f"a button of no form: {each.words()}" for each in self.shown("button") if not _submits(each)]
        found += [f"a field of no form: {each.get('id')}" for each in self.shown(*FIELDS) if not _is_of_form(each)]
        found += [f"a form for a script: {each.get('action')}" for each in self.shown("form") if _is_by_script(each)]
        found += [f"a link to nowhere: {each.words()}" for each in self.shown("a") if self._is_dead(each)]
        waits = [each for each in self.top.all() if each.get("hx-trigger").startswith(("every", "load"))]
        return found + [f"nothing but a script asks {each.get('hx-get')}" for each in waits if not _has_link(each)]

    def _is_dead(self, link: Element) -> bool:
        href = link.get("href")
        if href.startswith("#"):
            return not any(each.get("id") == href[1:] for each in self.top.all() if each.get("id"))
        return urlsplit(href).scheme not in ("", "https", "data") or not href


def choose(option: Element) -> None:
    """Mark one of a group, of which only one is marked."""
    form = option.around("form")
    assert form is not None, "a choice stands in a form"
    for each in form.all("input"):
        if each.get("type") == "radio" and each.get("name") == option.get("name"):
            each.attributes.pop("checked", None)
    option.attributes["checked"] = ""


def _values(control: Element, *, is_pressed: bool) -> list[str]:
    kind = control.get("type")
    if control.tag == "button":
        return [control.get("value")] if is_pressed else []
    if control.tag == "textarea":
        written = control.attributes.get("value", "".join(each for each in control.inside if isinstance(each, str)))
        return [written.removeprefix("\n").replace("\n", "\r\n")]
    if control.tag == "select":
        options = list(control.all("option"))
        chosen = [each for each in options if "selected" in each.attributes] or options[:1]
        return [each.attributes.get("value", each.words()) for each in chosen[-1:]]
    if kind in ("radio", "checkbox"):
        return [control.attributes.get("value", "on")] if "checked" in control.attributes else []
    return [] if kind in ("file", "submit", "button") else [control.get("value")]


def _item(part: Element) -> Element:
    """Return what somebody takes as one thing: an item of a list, a row, a section; else the page."""
    around = part.around("li", "tr", "section", "main", "")
    assert around is not None, "all stands in the page"
    return around


def _legend(part: Element) -> str:
    group = part.around("fieldset")
    legends = list(group.all("legend")) if group is not None else []
    return legends[0].words() if legends else ""


def _submits(button: Element) -> bool:
    return button.get("type") in ("", "submit") and button.around("form") is not None


def _is_of_form(control: Element) -> bool:
    form = control.around("form")
    return "readonly" in control.attributes or (form is not None and any(map(_submits, form.all("button"))))


def _is_by_script(form: Element) -> bool:
    return any(each in form.attributes for each in BY_SCRIPT)


def _has_link(part: Element) -> bool:
    return any(each.is_shown() and each.get("href") for each in part.all("a"))
