"""Bearers and accounts that two workers make or change at one moment: one code lives, no change is lost (R3, U3)."""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import msgspec
import pytest
from msgspec.structs import replace

from salus.ledger.identifiers import Pseudonym
from salus.node import schema
from salus.node.assemble import Node
from salus.node.bearers import BearerKind, Bearers
from salus.node.errors import NotNow
from salus.node.sealed_rows import SealedRows
from salus.node.services import accounts, take_over_codes
from salus.node.services.accounts import Accounts
from salus.node.services.enrol import enrol
from salus.node.services.patient_helpers import Help, Helpers
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, World, world
from tests.node.test_person_limits import on_database, postgres, url

__all__ = ["postgres", "url"]
pytestmark = pytest.mark.promise("U3")
WORKERS = 4
ROUNDS = 4
WAIT_S = 0.3


class State(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a browser."""

    seen_s: int = 0
    answer: str = ""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, organisations=(HOSPITAL,)) as ready:
        yield ready


@pytest.fixture
def bearers(made: World) -> Bearers:
    return Bearers(made.hospital, SealedRows(made.hospital.vault, CHAIN))


def all_at_once(monkeypatch: pytest.MonkeyPatch, make: Callable[[], str]) -> list[str]:
    """Codes that as many workers make, of whom none makes it before all begin, and none goes on before all have."""
    begin, go_on, issue = Barrier(WORKERS), Barrier(WORKERS), Bearers.issue

    def slowly(self: Bearers, *arguments: object, **named: object) -> str:
        begin.wait()
        token = issue(self, *arguments, **named)  # type: ignore[arg-type]
        go_on.wait()
        return token

    monkeypatch.setattr(Bearers, "issue", slowly)
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda _: make(), range(WORKERS)))


def test_of_codes_that_are_made_at_one_moment_one_lives(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node = made.hospital
    ann = enrol(node, kept_nhs_number(1), "1980-02-29")
    codes = all_at_once(monkeypatch, lambda: take_over_codes.make(node, ann))
    assert len(set(codes)) == WORKERS
    assert [take_over_codes.is_good(node, ann, code) for code in codes].count(True) == 1
    assert not any(take_over_codes.is_good(node, Pseudonym(bytes(16)), code) for code in codes)


@pytest.fixture
def workers(tmp_path: Path, made: World, url: str) -> Iterator[list[Node]]:
    """Workers of one node that share a database."""
    found = [dataclasses.replace(made.hospital, vault=on_database(url, tmp_path)) for _ in range(WORKERS)]
    with found[0].vault.database.writing() as connection:
        schema.prepare(connection)
    yield found
    for each in found:
        each.vault.database.close()


def test_of_codes_that_several_workers_make_one_lives_on_either_database(workers: list[Node]) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        for number in range(ROUNDS):
            pseudonym, begin = enrol(workers[0], kept_nhs_number(number), "1980-02-29"), Barrier(WORKERS)

            def make(node: Node, pseudonym: Pseudonym = pseudonym, begin: Barrier = begin) -> str:
                begin.wait()
                return take_over_codes.make(node, pseudonym)

            codes = list(pool.map(make, workers))
            assert [take_over_codes.is_good(workers[0], pseudonym, each) for each in codes].count(True) == 1


def test_of_a_helpers_codes_that_are_made_at_one_moment_one_lives(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node = made.hospital
    ann, helpers = enrol(node, kept_nhs_number(1), "1980-02-29"), Helpers.of_node(node)
    known = Accounts(node, SealedRows(node.vault, CHAIN))
    account = known.find(known.add_patient(ann, name="Ann"))
    assert account is not None
    own = known.login_of(account, known.hold(account)[0])
    helpers.add(own, ann, Help("Jo Carer", "carer", may_share=False), patient="Ann")
    (row,) = helpers.of(ann)
    codes = all_at_once(monkeypatch, lambda: helpers.new_code(own, ann, row.key))
    assert [helpers.invited(code) is not None for code in codes].count(True) == 1


def test_what_two_requests_of_one_browser_remember_both_holds(bearers: Bearers) -> None:
    token = bearers.issue(BearerKind.PORTAL, State(), until_s=1 << 40)
    bearer = bearers.find(BearerKind.PORTAL, token, State)
    assert bearer is not None
    has_read, has_changed = Event(), Event()

    def seen(now: State) -> State:
        has_read.set()
        has_changed.wait(WAIT_S)
        return replace(now, seen_s=9)

    def answered() -> None:
        has_read.wait()
        bearers.change(bearer, State, lambda now: replace(now, answer="yes"))
        has_changed.set()

    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(bearers.change, bearer, State, seen), pool.submit(answered)]:
            each.result()
    now = bearers.find(BearerKind.PORTAL, token, State)
    assert now is not None
    assert now.value == State(9, "yes")


def test_a_browser_that_was_signed_out_meanwhile_stays_so(bearers: Bearers) -> None:
    token = bearers.issue(BearerKind.PORTAL, State(), until_s=1 << 40)
    bearer = bearers.find(BearerKind.PORTAL, token, State)
    assert bearer is not None
    bearers.drop(bearer.lookup)
    assert bearers.change(bearer, State, lambda now: now) is None
    assert bearers.find(BearerKind.PORTAL, token, State) is None


def test_a_new_password_does_not_undo_what_somebody_else_changed(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing it takes a while; what is lost by that could be the password itself, the other way round."""
    rows = SealedRows(made.hospital.vault, CHAIN)
    one, other = Accounts(made.hospital, rows), Accounts(made.hospital, rows)
    account, hashed = one.add_helper(name="Jo"), accounts._hashed
    meanwhile = [lambda: other.link(account, issuer="https://login.example", subject="jo")]

    def slowly(password: str) -> accounts.Password:
        if meanwhile:
            meanwhile.pop()()
        return hashed(password)

    monkeypatch.setattr(accounts, "_hashed", slowly)
    with pytest.raises(NotNow, match="somebody else changes this account"):
        one.set_password(account, signs_in_as="jo", password="a long enough password")
    one.set_password(account, signs_in_as="jo", password="a long enough password")
    found = one.find(account)
    assert found is not None
    assert (len(found.providers), found.signs_in_as) == (1, "jo")
