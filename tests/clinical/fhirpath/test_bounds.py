"""Expressions and strings that would take for ever: each ends soon, or is refused with its code."""

from __future__ import annotations

import time
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.fhirpath import Node, PathFault, PathRejected, Types, compile_expression, r4_types, root_of
from salus.clinical.fhir.fhirpath.tokens import EXPRESSION_CHARS_MAX

SECONDS_MAX = 10  # a second or two on a quiet machine
WIDE = {"resourceType": "Bundle", "entry": [{"fullUrl": f"urn:{each}"} for each in range(3_000)]}

COSTLY = {
    "nested loops": "entry.select(%resource.entry.select(%resource.entry.select(1)))",
    "doubling": "entry.aggregate($total & $total, 'x')",
    "doubling by a sum": "entry.aggregate($total + $total, 'x')",
    "growing by replacement": "entry.aggregate($total.replace('', 'xx'), 'x')",
    "growing by a pattern": "entry.aggregate($total.replaceMatches('x', 'xx'), 'x')",
    "growing by joining": "entry.aggregate($total.combine($total).join('x'), 'x')",
    "growing collection": "entry.aggregate($total.combine($total), 1)",
    "endless recursion": "repeat(entry.fullUrl.select($this & 'x')).repeat($this & 'x')",
    "equivalence of all pairs": "entry.fullUrl ~ entry.fullUrl.select($this & 'x')",
}


@pytest.mark.parametrize("expression", COSTLY.values(), ids=COSTLY)
def test_what_goes_on_is_stopped(expression: str) -> None:
    begun = time.process_time()
    with pytest.raises(PathRejected) as refusal:
        compile_expression(expression, r4_types()).items(root_of(WIDE))
    assert refusal.value.fault is PathFault.TOO_COSTLY
    assert time.process_time() - begun < SECONDS_MAX


TOO_LONG = {
    "characters": "1" + " " * EXPRESSION_CHARS_MAX,
    "a chain of names": ".".join(["a"] * 2_000),
    "a chain of operators": "+".join(["1"] * 2_000),
}


@pytest.mark.parametrize("expression", TOO_LONG.values(), ids=TOO_LONG)
def test_too_long(expression: str) -> None:
    with pytest.raises(PathRejected) as refusal:
        compile_expression(expression)
    assert refusal.value.fault is PathFault.TOO_LONG


@pytest.mark.parametrize("expression", ["(" * 5_000, "-" * 5_000 + "1", "a[" * 5_000, "a(" * 5_000, "'" * 5_001])
def test_deep_nesting_is_refused(expression: str) -> None:
    with pytest.raises(PathRejected) as refusal:
        compile_expression(expression)
    assert refusal.value.fault is PathFault.SYNTAX


def test_a_pattern_takes_linear_time() -> None:
    begun = time.process_time()
    text = "a" * 50_000
    assert compile_expression("matches('(a+)+$')").items(Node(text, "string")) == [True]
    assert compile_expression("matches('^(a|aa)+$')").items(Node(text + "b", "string")) == [False]
    assert time.process_time() - begun < SECONDS_MAX


def test_an_enormous_pattern_is_refused() -> None:
    with pytest.raises(PathRejected) as refusal:
        compile_expression("'a'.matches('((a{900}){900}){900}')").items(root_of({}))
    assert refusal.value.fault is PathFault.BAD_PATTERN


@pytest.mark.parametrize("number", ["1E+999999999", "1E-999999999", "1." + "0" * 5_000, "9" * 201])
def test_an_enormous_number_is_refused(number: str) -> None:
    with pytest.raises(PathRejected) as refusal:
        compile_expression("$this ~ 1.0").items(Node(Decimal(number), "decimal"))
    assert refusal.value.fault is PathFault.WRONG_TYPE


def test_an_enormous_literal_is_refused() -> None:
    with pytest.raises(PathRejected) as refusal:
        compile_expression("1" + "0" * 100)
    assert refusal.value.fault is PathFault.SYNTAX
    digits = "1." + "23456789" * 10
    assert compile_expression(f"(-{digits}).abs().toString()").items(root_of({})) == [digits]


PIECES = (
    "name . where( ) ( 1 1.5 'a' and | = @2020 {} [ ] $this - is Patient day exists() first() %resource ~ > & , iif( "
    "descendants() resolve() toString()"
)


def ends(expression: str, content: dict[str, object]) -> None:
    """Evaluate it, or see it refused; anything else is an accident."""
    with suppress(PathRejected):
        compile_expression(expression, r4_types()).items(root_of(content))


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES.split()), max_size=12))
def test_any_expression_is_evaluated_or_refused(words: list[str]) -> None:
    content = {"resourceType": "Patient", "name": [{"family": "x"}, {"given": ["y"]}], "birthDate": "2020"}
    ends(" ".join(words), content)


def test_nothing_is_remembered_of_what_is_no_type_and_no_element() -> None:
    types = Types(r4())
    for number in range(3):
        content = {"resourceType": f"Smith{number}", "contained": [{"resourceType": f"Patient.smith{number}"}]}
        for walk in (f"smith{number}", "descendants()", f"contained.smith{number}.exists()", "$this is Patient"):
            compile_expression(walk, types).items(root_of(content))
            compile_expression(walk, types).items(root_of({"resourceType": "Patient", "name": [{"family": "x"}]}))
    remembered = [types._keys, types._elements, types._children, types._ancestors]
    assert "mith" not in repr(remembered)
    assert "Patient" in repr(remembered)


KEYS = st.sampled_from(["_given", "given", "period", "extension", "url", "start"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
WALKS = (
    *("name.given", "descendants()", "name.period.start < today()", "name.isDistinct()", "name ~ contained"),
    *("name.extension('u')", "name.given.extension", "contained.id", "name.given.hasValue()"),
)


@settings(max_examples=200)
@given(JSON_VALUES)
def test_a_resource_of_any_shape_is_no_accident(name: object) -> None:
    for walk in WALKS:
        ends(walk, {"resourceType": "Patient", "name": name, "_name": name, "contained": name})
        ends(walk, {"resourceType": name, "name": name})
