"""Walks find what FHIRPath finds: every parameter of every type, over every official example."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.fhirpath import Expression, Node, Surroundings, compile_expression, r4_types, root_of
from salus.clinical.fhir.fhirpath.nodes import identity
from salus.clinical.fhir.search.index import names, plan_of
from salus.clinical.fhir.search.parameters import parameters_of
from salus.clinical.fhir.search.references import target_of
from salus.clinical.fhir.search.walks import Walk, walks

MORE_THAN_WALKS = {("Bundle", "composition"), ("Bundle", "message"), ("Patient", "deceased")}


def resolved(reference: str) -> dict[str, Any] | None:
    """A resource of the type that a reference names, as far as a walk can know."""
    target = target_of(reference, "")
    return {"resourceType": target.type} if target is not None and target.type else None


@cache
def compiled(expression: str) -> Expression:
    return compile_expression(expression, r4_types())


def by_walks(found: list[Walk], content: dict[str, Any]) -> list[Node]:
    values = [(walk, value) for walk in found for value in walk.values(content)]
    return [Node(value, walk.type) for walk, value in values if walk.target is None or names(value, walk.target, "")]


def by_fhirpath(expression: str, content: dict[str, Any]) -> list[Node]:
    """What the expression gives, without primitives that have no value."""
    items = compiled(expression).items(root_of(content), around=Surroundings(resolve=resolved))
    return [each for each in items if each.value is not None]


def identities(found: list[Node]) -> set[Any]:
    """Each once by FHIRPath's equality, as its unions are; references inside the resource are in no index."""
    return {identity(each) for each in found if not (isinstance(each.value, dict) and is_inside(each.value))}


def is_inside(reference: dict[str, Any]) -> bool:
    return str(reference.get("reference", "")).startswith("#")


def test_which_parameters_are_more_than_walks() -> None:
    found = {(type_name, each.code) for type_name in r4().resource_types for each in plan_of(type_name).evaluated}
    assert found == MORE_THAN_WALKS


def test_walks_find_what_fhirpath_finds(shared_data: Path) -> None:
    compared = 0
    for file in sorted((shared_data / "fhir" / "r4-examples").glob("*.json")):
        content = json.loads(file.read_bytes())
        type_name = content["resourceType"]
        for parameter in parameters_of(type_name).values():
            found = walks(parameter.expression, type_name)
            if found is not None:
                expected = identities(by_fhirpath(parameter.expression, content))
                assert identities(by_walks(found, content)) == expected, (file.name, parameter.code)
                compared += bool(expected)
    assert compared > 2_000


@pytest.mark.parametrize("value", [1, "a", [], {}, [[]], [None, 1], {"code": None}, [[{"code": 1}]]])
def test_a_walk_through_any_shape(value: object) -> None:
    (walk,) = walks("Observation.component.code", "Observation") or ()
    assert walk.values({"component": value}) == []
    assert walk.values({"component": [value, {"code": {"text": "x"}}]}) == [{"text": "x"}]
