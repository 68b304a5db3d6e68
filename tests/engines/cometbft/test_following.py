"""A trust store follows a real CometBFT node over its socket, and is confirmed by the ledger process beside it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from salus.cli.header_sources import open_source
from salus.engines.base import SealedHeight
from salus.engines.cometbft.engine import CometEngine
from salus.engines.cometbft.home import RPC_SOCKET
from salus.ledger.comet.commit import encode_signed_header
from salus.ledger.identifiers import OrganisationId, PublicKey
from salus.ledger.proofs import LightBlock
from salus.ledger.verifier import EngineKind, TrustedValidator, TrustRoot
from salus.sdk.following import bring_up_to_date
from tests.engines import toy
from tests.engines.cometbft.network import PATIENCE_S, members, start, validators, wait_until

pytestmark = [pytest.mark.services, pytest.mark.promise("L3", "L5")]


class Beside:
    """The headers that the ledger process wrote itself."""

    name = "the ledger process"

    def __init__(self, engine: CometEngine) -> None:
        self._engine = engine

    def heights(self) -> tuple[int, int]:
        return 1, self._engine.status().height

    def light_block(self, height: int) -> LightBlock | None:
        sealed: SealedHeight | None = self._engine.signed_header(height)
        return None if sealed is None else LightBlock(encode_signed_header(sealed.signed), sealed.validators)


def test_a_trust_store_follows_a_node_over_its_socket(
    short_path: Path, running: Callable[[CometEngine], CometEngine], cometbft: Path
) -> None:
    of = members(1)
    now_s = int(time.time())
    founding = toy.founding(time_s=now_s - 60, validators=validators(of))
    engine = running(start(short_path, founding, of[0], of, cometbft))
    engine.wait_for(3, timeout_s=PATIENCE_S)
    root = TrustRoot(
        format=1,
        chain=toy.CHAIN,
        genesis_hash=bytes(32),  # type: ignore[arg-type]
        engine=EngineKind.COMETBFT,
        validators=(TrustedValidator(OrganisationId("RVJ"), PublicKey(of[0].consensus.public), 10),),
        trusted_at_s=now_s,
        trusting_period_s=86_400,
    )
    wait_until(lambda: engine.signed_header(2) is not None, "the header of block 2")
    with open_source(short_path / "node" / RPC_SOCKET) as node:
        begun = bring_up_to_date(root, node, None, height=1, now_s=int(time.time()))
        assert begun.store.signed_header().header.height == 1
        moved = bring_up_to_date(begun.store, node, Beside(engine), height=2, now_s=int(time.time()))
        newest = bring_up_to_date(moved.store, node, None, height=0, now_s=int(time.time()))
    assert (moved.conflict, moved.store.witness, moved.store.source) == (None, "the ledger process", RPC_SOCKET)
    assert moved.store.signed_header() == engine.signed_header(2).signed  # type: ignore[union-attr]
    assert newest.store.signed_header().header.height >= 2
