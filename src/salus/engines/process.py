"""The ledger process: an engine behind a Unix socket, for every node of one machine (DESIGN §3).

Two threads per connection: one reads requests, one writes answers, so a client that reads slowly delays nobody else.
Promises: the socket is its owner's alone (0600); requests in flight, frames and connections are bounded; bytes that are
no request are answered with an error and end the connection. SIGTERM ends the process after the running block.
"""

import logging
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from salus.engines import wire
from salus.engines.base import Busy, Unavailable
from salus.engines.intake import Submission
from salus.engines.served import ServedEngine
from salus.engines.unix_sockets import Acceptor, shut

CONNECTIONS_MAX = 256
IN_FLIGHT_MAX = 256
"""Requests of one connection that are not answered yet; its next one is read when one of them is."""
ALIVE_CHECK_S = 0.5
_BUFFER_SIZE_BYTES = 1 << 16

log = logging.getLogger("salus.engines")


class LedgerServer:
    """Serves an engine on a socket, from the moment it is made until `close`.

    Raises:
        Unavailable: the path is too long, or cannot be bound.
    """

    def __init__(self, engine: ServedEngine, socket_path: Path) -> None:
        self._acceptor = Acceptor(
            socket_path,
            lambda accepted, ended: _Connection(engine, accepted, ended),
            name="ledger",
            connections_max=CONNECTIONS_MAX,
        )

    def close(self) -> None:
        """Stop listening, remove the socket, end every connection."""
        self._acceptor.close()


class _Connection:
    def __init__(self, engine: ServedEngine, accepted: socket.socket, ended: Callable[[], None]) -> None:
        self._engine = engine
        self._socket = accepted
        self._ended = ended
        self._answers: SimpleQueue[wire.Answer | None] = SimpleQueue()
        self._free = threading.Semaphore(IN_FLIGHT_MAX)
        self._reader = threading.Thread(target=self._read, name="ledger-read", daemon=True)
        self._writer = threading.Thread(target=self._write, name="ledger-write", daemon=True)

    def start(self) -> None:
        self._reader.start()
        self._writer.start()

    def close(self) -> None:
        """End the connection from outside its threads."""
        shut(self._socket)
        self._reader.join()
        self._writer.join()

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb", buffering=_BUFFER_SIZE_BYTES) as stream:
                self._greet(wire.read_request(stream))
                while (request := wire.read_request(stream)) is not None:
                    self._free.acquire()
                    self._serve(request)
        except wire.FrameInvalid as error:
            self._answers.put(wire.Answer(0, wire.Failed(wire.MALFORMED, str(error))))
        except OSError:  # the other end is gone, and with it whoever would read an answer
            log.info("ledger.client_gone")
        self._answers.put(None)

    def _write(self) -> None:
        try:
            while (answer := self._answers.get()) is not None:
                self._socket.sendall(wire.answer_frame(answer))
                self._free.release()
        except OSError:  # what was submitted is executed all the same; the client asks again
            log.info("ledger.client_gone")
        finally:
            shut(self._socket)
            self._socket.close()
            self._free.release(IN_FLIGHT_MAX)  # the reader may wait for answers that nobody sends any more
            self._ended()

    def _serve(self, request: wire.Request) -> None:
        number, asked = request.number, request.asked
        try:
            match asked:
                case wire.Submit():
                    self._engine.offer(asked.raws, lambda submission: self._answers.put(_results(number, submission)))
                case wire.WaitFor():
                    self._engine.when(asked.height, lambda height: self._give(number, wire.Reached(height)))
                case wire.Prove():
                    self._engine.prove(asked.key, lambda row: self._give(number, wire.Proved(row)))
                case wire.ProveMany():
                    self._engine.prove_all(asked.keys, lambda rows: self._give(number, wire.ProvedMany(rows)))
                case wire.Hello():
                    raise wire.FrameInvalid("expected one Hello, at the beginning")
        except Unavailable as error:
            self._give(number, _failed(error))

    def _greet(self, request: wire.Request | None) -> None:
        if request is None:
            return
        if not isinstance(request.asked, wire.Hello) or request.asked.format != wire.FORMAT:
            raise wire.FrameInvalid(f"expected Hello with format {wire.FORMAT}: use the same release on both ends")
        self._free.acquire()
        self._give(request.number, wire.Welcome(wire.FORMAT, self._engine.chain))

    def _give(self, number: int, answered: wire.Answered) -> None:
        self._answers.put(wire.Answer(number, answered))


def run(engine: ServedEngine, socket_path: Path) -> int:
    """Serve until SIGTERM or SIGINT, or until the ledger stops by itself; call it on the main thread.

    Returns:
        The process's exit status: 0 after a signal, 1 when the ledger stopped by itself.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        server = LedgerServer(engine, socket_path)
        while engine.alive and not stop.wait(ALIVE_CHECK_S):
            pass
        server.close()
    finally:
        engine.close()
    return 0 if stop.is_set() else 1


def _results(number: int, submission: Submission) -> wire.Answer:
    try:
        return wire.Answer(number, wire.Results(tuple(submission.outcome())))
    except Unavailable as error:
        return wire.Answer(number, _failed(error))


def _failed(error: Unavailable) -> wire.Failed:
    return wire.Failed(wire.BUSY if isinstance(error, Busy) else wire.UNAVAILABLE, str(error))
