"""Kinds of records have one name each, in English and in Welsh: where one chooses, signs, and checks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from salus.portal import signer, verifier
from salus.portal.pages.patient.choice_sentences import ALONE, CLASSES, LABELS
from salus.portal.words import words_of
from salus.sdk import choice_words

NAME: Final = re.compile(r'^  "((?:class|label)\.[A-Za-z]+)": "([^"]*)",$', re.MULTILINE)
OTHERS: Final = {f"label.{each}" for each in ("U", "L", "M", "N", "R", "V")}
"""Labels of confidentiality, which nobody chooses."""


def _chosen(language: str) -> dict[str, str]:
    """By which names people choose."""
    words = words_of(language)
    named = {f"class.{each}": name for each, name in (CLASSES | ALONE).items()}
    named |= {f"label.{each}": name for each, name in LABELS.items()}
    return {key: str(words(name)).replace("’", "'") for key, name in named.items()}


def _page(module: object, name: str) -> str:
    return (Path(str(module.__file__)).parent / "page" / name).read_text(encoding="utf-8")  # type: ignore[attr-defined]


@pytest.mark.parametrize("language", ["en", "cy"])
def test_whoever_signs_reads_the_names_by_which_they_chose(language: str) -> None:
    english, _, welsh = _page(signer, "strings.js").partition("const WELSH = {")
    signed = dict(NAME.findall(english if language == "en" else welsh))
    assert signed.pop("class.medicines") == words_of(language)(CLASSES["MedicationRequest"])
    assert {key: name for key, name in signed.items() if key not in OTHERS} == _chosen(language)


@pytest.mark.parametrize(("language", "place"), [("en", 0), ("cy", 1)])
def test_whoever_checks_a_receipt_reads_the_same_names(language: str, place: int) -> None:
    words = json.loads(_page(verifier, "words.json"))
    checked = {
        key: said[place].replace("’", "'") for key, said in words.items() if key.startswith(("class.", "label."))
    }
    assert {key: name for key, name in checked.items() if key not in OTHERS} == _chosen(language)


def test_the_command_line_says_the_same() -> None:
    said = {f"class.{each}": name for each, name in choice_words.CLASSES.items()}
    said |= {f"label.{each}": name for each, name in choice_words.LABELS.items()}
    assert {key: name for key, name in said.items() if key not in OTHERS} == _chosen("en")


def test_all_that_are_medicines_are_called_so_on_every_side() -> None:
    classes = [*choice_words.MEDICINES, "Encounter"]
    assert choice_words.classes_in_words(sorted(classes)) == "visits or medicines"
    assert choice_words.classes_in_words(["MedicationRequest"]) == "prescribed medicines"
