"""Each promise of DESIGN section 2 is kept by an issue, and is cited by a test once that issue is built."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tools.source_tree import parse, python_files, shown

# The promise and the issue that builds it ("later": none is filed for it yet); what is built must be cited.
BUILT_BY = {
    "R1": "A", "R2": "A", "R3": "A", "R4": "A", "R5": "A", "R6": "A",
    "L1": "A", "L2": "A", "L3": "B", "L4": "A", "L5": "A", "L6": "A", "L7": "B",
    "P1": "A", "P2": "A", "P3": "A", "P4": "A", "P5": "A", "P6": "later", "P7": "A",
    "U1": "A", "U2": "D", "U3": "D", "U4": "D",
}  # fmt: skip
BUILT_ISSUES = {"A"}
KEPT = [promise for promise, issue in BUILT_BY.items() if issue in BUILT_ISSUES]


def citations(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, promise) of each `pytest.mark.promise("R1", …)` in a test file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise":
            yield from ((node.lineno, ast.literal_eval(arg)) for arg in node.args)


CITED = [
    (f"{shown(path)}:{line}", promise) for path in python_files("tests") for line, promise in citations(parse(path))
]


@pytest.mark.parametrize("promise", KEPT)
def test_promise_is_cited(promise: str) -> None:
    assert [place for place, cited in CITED if cited == promise], f"no test cites {promise}"


def test_no_test_cites_a_promise_that_does_not_exist() -> None:
    assert [(place, promise) for place, promise in CITED if promise not in BUILT_BY] == []


def test_citations_are_read_from_decorators_and_module_marks() -> None:
    code = 'pytestmark = pytest.mark.promise("R1")\n\n@pytest.mark.promise("L1", "P5")\ndef test_x(): ...\n'
    assert [promise for _, promise in citations(ast.parse(code))] == ["R1", "L1", "P5"]
