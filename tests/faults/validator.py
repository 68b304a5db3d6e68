"""One of four validators in a process that tests kill: `python -m tests.faults.validator SETTINGS`.

The ledger process of a member of a network with our contracts, with its real CometBFT node. What is wrong with it, if
anything is, is a name in `faulty`.
"""

import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from salus.contracts import payer
from salus.contracts.genesis import Genesis, decode_genesis
from salus.contracts.membership import KeyUse
from salus.crypto.signing import SigningKey
from salus.engines.client import LedgerClient
from salus.engines.cometbft.engine import CometEngine, Node
from salus.engines.cometbft.home import Network, Peer, StateSync, node_id
from salus.engines.cometbft.installing import VERSION, installed
from salus.engines.process import run
from salus.ledger.encoding import encode
from salus.node.keys import OrganisationKeys, read_keys, write_keys
from salus.node.opening import founding
from tests.faults import faulty

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
MAP_SIZE_BYTES = 1 << 26
SNAPSHOT_BLOCKS = 20


class Settings(msgspec.Struct):
    """Of one validator. `hosts`, `ports`: where it reaches each, and listens itself; `fault`: a name in `faulty`."""

    place: str
    number: int
    ports: list[int]
    hosts: list[str] = msgspec.field(default_factory=list)
    version: str = VERSION
    fault: str = ""
    bodies_kept_s: int = 0
    sync: tuple[tuple[str, ...], int, bytes] | None = None


@dataclass
class Validator:
    """A validator's files and its process. Change `settings` before a start."""

    organisation: str
    keys: OrganisationKeys
    genesis: Genesis
    settings: Settings
    within: tuple[str, ...] = ()
    """What its command begins with."""

    def __post_init__(self) -> None:
        self.place = Path(self.settings.place)
        self.place.mkdir()
        write_keys(self.place / "keys", self.keys)
        (self.place / "genesis").write_bytes(encode(self.genesis))
        self._process: subprocess.Popen[bytes] | None = None
        self.client = LedgerClient(
            self.place / "ledger.sock", self.place / "store", chain=self.genesis.chain, reconnect_s=0.5
        )

    def start(self) -> None:
        """Start it; it is ready when its client is answered."""
        program = [sys.executable, "-m", "tests.faults.validator", msgspec.json.encode(self.settings).decode()]
        with (self.place / "said").open("ab") as said:
            self._process = subprocess.Popen([*self.within, *program], cwd=ROOT, stderr=said)

    @property
    def is_running(self) -> bool:
        """Whether its ledger process runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL to the ledger process; its node ends with it."""
        self._end(signal.SIGKILL)

    def kill_both(self) -> None:
        """SIGKILL to node and ledger process."""
        self.kill_node()
        self.kill()

    def kill_node(self) -> None:
        """SIGKILL to the CometBFT node alone; the ledger process starts it again."""
        for each in self.node_processes():
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; return the exit status."""
        return self._end(signal.SIGTERM)

    def close(self) -> None:
        """Let go of everything."""
        self.client.close()
        if self.is_running:
            self.kill()

    def said(self) -> str:
        """What the ledger process logged."""
        return (self.place / "said").read_text(encoding="utf-8", errors="replace")

    def node_processes(self) -> list[int]:
        """The CometBFT process, if there is one now."""
        assert self._process is not None
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return [int(each) for task in tasks for each in (task / "children").read_text(encoding="ascii").split()]

    def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(PATIENCE_S)


def p2p_key(number: int) -> SigningKey:
    """The key by which peers know a node."""
    return SigningKey.from_seed(bytes([number + 1]) * 32)


def engine(settings: Settings) -> CometEngine:
    """Open a validator's engine."""
    place = Path(settings.place)
    hosts = settings.hosts or ["127.0.0.1"] * len(settings.ports)
    peers = tuple(
        Peer(node_id(p2p_key(number)), host, port)
        for number, (host, port) in enumerate(zip(hosts, settings.ports, strict=True))
        if number != settings.number
    )
    network = Network(
        p2p_key(settings.number),
        host=hosts[settings.number],
        port=settings.ports[settings.number],
        peers=peers,
        state_sync=None if settings.sync is None else StateSync(*settings.sync),
    )
    consensus = read_keys(place / "keys").signing(KeyUse.CONSENSUS)
    more = {"bodies_kept_s": settings.bodies_kept_s} if settings.bodies_kept_s else {}
    return CometEngine(
        place / "store",
        founding(decode_genesis((place / "genesis").read_bytes())),
        Node(installed(settings.version), place / "node", consensus, network),
        payer=payer,
        snapshot_blocks=SNAPSHOT_BLOCKS,
        map_size_bytes=MAP_SIZE_BYTES,
        **more,
    )


def main(text: str) -> int:
    """Run one validator until it is ended."""
    settings = msgspec.json.decode(text, type=Settings)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    faulty.become(settings.fault, Path(settings.place))
    return run(engine(settings), Path(settings.place) / "ledger.sock")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
