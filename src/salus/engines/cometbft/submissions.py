"""From a node's bytes to their outcome: through the intake into our CometBFT's mempool, and back from our own commits.

One thread does all of it, so each submission is answered on one thread; it never holds the application's lock. What
CometBFT loses (it keeps no mempool over a restart) is handed to it again until it is in a block or has expired.
"""

import heapq
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager

from salus.engines.base import Snapshot
from salus.engines.clock import SECOND_NS, Clock
from salus.engines.cometbft.chain import DecidedBlock
from salus.engines.cometbft.checking import Checker
from salus.engines.cometbft.proposals import MEMBER_TRANSACTIONS_MAX
from salus.engines.cometbft.rpc import NodeAway, NodeRpc
from salus.engines.intake import Entry, Intake, refusal
from salus.ledger import transactions
from salus.ledger.identifiers import Digest
from salus.ledger.machine import Executed, stored_result
from salus.ledger.outcomes import TransactionResult
from salus.ledger.transactions import NotATransaction, Transaction

AT_ONCE_MAX = 256
AT_ONCE_BYTES_MAX = 2 << 20
TURN_S = 1.0
AGAIN_S = 0.2
"""Pause before bytes that the node did not take are handed to it again."""
AGAIN_ALL_S = 10.0
"""What has waited so long may have been dropped: it is handed over again, which a mempool that has it ignores."""
FULL = "mempool is full"
STOPPING = "the ledger is stopping: try later"
FAILED = "the ledger failed: see its log, start it again"

log = logging.getLogger("salus.engines")


class Submissions:
    """What nodes have submitted here and what becomes of it."""

    def __init__(
        self,
        intake: Intake,
        checker: Checker,
        rpc: NodeRpc,
        snapshot: Callable[[], AbstractContextManager[Snapshot]],
        clock: Clock,
    ) -> None:
        self.intake = intake
        self._checker = checker
        self._rpc = rpc
        self._snapshot = snapshot
        self._clock = clock
        self._waiting: dict[Digest, list[Entry]] = {}
        self._ends: list[tuple[int, Digest]] = []
        self._unsent: deque[Transaction] = deque()
        self._handed_over: set[Digest] = set()
        self._committed: deque[tuple[DecidedBlock, Executed]] = deque()
        self._not_before_ns = self._all_again_ns = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="ledger-submit", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Tell whether submissions are still answered."""
        return self._thread.is_alive()

    def committed(self, block: DecidedBlock, executed: Executed) -> None:
        """Hear of a committed block; from any thread, at once."""
        self._committed.append((block, executed))
        self.intake.wake()

    def node_started(self) -> None:
        """Hear that the node begins with an empty mempool; from any thread."""
        self._all_again_ns = 0

    def close(self) -> None:
        """Refuse what has no outcome yet."""
        self._closing = True
        self.intake.wake()
        self._thread.join()

    # The submitting thread

    def _run(self) -> None:
        words = FAILED
        try:
            while not self._closing and not self.intake.closed:
                self._turn()
            words = self.intake.closed or STOPPING
        finally:
            for entries in self._waiting.values():
                for entry in entries:
                    entry.refuse(words)
            self.intake.close(words)
            self._rpc.close()

    def _turn(self) -> None:
        """1. Take what is verified. 2. Answer what was committed. 3. Hand over what was not yet."""
        paused_ns = self._not_before_ns - self._clock.monotonic_ns()
        timeout_s = max(0.0, paused_ns / SECOND_NS) if self._may_send() else TURN_S
        for entry in self.intake.take(timeout_s=timeout_s):  # 1
            self._accept(entry)
        while self._committed:  # 2
            self._resolve(*self._committed.popleft())
        if self._clock.monotonic_ns() >= self._all_again_ns:
            self._hand_over_again()
        if self._may_send() and self._clock.monotonic_ns() >= self._not_before_ns:  # 3
            self._send()

    def _accept(self, entry: Entry) -> None:
        transaction = entry.transaction
        self._checker.remember(transaction)
        known = self._waiting.setdefault(transaction.hash, [])
        known.append(entry)  # before the look-up: a block that comes meanwhile finds it here
        with self._snapshot() as snapshot:
            stored = stored_result(snapshot, transaction.hash)
        if stored is not None:
            self._answer(transaction.hash, stored)
        elif len(known) == 1:
            heapq.heappush(self._ends, (transaction.body.expires_at_s, transaction.hash))
            self._unsent.append(transaction)

    def _resolve(self, block: DecidedBlock, executed: Executed) -> None:
        for transaction, result in zip(block.transactions, executed.results, strict=True):
            if isinstance(transaction, Transaction):
                self._answer(transaction.hash, result)
        time_s = block.time_ns // SECOND_NS
        while self._ends and self._ends[0][0] <= time_s:
            _, ended = heapq.heappop(self._ends)
            if ended in self._waiting:  # no later block can hold it
                self._answer(ended, _expired(self._waiting[ended][0].transaction, time_s))

    def _answer(self, hashed: Digest, result: TransactionResult) -> None:
        entries = self._waiting.pop(hashed, [])
        self._handed_over.discard(hashed)
        for entry in entries:
            entry.answer(result)
        self.intake.done(entries)

    def _turn_away(self, hashed: Digest, words: str) -> None:
        entries = self._waiting.pop(hashed, [])
        self._handed_over.discard(hashed)
        for entry in entries:
            entry.refuse(words, is_busy=True)
        self.intake.done(entries)

    def _hand_over_again(self) -> None:
        self._all_again_ns = self._clock.monotonic_ns() + int(AGAIN_ALL_S * SECOND_NS)
        self._unsent = deque(entries[0].transaction for entries in self._waiting.values())
        self._handed_over.clear()

    def _may_send(self) -> bool:
        return bool(self._unsent) and len(self._handed_over) < MEMBER_TRANSACTIONS_MAX

    def _send(self) -> None:
        batch = self._batch()
        try:
            refusals = self._rpc.broadcast([each.raw for each in batch])
        except NodeAway as error:
            log.info("ledger.node_away reason=%s", error)
            refusals = [str(error)] * len(batch)
        again = [each for each, words in zip(batch, refusals, strict=True) if words and FULL not in words]
        for each, words in zip(batch, refusals, strict=True):
            if FULL in words:
                self._turn_away(each.hash, "busy: the mempool is full, try later")
        if again:
            self._handed_over.difference_update([each.hash for each in again])
            self._unsent.extendleft(reversed(again))
            self._not_before_ns = self._clock.monotonic_ns() + int(AGAIN_S * SECOND_NS)

    def _batch(self) -> list[Transaction]:
        batch: list[Transaction] = []
        size_bytes = 0
        while self._may_send() and len(batch) < AT_ONCE_MAX and size_bytes < AT_ONCE_BYTES_MAX:
            transaction = self._unsent.popleft()
            if transaction.hash in self._waiting:
                self._handed_over.add(transaction.hash)
                batch.append(transaction)
                size_bytes += len(transaction.raw)
        return batch


def _expired(transaction: Transaction, time_s: int) -> TransactionResult:
    try:
        transactions.check_expiry(transaction, time_s=time_s)
    except NotATransaction as error:
        return refusal(error)
    raise AssertionError("it has expired")
