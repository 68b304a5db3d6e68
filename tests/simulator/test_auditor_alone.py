"""The auditor stands alone: it imports nothing of what it checks."""

import ast

import pytest

from tools.source_tree import imported_modules, parse, python_files, shown

FILES = [path for path in python_files("src/salus/testing") if path.parent.name == "auditor"]
OURS = ("salus.testing.auditor", "salus.crypto.signing")
"""Signatures are checked by the one library that may (DESIGN §4); all else is its own."""


def test_there_are_files() -> None:
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_imports(path) -> None:
    tree: ast.Module = parse(path)
    foreign = [name for _, name in imported_modules(tree) if name.startswith("salus") and not name.startswith(OURS)]
    assert foreign == []
    assert "msgspec" not in {name.partition(".")[0] for _, name in imported_modules(tree)}
