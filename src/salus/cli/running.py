"""The processes of a network on this machine: a ledger process and its nodes, started in order and ended together.

Each child asks the kernel for SIGTERM when its parent ends, so none outlives it, however that ends.
"""

import ctypes
import http.client
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import msgspec

from salus.cli.failures import TRY_LATER, Failure
from salus.engines.base import Unavailable
from salus.engines.client import LedgerClient
from salus.node import config

START_S = 30.0
STOP_S = 15.0
LOOK_AGAIN_S = 0.02
LOOK_AGAIN_LATER_S = 0.2
ANSWER_S = 2.0
STATUS_PATH = "/exchange/1/status"
STATUS_SIZE_BYTES_MAX = 4096
_PR_SET_PDEATHSIG = 1


class _Standing(msgspec.Struct, frozen=True):
    organisation: str


class NetworkProcesses:
    """Starts a network's processes when entered, ends them when left."""

    def __init__(
        self,
        folder: Path,
        *,
        log: Path | None = None,
        has_begun: Callable[[], bool] | None = None,
        with_nodes: bool = True,
    ) -> None:
        """Name the network.

        Args:
            log: a file that gets what the processes say; None leaves them this process's standard error.
            has_begun: asked again and again, for as long as it takes, whether the ledger is so far that the nodes can
                be started; None expects a first block within moments.
            with_nodes: False leaves them to `start_nodes`.
        """
        self._network = config.read_network(folder)
        self._log = log
        self._has_begun = has_begun
        self._with_nodes = with_nodes
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Start the ledger process and wait for it, then the nodes and wait for them. Raises Failure."""
        try:
            self._start(self._network.ledger)
            if self._has_begun is None:
                self._wait_for_ledger()
            else:
                self._wait_until_begun(self._has_begun)
            if self._with_nodes:
                self.start_nodes()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all of them."""
        self.stop()

    def ended(self) -> str:
        """Return the folder of a process that has ended by itself; empty while all run."""
        return next((folder for folder, child in self._children.items() if child.poll() is not None), "")

    def stop(self) -> None:
        """End the nodes first, so that none is without its ledger, then the ledger."""
        for child in reversed(self._children.values()):
            _end(child)
        self._children.clear()

    def start_nodes(self) -> None:
        """Start the nodes and wait for them. Raises Failure."""
        for node in self._network.nodes:
            self._start(node)
        for node in self._network.nodes:
            self._wait_for_node(node)

    def kill_ledger(self) -> None:
        """SIGKILL to the ledger process, for those who want to see what follows."""
        self._children[self._network.ledger].kill()
        self._children[self._network.ledger].wait()

    def restart_ledger(self) -> None:
        """End the ledger process and start it again, with its settings as they are now; the nodes wait for it."""
        _end(self._children[self._network.ledger])
        self._start(self._network.ledger)

    def ask_to_stop(self) -> None:
        """Send SIGTERM to all of them and wait for none: `stop` waits."""
        for child in reversed(self._children.values()):
            child.send_signal(signal.SIGTERM)

    def process_ids(self) -> dict[str, int]:
        """Return the ids of the processes by the names of their folders."""
        return {Path(folder).name: child.pid for folder, child in self._children.items()}

    def _start(self, folder: str) -> None:
        command = [sys.executable, "-P", "-m", "salus.cli", "serve", folder, "--with-parent", str(os.getpid())]
        with _log_file(self._log) as log:
            self._children[folder] = subprocess.Popen(  # noqa: S603 -- our own module on a folder of this network
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
            )

    def _wait_for_ledger(self) -> None:
        settings = config.read_ledger(Path(self._network.ledger))
        chain = config.read_genesis(Path(settings.genesis)).chain
        until_s = time.monotonic() + START_S
        client = LedgerClient(Path(settings.socket), Path(settings.folder), chain=chain, reconnect_s=LOOK_AGAIN_S)
        try:
            while True:
                self._check(self._network.ledger, until_s)
                try:
                    client.wait_for(1)
                except Unavailable:
                    time.sleep(LOOK_AGAIN_S)
                else:
                    return
        finally:
            client.close()

    def _wait_until_begun(self, has_begun: Callable[[], bool]) -> None:
        while not has_begun():
            self._check(self._network.ledger, math.inf)
            time.sleep(LOOK_AGAIN_LATER_S)

    def _wait_for_node(self, folder: str) -> None:
        settings = config.read_node(Path(folder))
        until_s = time.monotonic() + START_S
        while _who_answers(settings.listen.host, settings.listen.port) != settings.organisation:
            self._check(folder, until_s)  # somebody else may answer on this port: then this node has ended
            time.sleep(LOOK_AGAIN_S)

    def _check(self, folder: str, until_s: float) -> None:
        where = f"see {self._log}" if self._log else "see its messages above"
        if self._children[folder].poll() is not None:
            raise Failure(TRY_LATER, f"expected {folder} to start, its process has ended", where)
        if time.monotonic() > until_s:
            raise Failure(TRY_LATER, f"expected {folder} to answer within {START_S:.0f} s, it does not", where)


def end_with_parent(parent: int) -> None:
    """Ask for SIGTERM when the process that started this one ends; without Linux's prctl nothing is asked.

    A thread that watched a pipe would do it everywhere, but a node forks its workers and must have no threads then.

    Args:
        parent: the process that is expected to be the parent still.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGTERM)


class Running(Protocol):
    """Processes that may end by themselves."""

    def ended(self) -> str:
        """Return the folder of one that has; empty while all run."""


def wait_for_stop(processes: Running, *, look: Callable[[], bool] = lambda: False) -> bool:
    """Wait for SIGTERM or SIGINT; return False when a process has ended by itself before.

    Args:
        look: called twice a second; when it says True, the waiting is over too.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(0.5) and not look():
        if processes.ended():
            return False
    return True


def _who_answers(host: str, port: int) -> str:
    """Return the organisation whose node answers there; empty when none does."""
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        connection.request("GET", STATUS_PATH)
        said = msgspec.json.decode(connection.getresponse().read(STATUS_SIZE_BYTES_MAX), type=_Standing)
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return ""
    finally:
        connection.close()
    return said.organisation


def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextmanager
def _log_file(path: Path | None) -> Iterator[int | None]:
    if path is None:
        yield None
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
