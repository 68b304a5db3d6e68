"""A process that has everything imported and forks the children that tests kill: `python -m tests.kill.nursery`.

A fork is a fresh process with its own memory, threads and files, without the second that imports would take.
Reads one order per line from standard input, answers each with one line.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from tests.kill import workload

ROOT = Path(__file__).resolve().parents[2]


class Start(msgspec.Struct, frozen=True, tag=True):
    """Fork a child; answered with its process id."""

    role: str
    network: str
    facts: str
    seed: int


class Wait(msgspec.Struct, frozen=True, tag=True):
    """Wait for a child's end; answered with its wait status."""

    process: int


class Nursery:
    """The test's end."""

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kill.nursery"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._alive: set[int] = set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Kill what still runs, end the nursery."""
        for child in list(self._alive):
            self.kill(child)
        self._process.communicate()

    def start(self, role: str, *, network: Path, facts: Path, seed: int) -> int:
        """Fork a child; return its process id."""
        child = self._ask(Start(role, str(network), str(facts), seed))
        self._alive.add(child)
        return child

    def kill(self, child: int) -> None:
        """SIGKILL, and wait until it is gone. Fails when it had ended by itself."""
        os.kill(child, signal.SIGKILL)  # it is not reaped before we ask, so the id is still its own
        self._alive.discard(child)
        status = self._ask(Wait(child))
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, f"a child ended by itself, status {status}"

    def _ask(self, order: Start | Wait) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(msgspec.json.encode(order) + b"\n")
        stdin.flush()
        return int(stdout.readline())


def serve(orders: IO[bytes]) -> None:
    """Do what each line asks."""
    decoder: msgspec.json.Decoder[Start | Wait] = msgspec.json.Decoder(Start | Wait)
    for line in orders:
        order = decoder.decode(line)
        answer = os.waitpid(order.process, 0)[1] if isinstance(order, Wait) else _fork(order)
        print(answer, flush=True)


def _fork(order: Start) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.dup2(2, 1)  # standard output is the nursery's
        workload.run(order.role, Path(order.network), Path(order.facts), order.seed)
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve(sys.stdin.buffer)
