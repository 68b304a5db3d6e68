"""Bindings, on both databases: which worker tells what is told over a socket, until when, and tokens that work once."""

import pytest

from salus.node import schema
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows
from salus.node.services import subscriptions
from salus.node.services.subscription_bindings import HELD_S, TOKEN_S, Bindings, BindingTerms
from salus.node.services.subscriptions import State, Subscription
from tests.node.test_person_limits import postgres
from tests.node.test_subscriptions import TERMS, Rows, hospital, rows, vaults

__all__ = ["hospital", "postgres", "rows", "vaults"]
ONE, OTHER = b"one socket", b"another"


@pytest.fixture
def bindings(rows: Rows) -> list[Bindings]:
    """Those of two workers."""
    with rows.workers[0].vault.database.writing() as connection:
        for table in (schema.subscription_bindings, schema.bearers):
            connection.execute(table.delete())
    return [Bindings(each, SealedRows(each.vault, each.chain)) for each in rows.workers]


def over_a_socket(rows: Rows, owner: bytes = b"app") -> Subscription:
    state = State.ACTIVE
    return rows.kept[0].begin(owner, TERMS, pseudonym=b"", state=state, until_s=None, is_socket=True)


def leased(rows: Rows, *sockets: bytes) -> int:
    """How many a worker with these sockets has to tell; it gives them back."""
    found = rows.kept[1].lease_due(limit=9, sockets=sockets)
    for each in found:
        rows.kept[1].settle(each, state=each.state, next_s=0)
    return len(found)


def test_the_worker_that_has_the_socket_tells_it(rows: Rows, bindings: list[Bindings]) -> None:
    begun = over_a_socket(rows)
    unbound = leased(rows), leased(rows, ONE), leased(rows, b"")
    bindings[0].hold(begun.id, ONE)
    bound = leased(rows), leased(rows, OTHER), leased(rows, OTHER, ONE)
    assert (unbound, bound, bindings[1].socket_of(begun.id)) == ((0, 0, 0), (0, 0, 1), ONE)


def test_one_that_is_told_by_hooks_is_everybodys(rows: Rows, bindings: list[Bindings]) -> None:
    begun = rows.begin()
    with pytest.raises(Refused) as refused:
        bindings[0].hold(begun.id, ONE)
    assert (refused.value.refusal, leased(rows), leased(rows, ONE)) == (Refusal.GRANT_UNFIT, 1, 1)


def test_a_binding_that_is_not_renewed_ends(rows: Rows, bindings: list[Bindings]) -> None:
    begun = over_a_socket(rows)
    bindings[0].hold(begun.id, ONE)
    rows.later_s[0] = HELD_S // 2
    assert bindings[0].renew(ONE) == {begun.id}
    rows.later_s[0] += HELD_S * 2 // 3
    assert leased(rows, ONE) == 1
    rows.later_s[0] += HELD_S
    assert (leased(rows, ONE), bindings[1].socket_of(begun.id)) == (0, b"")


def test_it_is_where_it_was_bound_last(rows: Rows, bindings: list[Bindings]) -> None:
    begun = over_a_socket(rows)
    bindings[0].hold(begun.id, ONE)
    bindings[1].hold(begun.id, OTHER)
    bindings[0].let_go(ONE, begun.id)  # its client went away, later
    assert (bindings[0].renew(ONE), leased(rows, ONE), leased(rows, OTHER)) == (frozenset(), 0, 1)
    bindings[1].let_go(OTHER, begun.id)
    assert leased(rows, OTHER) == 0


def test_what_is_off_is_bound_to_nothing(rows: Rows, bindings: list[Bindings]) -> None:
    begun = over_a_socket(rows)
    bindings[0].hold(begun.id, ONE)
    rows.kept[0].settle(begun, state=State.OFF)
    assert bindings[0].renew(ONE) == frozenset()
    with pytest.raises(Refused):
        bindings[0].hold(begun.id, ONE)


def test_a_binding_follows_the_channel(rows: Rows, bindings: list[Bindings]) -> None:
    begun = over_a_socket(rows)
    bindings[0].hold(begun.id, ONE)
    same = rows.kept[0].replace(begun, TERMS, state=State.ACTIVE, until_s=None, is_socket=True)
    assert bindings[0].socket_of(same.id) == ONE
    hooked = rows.kept[0].replace(same, TERMS, state=State.ACTIVE, until_s=None)
    assert (bindings[0].socket_of(hooked.id), leased(rows)) == (b"", 1)


def test_what_is_dropped_or_over_leaves_no_binding(rows: Rows, bindings: list[Bindings]) -> None:
    begun, _ = over_a_socket(rows), over_a_socket(rows)
    rows.kept[0].drop(begun)
    assert rows.count("node_subscription_bindings") == 1
    rows.later_s[0] = subscriptions.LASTS_S + 1
    subscriptions.sweep(rows.workers[0])
    assert rows.count("node_subscription_bindings") == 0


def test_a_token_works_once_and_for_a_while(rows: Rows, bindings: list[Bindings]) -> None:
    terms = BindingTerms(b"owner", (b"a", b"b"), TERMS.tenure)
    now_s = rows.workers[0].clock()
    token, until_s = bindings[0].issue(terms, pseudonym=b"")
    late, _ = bindings[0].issue(terms, pseudonym=b"")
    assert bindings[1].take(token) == terms
    assert now_s <= until_s - TOKEN_S <= rows.workers[0].clock()
    rows.later_s[0] = TOKEN_S
    for each in (token, late, "x" * 43, ""):
        with pytest.raises(Refused) as refused:
            bindings[0].take(each)
        assert refused.value.refusal is Refusal.GRANT_UNFIT
