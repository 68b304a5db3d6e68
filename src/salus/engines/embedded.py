"""The embedded engine: every node of one machine, one key, group commit (DESIGN §4).

One thread owns the chain. It takes whatever was verified while the block before was executed and synced, makes one
block of it, and answers the submitters when that block is durable (L2). Threads, not coroutines: the work is the
machine's, which must not wait for an event loop, and the few connections of a ledger process are cheap as threads.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from salus.crypto.signing import SigningKey
from salus.engines.base import Founding, Payer, Snapshot, Unavailable
from salus.engines.chain import EmbeddedChain
from salus.engines.clock import SECOND_NS, Clock, SystemClock
from salus.engines.intake import Answered, Bounds, Entry, Intake, refusal
from salus.engines.proving import prove_rows
from salus.engines.pruning import BODIES_KEPT_S
from salus.engines.served import ServedEngine
from salus.engines.store import MAP_SIZE_BYTES, DiskFull
from salus.engines.verifier import InlineVerifier, ProcessVerifier, Verifier
from salus.engines.waiting import HeightWaiters
from salus.ledger import transactions
from salus.ledger.proofs import ProvedRows
from salus.ledger.transactions import NotATransaction

EMPTY_BLOCK_S = 2.0
"""A block at least this often, so that headers are young (R3)."""
PROOF_BLOCK_S = 0.1
"""After a change the next block, which signs the new state, comes at the latest after this time."""
READER_CHECK_BLOCKS = 64
INLINE = 0
"""Verifying processes: none; two threads of this process check, which tests prefer."""
STOPPING = "the ledger is stopping: try later"
FAILED = "the ledger failed: see its log, start it again"

log = logging.getLogger("salus.engines")


def verifying_processes() -> int:
    """Return how many processes check signatures: one per core; they give way to the machine (`verifier.NICENESS`)."""
    return min(4, os.cpu_count() or 1)


class EmbeddedEngine(ServedEngine):
    """The engine of one machine; see `base.Engine` for what its methods promise.

    Args:
        folder: of the store.
        key: consensus key of the chain's only validator.
        verifiers: how many processes check signatures; `INLINE` for none.
        payer: whose quota a transaction uses.

    Raises:
        StartRefused: see `EmbeddedChain`.
    """

    def __init__(
        self,
        folder: Path,
        founding: Founding,
        key: SigningKey,
        clock: Clock | None = None,
        *,
        verifiers: int = INLINE,
        bounds: Bounds | None = None,
        payer: Payer | None = None,
        map_size_bytes: int = MAP_SIZE_BYTES,
        bodies_kept_s: int = BODIES_KEPT_S,
    ) -> None:
        super().__init__(clock or SystemClock())
        self._chain = EmbeddedChain(
            folder, founding, key, self._clock, map_size_bytes=map_size_bytes, bodies_kept_s=bodies_kept_s
        )
        self._verifiers = _verifiers(verifiers)
        messages, chain = self._chain.machine.messages, founding.chain
        self._intake = Intake(
            lambda raw: transactions.decode(raw, chain=chain, messages=messages),
            self._verifiers,
            self._clock,
            self.snapshot,
            bounds=bounds or Bounds(),
            payer=payer,
        )
        self._waiting = HeightWaiters(self._chain.meta.height)
        self._calls: deque[Callable[[], None]] = deque()
        self._in_hand: list[Entry] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._last_block_ns = self._clock.monotonic_ns()
        self._thread.start()

    # Any thread

    def offer(self, raws: Sequence[bytes], answered: Answered) -> None:
        """Submit without waiting; `answered` is called with all results, on the ledger's thread. Raises Unavailable."""
        self._intake.offer(raws, answered)

    def when(self, height: int, reached: Callable[[int], None]) -> None:
        """Call `reached` with the state's height once it is at least this one, on the ledger's thread or this one.

        Raises:
            Unavailable: the height is too far ahead to wait for.
        """
        self._waiting.add(height, reached)

    def figures(self) -> dict[str, int]:
        """Return what is queued, and what was refused since the start, by reason."""
        return self._intake.figures()

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Open one short read of one block."""
        return self._chain.store.snapshot()

    def prove_all(self, keys: Sequence[bytes], proved: Callable[[ProvedRows], None]) -> None:
        """Call `proved` with the proofs of keys, all at one height, on the ledger's thread."""
        chain = self._chain
        self._calls.append(lambda: proved(prove_rows(chain.machine, keys)))
        self._intake.wake()

    @property
    def chain(self) -> str:
        """The chain id."""
        return self._chain.founding.chain

    @property
    def alive(self) -> bool:
        """Tell whether the ledger's thread still makes blocks."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Finish the running block, sign what is unsigned, refuse what is queued, let go of the folder."""
        self._closing = True
        self._intake.wake()
        self._thread.join()

    # The ledger's thread

    def _run(self) -> None:
        words = FAILED
        try:
            while not self._closing and not self._intake.closed:
                self._turn()
            words = self._intake.closed or STOPPING
            if self._closing and self._chain.unsigned:
                self._make_block([])
        except Unavailable as error:
            words = str(error)
            log.critical("ledger.stopped reason=%s", words)
        finally:
            for entry in self._in_hand:
                if not entry.answered:
                    entry.refuse(words)
            self._intake.close(words)
            self._chain.close()

    def _turn(self) -> None:
        interval_s = PROOF_BLOCK_S if self._chain.unsigned else EMPTY_BLOCK_S
        passed_s = (self._clock.monotonic_ns() - self._last_block_ns) / SECOND_NS
        entries = self._in_hand = self._intake.take(timeout_s=max(0.0, interval_s - passed_s))
        while self._calls:
            self._calls.popleft()()
        due = self._clock.monotonic_ns() - self._last_block_ns >= interval_s * SECOND_NS
        if entries or due:
            self._make_block(entries)

    def _make_block(self, entries: list[Entry]) -> None:
        time_ns = self._chain.next_time_ns()
        fresh = [entry for entry in entries if not self._is_settled(entry, time_s=time_ns // SECOND_NS)]
        if fresh or not entries:
            self._commit(fresh, time_ns=time_ns)
        self._intake.done(entries)

    def _is_settled(self, entry: Entry, *, time_s: int) -> bool:
        # What expired in the queue is refused, unless it is a repeat, which gets its stored outcome (DESIGN §4). The
        # machine gives younger repeats theirs: looking each transaction up twice would cost more than it saves.
        try:
            transactions.check_expiry(entry.transaction, time_s=time_s)
        except NotATransaction as error:
            entry.answer(self._chain.machine.stored(entry.transaction.hash) or refusal(error))
            return True
        return False

    def _commit(self, entries: list[Entry], *, time_ns: int) -> None:
        try:
            executed = self._chain.append([entry.transaction for entry in entries], time_ns=time_ns)
        except DiskFull as error:
            log.error("ledger.disk_full transactions=%d", len(entries))
            for entry in entries:
                entry.refuse(str(error))
            self._last_block_ns = self._clock.monotonic_ns()
            return
        self._last_block_ns = self._clock.monotonic_ns()
        for entry, result in zip(entries, executed.results, strict=True):
            entry.answer(result)
        self._waiting.reached(executed.meta.height)
        if executed.meta.height % READER_CHECK_BLOCKS == 0:
            self._chain.store.clear_dead_readers()


def _verifiers(count: int) -> list[Verifier]:
    if count == INLINE:
        return [InlineVerifier(), InlineVerifier()]
    return [ProcessVerifier() for _ in range(count)]
