"""Ledgers that a run starts, stops and kills: an engine in this process on a fake clock, and a ledger process.

`python -m salus.testing.simulator.ledgers FOLDER SOCKET SEED BEGIN` is the process.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Final, Protocol

from salus.engines import process
from salus.engines.base import Engine, StartRefused
from salus.engines.client import LedgerClient
from salus.engines.embedded import EmbeddedEngine
from salus.testing.clock import FakeClock
from salus.testing.simulator.cast import CHAIN, Cast, make_cast

START_S: Final = 30.0
CLOCK_GAP_S: Final = 60


class Ledger(Protocol):
    """A ledger that can be driven and ill-treated."""

    is_exact: bool

    @property
    def engine(self) -> Engine:
        """Where it is reached, until it is started again."""

    def now_s(self) -> int:
        """The time by which it makes blocks, seconds since 1970."""

    def advance(self, seconds: int) -> None:
        """Let time pass, where time can be moved."""

    def restart(self) -> None:
        """End it in order, and start it again."""

    def disturb(self, chance: Random) -> None:
        """Do something to it that it must stop at, now or while it is being used."""

    def recover(self) -> None:
        """Start it again after that."""

    def close(self) -> None:
        """End it."""


class InProcess:
    """The embedded engine here, on a fake clock."""

    is_exact = True

    def __init__(self, cast: Cast, folder: Path) -> None:
        self._cast = cast
        self._folder = folder
        self.clock = FakeClock(cast.genesis.time_s)
        self._engine = self._open()

    @property
    def engine(self) -> Engine:
        """Where it is reached, until it is started again."""
        return self._engine

    def now_s(self) -> int:
        """The time by which it makes blocks, seconds since 1970."""
        return self.clock.wall_ns() // 1_000_000_000

    def advance(self, seconds: int) -> None:
        """Let time pass; a headers' worth of waiting is over at once."""
        self.clock.advance(seconds)

    def restart(self) -> None:
        """End it in order, and start it again."""
        self._engine.close()
        self._engine = self._open()

    def disturb(self, chance: Random) -> None:
        """Move the wall clock away from the monotonic one."""
        self.clock.jump(chance.choice((CLOCK_GAP_S, -CLOCK_GAP_S)))

    def recover(self) -> None:
        """Start it again, once the clock is no longer behind the newest block."""
        self._engine.close()
        try:
            self._engine = self._open()
        except StartRefused:
            self.clock.jump(2 * CLOCK_GAP_S)
            self._engine = self._open()

    def close(self) -> None:
        """End it."""
        self._engine.close()

    def _open(self) -> EmbeddedEngine:
        return EmbeddedEngine(self._folder, self._cast.founding(), self._cast.consensus_key(), self.clock)


class OwnProcess:
    """A ledger process on the machine's clock, which is killed."""

    is_exact = False

    def __init__(self, cast: Cast, folder: Path, seed: int) -> None:
        self._folder = folder
        self._socket = folder / "s"
        self._arguments = [str(folder / "ledger"), str(self._socket), str(seed), str(cast.genesis.time_s)]
        self._start()
        self._client = LedgerClient(self._socket, folder / "ledger", chain=CHAIN, reconnect_s=0.05)

    @property
    def engine(self) -> Engine:
        """Where it is reached, also when it was started again."""
        return self._client

    def now_s(self) -> int:
        """The machine's clock."""
        return int(time.time())

    def advance(self, seconds: int) -> None:
        """Nobody moves this clock."""

    def restart(self) -> None:
        """SIGTERM, and start it again."""
        self._end(signal.SIGTERM)
        self._start()

    def disturb(self, chance: Random) -> None:
        """Kill it within the next milliseconds, while it is being used."""
        delay_s = chance.choice((0.0, 0.001, 0.003, 0.01))
        command = f"import os, time; time.sleep({delay_s}); os.kill({self._child.pid}, {int(signal.SIGKILL)})"
        self._killer = subprocess.Popen([sys.executable, "-S", "-c", command])  # noqa: S603 -- our own words

    def recover(self) -> None:
        """Start it again."""
        self._killer.wait()
        self._child.wait()
        self._start()

    def close(self) -> None:
        """End it."""
        self._client.close()
        self._end(signal.SIGTERM)

    def _start(self) -> None:
        command = [sys.executable, "-m", "salus.testing.simulator.ledgers", *self._arguments]
        self._child = subprocess.Popen(command, env={**os.environ})  # noqa: S603 -- our own module
        probe = LedgerClient(self._socket, self._folder / "ledger", chain=CHAIN, reconnect_s=START_S)
        try:
            probe.wait_for(0, timeout_s=START_S)
        finally:
            probe.close()

    def _end(self, number: int) -> None:
        self._child.send_signal(number)
        self._child.wait(START_S)


def main(folder: str, socket: str, seed: str, begin_s: str) -> int:
    """Serve the ledger of a seed until a signal."""
    cast = make_cast(Random(int(seed)), begin_s=int(begin_s))  # noqa: S311 -- reproducible by its seed
    return process.run(EmbeddedEngine(Path(folder), cast.founding(), cast.consensus_key()), Path(socket))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
