"""One member floods the mempools with junk, with ten thousand keys of its own, with valid transactions."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from salus.contracts.membership import PublishFile
from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.engines.cometbft.home import RPC_SOCKET
from salus.engines.cometbft.rpc import NodeRpc
from salus.ledger import transactions
from salus.ledger.identifiers import Digest, OrganisationId
from salus.testing.world import unix_now_s
from tests.faults.conftest import Evidence
from tests.faults.network import CHAIN, FourValidators, Load, publish
from tests.faults.validator import PATIENCE_S, Validator

pytestmark = [pytest.mark.services, pytest.mark.long, pytest.mark.promise("L3", "L6")]

COUNT = 10_000
AT_ONCE = 250
FLOOD_S = 20.0
WITHIN_MS = 2_000


def junk(_validator: Validator) -> bytes:
    return os.urandom(200)


def with_a_key_of_its_own(validator: Validator) -> bytes:
    """It names the member, and no key of the member signs it: rejected, if it comes so far."""
    key = SigningKey.from_seed(os.urandom(32))
    file = PublishFile(OrganisationId(validator.organisation), "flood", Digest(sha256(key.public)))
    return transactions.sign([file], chain=CHAIN, keys=[key], expires_at_s=unix_now_s() + 300, nonce=os.urandom(16))


def valid(validator: Validator) -> bytes:
    return publish(validator, "flood")


@pytest.mark.parametrize("make", [junk, with_a_key_of_its_own, valid])
@pytest.mark.fault("mempool flood by one member")
def test_others_transactions_commit_within_two_seconds(
    four: FourValidators, evidence: Evidence, make: Callable[[Validator], bytes]
) -> None:
    flooder = four.all[3]
    flooder.settings.fault = "let-all-in"
    flooder.within = ("nice", "-n", "19")  # on a machine of its own it would take no processor time from the others
    four.start()
    raws = [make(flooder) for _ in range(COUNT)]
    ended = threading.Event()
    with Load(four.all[:3], pause_s=0.5) as load:
        time.sleep(2.0)
        began_s = time.monotonic()
        thread = threading.Thread(target=flood, args=(flooder, iter(raws), ended))
        thread.start()
        time.sleep(FLOOD_S)
        thread.join(PATIENCE_S)  # on a busy machine the flooder, which gives way to all, takes longer
        ended_s = time.monotonic()
        assert not thread.is_alive(), "all of the flood was handed over"
        ended.set()
        thread.join()
    p95_ms, worst_ms = load.p95_ms(began_s, ended_s), load.worst_ms(began_s, ended_s)
    evidence(f"{make.__name__}: p95 {p95_ms:.0f} ms, worst {worst_ms:.0f} ms, without it {load.p95_ms(0, began_s):.0f}")
    evidence(four.agree(load, among=four.all[:3]))
    assert p95_ms < WITHIN_MS


def flood(validator: Validator, raws: Iterator[bytes], ended: threading.Event) -> None:
    """Hand everything to its CometBFT node, past its own limits."""
    rpc = NodeRpc(validator.place / "node" / RPC_SOCKET)
    while not ended.is_set() and (batch := list(itertools.islice(raws, AT_ONCE))):
        rpc.broadcast(batch)
    rpc.close()
