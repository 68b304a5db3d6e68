"""Four validators with a ledger process each, on one machine: one ledger, also when one of them is killed."""

import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salus.crypto.signing import SigningKey
from salus.engines.cometbft.engine import CometEngine
from salus.engines.cometbft.home import RPC_SOCKET, StateSync
from salus.engines.fsck import fsck
from salus.engines.proving import prove_signed
from salus.engines.store import HEADERS
from salus.ledger.comet.header import header_hash
from salus.ledger.identifiers import Digest
from salus.ledger.verifier import trust
from salus.ledger.verifier.state import verify_state
from tests.engines import toy
from tests.engines.cometbft.child import LedgerProcess
from tests.engines.cometbft.network import (
    PATIENCE_S,
    SNAPSHOT_BLOCKS,
    VALIDATORS,
    Member,
    free_ports,
    members_on,
    start,
    validators,
    wait_until,
)

pytestmark = pytest.mark.services
Running = Callable[[CometEngine], CometEngine]
LONE = 6
LET_IN_S = 12.0
"""Long enough to have blocks, if it is let in."""


@pytest.fixture
def network(short_path: Path, cometbft: Path) -> Iterator[list[LedgerProcess]]:
    ports, time_s = free_ports(VALIDATORS + 1), int(time.time()) - 60  # one more peer is known than there are
    processes = [LedgerProcess(short_path, number, time_s, ports) for number in range(VALIDATORS)]
    for each in processes:
        each.start()
    for each in processes:
        each.client.wait_for(2, timeout_s=PATIENCE_S)
    yield processes
    for each in processes:
        each.client.close()
        each.kill()


@pytest.mark.promise("L1", "L5")
def test_four_validators_keep_one_ledger(network: list[LedgerProcess], capsys: pytest.CaptureFixture[str]) -> None:
    took_ms = lone_transactions(network)
    with capsys.disabled():
        print(f"\nlone transaction, committed on all four: {words(took_ms)}")
    agree(network)
    verify_offline(network[1])


@pytest.mark.long
@pytest.mark.promise("L1", "L2", "L3")
def test_one_of_four_may_be_killed(network: list[LedgerProcess], capsys: pytest.CaptureFixture[str]) -> None:
    network[3].kill()  # application and, with it, its node
    took_ms = lone_transactions(network[:3])
    with capsys.disabled():
        print(f"\nwith one of four killed, committed on the three: {words(took_ms)}")
    network[3].start()
    rejoined(network)
    agree(network)

    os.kill(network[2].node_process_id(), signal.SIGKILL)  # it alone: its ledger process starts it again
    submit(network[2], 500)
    rejoined(network)
    agree(network)

    founding = toy.founding(time_s=network[0].time_s, validators=validators(members_on(network[0].ports)[:VALIDATORS]))
    for each in network:
        each.client.close()
        assert each.stop() == 0
        assert fsck(each.place / "store", founding) == []


@pytest.mark.long
@pytest.mark.promise("L3")
def test_a_stranger_is_not_let_in(network: list[LedgerProcess], running: Running, cometbft: Path) -> None:
    known = members_on(network[0].ports)
    stranger = Member(known[0].p2p, SigningKey.from_seed(bytes(32)), free_ports(1)[0])
    founding = toy.founding(time_s=network[0].time_s, validators=validators(known[:VALIDATORS]))
    engine = running(start(network[0].place.parent / "stranger", founding, stranger, known, cometbft))
    wait_until(lambda: engine.node.process_id != 0, "its node")
    submit(network[0], 1)
    time.sleep(LET_IN_S)
    assert engine.status().height == 0


@pytest.mark.long
@pytest.mark.promise("L1", "L5")
def test_a_fifth_member_begins_with_a_snapshot(network: list[LedgerProcess], running: Running, cometbft: Path) -> None:
    for number in range(20, 20 + 2 * SNAPSHOT_BLOCKS):
        submit(network[0], number)
    wait_until(lambda: network[0].client.status().height > 2 * SNAPSHOT_BLOCKS, "enough blocks")
    trusted = network[0].client.signed_header(2)
    assert trusted is not None
    of = members_on(network[0].ports)
    sync = StateSync(
        servers=tuple(f"unix://{each.place}/node/{RPC_SOCKET}" for each in network[:2]),
        trust_height=2,
        trust_hash=header_hash(trusted.signed.header),
    )
    founding = toy.founding(time_s=network[0].time_s, validators=validators(of[:VALIDATORS]))
    place = network[0].place.parent / "fifth"
    fifth = running(start(place, founding, of[VALIDATORS], of, cometbft, state_sync=sync))
    wait_until(lambda: fifth.status().height >= SNAPSHOT_BLOCKS, "the snapshot")
    with fifth.snapshot() as snapshot:
        first = next(iter(snapshot.items(HEADERS)), None)
    assert first is None or int.from_bytes(first[0], "big") > SNAPSHOT_BLOCKS, "it did not begin with the first block"
    height = network[0].client.status().height
    fifth.wait_for(height, timeout_s=PATIENCE_S)
    wait_until(lambda: fifth.signed_header(height) is not None, "the header")
    assert fifth.signed_header(height).signed.header == network[0].client.signed_header(height).signed.header  # type: ignore[union-attr]


def lone_transactions(processes: list[LedgerProcess]) -> list[float]:
    """Submit one transaction at a time; return how long until all had it, in milliseconds."""
    took_ms = []
    for number in range(LONE):
        time.sleep(0.25)
        began = time.monotonic()
        result = submit(processes[number % len(processes)], number)
        with processes[number % len(processes)].client.snapshot() as snapshot:
            assert snapshot.get("leaves", result.to_bytes(8, "big")) is not None
        wait_until(lambda position=result: all(has_leaf(each, position) for each in processes), "on all")
        took_ms.append((time.monotonic() - began) * 1000)
    return took_ms


def words(took_ms: list[float]) -> str:
    """Say a distribution in words."""
    ordered = sorted(took_ms)
    return f"p50 {statistics.median(ordered):.0f} ms, least {ordered[0]:.0f} ms, most {ordered[-1]:.0f} ms"


def submit(process: LedgerProcess, number: int) -> int:
    """Submit one note; return its place in the log."""
    raw = toy.notes(number, time_s=int(time.time()))
    result = process.client.submit(raw, timeout_s=PATIENCE_S)
    assert result.code == (toy.UNLUCKY if number == 13 else 0)
    return result.first_leaf


def has_leaf(process: LedgerProcess, position: int) -> bool:
    with process.client.snapshot() as snapshot:
        return snapshot.get("leaves", position.to_bytes(8, "big")) is not None


def rejoined(processes: list[LedgerProcess]) -> None:
    """Wait until all have the height that the first has now."""
    height = processes[0].client.status().height
    for each in processes:
        each.client.wait_for(height, timeout_s=PATIENCE_S)


def agree(processes: list[LedgerProcess]) -> None:
    """The same header, so the same app hash, at the same height, on all."""
    rejoined(processes)
    height = processes[0].client.status().height
    for each in processes:
        each.client.wait_for(height + 1, timeout_s=PATIENCE_S)
    found = {each.client.signed_header(height).signed.header for each in processes}  # type: ignore[union-attr]
    assert len(found) == 1


def verify_offline(process: LedgerProcess) -> None:
    """A row is proved under a header that the validator set signed."""
    of = members_on([0] * VALIDATORS)
    key = toy.NOTES.key((toy.PublicKey(toy.KEY.public), 1))
    proved = prove_signed(process.client, [key])
    root = trust.TrustRoot(
        format=trust.FORMAT,
        chain=toy.CHAIN,
        genesis_hash=Digest(bytes(32)),
        engine=trust.EngineKind.COMETBFT,
        validators=tuple(
            trust.TrustedValidator(f"V{place}", each.public_key, each.power)  # type: ignore[arg-type]
            for place, each in enumerate(validators(of))
        ),
        trusted_at_s=int(time.time()),
        trusting_period_s=86_400,
    )
    verified = verify_state(root, proved.signed, now_s=int(time.time()))
    assert verified.power_total == 10 * VALIDATORS
    assert 3 * verified.power_signed > 2 * verified.power_total
