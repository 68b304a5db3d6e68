"""Quick types accept only what the checks accept: with and without them every resource gets the same issues."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.validation import Validator
from salus.clinical.fhir.validation import shapes as shapes_module
from salus.clinical.fhir.validation.quick_types import QuickTypes
from salus.clinical.fhir.validation.terms import Terms

QUICK = ["Address", "Attachment", "CodeableConcept", "Coding", "ContactDetail", "HumanName", "Period"]
SEED = 20261128
ODD_VALUES: list[Any] = [
    None,
    "",
    " ",
    "a ",
    "<b>",
    "2023-02-30",
    0,
    -1,
    True,
    [],
    {},
    {"id": "a"},
    ["a", None],
    "\x00",
]


@pytest.fixture(scope="module")
def plain() -> Validator:
    """A validator without quick types."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes_module.QuickTypes, "of_type", lambda self, name: None)
        validator = Validator(r4(), with_invariants=False)
        for name in r4().resource_types:
            validator.validate({"resourceType": name, "id": "a"})  # compiles it
    return validator


@pytest.fixture(scope="module")
def quick() -> Validator:
    return Validator(r4(), with_invariants=False)


def test_these_types_are_quick() -> None:
    types = QuickTypes(r4(), Terms(r4()), others=frozenset({"Extension", "Reference"}))
    assert [name for name in QUICK if types.of_type(name) is None] == []
    assert [types.of_type(name) for name in ("Extension", "Reference", "Element", "string", "Patient", "none")] == [
        None
    ] * 6


texts = st.sampled_from(
    ["a", "a b", " a", "", "\t", "a\n", "<b>", "final", "2024", "2023-02-29", "http://loinc.org", "M"]
)
values = st.recursive(
    texts | st.none() | st.booleans() | st.integers(-1, 2) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["coding", "system", "code", "display", "text", "start", "id"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["code", "effectivePeriod", "valueCodeableConcept", "category", "note"]), values)
)
def test_any_value(plain: Validator, quick: Validator, more: dict[str, Any]) -> None:
    resource = {"resourceType": "Observation", "status": "final", **more}
    assert quick.validate(resource) == plain.validate(resource)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value where something else could be put."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from places(each)


def test_every_official_example_with_one_thing_changed(plain: Validator, quick: Validator, shared_data: Path) -> None:
    chance = random.Random(SEED)
    for file in sorted((shared_data / "fhir" / "r4-examples").glob("*.json")):
        sound = json.loads(file.read_bytes())
        for _ in range(3):
            resource = copy.deepcopy(sound)
            owner, key = chance.choice(list(places(resource)))
            owner[key] = chance.choice(ODD_VALUES)
            assert quick.validate(resource) == plain.validate(resource), f"{file.name}, seed {SEED}"
