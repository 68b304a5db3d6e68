"""One CometBFT validator runs our machine, behind the same socket and client as the embedded engine."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from salus.engines.client import LedgerClient
from salus.engines.cometbft.engine import CometEngine
from salus.engines.fsck import fsck
from salus.engines.process import LedgerServer
from salus.engines.proving import prove_signed
from salus.ledger.outcomes import NOT_A_TRANSACTION
from salus.ledger.tree_proof import verify_present
from tests.engines import toy
from tests.engines.cometbft.network import PATIENCE_S, members, start, validators, wait_until

pytestmark = pytest.mark.services
Running = Callable[[CometEngine], CometEngine]


@pytest.mark.promise("L2", "L5")
def test_a_transaction_commits_through_the_ledgers_socket(
    short_path: Path, running: Running, each_cometbft: Path
) -> None:
    of = members(1)
    founding = toy.founding(time_s=int(time.time()) - 60, validators=validators(of))
    engine = running(start(short_path, founding, of[0], of, each_cometbft))
    server = LedgerServer(engine, short_path / "ledger.sock")
    # What the client reads by itself it reads from LMDB, which a process opens once: here the engine is asked for that.
    client = LedgerClient(short_path / "ledger.sock", short_path / "store", chain=toy.CHAIN)
    now_s = int(time.time())
    raws = [toy.notes(1, time_s=now_s), b"garbage", toy.notes(13, time_s=now_s), toy.visits(bytes(16), 7, time_s=now_s)]
    try:
        results = client.submit_many(raws, timeout_s=PATIENCE_S)
        assert [each.code for each in results] == [0, NOT_A_TRANSACTION, toy.UNLUCKY, 1]
        again = client.submit(raws[0], timeout_s=PATIENCE_S)
        assert (again.first_leaf, again.leaves) == (results[0].first_leaf, results[0].leaves)
        key = toy.NOTES.key((toy.PublicKey(toy.KEY.public), 1))
        proved = prove_signed(engine, [key])
        [row] = proved.rows
        verify_present(row.proof, root=proved.signed.state.tree_root, key=key, value=row.row)
        status = engine.status()
        assert status.engine == "cometbft"
        assert status.header_age_ms < 5_000
        assert client.wait_for(status.height + 1, timeout_s=PATIENCE_S) > status.height
    finally:
        client.close()
        server.close()
    wait_until(lambda: engine.status().header_time_ms > status.header_time_ms, "a newer header")
    engine.close()
    assert fsck(short_path / "store", founding) == []
