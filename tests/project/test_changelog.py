"""Changelog fragments: named for an issue and a change, and short."""

from __future__ import annotations

import re

from tools.source_tree import ROOT

FRAGMENT = re.compile(r"^\d+-[a-z0-9-]+\.md$")
WORDS_MAX = 120


def test_fragments_are_named_and_short() -> None:
    fragments = [path for path in sorted((ROOT / "changelog.d").iterdir()) if path.name != "README.md"]
    assert [path.name for path in fragments if not FRAGMENT.match(path.name)] == []
    sizes = {path.name: len(path.read_text(encoding="utf-8").split()) for path in fragments}
    assert {name: size for name, size in sizes.items() if not 0 < size <= WORDS_MAX} == {}
