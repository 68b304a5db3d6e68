"""What the portal says: plain enough, in Welsh where patients read, and with links that lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from salus.portal import rendering
from salus.portal.call import Person
from salus.portal.pages import PAGES
from salus.portal.words import PLACE

PORTAL = rendering.HERE
METHODS = [("pages/**.py", "python"), ("layouts/**.html", "jinja2"), ("components/**.html", "jinja2")]
METHODS += [("pages/**.html", "jinja2"), ("words.py", "python"), ("*.py", "python")]
KEYWORDS = {"_": None, "words": None, "gettext": None, "self": None, "many": (1, 2), "ngettext": (1, 2)}
WELSH = ("layouts/", "components/", "pages/entrance/", "pages/helping/", "pages/patient/")
WELSH += ("words.py", "app.py", "telling.py")
"""Where patients read."""
GRADE_MAX = 7.0
"""Flesch-Kincaid: what somebody of twelve reads; the service manual aims at nine to eleven for the whole of a page."""
LINK = re.compile(r'(?:href|action)="(/[^"{?#]*)')


def messages() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Every sentence, with the file that says it."""
    for name, _line, message, _comments, _context in extract_from_dir(PORTAL, METHODS, keywords=KEYWORDS):
        yield Path(name).as_posix(), message
    for page in PAGES:
        if page.listed and page.person in (Person.PATIENT, Person.SIGNED_IN, Person.ANYBODY):
            yield "pages/patient/", page.listed


def welsh() -> Catalog:
    with (PLACE / "cy.po").open("rb") as file:
        return read_po(file, locale="cy")


SAID = sorted({(name, message) for name, message in messages() if message}, key=str)


@pytest.mark.promise("U4")
def test_everything_that_patients_read_is_there_in_welsh() -> None:
    catalog = welsh()
    missing = []
    for name, message in SAID:
        if name.startswith(WELSH):
            found = catalog.get(message if isinstance(message, str) else message[0])
            forms = () if found is None else (found.string,) if isinstance(found.string, str) else found.string
            if found is None or found.fuzzy or not forms or not all(forms):
                missing.append((name, message))
    assert missing == []


def test_a_translation_has_the_same_places_for_names_and_numbers() -> None:
    for message in welsh():
        if message.id:
            ids, strings = (each if isinstance(each, tuple) else (each,) for each in (message.id, message.string))
            wanted = set(re.findall(r"%\(\w+\)[sd]", "".join(ids)))
            assert all(set(re.findall(r"%\(\w+\)[sd]", each)) <= wanted for each in strings), message.id


@pytest.mark.promise("U2")
def test_sentences_are_plain() -> None:
    """Whole pages are read, not words: sentences of six words or more, all together and each."""
    sentences = [each for _name, message in SAID for each in ((message,) if isinstance(message, str) else message)]
    long = [each for each in sentences if len(words_of(each)) >= 6]
    assert grade(" ".join(f"{each.rstrip('.?!')}." for each in long)) <= GRADE_MAX
    assert [each for each in long if grade(each) > 2 * GRADE_MAX] == []


def grade(text: str) -> float:
    """Flesch-Kincaid grade level (Kincaid et al., 1975), with syllables counted as groups of vowels."""
    found = words_of(text)
    sentences = max(1, len(re.findall(r"[.?!:](?:\s|$)", text)))
    syllables = sum(max(1, len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", each.lower())))) for each in found)
    return 0.39 * len(found) / sentences + 11.8 * syllables / max(1, len(found)) - 15.59


def words_of(text: str) -> list[str]:
    return re.findall(r"[A-Za-z’']+", re.sub(r"%\(\w+\)[sd]", "Name", text))


def test_every_link_in_a_template_leads_to_a_page() -> None:
    known = [re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(each.path)) + "/?") for each in PAGES]
    known += [re.compile(r"/theme\.css"), re.compile(r"/check/?.*")]
    for template in sorted(PORTAL.rglob("*.html")):
        if "signer" not in template.parts and "verifier" not in template.parts:
            for link in LINK.findall(template.read_text(encoding="utf-8")):
                assert any(each.fullmatch(link) or link.endswith("/") for each in known), f"{template.name}: {link}"
