"""Networks of four CometBFT nodes on this machine: of Salus, and of Go applications that do less."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from salus.cli.demonstration_places import free_ports
from salus.contracts.membership import KeyUse
from salus.crypto.signing import SigningKey
from salus.engines.base import Founding
from salus.engines.client import LedgerClient
from salus.engines.cometbft import home
from salus.engines.cometbft.home import ABCI_SOCKET, RPC_SOCKET, Peer, node_id, write_home
from salus.engines.cometbft.installing import VERSION, fetched, find_go, installed
from salus.engines.cometbft.rpc import UnixConnection
from salus.ledger.comet.types import Validator
from salus.ledger.identifiers import OrganisationId
from salus.node.founding import SOCKET
from salus.node.keys import OrganisationKeys
from salus.node.network import folder as folders

HOSPITAL, PRACTICE, TRUST, COMPANY = map(OrganisationId, ("RVJ", "A81001", "RX2", "FX003"))
KINDS = {HOSPITAL: "hospital", PRACTICE: "practice", TRUST: "hospital", COMPANY: "hospital"}
CHAIN = "salus-bench"
NODES = 4
START_S = 60.0
PEERS = Path(__file__).parent / "peers" / "main.go"
BUILT_IN = "kvstore"


class _Meta(msgspec.Struct):
    num_txs: str


class _Blocks(msgspec.Struct):
    last_height: str
    block_metas: list[_Meta]


class _Answer(msgspec.Struct):
    result: _Blocks


_BLOCKS = msgspec.json.Decoder(_Answer)


@dataclass
class FourNodes:
    """Four nodes that run.

    Args:
        rpc: the sockets of their RPC.
        processes: all of them, for the time that they use.
        folders: what they write.
        clients: of the ledger processes; none for a peer.
    """

    rpc: Sequence[Path]
    processes: Callable[[], list[int]]
    folders: Sequence[Path]
    clients: Sequence[LedgerClient] = ()
    keys: dict[OrganisationId, OrganisationKeys] = field(default_factory=dict)


class Blocks:
    """Counts what the first node has committed, block by block."""

    def __init__(self, rpc: Path) -> None:
        self._connection = UnixConnection(rpc, 10.0)
        self.height = 0
        self.count = 0

    def look(self) -> int:
        """Return how many transactions were committed since the first look."""
        first = self.height + 1
        found = self._page(first, first + 19)
        if not self.height:
            self.height = int(found.last_height)
            return self.count
        self.count += sum(int(each.num_txs) for each in found.block_metas)
        self.height += len(found.block_metas)
        return self.count if len(found.block_metas) < 20 else self.look()

    def _page(self, first: int, last: int) -> _Blocks:
        call = {"jsonrpc": "2.0", "id": 1, "method": "blockchain"}
        body = msgspec.json.encode(call | {"params": {"minHeight": str(first), "maxHeight": str(last)}})
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        said = self._connection.getresponse().read()
        try:
            return _BLOCKS.decode(said).result
        except msgspec.ValidationError:  # nothing at or above this height yet
            return _Blocks(str(self.height), [])


@contextmanager
def salus(place: Path) -> Iterator[FourNodes]:
    """Four members, each with a ledger process of its own, started as an operator would."""
    ports, now_s = free_ports(2 * NODES), int(time.time()) - 5
    made = []
    for organisation, kind in KINDS.items():
        path, host = place / organisation, "127.0.0.1"
        where = folders.Place(organisation, kind, organisation, host, host, ports.pop(), ports.pop())
        folders.make_folder(path, where, chain=CHAIN, now_s=now_s)
        made.append(folders.open_folder(path))
    members = [each.member() for each in made]
    for each in made:
        folders.found(each, members)
    with ExitStack() as stack:
        serving = [
            stack.enter_context(_process(_serve(each.ledger), place / f"{each.organisation}.log")) for each in made
        ]
        clients = [
            LedgerClient(each.path / SOCKET, each.ledger / "store", chain=CHAIN, reconnect_s=START_S) for each in made
        ]
        for client in clients:
            stack.callback(client.close)
            _until(lambda client=client: client.wait_for(2, timeout_s=START_S) >= 2)  # type: ignore[misc]
        yield FourNodes(
            rpc=[each.ledger / "node" / RPC_SOCKET for each in made],
            processes=lambda: [
                *(each.pid for each in serving),
                *(pid for each in serving for pid in _children(each.pid)),
            ],
            folders=[each.ledger for each in made],
            clients=clients,
            keys={each.organisation: each.keys() for each in made},
        )


@contextmanager
def peers(place: Path, application: str, program: Path | None) -> Iterator[FourNodes]:
    """Four nodes of another application.

    Args:
        application: `kvstore` or `verifying`.
        program: serves it behind a socket; None for CometBFT's own, built in.
    """
    consensus = [SigningKey.generate() for _ in range(NODES)]
    nodes = [SigningKey.generate() for _ in range(NODES)]
    addresses = [Peer(node_id(key), "127.0.0.1", port) for key, port in zip(nodes, free_ports(NODES), strict=True)]
    validators = tuple(Validator(key.public, 10) for key in consensus)
    founding = Founding(CHAIN, (), int(time.time()) - 5, (), validators=validators)
    homes = [place / str(number) for number in range(NODES)]
    with ExitStack() as stack:
        running = []
        for number, path in enumerate(homes):
            others = tuple(each for each in addresses if each is not addresses[number])
            network = home.Network(nodes[number], port=addresses[number].port, peers=others)
            write_home(path, founding, consensus[number], network)
            if program is None:
                _build_in(path / "config" / "config.toml")
            else:
                command = [str(program), application, str(path / ABCI_SOCKET)]
                running.append(stack.enter_context(_process(command, path / "application.log")))
                _until((path / ABCI_SOCKET).exists)
        for path in homes:
            command = [str(installed()), "start", "--home", str(path)]
            running.append(stack.enter_context(_process(command, path / "node.log")))
        for path in homes:
            _until(lambda path=path: _height(path / RPC_SOCKET) >= 2)  # type: ignore[misc]
        yield FourNodes([path / RPC_SOCKET for path in homes], lambda: [each.pid for each in running], homes)


def build(place: Path) -> Path:
    """Build the Go peers within the module that is installed; return the program."""
    module = place / "module"
    shutil.copytree(fetched(VERSION), module, copy_function=shutil.copyfile)
    (module / "cmd" / "peers").mkdir()
    shutil.copyfile(PEERS, module / "cmd" / "peers" / PEERS.name)
    program = place / "peers"
    surroundings = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    arguments = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", str(program), "./cmd/peers"]
    subprocess.run([str(find_go()), *arguments], cwd=module, env=surroundings, check=True)
    shutil.rmtree(module)
    return program


def processor_s(processes: Sequence[int]) -> float:
    """Return the processor time that some processes have used, in seconds."""
    ticks = 0
    for pid in processes:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def size_bytes(folders_: Sequence[Path]) -> int:
    """Return what is allocated on the disk for some folders."""
    files = [each for folder in folders_ for each in folder.rglob("*") if each.is_file()]
    return sum(each.stat().st_blocks * 512 for each in files)


def transaction_key(network: FourNodes, organisation: OrganisationId) -> SigningKey:
    """Return a member's key."""
    return network.keys[organisation].signing(KeyUse.TRANSACTION)


def _serve(ledger: Path) -> list[str]:
    return [sys.executable, "-P", "-m", "salus.cli", "serve", str(ledger)]


def _build_in(configuration: Path) -> None:
    lines = configuration.read_text(encoding="utf-8").splitlines()
    changed = [f'proxy_app = "{BUILT_IN}"' if line.startswith("proxy_app") else line for line in lines]
    configuration.write_text("\n".join(changed), encoding="utf-8")


@contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _height(rpc: Path) -> int:
    blocks = Blocks(rpc)
    blocks.look()
    return blocks.height


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(each) for task in tasks for each in (task / "children").read_text(encoding="ascii").split()]


def _until(is_so: Callable[[], object]) -> None:
    until_s = time.monotonic() + START_S
    while True:
        try:
            if is_so():
                return
        except OSError as error:
            if time.monotonic() > until_s:
                raise AssertionError("the network starts") from error
        assert time.monotonic() < until_s, "the network starts"
        time.sleep(0.1)
