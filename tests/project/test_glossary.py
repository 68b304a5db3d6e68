"""GLOSSARY.md: one thing, one word (STYLE 1): each term once, in order; no contract speaks unexplained words."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from tools.source_tree import ROOT

GLOSSARY = ROOT / "GLOSSARY.md"
SPEC = ROOT / "docs" / "spec"
TERM = re.compile(r"^(?:[-*] )?\*\*([^*]+?)[.:]?\*\*", re.MULTILINE)


def terms(text: str) -> list[str]:
    """The bold words at the start of lines."""
    return TERM.findall(text)


def order_faults(words: list[str]) -> list[str]:
    """Terms that stand twice, or not after the one before them; case does not count."""
    folded = [word.casefold() for word in words]
    twice = [f"{word} stands twice" for word in sorted({word for word in folded if folded.count(word) > 1})]
    pairs = itertools.pairwise(folded)
    return twice + [f"{after} stands after {before}" for before, after in pairs if after < before]


def explained() -> str:
    """The glossary and the specification as one text."""
    pages: list[Path] = [GLOSSARY, *sorted(SPEC.rglob("*.md"))]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages if page.is_file())


@pytest.mark.skipif(not GLOSSARY.is_file(), reason="GLOSSARY.md is not written yet")
def test_terms_are_unique_and_sorted() -> None:
    found = terms(GLOSSARY.read_text(encoding="utf-8"))
    assert found
    assert order_faults(found) == []


@pytest.mark.skipif(not GLOSSARY.is_file(), reason="GLOSSARY.md is not written yet")
def test_every_message_and_outcome_of_a_contract_is_explained() -> None:
    from salus.contracts import CONTRACTS

    text = explained()
    kinds = {
        kind
        for contract in CONTRACTS
        for message, outcomes in contract.outcomes.items()
        for kind in (message, *outcomes)
    }
    names = sorted(kind.__name__ for kind in kinds)
    assert names
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (["Anchor", "block", "Custodian"], []),
        (["block", "anchor"], ["anchor stands after block"]),
        (["Anchor", "anchor"], ["anchor stands twice"]),
    ],
)
def test_order(words: list[str], want: list[str]) -> None:
    assert order_faults(words) == want


def test_terms_are_bold_at_the_line_start() -> None:
    assert terms("**permit**: what\n- **receipt.** see **permit**\ntext **not this**\n") == ["permit", "receipt"]
