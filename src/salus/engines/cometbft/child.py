"""The CometBFT process beside the ledger: started, watched, started again.

It ends by itself, with exit status 0, whenever a connection to the application ends, so it never outlives this process.
It does not end when its consensus fails, as on a full disk or over an application that computed something else: then it
is ended. Started again with a pause that doubles, so that a node that cannot run does not spin.
"""

import logging
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from salus.engines.clock import SECOND_NS, Clock
from salus.engines.cometbft.home import RPC_SOCKET

FIRST_PAUSE_S = 0.2
PAUSE_S_MAX = 10.0
RAN_WELL_S = 60.0
"""After so long the next pause is short again."""
STOP_S = 10.0
LOG = "node.log"
CONSENSUS_FAILED = b"CONSENSUS FAILURE"
"""What CometBFT writes before it stands still for good, while its process goes on."""
LINE_BYTES_MAX = 1 << 16
WORDS_BYTES_MAX = 1_000

log = logging.getLogger("salus.engines")


class Child:
    """Keeps one CometBFT node running until `close`.

    Args:
        program: the `cometbft` program.
        home: its folder, written before (`home.write_home`).
        started: called before each start.
    """

    def __init__(self, program: Path, home: Path, clock: Clock, *, started: Callable[[], None]) -> None:
        self._command = [str(program), "start", "--home", str(home)]
        self._home = home
        self._clock = clock
        self._started = started
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self._thread = threading.Thread(target=self._run, name="cometbft", daemon=True)
        self._thread.start()

    @property
    def process_id(self) -> int:
        """Of the running node; 0 while there is none."""
        with self._lock:
            return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def restart(self) -> None:
        """End the node, which is then started again."""
        with self._lock:
            if self._process is not None and not self._closing.is_set():
                self._process.kill()

    def close(self) -> None:
        """End the node: SIGTERM, and SIGKILL when it does not listen."""
        with self._lock:
            self._closing.set()
            process = self._process
        if process is not None:
            process.terminate()
        self._thread.join(STOP_S)
        if self._thread.is_alive() and process is not None:
            log.warning("cometbft.killed process=%d", process.pid)
            process.kill()
            self._thread.join()

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._closing.is_set():
            began_ns = self._clock.monotonic_ns()
            status, last_words = self._run_once()
            if self._closing.is_set():
                return
            ran_s = (self._clock.monotonic_ns() - began_ns) / SECOND_NS
            pause_s = FIRST_PAUSE_S if ran_s > RAN_WELL_S else min(2 * pause_s, PAUSE_S_MAX)
            words = "cometbft.ended status=%d ran_s=%.1f again_in_s=%.1f said=%s"
            log.error(words, status, ran_s, pause_s, last_words)
            self._closing.wait(pause_s)

    def _run_once(self) -> tuple[int, str]:
        self._started()
        (self._home / RPC_SOCKET).unlink(missing_ok=True)  # left by a node that was killed; it would not start
        with self._lock:
            if self._closing.is_set():
                return 0, ""
            self.starts += 1
            self._process = process = subprocess.Popen(  # noqa: S603 -- the program whose checksum was checked
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        last_words = self._listen(process)
        return process.wait(), last_words

    def _listen(self, process: "subprocess.Popen[bytes]") -> str:
        """Keep what it says until it ends; end it when it says that its consensus has failed. Return its last words."""
        last = b"nothing"
        assert process.stdout is not None
        with process.stdout as said:
            while line := said.readline(LINE_BYTES_MAX):
                self._keep(line)
                last = line.strip() or last
                if CONSENSUS_FAILED in line:
                    log.critical("cometbft.consensus_failed said=%s", _words(line))
                    process.kill()
        return _words(last)

    def _keep(self, line: bytes) -> None:
        # On a full disk it is lost, which must not keep us from hearing what comes next.
        with suppress(OSError), (self._home / LOG).open("ab", buffering=0) as kept:
            kept.write(line)


def _words(line: bytes) -> str:
    return line[:WORDS_BYTES_MAX].decode(errors="replace").strip()
