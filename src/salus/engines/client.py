"""A node's end of the ledger process: submissions over the socket, reads straight from LMDB (DESIGN §3).

Promises: a lost connection is made again and the same bytes are sent again, which gives the stored outcome; a ledger
process that stays away is `Unavailable`. Nothing is opened before it is first used, and a process that was forked
opens its own: LMDB and a socket must not cross a fork.
"""

import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from salus.engines import wire
from salus.engines.base import (
    SUBMIT_TIMEOUT_S,
    WAIT_TIMEOUT_S,
    Busy,
    ProvedRow,
    SealedHeight,
    Snapshot,
    Status,
    Unavailable,
)
from salus.engines.clock import Clock, SystemClock
from salus.engines.headers import Received, read_header, read_status
from salus.engines.store import LmdbReader
from salus.ledger.machine import read_meta
from salus.ledger.outcomes import TransactionResult
from salus.ledger.proofs import ProvedRows
from salus.ledger.transactions import SIZE_BYTES_MAX

RECONNECT_S = 2.0
"""How long a ledger process may be away before it is `Unavailable`: it may just be starting again."""
RETRY_PAUSE_S = 0.05
HELLO_TIMEOUT_S = 5.0
_FRAME_ROOM_BYTES = 1 << 20
_PER_TRANSACTION_BYTES = 8
_BUFFER_SIZE_BYTES = 1 << 16

A = TypeVar("A", bound=wire.Answered)


class ConnectionLost(Exception):
    """The ledger process went away while it was asked: ask again."""


class LedgerClient:
    """An `Engine` whose ledger runs in another process.

    Args:
        socket_path: of the ledger process.
        folder: of its store.
        chain: the chain id that is expected there.
        reconnect_s: how long to try when nothing answers, in seconds.
    """

    def __init__(
        self,
        socket_path: Path,
        folder: Path,
        *,
        chain: str,
        reconnect_s: float = RECONNECT_S,
        clock: Clock | None = None,
    ) -> None:
        self._socket_path = socket_path
        self._folder = folder
        self._chain = chain
        self._reconnect_s = reconnect_s
        self._clock = clock or SystemClock()
        self._received = Received()
        self._begin()

    def submit(self, raw: bytes, *, timeout_s: float = SUBMIT_TIMEOUT_S) -> TransactionResult:
        """Submit one transaction and wait until its outcome is durable. Raises Unavailable."""
        return self.submit_many([raw], timeout_s=timeout_s)[0]

    def submit_many(self, raws: Sequence[bytes], *, timeout_s: float = SUBMIT_TIMEOUT_S) -> list[TransactionResult]:
        """Submit several, executed and answered in this order. Raises Unavailable: some may have been executed."""
        # What is too long is refused for its length alone, so no more of it needs to travel.
        asked = [wire.Submit(part) for part in _parts([raw[: SIZE_BYTES_MAX + 1] for raw in raws])]
        answers = self._ask(asked, wire.Results, timeout_s=timeout_s)
        results = [result for answer in answers for result in answer.results]
        assert len(results) == len(raws), "every transaction has its answer"
        return results

    def wait_for(self, height: int, *, timeout_s: float = WAIT_TIMEOUT_S) -> int:
        """Wait until the state has this height; return the height that it has. Raises Unavailable."""
        return self._ask([wire.WaitFor(height)], wire.Reached, timeout_s=timeout_s)[0].height

    def prove_row(self, key: bytes, *, timeout_s: float = WAIT_TIMEOUT_S) -> ProvedRow:
        """Prove a key of the proved tables at the newest height. Raises Unavailable."""
        return self._ask([wire.Prove(key)], wire.Proved, timeout_s=timeout_s)[0].row

    def prove_many(self, keys: Sequence[bytes], *, timeout_s: float = WAIT_TIMEOUT_S) -> ProvedRows:
        """Prove keys of the proved tables, all at the newest height. Raises Unavailable."""
        return self._ask([wire.ProveMany(tuple(keys))], wire.ProvedMany, timeout_s=timeout_s)[0].rows

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Open one short read of one block; needs no ledger process. Raises Unavailable when there is no ledger."""
        with self._here().reader().snapshot() as snapshot:
            yield snapshot

    def status(self) -> Status:
        """Tell where the ledger stands; when its process is away, the header's age says so. Raises Unavailable."""
        with self.snapshot() as snapshot:
            status = read_status(snapshot, wall_ns=self._clock.wall_ns())
        if status is None:
            raise Unavailable(f"expected a ledger in {self._folder}: start the ledger process first")
        return self._received.aged(status, monotonic_ns=self._clock.monotonic_ns())

    def signed_header(self, height: int) -> SealedHeight | None:
        """Return a signed header; None when it is not there yet, or no longer."""
        with self.snapshot() as snapshot:
            return read_header(snapshot, height)

    def close(self) -> None:
        """Let go of socket and store."""
        self._here().close()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._opened = _Opened(self._socket_path, self._folder, self._chain)

    def _here(self) -> "_Opened":
        # After a fork the parent's socket, locks and map are not ours: they are left alone, not closed.
        if self._pid != os.getpid():
            self._begin()
        return self._opened

    def _ask(self, asked: Sequence[wire.Asked], kind: type[A], *, timeout_s: float) -> list[A]:
        until_s = time.monotonic() + timeout_s
        while True:
            connection = self._connect(until_s)
            try:
                return [_expect(kind, future, until_s) for future in connection.send(asked)]
            except ConnectionLost as error:
                if time.monotonic() + RETRY_PAUSE_S > until_s:
                    raise Unavailable("the ledger process went away: send the same bytes again") from error

    def _connect(self, until_s: float) -> "_Connection":
        give_up_s = min(until_s, time.monotonic() + self._reconnect_s)
        while True:
            try:
                return self._here().connection()
            except ConnectionLost as error:
                if time.monotonic() + RETRY_PAUSE_S > give_up_s:
                    raise Unavailable(
                        f"no ledger process answers on {self._socket_path}: start it, try later"
                    ) from error
            time.sleep(RETRY_PAUSE_S)


class _Opened:
    """What one process has open; each thing from its first use on."""

    def __init__(self, socket_path: Path, folder: Path, chain: str) -> None:
        self._socket_path = socket_path
        self._folder = folder
        self._chain = chain
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._reader: LmdbReader | None = None

    def connection(self) -> "_Connection":
        """Raises ConnectionLost when nobody answers."""
        with self._lock:
            if self._connection is None or self._connection.lost:
                self._connection = _Connection(self._socket_path, self._chain)
            return self._connection

    def reader(self) -> LmdbReader:
        """Raises Unavailable when there is no ledger yet."""
        with self._lock:
            if self._reader is None:
                self._reader = self._open_reader()
            return self._reader

    def _open_reader(self) -> LmdbReader:
        reader = LmdbReader(self._folder)
        with reader.snapshot() as snapshot:
            has_begun = read_meta(snapshot) is not None
        if not has_begun:  # its process was killed, or is just starting
            reader.close()
            raise Unavailable(f"expected a ledger in {self._folder}, it has not begun: start its process, try later")
        return reader

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            if self._reader is not None:
                self._reader.close()


class _Connection:
    """One socket with many requests in flight; its thread hands each answer to who asked."""

    def __init__(self, path: Path, chain: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise ConnectionLost(error.strerror) from error
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._waiting: dict[int, Future[wire.Answered]] = {}
        self.lost = False
        self._thread = threading.Thread(target=self._receive, name="ledger-client", daemon=True)
        self._thread.start()
        self._greet(chain)

    def send(self, asked: Sequence[wire.Asked]) -> list[Future[wire.Answered]]:
        """Send requests, one after the other with nothing between. Raises ConnectionLost."""
        futures: list[Future[wire.Answered]] = []
        with self._sending:
            if self.lost:
                raise ConnectionLost
            try:
                for each in asked:
                    futures.append(self._send_one(each))
            except OSError as error:
                self._lose()
                raise ConnectionLost from error
        return futures

    def close(self) -> None:
        """End the connection and its thread."""
        self._lose()
        self._thread.join()

    def _send_one(self, asked: wire.Asked) -> "Future[wire.Answered]":
        number = next(self._numbers)
        frame = wire.request_frame(wire.Request(number, asked))
        future: Future[wire.Answered] = Future()
        self._waiting[number] = future
        self._socket.sendall(frame)
        return future

    def _greet(self, chain: str) -> None:
        [future] = self.send([wire.Hello(wire.FORMAT)])
        welcome = _expect(wire.Welcome, future, time.monotonic() + HELLO_TIMEOUT_S)
        if welcome.chain != chain:
            self.close()
            raise Unavailable(f"expected the ledger of {chain}, this socket serves {welcome.chain}: check the settings")

    def _receive(self) -> None:
        words = ""
        try:
            with self._socket, self._socket.makefile("rb", buffering=_BUFFER_SIZE_BYTES) as stream:
                while (answer := wire.read_answer(stream)) is not None:
                    if answer.number == 0:
                        assert isinstance(answer.answered, wire.Failed)
                        words = answer.answered.words
                    else:
                        self._waiting.pop(answer.number).set_result(answer.answered)
        except (OSError, wire.FrameInvalid) as error:
            words = words or str(error)
        finally:
            self._fail_waiting(words)

    def _fail_waiting(self, words: str) -> None:
        self._lose()
        with self._sending:
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(ConnectionLost(words))

    def _lose(self) -> None:
        self.lost = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def _expect(kind: type[A], future: "Future[wire.Answered]", until_s: float) -> A:
    try:
        answered = future.result(max(0.0, until_s - time.monotonic()))
    except TimeoutError as error:
        raise Unavailable("no answer in time: send the same bytes again") from error
    if isinstance(answered, wire.Failed):
        raise (Busy if answered.kind == wire.BUSY else Unavailable)(answered.words)
    assert isinstance(answered, kind), f"expected {kind.__name__}"
    return answered


def _parts(raws: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
    part: list[bytes] = []
    size_bytes = 0
    for raw in raws:
        size_bytes += len(raw) + _PER_TRANSACTION_BYTES
        if part and (size_bytes > _FRAME_ROOM_BYTES or len(part) == wire.TRANSACTIONS_PER_FRAME_MAX):
            yield tuple(part)
            part, size_bytes = [], len(raw) + _PER_TRANSACTION_BYTES
        part.append(raw)
    if part:
        yield tuple(part)
