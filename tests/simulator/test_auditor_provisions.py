"""The auditor's gates and evaluation say what the contracts' say, on random trees."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.contracts.provisions import Effect, Provision, Record, Request, check_gate, gate
from salus.contracts.provisions import outcome as outcome_of
from salus.ledger.encoding import encode
from salus.testing.auditor.canonical import Value, decode
from salus.testing.auditor.evaluation import DENY, NONE, PERMIT, outcome
from salus.testing.auditor.gates import gate_of, is_fit_gate, is_fit_tree
from tests.contracts.provisions_world import REQUESTS, THINGS, WIDE_REQUESTS, trees, wide_trees
from tests.contracts.test_provisions_tree import ALLOWED, REFUSED

EFFECTS = {Effect.DENY: DENY, Effect.NONE: NONE, Effect.PERMIT: PERMIT}


def plain(value: object) -> Value:
    """As the auditor would decode it."""
    return decode(encode(value))


@settings(max_examples=150, deadline=None)
@given(trees(), REQUESTS, THINGS)
def test_outcome(tree: Provision, request: Request, record: Record) -> None:
    assert EFFECTS[outcome_of(tree, request, record)] == outcome(plain(tree), plain(request), plain(record))


@settings(max_examples=150, deadline=None)
@given(st.one_of(trees(), trees(closed=False), wide_trees()), WIDE_REQUESTS)
def test_gate(tree: Provision, request: Request) -> None:
    found = gate(tree)
    assert gate_of(plain(tree)) == plain(found)
    assert is_fit_gate(plain(found))
    check_gate(found)


def listed(value: object) -> object:
    """As the auditor would have it, also where nothing could be encoded."""
    return [listed(each) for each in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("name", [*ALLOWED, *REFUSED])
def test_tree_is_fit_or_not(name: str) -> None:
    tree = ALLOWED[name] if name in ALLOWED else REFUSED[name][0]
    builtins = msgspec.to_builtins(tree, builtin_types=(bytes,))
    assert is_fit_tree(listed(builtins)) is (name in ALLOWED)
