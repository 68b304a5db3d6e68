"""The chain behind CometBFT: a decided block is executed, and then stored in one durable step (L2, L4).

Between the two the machine is one block ahead of the store. Whatever happens there, the store has the block before, and
CometBFT sends the block again. Not for several threads at a time: the application's lock is around every call.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from salus.engines.base import Founding, SealedHeight
from salus.engines.beginning import check_libraries, known_rules, open_machine
from salus.engines.clock import SECOND_NS
from salus.engines.headers import COMETBFT, body_row, evidence_row, header_row
from salus.engines.pruning import BODIES_KEPT_S, Pruning
from salus.engines.sealing import restore
from salus.engines.store import BLOCKS, EVIDENCE, HEADERS, MAP_SIZE_BYTES, FolderLock, LmdbStore, height_key
from salus.ledger.contract import Misbehaviour
from salus.ledger.machine import Executed, Machine, Meta
from salus.ledger.state import Changes
from salus.ledger.transactions import NotATransaction, Transaction

log = logging.getLogger("salus.engines")


@dataclass(frozen=True)
class DecidedBlock:
    """A block that the validators decided.

    Args:
        raws: its byte strings; `transactions` what each of them is.
        time_ns: block time, nanoseconds since 1970.
    """

    height: int
    time_ns: int
    raws: tuple[bytes, ...]
    transactions: Sequence[Transaction | NotATransaction]
    evidence: tuple[Misbehaviour, ...] = ()


@dataclass(frozen=True)
class _Pending:
    block: DecidedBlock
    executed: Executed


class CometChain:
    """Machine and store of one validator or observer.

    Args:
        folder: of the store; created, with genesis in it, when absent.
        bodies_kept_s: age from which block bodies and their headers are pruned, in seconds.

    Raises:
        StartRefused: another process owns the folder; the store is of another chain or engine, or newer than this
            software; PyNaCl or msgspec answers known cases differently.
    """

    machine: Machine
    meta: Meta
    """Where the store stands: the newest block that was committed."""

    def __init__(
        self,
        folder: Path,
        founding: Founding,
        *,
        map_size_bytes: int = MAP_SIZE_BYTES,
        bodies_kept_s: int = BODIES_KEPT_S,
    ) -> None:
        check_libraries()
        self.founding = founding
        self._lock = FolderLock(folder)
        self.store = LmdbStore(folder, map_size_bytes=map_size_bytes)
        self._bodies_kept_s = bodies_kept_s
        try:
            self.load()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the folder; a second time does nothing."""
        if self._lock.held:
            self.store.close()
            self._lock.release()

    def load(self) -> None:
        """Begin from the store, as it is at a start; forgets a block that was executed and not committed."""
        self.machine = open_machine(self.store, self.founding, engine=COMETBFT)
        self._pending: _Pending | None = None
        self._pruning = Pruning(self.store, kept_s=self._bodies_kept_s)
        assert self.machine.meta is not None
        self.meta = self.machine.meta
        newest = self.store.last_key(HEADERS)
        self.header_height = int.from_bytes(newest, "big") if newest else 0

    def begin(self) -> None:
        """Make the state before the first block, as often as CometBFT asks: that of an adopted ledger is restored.

        Raises:
            StartRefused: the sealed file is not the ledger that the founders signed for.
        """
        if self.founding.adopted is not None and self.meta.height == 0:
            restore(self.store, self.founding)
            self.load()

    @property
    def has_begun(self) -> bool:
        """Tell whether there is a block."""
        return self.meta.height >= self.founding.first_height

    @property
    def rules_version(self) -> int:
        """The version of the rules after the newest committed block."""
        return self.founding.rules_version(self.store)

    @property
    def is_settled(self) -> bool:
        """Tell whether the machine stands where the store stands."""
        return self._pending is None

    def finalize(self, block: DecidedBlock) -> Executed:
        """Execute a decided block; nothing is stored yet. Raises StartRefused for rules newer than this software."""
        assert self._pending is None, "a node that starts again asks first where the chain stands, which loads it again"
        with known_rules():
            executed = self.machine.execute(
                height=block.height,
                time_s=block.time_ns // SECOND_NS,
                block_transactions=block.transactions,
                evidence=block.evidence,
            )
        self._pending = _Pending(block, executed)
        return executed

    def commit(self) -> tuple[DecidedBlock, Executed]:
        """Store the executed block, all of it in one durable step.

        Raises:
            DiskFull: nothing was stored, and the chain stands where it stood.
        """
        assert self._pending is not None, "a block is finalised before it is committed"
        block, executed = self._pending.block, self._pending.executed
        changes: Changes = {**executed.changes}
        key = height_key(block.height)
        if block.raws:
            changes[BLOCKS] = {key: body_row(block.raws)}
        if block.evidence:
            changes[EVIDENCE] = {key: evidence_row(block.evidence)}
        self._pruning.prune(changes, newest=self.header_height, now_ns=block.time_ns)
        self.store.write(changes)
        self._pending = None
        self.meta = executed.meta
        return block, executed

    def retain_height(self) -> int:
        """Return below which height the node may forget blocks: as old as those that are pruned here; 0 for none."""
        oldest = self._pruning.oldest()
        return oldest if oldest > self.founding.first_height else 0

    def store_headers(self, sealed: Sequence[SealedHeight]) -> None:
        """Store signed headers; one that was stored before gets the commit that the next block carries."""
        rows: dict[bytes, bytes | None] = {}
        for each in sealed:
            rows[height_key(each.signed.header.height)] = header_row(each.signed, each.validators)
        self.store.write({HEADERS: rows})
        self.header_height = max(self.header_height, *(each.signed.header.height for each in sealed))
