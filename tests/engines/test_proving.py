"""Proofs from running engines: rows of one height under one header, in-process and over the socket (L5)."""

import time
from collections.abc import Iterator

import pytest

from salus.crypto.hashing import sha256
from salus.engines.client import LedgerClient
from salus.engines.embedded import EmbeddedEngine
from salus.engines.headers import read_transaction
from salus.engines.proving import prove_signed
from salus.ledger.identifiers import Digest, OrganisationId, PublicKey
from salus.ledger.machine import HISTORY
from salus.ledger.outcomes import decode_leaf
from salus.ledger.proofs import PROVED_KEYS_MAX, prove_history, prove_outcome
from salus.ledger.verifier import (
    EngineKind,
    TrustedValidator,
    TrustRoot,
    verify_history,
    verify_outcome,
    verify_row,
    verify_state,
)
from salus.testing.clock import FakeClock
from tests.engines import toy
from tests.engines.child import LedgerProcess

pytestmark = pytest.mark.promise("L5")

ANN = bytes([1]) * 16
WRITTEN = [number for number in range(40) if number != 13]
KEYS = [toy.NOTES.key((PublicKey(toy.KEY.public), number)) for number in range(60)]


def trust() -> TrustRoot:
    return TrustRoot(
        format=1,
        chain=toy.CHAIN,
        genesis_hash=Digest(sha256(b"toy")),
        engine=EngineKind.EMBEDDED,
        validators=(TrustedValidator(OrganisationId("RVJ"), PublicKey(toy.CONSENSUS_KEY.public), 1),),
        trusted_at_s=1_700_000_000,
        trusting_period_s=1 << 33,
    )


@pytest.fixture
def client(process: LedgerProcess) -> Iterator[LedgerClient]:
    made = process.client()
    yield made
    made.close()


def check_all(engine: EmbeddedEngine | LedgerClient, now_s: int) -> None:
    """Prove rows, an outcome and a history of the engine under one header."""
    proved = prove_signed(engine, [*KEYS, HISTORY.key(ANN)])
    state = verify_state(trust(), proved.signed, now_s=now_s)
    rows = [verify_row(state, each) for each in proved.rows]
    assert [each.key for each in rows] == [*KEYS, HISTORY.key(ANN)]
    assert [each.row is not None for each in rows] == [number in WRITTEN for number in range(60)] + [True]
    with engine.snapshot() as reader:
        history = verify_history(state, prove_history(reader, ANN, proved.rows[-1]))
        outcome = verify_outcome(state, prove_outcome(reader, 0, proved.signed.state))
    assert [leaf.code for leaf in history.leaves] == [0, 1]
    assert outcome.leaf.height == 1


def fill(engine: EmbeddedEngine | LedgerClient, now_s: int) -> None:
    results = engine.submit_many([toy.notes(*range(1, 40), time_s=now_s), toy.visits(ANN, 3, 7, time_s=now_s)])
    assert [result.code for result in results] == [toy.UNLUCKY, 1]
    assert engine.submit(toy.notes(*WRITTEN, time_s=now_s)).code == 0


def test_under_one_header_in_process(engine: EmbeddedEngine, clock: FakeClock) -> None:
    now_s = clock.wall_ns() // 10**9
    fill(engine, now_s)
    clock.advance(1)
    check_all(engine, now_s + 60)


@pytest.mark.services
def test_under_one_header_over_the_socket(client: LedgerClient) -> None:
    fill(client, int(time.time()))
    check_all(client, int(time.time()))


def test_a_quiet_ledger_has_the_header_already(engine: EmbeddedEngine, clock: FakeClock) -> None:
    fill(engine, clock.wall_ns() // 10**9)
    clock.advance(1)
    engine.wait_for(engine.status().height + 1)
    height = engine.status().height
    proved = prove_signed(engine, [])
    assert verify_state(trust(), proved.signed, now_s=clock.wall_ns() // 10**9).height == height
    assert proved.rows == ()


def test_transaction_of_a_leaf(engine: EmbeddedEngine, clock: FakeClock) -> None:
    raw = toy.notes(5, time_s=clock.wall_ns() // 10**9)
    leaf = decode_leaf(engine.submit(raw).leaves[0])
    with engine.snapshot() as reader:
        assert read_transaction(reader, leaf.height, leaf.transaction) == raw
        assert read_transaction(reader, leaf.height, bytes(32)) == b""
        assert read_transaction(reader, leaf.height + 1, leaf.transaction) == b""


def test_as_many_keys_as_one_frame_takes(engine: EmbeddedEngine) -> None:
    keys = [toy.NOTES.key((PublicKey(toy.KEY.public), number)) for number in range(PROVED_KEYS_MAX)]
    assert [each.key for each in engine.prove_many(keys).rows] == keys
