"""Signature checks beside the machine: in processes of their own, or on a thread.

Why processes: libsodium releases the interpreter lock for 55 µs and then waits up to a switch interval to get it back
from a busy machine, and LMDB releases it at each read. Measured on two cores with a busy machine thread: two checking
threads slow the machine to a third, one checking process not at all.
Run as a program, this module is such a process: tasks come on standard input's socket, verdicts go back on it.
"""

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from salus.crypto.signing import SignatureInvalid, verify_tagged
from salus.engines.base import Unavailable
from salus.ledger.transactions import SIGNING_TAG

Task = tuple[bytes, tuple[bytes, ...], tuple[bytes, ...]]
"""A body with its signers and their signatures."""

NICENESS = 5
"""A checking process gives way to the machine on whose core it runs, and uses what the machine leaves."""
_LENGTH_SIZE_BYTES = 4
_BUFFER_SIZE_BYTES = 1 << 20
_encode = msgspec.msgpack.Encoder().encode
_TASKS = msgspec.msgpack.Decoder(list[Task])


class VerifierLost(Unavailable):
    """A checking process died: the ledger stops, and is started again as a whole."""


class Verifier(Protocol):
    """Checks batches in the order in which they were sent; one thread uses it."""

    def send(self, tasks: Sequence[Task]) -> None:
        """Give it a batch."""

    def receive(self) -> bytes:
        """Return the verdicts on the oldest batch that was sent: for each task 1 if all its signatures hold."""

    def close(self) -> None:
        """Let it go."""


class InlineVerifier:
    """Checks on the thread that asks."""

    def __init__(self) -> None:
        self._sent: deque[Sequence[Task]] = deque()

    def send(self, tasks: Sequence[Task]) -> None:
        """Remember a batch."""
        self._sent.append(tasks)

    def receive(self) -> bytes:
        """Check the oldest batch."""
        return verdicts(self._sent.popleft())

    def close(self) -> None:
        """Nothing to let go."""


class ProcessVerifier:
    """Checks in a process of its own, which ends when this one does."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        for end in (self._socket, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_SIZE_BYTES)
        with theirs:
            command = [sys.executable, "-P", "-m", "salus.engines.verifier"]
            self._process = subprocess.Popen(  # noqa: S603 -- our own module, no argument from outside
                command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL
            )
        self._counts: deque[int] = deque()

    def send(self, tasks: Sequence[Task]) -> None:
        """Send a batch. Raises VerifierLost."""
        encoded = _encode(tasks)
        self._counts.append(len(tasks))
        try:
            self._socket.sendall(len(encoded).to_bytes(_LENGTH_SIZE_BYTES, "big") + encoded)
        except OSError as error:
            raise VerifierLost("a checking process died: start the ledger again") from error

    def receive(self) -> bytes:
        """Wait for the verdicts on the oldest batch. Raises VerifierLost."""
        try:
            return _receive_exactly(self._socket, self._counts.popleft())
        except (EOFError, OSError) as error:
            raise VerifierLost("a checking process died: start the ledger again") from error

    def close(self) -> None:
        """End the process: it stops when its socket closes."""
        self._socket.close()
        self._process.wait()


def verdicts(tasks: Sequence[Task]) -> bytes:
    """Return one byte per task: 1 if all its signatures hold, else 0."""
    return bytes([_holds(task) for task in tasks])


def serve(connection: socket.socket) -> None:
    """Check batches until the other end closes."""
    while True:
        try:
            size = int.from_bytes(_receive_exactly(connection, _LENGTH_SIZE_BYTES), "big")
            connection.sendall(verdicts(_TASKS.decode(_receive_exactly(connection, size))))
        except (EOFError, ConnectionError):
            return


def _holds(task: Task) -> bool:
    body, signers, signatures = task
    try:
        for signer, signature in zip(signers, signatures, strict=True):
            verify_tagged(signer, SIGNING_TAG, body, signature)
    except SignatureInvalid:
        return False
    return True


def _receive_exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        count = connection.recv_into(view[filled:])
        if count == 0:
            raise EOFError
        filled += count
    return bytes(data)


if __name__ == "__main__":
    # The ledger process decides when to end; a signal to the whole group must not take its verdicts away.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(NICENESS)
    serve(socket.socket(fileno=0))
