"""A new observer among peers that serve wrong snapshots and chunks, and what is proved when old blocks are gone."""

import time

import pytest

from salus.engines.cometbft.home import RPC_SOCKET
from salus.engines.cometbft.rpc import NodeRpc
from salus.engines.headers import read_header
from salus.engines.proving import prove_signed
from salus.engines.store import BLOCKS, HEADERS, height_key
from salus.ledger.comet.header import header_hash
from salus.ledger.outcomes import decode_leaf
from salus.ledger.proofs import prove_outcome
from salus.ledger.verifier.outcome import verify_outcome
from salus.ledger.verifier.state import verify_state
from salus.node.founding import trust_root
from tests.engines.cometbft.network import wait_until
from tests.faults.conftest import Evidence
from tests.faults.network import FourValidators, Load, height_of, outcome, publish
from tests.faults.validator import SNAPSHOT_BLOCKS, Validator

pytestmark = [pytest.mark.services, pytest.mark.long, pytest.mark.promise("L3", "L5")]

CHUNK_BYTES = 1_000
BODIES_KEPT_S = 8
GIVES_UP_S = 200.0
"""CometBFT waits two minutes for chunks of a snapshot that nobody has before it takes another one."""


def joined(four: FourValidators) -> float:
    """Start the observer, with a header that it is given to trust; return how long it took to join, in seconds.

    Nothing else happens then: two snapshots are kept, and under load each is gone after seconds.
    """
    trusted = four.all[0].client.signed_header(2)
    assert trusted is not None
    servers = tuple(f"unix://{each.place}/node/{RPC_SOCKET}" for each in four.all[:2])
    [joins] = four.observers
    joins.settings.sync = (servers, 2, header_hash(trusted.signed.header))
    began_s = time.monotonic()
    joins.start()
    wait_until(lambda: height_of(joins) >= SNAPSHOT_BLOCKS, "it has a snapshot", patience_s=GIVES_UP_S)
    took_s = time.monotonic() - began_s
    four.resumed(among=[*four.all, joins], patience_s=30.0)
    return took_s


def first_header(validator: Validator) -> int:
    """The height of the oldest header that it has."""
    with validator.client.snapshot() as snapshot:
        return int.from_bytes(next(iter(snapshot.items(HEADERS)))[0], "big")


@pytest.mark.parametrize("four", [True], indirect=True)
@pytest.mark.fault("state sync; bad chunk, bad snapshot")
def test_who_joins_refuses_what_is_wrong_and_fetches_it_again(four: FourValidators, evidence: Evidence) -> None:
    for each, fault in zip(four.all, ("small-chunks", "bad-snapshots", "bad-chunks", "bad-chunks"), strict=True):
        each.settings.fault = f"{fault} {CHUNK_BYTES}"
    four.start()
    [joins] = four.observers
    with Load(four.all, pause_s=0.05) as load:
        wait_until(lambda: min(four.heights()) > SNAPSHOT_BLOCKS + 2, "a snapshot")
    took_s = joined(four)
    refused = [joins.said().count(f"ledger.{each}_refused") for each in ("snapshot", "chunk")]
    assert refused[1] > 0, "a bad chunk was refused"
    assert first_header(joins) >= SNAPSHOT_BLOCKS, "it began with the snapshot"
    evidence(f"refused {refused[0]} snapshots and {refused[1]} chunks, joined in {took_s:.1f} s")
    evidence(four.agree(load, among=[*four.all, joins]))


@pytest.mark.parametrize("four", [True], indirect=True)
@pytest.mark.fault("state sync; bad chunk, bad snapshot")
def test_who_joins_refuses_a_snapshot_that_does_not_give_the_roots(four: FourValidators, evidence: Evidence) -> None:
    """Three of four serve the same wrong one, whose chunks fit its offer: it is tried first, and given up whole."""
    for each, fault in zip(four.all, ("small-chunks", *["bad-snapshots"] * 3), strict=True):
        each.settings.fault = f"{fault} {CHUNK_BYTES}"
    four.start()
    [joins] = four.observers
    with Load(four.all, pause_s=0.05) as load:
        wait_until(lambda: min(four.heights()) > SNAPSHOT_BLOCKS + 2, "a snapshot")
    took_s = joined(four)
    said = joins.said()
    assert said.count("ledger.snapshot_refused reason=expected rows that give the tree's root") > 0
    assert first_header(joins) >= SNAPSHOT_BLOCKS, "it began with the true snapshot"
    evidence(f"refused {said.count('ledger.snapshot_refused')} snapshots whole, joined in {took_s:.1f} s")
    evidence(four.agree(load, among=[*four.all, joins]))


@pytest.mark.fault("pruning")
def test_an_old_outcome_is_proved_when_its_block_is_gone(four: FourValidators, evidence: Evidence) -> None:
    for each in four.all:
        each.settings.bodies_kept_s = BODIES_KEPT_S
    four.start()
    asked = four.all[0]
    result = outcome(asked, publish(asked, "old"))
    assert result is not None
    old = decode_leaf(result.leaves[0])
    with Load(four.all) as load:
        wait_until(lambda: is_pruned(four, old.height), "the old block is gone")
        four.resumed()
    proved = prove_signed(asked.client, [])
    with asked.client.snapshot() as snapshot:
        proof = prove_outcome(snapshot, result.first_leaf, proved.signed.state)
    state = verify_state(trust_root(four.genesis), proved.signed, now_s=int(time.time()))
    assert verify_outcome(state, proof).leaf == old
    rpc = NodeRpc(asked.place / "node" / RPC_SOCKET)
    wait_until(lambda: rpc.earliest_height() > old.height, "CometBFT has forgotten it, too")
    rpc.close()
    evidence(f"block {old.height} is gone, its outcome is proved under the header of {state.height}")
    evidence(four.agree(load))


def is_pruned(network: FourValidators, height: int) -> bool:
    """Whether nobody's ledger process has the block of a height."""
    for each in network.all:
        with each.client.snapshot() as snapshot:
            if snapshot.get(BLOCKS, height_key(height)) or read_header(snapshot, height):
                return False
    return True
