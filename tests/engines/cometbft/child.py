"""A ledger process of a toy network that tests kill: `python -m tests.engines.cometbft.child PLACE N TIME PORTS`."""

import logging
import signal
import subprocess
import sys
from pathlib import Path

from salus.engines.client import LedgerClient
from salus.engines.cometbft.installing import installed
from salus.engines.process import run
from tests.engines import toy
from tests.engines.cometbft.network import PATIENCE_S, VALIDATORS, members_on, start, validators

ROOT = Path(__file__).resolve().parents[3]


class LedgerProcess:
    """One validator's ledger process with its node; it can be killed and started again."""

    def __init__(self, place: Path, number: int, time_s: int, ports: list[int]) -> None:
        self.place = place / str(number)
        self.place.mkdir()
        self.time_s, self.ports = time_s, ports
        self._arguments = [str(self.place), str(number), str(time_s), ",".join(map(str, ports))]
        self._child: subprocess.Popen[bytes] | None = None
        self.client = LedgerClient(self.place / "ledger.sock", self.place / "store", chain=toy.CHAIN, reconnect_s=60)

    def start(self) -> None:
        """Start it; it is ready when its client is answered."""
        command = [sys.executable, "-m", "tests.engines.cometbft.child", *self._arguments]
        self._child = subprocess.Popen(command, cwd=ROOT)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; return the exit status."""
        return self._end(signal.SIGTERM)

    def node_process_id(self) -> int:
        """The CometBFT process of this ledger process."""
        assert self._child is not None
        tasks = Path(f"/proc/{self._child.pid}/task").iterdir()
        [node] = [int(each) for task in tasks for each in (task / "children").read_text(encoding="ascii").split()]
        return node

    def _end(self, number: int) -> int:
        assert self._child is not None
        self._child.send_signal(number)
        return self._child.wait(PATIENCE_S)


def main(place: str, number: str, time_s: str, ports: str) -> int:
    logging.basicConfig(level=logging.WARNING, format=f"validator {number}: %(message)s")
    of = members_on([int(port) for port in ports.split(",")])
    founding = toy.founding(time_s=int(time_s), validators=validators(of[:VALIDATORS]))
    engine = start(Path(place), founding, of[int(number)], of, installed())
    return run(engine, Path(place) / "ledger.sock")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
