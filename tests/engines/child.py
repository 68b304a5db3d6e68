"""A ledger process of the toy chain, started and killed by tests: `python -m tests.engines.child FOLDER SOCKET`."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from salus.engines.client import LedgerClient
from salus.engines.clock import Clock
from salus.engines.embedded import EmbeddedEngine
from salus.engines.process import run
from tests.engines import toy

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
SMALL_MAP_BYTES = 1 << 20


class LedgerProcess:
    """A child that serves a ledger in `place`; it can be killed and started again."""

    def __init__(self, place: Path, *, verifiers: int = 0) -> None:
        self.folder = place / "ledger"
        self.socket = place / "socket"
        self._verifiers = verifiers
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            sys.executable,
            "-m",
            "tests.engines.child",
            str(self.folder),
            str(self.socket),
            str(self._verifiers),
        ]
        self._child = subprocess.Popen(command, cwd=ROOT)
        client = self.client(reconnect_s=START_S)
        client.wait_for(0, timeout_s=START_S)
        client.close()

    def spawn(self) -> None:
        """Start it."""
        arguments = [str(self.folder), str(self.socket), str(self._verifiers)]
        self._child = subprocess.Popen([sys.executable, "-m", "tests.engines.child", *arguments], cwd=ROOT)

    def run_and_fail(self) -> int:
        """Start it, wait until it ends by itself, return the exit status."""
        self.spawn()
        assert self._child is not None
        return self._child.wait(START_S)

    def client(self, *, reconnect_s: float = 2.0, clock: Clock | None = None) -> LedgerClient:
        """A new client."""
        return LedgerClient(self.socket, self.folder, chain=toy.CHAIN, reconnect_s=reconnect_s, clock=clock)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; return the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self._child is not None
        self._child.send_signal(number)
        return self._child.wait(START_S)


def main(folder: str, socket: str, verifiers: str) -> int:
    engine = EmbeddedEngine(
        Path(folder),
        toy.founding(),
        toy.CONSENSUS_KEY,
        verifiers=int(verifiers),
        map_size_bytes=SMALL_MAP_BYTES,
    )
    return run(engine, Path(socket))


def now_s() -> int:
    """Wall clock, seconds since 1970."""
    return int(time.time())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
