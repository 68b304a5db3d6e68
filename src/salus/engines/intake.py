"""From submitted bytes to verified transactions in their order, while the block before is executed and synced.

1. `offer`, on the submitter's thread: decode, join the queue.
2. Verifying threads: hand batches to their `Verifier`, mark what holds, answer what does not.
3. `take`, on the machine's thread: the longest verified prefix of the queue that fits into a block.

Promises: what is taken keeps the order in which it was offered; each submission is answered once; the queue is bounded
in transactions, in bytes and per paying member, and says `Unavailable` beyond. Knows nothing of blocks or storage.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from salus.engines.base import Busy, Payer, Snapshot, Unavailable
from salus.engines.clock import Clock
from salus.engines.verifier import Task, Verifier
from salus.ledger import transactions
from salus.ledger.comet.block import BLOCK_SIZE_MAX_BYTES
from salus.ledger.outcomes import NOT_A_TRANSACTION, TransactionResult
from salus.ledger.transactions import NotATransaction, Transaction

BATCH_MAX = 128
"""Transactions that a verifier gets at once: a few milliseconds of work."""
BATCHES_SENT_MAX = 2
"""A verifier has its next batch before it is asked for the verdicts on this one."""
BLOCK_TRANSACTIONS_BYTES_MAX = BLOCK_SIZE_MAX_BYTES - 16 * 1024
"""What remains of a block beside header and commit; each transaction costs up to four bytes more than itself."""
BLOCK_MESSAGES_MAX = 4096
"""Messages per block: about a tenth of a second of execution, so that a full queue delays nobody for long."""
_FIELD_BYTES = 4

Answered = Callable[["Submission"], None]


@dataclass(frozen=True)
class Bounds:
    """How much may be queued before submitters are told to come back.

    Args:
        payer_transactions: of one paying member, counted once their signatures hold.
    """

    transactions: int = 40_000
    size_bytes: int = 64 << 20
    payer_transactions: int = 10_000


class Submission:
    """Transactions that were offered together. Answered on one thread, the machine's.

    Args:
        answered: called once, with the last answer; must not block.
    """

    __slots__ = ("_answered", "_left", "is_busy", "results", "unavailable")

    def __init__(self, results: list[TransactionResult | None], answered: Answered) -> None:
        self.results = results
        self.unavailable = ""
        self.is_busy = False
        self._left = results.count(None)
        self._answered = answered

    def answer(self, place: int, result: TransactionResult | None) -> None:
        """Give one transaction its result; None when `unavailable` says why there is none."""
        self.results[place] = result
        self._left -= 1
        if self._left == 0:
            self._answered(self)

    def outcome(self) -> list[TransactionResult]:
        """Return all results. Raises Unavailable, or Busy, when one is missing: the same bytes can be sent again."""
        if self.unavailable:
            raise (Busy if self.is_busy else Unavailable)(self.unavailable)
        results = [result for result in self.results if result is not None]
        assert len(results) == len(self.results), "a submission is answered whole"
        return results


class Entry:
    """One transaction in the queue."""

    __slots__ = ("answered", "busy", "payer", "place", "ready", "refusal", "submission", "transaction")

    def __init__(self, submission: Submission, place: int, transaction: Transaction) -> None:
        self.submission = submission
        self.place = place
        self.transaction = transaction
        self.ready = False
        self.refusal: TransactionResult | None = None
        self.busy = ""
        self.payer: str | None = None
        self.answered = False

    def answer(self, result: TransactionResult) -> None:
        """Give the submitter the result."""
        self.answered = True
        self.submission.answer(self.place, result)

    def refuse(self, words: str, *, is_busy: bool = False) -> None:
        """Tell the submitter to try later; what follows in the same submission is refused too, so order is kept."""
        self.answered = True
        if not self.submission.unavailable:
            self.submission.unavailable, self.submission.is_busy = words, is_busy
        self.submission.answer(self.place, None)


class Intake:
    """The queue before the machine.

    Args:
        decode: bytes → transaction of this chain; raises NotATransaction.
        verifiers: each gets a thread, which closes it in the end.
        snapshot: where `payer` reads.
        payer: whose quota a transaction uses; None for no quotas.
    """

    def __init__(
        self,
        decode: Callable[[bytes], Transaction],
        verifiers: Sequence[Verifier],
        clock: Clock,
        snapshot: Callable[[], AbstractContextManager[Snapshot]],
        *,
        bounds: Bounds,
        payer: Payer | None = None,
    ) -> None:
        self._decode = decode
        self._clock = clock
        self._snapshot = snapshot
        self._bounds = bounds
        self._payer = payer
        lock = threading.Lock()
        self._to_verify = threading.Condition(lock)
        self._to_take = threading.Condition(lock)
        self._queue: deque[Entry] = deque()
        self._unverified: deque[Entry] = deque()
        self._count = self._size_bytes = 0
        self._payers: Counter[str] = Counter()
        self._woken = False
        self._refused: Counter[str] = Counter()
        self.closed = ""
        self._threads = [threading.Thread(target=self._verify, args=(each,), daemon=True) for each in verifiers]
        for thread in self._threads:
            thread.start()

    def offer(self, raws: Sequence[bytes], answered: Answered) -> None:
        """Queue transactions, in this order.

        Raises:
            Busy: the queue is full; nothing was queued.
            Unavailable: it is closed; nothing was queued.
        """
        results: list[TransactionResult | None] = [None] * len(raws)
        decoded: list[tuple[int, Transaction]] = []
        for place, raw in enumerate(raws):
            try:
                decoded.append((place, self._decode(raw)))
            except NotATransaction as error:
                results[place] = refusal(error)
        submission = Submission(results, answered)
        if len(decoded) < len(raws):
            self._count_refused("undecodable", len(raws) - len(decoded))
        if decoded:
            self._enqueue([Entry(submission, place, transaction) for place, transaction in decoded])
        else:
            answered(submission)

    def figures(self) -> dict[str, int]:
        """Return what is queued now, and what was refused since the start, by reason."""
        with self._to_take:
            return {"queued": self._count, "queued_bytes": self._size_bytes} | {
                f"refused_{reason}": self._refused[reason] for reason in ("undecodable", "unsigned", "busy")
            }

    def take(self, *, timeout_s: float) -> list[Entry]:
        """Return verified transactions for one block; none when the time is over, or after `wake` or `fail`."""
        with self._to_take:
            self._clock.wait_for(self._to_take, self._may_take, timeout_s)
            self._woken = False
            prefix = self._prefix()
        taken: list[Entry] = []
        settled: list[Entry] = []
        for entry in prefix:
            (taken if _is_fit(entry) else settled).append(entry)
        if settled:
            self.done(settled)
        return taken

    def done(self, entries: Sequence[Entry]) -> None:
        """Make room again for as much as these entries took."""
        with self._to_take:
            self._count -= len(entries)
            for entry in entries:
                self._size_bytes -= len(entry.transaction.raw)
                if entry.payer is not None:
                    self._payers[entry.payer] -= 1
            if not self._count:
                self._payers.clear()

    def wake(self) -> None:
        """Make `take` return."""
        with self._to_take:
            self._woken = True
            self._to_take.notify()

    def fail(self, words: str) -> None:
        """Refuse everything that comes from now on, and let the machine's thread know."""
        with self._to_take:
            self.closed = self.closed or words
            self._to_take.notify()
            self._to_verify.notify_all()

    def close(self, words: str) -> None:
        """On the machine's thread: `fail`, refuse everything that is queued, and wait for the verifying threads."""
        self.fail(words)
        with self._to_take:
            left = [*self._queue]
            self._queue.clear()
            self._unverified.clear()
        for entry in left:
            entry.refuse(words)
        for thread in self._threads:
            thread.join()

    def _count_refused(self, reason: str, count: int) -> None:
        with self._to_take:
            self._refused[reason] += count

    def _enqueue(self, entries: list[Entry]) -> None:
        size_bytes = sum([len(entry.transaction.raw) for entry in entries])
        with self._to_verify:
            if self.closed:
                raise Unavailable(self.closed)
            count_after, size_after_bytes = self._count + len(entries), self._size_bytes + size_bytes
            if count_after > self._bounds.transactions or size_after_bytes > self._bounds.size_bytes:
                self._refused["busy"] += len(entries)
                raise Busy("busy: the queue is full, try later")
            self._count, self._size_bytes = count_after, size_after_bytes
            self._queue.extend(entries)
            self._unverified.extend(entries)
            self._to_verify.notify()

    def _may_take(self) -> bool:
        return self._woken or bool(self.closed) or (bool(self._queue) and self._queue[0].ready)

    def _prefix(self) -> list[Entry]:
        prefix: list[Entry] = []
        messages = size_bytes = 0
        queue = self._queue
        while queue and queue[0].ready:
            transaction = queue[0].transaction
            messages += len(transaction.messages)
            size_bytes += len(transaction.raw) + _FIELD_BYTES
            if prefix and (messages > BLOCK_MESSAGES_MAX or size_bytes > BLOCK_TRANSACTIONS_BYTES_MAX):
                break
            prefix.append(queue.popleft())
        return prefix

    # Verifying threads

    def _verify(self, verifier: Verifier) -> None:
        sent: deque[list[Entry]] = deque()
        words = "a verifying thread ended: see the ledger's log"
        try:
            while True:
                batch = self._next_batch(wait=not sent) if len(sent) < BATCHES_SENT_MAX else []
                if batch:
                    verifier.send([_task(entry.transaction) for entry in batch])
                    sent.append(batch)
                elif sent:
                    self._judge(sent.popleft(), verifier.receive())
                else:
                    return
        except Unavailable as error:
            words = str(error)
        finally:
            self.fail(words)
            verifier.close()

    def _next_batch(self, *, wait: bool) -> list[Entry]:
        with self._to_verify:
            while wait and not self._unverified and not self.closed:
                self._to_verify.wait()
            count = 0 if self.closed else min(BATCH_MAX, len(self._unverified))
            return [self._unverified.popleft() for _ in range(count)]

    def _judge(self, batch: list[Entry], verdicts: bytes) -> None:
        for entry, holds in zip(batch, verdicts, strict=True):
            if not holds:
                entry.refusal = _why(entry.transaction)
        payers = self._payers_of(batch)
        with self._to_take:
            self._refused["unsigned"] += verdicts.count(0)
            for entry, payer in zip(batch, payers, strict=True):
                if payer is not None:
                    self._charge(entry, payer)
                entry.ready = True
            if self._queue and self._queue[0].ready:
                self._to_take.notify()

    def _payers_of(self, batch: list[Entry]) -> list[str | None]:
        if self._payer is None:
            return [None] * len(batch)
        with self._snapshot() as snapshot:
            return [None if entry.refusal else self._payer(snapshot, entry.transaction) for entry in batch]

    def _charge(self, entry: Entry, payer: str) -> None:
        if self._payers[payer] >= self._bounds.payer_transactions:
            entry.busy = "busy: this member has too much queued, try later"
            self._refused["busy"] += 1
            return
        self._payers[payer] += 1
        entry.payer = payer


def refusal(error: NotATransaction) -> TransactionResult:
    """Return the result of bytes that are no transaction: words, and nothing on the ledger."""
    return TransactionResult(code=NOT_A_TRANSACTION, first_leaf=0, leaves=(), reason=str(error))


def _is_fit(entry: Entry) -> bool:
    # What is not fit for a block is answered here, in its turn.
    if entry.refusal is not None:
        entry.answer(entry.refusal)
        return False
    words = entry.submission.unavailable or entry.busy
    if words:
        entry.refuse(words, is_busy=bool(entry.busy))
    return not words


def _task(transaction: Transaction) -> Task:
    return transaction.body_bytes, tuple(transaction.body.signers), transaction.signatures


def _why(transaction: Transaction) -> TransactionResult:
    try:
        transactions.verify(transaction)
    except NotATransaction as error:
        return refusal(error)
    raise AssertionError("two checks of one signature disagree")
