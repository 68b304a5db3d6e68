"""A ledger process killed at any moment, again and again: nothing acknowledged is lost, nothing is applied twice."""

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from salus.crypto.hashing import sha256
from salus.engines.base import Snapshot, Unavailable
from salus.engines.client import LedgerClient
from salus.engines.fsck import check
from salus.ledger.machine import stored_result
from salus.ledger.outcomes import NOT_A_TRANSACTION, TransactionResult, decode_leaf
from salus.ledger.state import LEAVES
from salus.ledger.transactions import transaction_hash
from tests.engines import toy
from tests.engines.child import START_S, LedgerProcess, now_s

pytestmark = [pytest.mark.services, pytest.mark.promise("L2", "L4")]

SUBMITTERS = 3
ALIVE_S_MAX = 0.3
PAUSE_S_MAX = 0.03
KILLS_PER_LEDGER = 5
"""Each check executes the whole chain again, so a chain is not made too long."""


@pytest.fixture
def seed() -> int:
    """Printed when the test fails; SALUS_SEED repeats a run."""
    number = int(os.environ.get("SALUS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"SALUS_SEED={number}")
    return number


def test_twenty_kills(tmp_path: Path, seed: int) -> None:
    kill_many(tmp_path, seed, kills=20)


@pytest.mark.long
def test_a_thousand_kills(tmp_path: Path, seed: int) -> None:
    kill_many(tmp_path, seed, kills=1000)


def kill_many(tmp_path: Path, seed: int, *, kills: int) -> None:
    for number in range(kills // KILLS_PER_LEDGER):
        place = tmp_path / str(number)
        place.mkdir()
        kill_again_and_again(place, random.Random(seed + number), kills=KILLS_PER_LEDGER)


class Submitter(threading.Thread):
    """Submits batches, keeps what was acknowledged, and sends again what was not."""

    def __init__(self, client: LedgerClient, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.acknowledged: dict[bytes, TransactionResult] = {}
        self.ending = False
        self._client = client
        self._chance = chance

    def run(self) -> None:
        unsure: list[bytes] = []
        while not self.ending:
            raws = [*unsure, *(self._transaction() for _ in range(self._chance.choice((1, 1, 2, 20))))]
            unsure = self._submit(raws)
            time.sleep(self._chance.uniform(0.0, PAUSE_S_MAX))

    def _submit(self, raws: list[bytes]) -> list[bytes]:
        try:
            results = self._client.submit_many(raws, timeout_s=1.0)
        except Unavailable:
            return raws
        for raw, result in zip(raws, results, strict=True):
            assert result.code != NOT_A_TRANSACTION, result.reason
            self.acknowledged[raw] = result
        return []

    def _transaction(self) -> bytes:
        numbers = [self._chance.randrange(200) for _ in range(self._chance.choice((1, 3)))]
        if self._chance.random() < 0.5:
            return toy.visits(sha256(b"%d" % (numbers[0] % 10))[:16], *numbers, time_s=now_s())
        lasts_s = self._chance.choice((1, 10_000))
        return toy.notes(*numbers, time_s=now_s(), expires_at_s=now_s() + lasts_s, nonce=self._chance.randbytes(16))


def kill_again_and_again(place: Path, chance: random.Random, *, kills: int) -> None:
    process = LedgerProcess(place, verifiers=1)
    client = process.client(reconnect_s=START_S)
    submitters = [Submitter(client, random.Random(chance.random())) for _ in range(SUBMITTERS)]
    for submitter in submitters:
        submitter.start()
    counts: list[int] = []
    try:
        for _ in range(kills):
            if chance.random() < 0.2:  # while it starts
                process.spawn()
                time.sleep(chance.uniform(0.0, ALIVE_S_MAX))
                process.kill()
            process.start()
            wait_for_an_answer(submitters)
            time.sleep(chance.uniform(0.0, ALIVE_S_MAX))
            process.kill()
            counts.append(check_all(client, submitters))
    finally:
        for submitter in submitters:
            submitter.ending = True
        client.close()
    for submitter in submitters:
        submitter.join(START_S)
    assert counts == sorted(set(counts)), "a harness that acknowledges nothing between two kills shows nothing"


def wait_for_an_answer(submitters: list[Submitter]) -> None:
    """On a busy machine a submitter may need a while to find the new process."""
    before, until_s = answered(submitters), time.monotonic() + START_S
    while answered(submitters) == before:
        assert time.monotonic() < until_s, "no submitter is answered"
        time.sleep(0.001)


def answered(submitters: list[Submitter]) -> int:
    return sum(len(submitter.acknowledged) for submitter in submitters)


def check_all(client: LedgerClient, submitters: list[Submitter]) -> int:
    """Check the store as the kill left it; return how many transactions had been acknowledged."""
    acknowledged = {raw: result for submitter in submitters for raw, result in submitter.acknowledged.copy().items()}
    with client.snapshot() as snapshot:
        assert lost(snapshot, acknowledged) == []
        assert applied_twice(snapshot) == []
        assert check(snapshot, toy.founding()) == []
    return len(acknowledged)


def lost(snapshot: Snapshot, acknowledged: dict[bytes, TransactionResult]) -> list[bytes]:
    return [raw for raw, result in acknowledged.items() if not is_stored(snapshot, raw, result)]


def is_stored(snapshot: Snapshot, raw: bytes, result: TransactionResult) -> bool:
    stored = stored_result(snapshot, transaction_hash(raw))
    return stored is not None and (stored.code, stored.leaves) == (result.code, result.leaves)


def applied_twice(snapshot: Snapshot) -> list[tuple[bytes, int]]:
    leaves = (decode_leaf(row) for _, row in snapshot.items(LEAVES))
    counts = Counter((leaf.transaction, leaf.index) for leaf in leaves)
    return [place for place, count in counts.items() if count > 1]
