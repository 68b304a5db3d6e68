"""What a ledger process serves: an engine that answers later, and the blocking calls that follow from that.

`process` needs only what is abstract here; whoever has the engine in its own process uses the rest as `base.Engine`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from salus.engines.base import (
    SUBMIT_TIMEOUT_S,
    WAIT_TIMEOUT_S,
    ProvedRow,
    SealedHeight,
    Snapshot,
    Status,
)
from salus.engines.clock import Clock
from salus.engines.headers import Received, read_header, read_status
from salus.engines.intake import Answered, Submission
from salus.engines.waiting import Given
from salus.ledger.outcomes import TransactionResult
from salus.ledger.proofs import ProvedRows


class ServedEngine(ABC):
    """An engine in this process; see `base.Engine` for what its methods promise."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._received = Received()

    @property
    @abstractmethod
    def chain(self) -> str:
        """The chain id."""

    @property
    @abstractmethod
    def alive(self) -> bool:
        """Tell whether it still makes or follows blocks."""

    @abstractmethod
    def offer(self, raws: Sequence[bytes], answered: Answered) -> None:
        """Submit without waiting; `answered` is called with all results, on one thread. Raises Unavailable."""

    @abstractmethod
    def when(self, height: int, reached: Callable[[int], None]) -> None:
        """Call `reached` with the state's height once it is at least this one.

        Raises:
            Unavailable: the height is too far ahead to wait for.
        """

    @abstractmethod
    def prove_all(self, keys: Sequence[bytes], proved: Callable[[ProvedRows], None]) -> None:
        """Call `proved` with the proofs of keys, all at one height. Raises Unavailable."""

    @abstractmethod
    def figures(self) -> dict[str, int]:
        """Return what waits now, and what was refused since the start, each by a name of ours, for operators."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Open one short read of one block."""

    @abstractmethod
    def close(self) -> None:
        """Stop in order, and let go of the folder."""

    def submit(self, raw: bytes, *, timeout_s: float = SUBMIT_TIMEOUT_S) -> TransactionResult:
        """Submit one transaction and wait until its outcome is durable. Raises Unavailable."""
        return self.submit_many([raw], timeout_s=timeout_s)[0]

    def submit_many(self, raws: Sequence[bytes], *, timeout_s: float = SUBMIT_TIMEOUT_S) -> list[TransactionResult]:
        """Submit several, executed and answered in this order. Raises Unavailable: some may have been executed."""
        answer: Given[Submission] = Given()
        self.offer(raws, answer.give)
        return answer.wait(timeout_s, "no outcome in time: send the same bytes again").outcome()

    def wait_for(self, height: int, *, timeout_s: float = WAIT_TIMEOUT_S) -> int:
        """Wait until the state has this height; return the height that it has. Raises Unavailable."""
        answer: Given[int] = Given()
        self.when(height, answer.give)
        return answer.wait(timeout_s, f"height {height} did not come in time: try later")

    def status(self) -> Status:
        """Tell where the ledger stands."""
        with self.snapshot() as snapshot:
            status = read_status(snapshot, wall_ns=self._clock.wall_ns())
        assert status is not None, "genesis was written at start"
        return self._received.aged(status, monotonic_ns=self._clock.monotonic_ns())

    def signed_header(self, height: int) -> SealedHeight | None:
        """Return a signed header; None when it is not there yet, or no longer."""
        with self.snapshot() as snapshot:
            return read_header(snapshot, height)

    def prove(self, key: bytes, proved: Callable[[ProvedRow], None]) -> None:
        """Call `proved` with the proof of a key. Raises Unavailable."""

        def first(rows: ProvedRows) -> None:
            [row] = rows.rows
            proved(ProvedRow(meta=rows.meta, row=row.row, proof=row.proof))

        self.prove_all([key], first)

    def prove_row(self, key: bytes, *, timeout_s: float = WAIT_TIMEOUT_S) -> ProvedRow:
        """Prove a key of the proved tables at the newest height. Raises Unavailable."""
        answer: Given[ProvedRow] = Given()
        self.prove(key, answer.give)
        return answer.wait(timeout_s, "the ledger is busy: try later")

    def prove_many(self, keys: Sequence[bytes], *, timeout_s: float = WAIT_TIMEOUT_S) -> ProvedRows:
        """Prove keys of the proved tables, all at the newest height. Raises Unavailable."""
        answer: Given[ProvedRows] = Given()
        self.prove_all(keys, answer.give)
        return answer.wait(timeout_s, "the ledger is busy: try later")
