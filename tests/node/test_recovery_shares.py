"""Recovery shares of one pseudonym that come at one moment, on both databases: each has an answer, the newest stays."""

import dataclasses
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import Pseudonym
from salus.ledger.recovery_shares import KeptShare, sign_kept
from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import KeepShareAsk
from salus.node.services import recovery_shares
from salus.node.services.enrol import enrol
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, world
from tests.node.test_person_limits import on_database, postgres, url

__all__ = ["postgres", "url"]
pytestmark = pytest.mark.promise("U3")
OWN, ROUNDS, WORKERS = SigningKey.generate(), 4, 4


@pytest.fixture
def workers(tmp_path: Path, url: str) -> Iterator[list[Node]]:
    """Workers of one node that share a database."""
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        found = [dataclasses.replace(made.hospital, vault=on_database(url, tmp_path)) for _ in range(WORKERS)]
        with found[0].vault.database.writing() as connection:
            schema.prepare(connection)
        yield found
        for each in found:
            each.vault.database.close()


def asked(pseudonym: Pseudonym, at_s: int) -> KeepShareAsk:
    kept = KeptShare(CHAIN, HOSPITAL, pseudonym, at_s, secrets.token_bytes(32), (b"encrypted",))
    return KeepShareAsk(kept, sign_kept(kept, OWN))


def keep(node: Node, ask: KeepShareAsk) -> str:
    """What comes of it; whoever is told *not now* sends the same again."""
    while True:
        try:
            recovery_shares.keep(node, ask)
            return "kept"
        except NotNow:
            continue
        except Refused as refused:
            return refused.refusal.name


def test_of_first_shares_at_one_moment_the_newest_stays_and_each_is_answered(workers: list[Node]) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        for number in range(ROUNDS):
            pseudonym = Pseudonym(secrets.token_bytes(16))
            enrol(workers[0], kept_nhs_number(number), "1980-02-29", key=OWN, pseudonym=pseudonym)
            asks = [asked(pseudonym, int(time.time()) + place) for place in range(WORKERS)]
            begin = Barrier(WORKERS)

            def ask(place: int, asks: list[KeepShareAsk] = asks, begin: Barrier = begin) -> str:
                begin.wait()
                return keep(workers[place], asks[place])

            came = list(pool.map(ask, range(WORKERS)))
            assert came[-1] == "kept"
            assert recovery_shares._kept(workers[0], pseudonym) == asks[-1].kept
            assert keep(workers[0], asks[-1]) == "kept"
            assert {keep(workers[0], each) for each in asks[:-1]} == {Refusal.REPLAYED.name}
