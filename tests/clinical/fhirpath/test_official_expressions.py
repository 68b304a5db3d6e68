"""Every expression that R4's invariants and search parameters use, over every official example."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.fhirpath import Expression, Node, compile_expression, r4_types, root_of
from salus.clinical.fhir.fhirpath.nodes import children

# Of R4B, which the package has beside R4: it names types that R4 does not have.
NOT_OF_R4 = {"dom-r4b"}
# What the examples themselves break: rules of best practice, which are warnings.
WARNINGS = {"dom-6"}


@cache
def compiled(expression: str) -> Expression:
    return compile_expression(expression, r4_types())


@pytest.fixture(scope="module")
def invariants() -> dict[str, list[tuple[str, Expression]]]:
    """The compiled invariants of each type and inner path."""
    found: dict[str, list[tuple[str, Expression]]] = {}
    structures = [structure for url in r4().structure_urls if (structure := r4().structure(url)) is not None]
    for structure in structures:
        for element in () if structure.is_profile else structure.elements:
            rules = [each for each in element.invariants if each.key not in NOT_OF_R4]
            found[element.path] = [(each.key, compiled(each.expression)) for each in rules]
    return found


@pytest.fixture(scope="module")
def examples(shared_data: Path) -> list[dict[str, object]]:
    return [json.loads(file.read_bytes()) for file in sorted((shared_data / "fhir" / "r4-examples").glob("*.json"))]


def elements(node: Node, resource: Node, root: Node) -> Iterator[tuple[Node, Node, Node]]:
    """Each element with the resource in which it stands, and what contains that."""
    yield node, resource, root
    for child in children(node, r4_types()):
        if isinstance(child.value, dict) and "resourceType" in child.value:
            yield from elements(child, child, root if child.key == "contained" else child)
        elif isinstance(child.value, dict) or child.type == "xhtml":
            yield from elements(child, resource, root)


def test_invariants(invariants: dict[str, list[tuple[str, Expression]]], examples: list[dict[str, object]]) -> None:
    assert len(examples) > 300
    broken: Counter[str] = Counter()
    evaluated = 0
    for content in examples:
        whole = root_of(content)
        for node, resource, root in elements(whole, whole, whole):
            for key, expression in invariants.get(node.type or "", ()):
                evaluated += 1
                broken[key] += expression.verdict(node, resource=resource, root=root) is False
    assert {key for key, count in broken.items() if count} == WARNINGS
    assert evaluated > 20_000


def test_search_parameters(examples: list[dict[str, object]]) -> None:
    texts = {parameter.expression for parameter in r4().search_parameters} - {""}
    expressions = [compiled(text) for text in sorted(texts)]
    assert len(expressions) > 1_200
    found = sum(len(each.items(root_of(content))) for content in examples[::4] for each in expressions)
    assert found > 1_000


def test_a_broken_invariant_is_seen(invariants: dict[str, list[tuple[str, Expression]]]) -> None:
    period = Node({"start": "2020-05", "end": "2020-04"}, "Period")
    assert {key: expression.verdict(period) for key, expression in invariants["Period"]} == {
        "ele-1": True,
        "per-1": False,
    }
