"""Four validators with real CometBFT go on with a ledger of one key; one that has another file stays outside."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from salus.crypto.hashing import leaf_hash
from salus.engines.base import Adopted, Founding, SealedHeight
from salus.engines.chain import EmbeddedChain
from salus.engines.clock import SECOND_NS, SystemClock
from salus.engines.cometbft.engine import CometEngine
from salus.engines.fsck import beginning, fsck
from salus.engines.headers import read_header
from salus.engines.sealing import read_sealed, seal, write_sealed
from salus.engines.store import LmdbReader
from salus.ledger.comet.commit import encode_signed_header
from salus.ledger.comet.types import Validator
from salus.ledger.identifiers import Digest
from salus.ledger.machine import FirstRow, read_leaf
from salus.ledger.proofs import LightBlock
from salus.ledger.state import Lister
from salus.ledger.verifier import trust
from salus.ledger.verifier.failure import VerificationFailed
from salus.ledger.verifier.state import Trust, verify_header
from salus.ledger.verifier.store import STORE_FORMAT, TrustStore
from tests.engines import toy
from tests.engines.cometbft.network import PATIENCE_S, VALIDATORS, members, start, validators, wait_until

pytestmark = pytest.mark.services
Running = Callable[[CometEngine], CometEngine]
GENESIS = b"the document that the old ledger began with"


def no_change(_lister: Lister) -> list[FirstRow]:
    """The toy has no members to write."""
    return []


def old_ledger(place: Path) -> tuple[Path, Founding]:
    """Make a ledger of one key with a few events, and end it; return its sealed file and its founding."""
    folder, began = place / "old", toy.founding(time_s=int(time.time()) - 60)
    chain = EmbeddedChain(folder, began, toy.CONSENSUS_KEY, SystemClock())
    for number in range(3):
        raws = [toy.notes(10 * number, time_s=int(time.time())), toy.visits(bytes(16), number, time_s=int(time.time()))]
        admitted = [chain.machine.admit(raw, time_s=int(time.time())) for raw in raws]
        chain.append(admitted, time_ns=chain.next_time_ns())
    chain.close()
    seal(folder, began, toy.CONSENSUS_KEY, SystemClock())
    write_sealed(folder, GENESIS, place / "sealed")
    return place / "sealed", began


def trust_root(of: tuple[Validator, ...]) -> trust.TrustRoot:
    """What a verifier of the network starts from."""
    return trust.TrustRoot(
        format=trust.FORMAT,
        chain=toy.CHAIN,
        genesis_hash=Digest(bytes(32)),
        engine=trust.EngineKind.COMETBFT,
        validators=tuple(
            trust.TrustedValidator(f"V{place}", each.public_key, each.power)  # type: ignore[arg-type]
            for place, each in enumerate(of)
        ),
        trusted_at_s=int(time.time()),
        trusting_period_s=86_400,
    )


def store_of(root: trust.TrustRoot, newest: SealedHeight) -> TrustStore:
    """What `salus follow` keeps once it has seen that header."""
    return TrustStore(
        format=STORE_FORMAT,
        root=root,
        newest=LightBlock(encode_signed_header(newest.signed), newest.validators),
        followed_at_s=int(time.time()),
        source="here",
        witness="",
        conflicts=(),
    )


def signed_on(chain: EmbeddedChain, blocks: int) -> SealedHeight:
    """Have the old key sign so many blocks more, as its holder can; return the last."""
    for _ in range(blocks):
        chain.append([], time_ns=chain.next_time_ns())
    sealed = read_header(chain.store, chain.meta.height)
    assert sealed is not None
    return sealed


def refused(trusted: Trust, header: SealedHeight) -> None:
    """It is for a verifier: nothing that only the old key has signed is believed."""
    data = encode_signed_header(header.signed)
    with pytest.raises(VerificationFailed):
        verify_header(trusted, data, header.validators, now_s=int(time.time()))


@pytest.mark.promise("L1", "L2", "L5")
def test_four_go_on_and_the_old_key_counts_for_nothing(short_path: Path, cometbft: Path, running: Running) -> None:
    sealed, began = old_ledger(short_path)
    meta = read_sealed(sealed).meta(toy.CHAIN)
    of = members(VALIDATORS)
    adopted = Adopted(meta.height, meta.tree_root, meta.log_size, meta.log_root, no_change, sealed)
    founding = replace(
        toy.founding(time_s=max(meta.time_s, int(time.time())), validators=validators(of)), adopted=adopted
    )
    data = sealed.read_bytes()
    other = short_path / "altered"
    other.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])

    # The last founder has another file: it never begins, and the three others go on without it.
    places = [short_path / f"v{number}" for number in range(VALIDATORS)]
    for each in places:
        each.mkdir()
    engines = [running(start(place, founding, own, of, cometbft)) for place, own in zip(places[:3], of, strict=False)]
    outside = replace(founding, adopted=replace(adopted, sealed=other))
    last = start(places[3], outside, of[3], of, cometbft)
    wait_until(lambda: not last.alive, "it says that it cannot begin")
    last.close()
    for each in engines:
        each.wait_for(meta.height + 2, timeout_s=PATIENCE_S)

    # With the right one it begins, and has the same ledger; the log goes on after the old one's leaves.
    engines.append(running(start(places[3], founding, of[3], of, cometbft)))
    result = engines[3].submit(toy.notes(1, time_s=int(time.time())), timeout_s=PATIENCE_S)
    assert result.first_leaf == meta.log_size
    height = engines[0].status().height
    for each in engines:
        each.wait_for(height + 1, timeout_s=PATIENCE_S)
    newest = [each.signed_header(height) for each in engines]
    assert newest[0] is not None
    assert len({each.signed.header.app_hash for each in newest if each}) == 1
    with engines[3].snapshot() as snapshot:
        assert leaf_hash(read_leaf(snapshot, 0) or b"") == leaf_hash(read_sealed(sealed).chunks[0].leaves[0])

    # A header of the old key, from before or made since, is refused; the network's is not.
    reader = LmdbReader(short_path / "old")
    with reader.snapshot() as old:
        before = read_header(old, meta.height)
    reader.close()
    fork = EmbeddedChain(short_path / "fork", began, toy.CONSENSUS_KEY, SystemClock())
    since = signed_on(fork, height + 5)
    fork.close()
    assert before is not None
    assert since.signed.header.height > height
    root = trust_root(validators(of))
    for trusted in (root, store_of(root, newest[0])):
        verify_header(trusted, encode_signed_header(newest[0].signed), newest[0].validators, now_s=int(time.time()))
        refused(trusted, before)
        refused(trusted, since)

    # Each store follows from the sealed file; a restart goes on.
    engines[0].close()
    again = running(start(places[0], founding, of[0], of, cometbft))
    again.wait_for(height + 2, timeout_s=PATIENCE_S)
    assert again.status().header_time_ms * 1_000_000 > newest[0].signed.header.time_ns - SECOND_NS
    for each in (again, *engines[1:]):
        each.close()
    for place in places:
        assert beginning(place / "store", founding) == f"the ledger sealed at height {meta.height}"
        assert fsck(place / "store", founding) == []
