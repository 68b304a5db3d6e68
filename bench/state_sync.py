"""What a member that joins by a snapshot fetches and waits for, with a million keys in the proved tables (issue B)."""

import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure import Line
from salus.contracts import CONTRACTS
from salus.contracts.genesis import genesis_rows
from salus.contracts.membership import KeyUse
from salus.contracts.patients import Enrol, Holder
from salus.contracts.records import RegisterBatch
from salus.crypto.signing import SigningKey
from salus.engines.base import Founding
from salus.engines.clock import SystemClock
from salus.engines.cometbft import messages
from salus.engines.cometbft.snapshots import Snapshots
from salus.ledger import transactions
from salus.ledger.comet.types import Validator
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.transactions import Message
from salus.node.keys import generate
from salus.testing.abci_application import AbciApplication
from salus.testing.abci_node import AbciNode, Block
from salus.testing.world import HOSPITAL, PRACTICE, make_genesis

KEYS = int(os.environ.get("KEYS", "1000000"))
RELATIONSHIPS = 250
PER_TRANSACTION = 250
PER_BLOCK = 8
MINUTES_MAX = 5


def run() -> list[Line]:
    """Fill one ledger, make its snapshot, and begin another from it."""
    with tempfile.TemporaryDirectory() as folder:
        source, joins = _Node(Path(folder) / "source"), _Node(Path(folder) / "joins")
        try:
            keys = source.fill()
            return [_line(source, joins, keys)]
        finally:
            source.close()
            joins.close()


def _line(source: "_Node", joins: "_Node", keys: int) -> Line:
    made_s = source.make_snapshot()
    [offer] = source.snapshots.offered()
    chunks = [source.snapshots.chunk(offer.height, offer.format, index) for index in range(offer.chunks)]
    begun = time.perf_counter()
    judged = joins.snapshots.offer(offer, source.application.chain.meta.app_hash)
    assert judged == messages.SNAPSHOT_ACCEPT, "the snapshot is taken"
    for index, chunk in enumerate(chunks):
        joins.snapshots.apply(index, chunk, "peer")
    took_s = time.perf_counter() - begun
    assert joins.application.chain.meta == source.application.chain.meta, "both stand where the snapshot was made"
    megabytes = sum(map(len, chunks)) / 1e6
    return Line(
        f"state sync of {keys:,} keys and as many leaves, without the network between",
        f"minutes (≤ {MINUTES_MAX} here)",
        f"{took_s:.0f} s to check and store {megabytes:,.0f} MB in {len(chunks)} chunks; made in {made_s:.0f} s",
        took_s <= MINUTES_MAX * 60,
        {"keys": keys, "took_s": took_s, "made_s": made_s, "bytes": sum(map(len, chunks)), "chunks": len(chunks)},
    )


class _Node:
    """An application with a ledger of one custodian, to which blocks are brought one after the other."""

    def __init__(self, folder: Path) -> None:
        genesis = _GENESIS
        self._hospital = _KEYS[HOSPITAL].signing(KeyUse.TRANSACTION)
        self._blocks = KEYS // (PER_TRANSACTION * PER_BLOCK) + 1  # the first one enrols
        validators = (Validator(_KEYS[HOSPITAL].signing(KeyUse.CONSENSUS).public, 10),)
        rows = tuple(genesis_rows(genesis))
        founding = Founding(genesis.chain, CONTRACTS, genesis.time_s, rows, validators=validators)
        folder.mkdir()
        self.application = AbciApplication(
            folder / "ledger",
            folder / "s",
            founding,
            SystemClock(),
            lambda _reader, _transaction: None,
            snapshots=lambda chain: Snapshots(chain, every_blocks=self._blocks + 1),
        )
        self._chain, self._time_s = genesis.chain, genesis.time_s
        self._node = AbciNode(folder / "s", genesis.chain, validators)
        self._node.start()

    @property
    def snapshots(self) -> Snapshots:
        """Those of this node."""
        return self.application.application.snapshots

    def fill(self) -> int:
        """Bring blocks until there are so many keys; return how many."""
        people = [(Pseudonym(secrets.token_bytes(16)), SigningKey.generate()) for _ in range(RELATIONSHIPS)]
        self._decide([self._signed([_enrol(*each)], [self._hospital, each[1]]) for each in people])
        for _ in range(self._blocks - 1):
            self._decide(self._batches(people))
        return (self._blocks - 1) * PER_TRANSACTION * PER_BLOCK

    def make_snapshot(self) -> float:
        """Bring the block at whose height one is made; return how long it takes, in seconds."""
        begun = time.perf_counter()
        self._decide(())
        self.snapshots.wait()
        return time.perf_counter() - begun

    def close(self) -> None:
        """End everything."""
        self._node.stop()
        self.application.close()

    def _batches(self, people: Sequence[tuple[Pseudonym, SigningKey]]) -> Iterator[bytes]:
        for _ in range(PER_BLOCK):
            yield self._signed(
                [RegisterBatch(pseudonym, HOSPITAL, Digest(secrets.token_bytes(32)), 16) for pseudonym, _ in people],
                [self._hospital],
            )

    def _decide(self, raws: Sequence[bytes] | Iterator[bytes]) -> None:
        self._time_s += 1
        finalized = self._node.decide(Block(self._time_s * 10**9, tuple(raws)))
        assert set(finalized.codes) <= {0}, "every transaction is done"

    def _signed(self, of: Sequence[Message], keys: Sequence[SigningKey]) -> bytes:
        nonce, ends_s = secrets.token_bytes(16), self._time_s + 60
        return transactions.sign(of, chain=self._chain, keys=keys, expires_at_s=ends_s, nonce=nonce)


_KEYS = {HOSPITAL: generate(), PRACTICE: generate()}
_GENESIS = make_genesis(_KEYS)
"""The same for both nodes."""


def _enrol(pseudonym: Pseudonym, key: SigningKey) -> Message:
    salt = Digest(secrets.token_bytes(32))
    return Enrol(pseudonym, HOSPITAL, PublicKey(key.public), Holder.PATIENT, Digest(b""), salt)
