"""Tries to get in, by the hundred: whom they stop, and whom somebody else's tries must not stop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import delete

from salus.node import schema
from salus.node.assemble import Node
from salus.node.caller_networks import network_of
from salus.node.errors import Refusal, Refused
from salus.node.services import accounts as account_service
from salus.node.services.accounts import TRIES_MAX, Accounts
from salus.testing.world import HOSPITAL, world
from tests.portal.portal_world import cheap_passwords

RIGHT = "correct horse battery"
FROM_MAX = 12
HERE = "192.0.2.1"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with cheap_passwords(), world(tmp_path_factory.mktemp("world"), organisations=(HOSPITAL,)) as made:
        yield made.hospital


@pytest.fixture
def accounts(node: Node, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """Nobody has tried anything for a while; twelve tries are many."""
    monkeypatch.setattr(account_service, "TRIES_FROM_MAX", FROM_MAX)
    with node.vault.database.writing() as connection:
        connection.execute(delete(schema.tallies))
        connection.execute(delete(schema.sign_ins))
    found = Accounts.of(node)
    for name in ("ann", "ben"):
        found.set_password(found.add_operator(name=name), signs_in_as=name, password=RIGHT)
    return found


def tried(accounts: Accounts, name: str, password: str, address: str) -> Refusal | None:
    try:
        accounts.sign_in(name, password, address=address)
    except Refused as refused:
        return refused.refusal
    return None


def test_a_hospital_behind_one_address_signs_in(accounts: Accounts) -> None:
    """Many who know their passwords are no attack."""
    for number in range(FROM_MAX + 3):
        name = f"nurse-{number}"
        accounts.set_password(accounts.add_operator(name=name), signs_in_as=name, password=RIGHT)
        assert tried(accounts, name, RIGHT, HERE) is None, number


def test_who_knows_a_password_makes_nobody_stretch_it_all_day(accounts: Accounts) -> None:
    """Each takes 32 MB and a tenth of a second: ten for one name, whether or not they get in."""
    came = [tried(accounts, "ann", RIGHT, f"192.0.2.{each}") for each in range(TRIES_MAX + 2)]
    assert came == [None] * TRIES_MAX + [Refusal.TOO_MANY] * 2


def test_who_gets_in_between_gives_back_one_try_and_no_more(accounts: Accounts) -> None:
    """A guesser with an account of their own: what they guess elsewhere counts as before."""
    came = []
    for number in range(FROM_MAX + 3):
        came.append(tried(accounts, f"name-{number}", "a common password", HERE))
        if number < TRIES_MAX:
            tried(accounts, "ann", RIGHT, HERE)
    assert came == [Refusal.SIGN_IN_UNFIT] * FROM_MAX + [Refusal.TOO_MANY] * 3


def test_one_network_of_ipv6_is_one_address(accounts: Accounts) -> None:
    """Whoever has one address of IPv6 has 2^64 of them; a password that many people have is tried on all names."""
    came = [tried(accounts, f"name-{each}", "a common password", f"2001:db8:1:2::{each:x}") for each in range(20)]
    assert came == [Refusal.SIGN_IN_UNFIT] * FROM_MAX + [Refusal.TOO_MANY] * (20 - FROM_MAX)
    assert tried(accounts, "ann", RIGHT, "2001:db8:1:3::1") is None


NETWORKS = {
    "192.0.2.1": "192.0.2.1",
    "::ffff:192.0.2.1": "192.0.2.1",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
    "2001:DB8:1:2::": "2001:db8:1:2::/64",
    "fe80::1%eth0": "fe80::/64",
    "testclient": "testclient",
    "": "",
}


@pytest.mark.parametrize(("address", "network"), NETWORKS.items(), ids=NETWORKS)
def test_a_network_is_named_in_one_way(address: str, network: str) -> None:
    assert network_of(address) == network
