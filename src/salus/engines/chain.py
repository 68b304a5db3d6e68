"""The chain of the embedded engine: one block after the other, signed by one key, each durable before the next.

It says plainly that its trust is one key: headers, commits and the validator set are CometBFT's, the set has one
member. Everything of a block (rows, leaves, body, header, commit) is in one store transaction (L2, L4).
Not for several threads: its owner is one thread, or a test.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from salus.crypto import merkle
from salus.crypto.hashing import EMPTY_ROOT
from salus.crypto.signing import SigningKey
from salus.engines.base import Founding, StartRefused
from salus.engines.beginning import check_libraries, known_rules, open_machine
from salus.engines.clock import SECOND_NS, Clock, ClockGuard
from salus.engines.headers import EMBEDDED, NO_COMMIT, body_row, decode_body_row, header_row, read_header
from salus.engines.pruning import BODIES_KEPT_S, Pruning
from salus.engines.store import BLOCKS, HEADERS, MAP_SIZE_BYTES, DiskFull, FolderLock, LmdbStore, height_key
from salus.ledger.comet.block import (
    BLOCK_SIZE_MAX_BYTES,
    block_id,
    consensus_hash,
    data_hash,
    results_hash,
)
from salus.ledger.comet.commit import commit_hash, vote_sign_bytes
from salus.ledger.comet.types import (
    COMMIT,
    Block,
    Commit,
    CommitSig,
    Header,
    SignedHeader,
    TxResult,
    Validator,
    Version,
)
from salus.ledger.comet.validators import validator_address, validators_hash
from salus.ledger.machine import Executed, Machine, Meta
from salus.ledger.state import Changes
from salus.ledger.transactions import Transaction, transaction_hash

CONSENSUS_HASH = consensus_hash(block_size_max_bytes=BLOCK_SIZE_MAX_BYTES, gas_max=-1)

log = logging.getLogger("salus.engines")


@dataclass(frozen=True)
class _Tip:
    """The newest block, as the next one needs it."""

    time_ns: int
    commit: Commit
    results_hash: bytes


class EmbeddedChain:
    """A chain with one validator.

    Args:
        folder: of the store; created, with genesis in it, when absent.
        key: the validator's consensus key.
        bodies_kept_s: age from which block bodies and their headers are pruned, in seconds.

    Raises:
        StartRefused: another process owns the folder; the store is of another chain, key or engine, or newer than this
            software; the clock is behind the newest block; PyNaCl or msgspec answers known cases differently.
    """

    machine: Machine
    _tip: _Tip
    _signed_app_hash: bytes
    _pruning: Pruning

    def __init__(
        self,
        folder: Path,
        founding: Founding,
        key: SigningKey,
        clock: Clock,
        *,
        map_size_bytes: int = MAP_SIZE_BYTES,
        bodies_kept_s: int = BODIES_KEPT_S,
    ) -> None:
        self.founding = founding
        self.validators = (Validator(key.public, 1),)
        self._key = key
        self._address = validator_address(key.public)
        self._validators_hash = validators_hash(self.validators)
        self._bodies_kept_s = bodies_kept_s
        check_libraries()
        self._lock = FolderLock(folder)
        self.store = LmdbStore(folder, map_size_bytes=map_size_bytes)
        try:
            self._load()
            self._guard = ClockGuard(clock, last_ns=self._tip.time_ns)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the folder; a second time does nothing."""
        if self._lock.held:
            self.store.close()
            self._lock.release()

    @property
    def meta(self) -> Meta:
        """Where the state stands."""
        assert self.machine.meta is not None
        return self.machine.meta

    @property
    def unsigned(self) -> bool:
        """Tell whether the newest state is in no signed header yet: a proof block is due."""
        return self._signed_app_hash != self.meta.app_hash

    def next_time_ns(self) -> int:
        """Return the next block's time. Raises ClockUnfit."""
        return self._guard.next_block_ns(self._tip.time_ns)

    def append(self, block_transactions: Sequence[Transaction], *, time_ns: int) -> Executed:
        """Make one block, durably.

        1. The header says what was before: state, results, commit of the last block. 2. Execute. 3. Sign header and
        parts. 4. Store everything in one step.

        Args:
            block_transactions: verified and not expired, of at most 2 MiB as a block.
            time_ns: from `next_time_ns`.

        Raises:
            DiskFull: nothing was stored, and the chain stands where it stood.
            StartRefused: the block follows rules that are newer than this software.
        """
        height = self.meta.height + 1
        raws = tuple(transaction.raw for transaction in block_transactions)
        header = self._header(raws, height=height, time_ns=time_ns)  # 1
        time_s = time_ns // SECOND_NS
        with known_rules():
            executed = self.machine.execute(height=height, time_s=time_s, block_transactions=block_transactions)  # 2
        signed = self._signed(Block(header, raws, (), self._tip.commit))  # 3
        changes: Changes = {**executed.changes, HEADERS: {height_key(height): header_row(signed, self.validators)}}
        if raws:
            changes[BLOCKS] = {height_key(height): body_row(raws)}
        self._pruning.prune(changes, newest=height, now_ns=time_ns)
        self._write(changes)  # 4
        self._signed_app_hash = header.app_hash
        self._tip = _Tip(time_ns, signed.commit, _results_hash(result.code for result in executed.results))
        return executed

    def _write(self, changes: Changes) -> None:
        try:
            self.store.write(changes)
        except DiskFull:
            self._load()  # the machine had already gone one block ahead
            raise

    def _header(self, raws: tuple[bytes, ...], *, height: int, time_ns: int) -> Header:
        return Header(
            version=Version(app=self.founding.rules_version(self.store)),
            chain_id=self.founding.chain,
            height=height,
            time_ns=time_ns,
            last_block_id=self._tip.commit.block_id,
            last_commit_hash=commit_hash(self._tip.commit),
            data_hash=data_hash(raws),
            validators_hash=self._validators_hash,
            next_validators_hash=self._validators_hash,
            consensus_hash=CONSENSUS_HASH,
            app_hash=self.meta.app_hash,
            last_results_hash=self._tip.results_hash,
            evidence_hash=EMPTY_ROOT,
            proposer_address=self._address,
        )

    def _signed(self, block: Block) -> SignedHeader:
        def commit(signature: bytes) -> Commit:
            vote = CommitSig(COMMIT, self._address, block.header.time_ns, signature)
            return Commit(block.header.height, 0, voted, (vote,))

        voted = block_id(block)
        signature = self._key.sign(vote_sign_bytes(self.founding.chain, commit(b""), 0))
        return SignedHeader(block.header, commit(signature))

    # At start

    def _load(self) -> None:
        self.machine = open_machine(self.store, self.founding, engine=EMBEDDED)
        self._pruning = Pruning(self.store, kept_s=self._bodies_kept_s)
        self._load_tip()

    def _load_tip(self) -> None:
        newest = read_header(self.store, self.meta.height)
        if newest is None:
            assert self.meta.height == 0, "state and header are stored together"
            self._tip = _Tip(self.founding.time_s * SECOND_NS, NO_COMMIT, EMPTY_ROOT)
            self._signed_app_hash = b""
            return
        if newest.validators != self.validators:
            raise StartRefused("expected the consensus key that signed the newest block: use the key of this folder")
        header = newest.signed.header
        self._tip = _Tip(header.time_ns, newest.signed.commit, _results_hash(self._codes_of(header.height)))
        self._signed_app_hash = header.app_hash

    def _codes_of(self, height: int) -> list[int]:
        row = self.store.get(BLOCKS, height_key(height))
        results = [self.machine.stored(transaction_hash(raw)) for raw in decode_body_row(row)] if row else []
        present = [result.code for result in results if result is not None]
        assert len(present) == len(results), "a block's outcomes are stored with it"
        return present


def _results_hash(codes: Iterable[int]) -> bytes:
    # Outcomes themselves are leaves under the app hash; here only the codes, as CometBFT wants them.
    return merkle.root([_result_leaf(code) for code in codes])


@cache
def _result_leaf(code: int) -> bytes:
    # The root of a tree of one is that leaf's hash (RFC 9162 2.1.1).
    return results_hash([TxResult(code)])
