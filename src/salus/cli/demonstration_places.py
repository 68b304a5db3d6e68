"""Where the demo is told: over the ledger of one key, or over four validators of which one is killed on the way."""

import secrets
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from salus.cli.running import NetworkProcesses
from salus.contracts.genesis import Genesis
from salus.engines.base import Engine, Unavailable
from salus.engines.client import LedgerClient
from salus.ledger.identifiers import OrganisationId
from salus.ledger.verifier.trust import TrustRoot
from salus.node import config
from salus.node.founding import LEDGER, TRUST, Member, found, trust_root
from salus.node.network import folder as member_folder
from salus.node.network.folder import MemberFolder, Place, make_folder, open_folder
from salus.node.network.standing import read_standing
from salus.node.opening import ledger_client, unix_now_s
from salus.testing.population import CUSTODIANS, HOSPITAL, PRACTICE
from salus.testing.population.custodians import Custodian
from salus.testing.story import STEPS, Stage, Told
from salus.testing.story.checking import letter_stayed
from salus.testing.story.sharing import permitted
from salus.testing.story.stage import Step, require

CHAIN = "salus-demo"
BACK_WITHIN_S = 60.0
LOOK_AGAIN_S = 0.05
PORT, NODE_PORT = 26_656, 8_301
PORTS = range(20_000, 32_000)
"""Below those that Linux gives to connections (`net.ipv4.ip_local_port_range`)."""
KINDS = {"mental health trust": "hospital"}

Prepare = Callable[[Path, Path], None]
"""What is done to the hospital's node before it starts, with where the network's trust file is."""


@dataclass(frozen=True)
class Setting:
    """A network that runs.

    Args:
        folder: for files of the story, with the trust file in it.
        ledger: the folder of the hospital's ledger process.
        nodes: folders of the hospital's and the practice's node, with what each reads its ledger through.
        processes: all of them.
        steps: of the story here.
    """

    words: str
    folder: Path
    ledger: Path
    genesis: Genesis
    trust: TrustRoot
    nodes: dict[str, tuple[Path, Engine]]
    processes: Sequence[NetworkProcesses]
    steps: Sequence[Step] = STEPS

    def ended(self) -> str:
        """Return the folder of a process that has ended by itself; empty while all run."""
        return next((each.ended() for each in self.processes if each.ended()), "")


def one_ledger(folder: Path, stack: ExitStack, log: Path, prepare: Prepare) -> Setting:
    """Found a network of one key with two nodes, and start it; `prepare` gets the hospital's before that."""
    members = [
        Member(OrganisationId(each.ods), each.kind, each.name, port)
        for each, port in zip((HOSPITAL, PRACTICE), free_ports(2), strict=True)
    ]
    founded = found(folder / "network", members, chain=CHAIN, time_s=unix_now_s())
    folders = list(founded.nodes.values())
    prepare(folders[0], founded.folder / TRUST)
    processes = stack.enter_context(NetworkProcesses(founded.folder, log=log))
    # One client for both: LMDB must not be opened twice in a process.
    engine = stack.enter_context(ledger_client(config.read_node(folders[0]), CHAIN))
    return Setting(
        words="a ledger process and two nodes run",
        folder=founded.folder,
        ledger=founded.folder / LEDGER,
        genesis=founded.genesis,
        trust=founded.trust_root,
        nodes={each.ods: (place, engine) for each, place in zip((HOSPITAL, PRACTICE), folders, strict=True)},
        processes=[processes],
    )


def four_validators(folder: Path, stack: ExitStack, log: Path, prepare: Prepare) -> Setting:
    """Found a network of four organisations as they would themselves, and start it: four validators, two nodes."""
    host = _free_host()
    members = [_make(folder, each, f"{host}.{place}") for place, each in enumerate(CUSTODIANS, start=1)]
    given = [each.member() for each in members]
    [genesis, *_] = [member_folder.found(each, given) for each in members]  # each by itself, all the same
    prepare(members[0].node, members[0].path / TRUST)
    clients = [stack.enter_context(ledger_client(config.read_node(each.node), CHAIN)) for each in members]
    processes = [
        stack.enter_context(NetworkProcesses(each.path, log=log, has_begun=lambda: True, with_nodes=False))
        for each in members
    ]
    for ours in processes:
        stack.callback(ours.ask_to_stop)  # all at once in the end, before each is waited for
    _wait(lambda: all(map(_has_begun, members, clients)), "the first blocks")
    for ours in processes[:2]:
        ours.start_nodes()
    killed = _Killed(CUSTODIANS[-1].name, processes[-1], clients[-1])
    at, back = STEPS.index(permitted), STEPS.index(letter_stayed)
    return Setting(
        words="four validators and two nodes run",
        folder=folder / HOSPITAL.ods.lower(),
        ledger=members[0].ledger,
        genesis=genesis,
        trust=trust_root(genesis),
        nodes={str(each.organisation): (each.node, client) for each, client in zip(members[:2], clients, strict=False)},
        processes=processes,
        steps=(*STEPS[:at], killed.killed, *STEPS[at:back], killed.brought_back, *STEPS[back:]),
    )


class _Killed:
    """The story of the validator that is killed."""

    def __init__(self, name: str, processes: NetworkProcesses, client: LedgerClient) -> None:
        self._name = name
        self._processes = processes
        self._client = client

    def killed(self, stage: Stage) -> Told:
        """One of four is killed, and the ledger goes on."""
        self._processes.kill_ledger()
        height = stage.hospital.engine.status().height
        _wait(lambda: stage.hospital.engine.status().height > height + 1, "blocks without it")
        return Told(
            "One of the four validators is killed",
            (
                f"SIGKILL to the ledger process of {self._name}; its CometBFT node ends with it.",
                "Three of four are more than two thirds: the ledger goes on.",
            ),
            {"height": height},
        )

    def brought_back(self, stage: Stage) -> Told:
        """It is started again and has the same ledger."""
        began_s, had = time.monotonic(), self._client.status().height
        height = stage.hospital.engine.status().height
        require(height > had, "the others ahead of it", height)
        self._processes.restart_ledger()
        _wait(lambda: _has_header(self._client, height), "it to catch up")
        mine, theirs = self._client.signed_header(height), stage.hospital.engine.signed_header(height)
        assert mine is not None
        assert theirs is not None
        require(mine.signed.header == theirs.signed.header, "the same header on both")
        took_s = time.monotonic() - began_s
        return Told(
            "The validator comes back",
            (
                f"It had block {had}, the others {height}; {took_s:.1f} s after its start it has the same, header for",
                f"header: app hash {mine.signed.header.app_hash.hex()[:16]}… at height {height}.",
            ),
            {"missed": height - had, "took_s": round(took_s, 2)},
        )


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now, and that no connection gets by itself before somebody does."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            port = PORTS[secrets.randbelow(len(PORTS))]
            with suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                found.append(port)
    return found


def _make(folder: Path, custodian: Custodian, host: str) -> MemberFolder:
    place = Place(
        organisation=OrganisationId(custodian.ods),
        kind=KINDS.get(custodian.kind, custodian.kind),
        name=custodian.name,
        host=host,
        bind=host,
        port=PORT,
        node_port=NODE_PORT,
    )
    path = folder / custodian.ods.lower()
    make_folder(path, place, chain=CHAIN, now_s=unix_now_s())
    return open_folder(path)


def _free_host() -> str:
    """The first three numbers of loopback addresses that no other demo has."""
    return f"127.{1 + secrets.randbelow(250)}.{secrets.randbelow(250)}"


def _has_begun(member: MemberFolder, client: LedgerClient) -> bool:
    with suppress(Unavailable), client.snapshot() as snapshot:
        return read_standing(snapshot, member.organisation) is not None
    return False


def _has_header(client: LedgerClient, height: int) -> bool:
    with suppress(Unavailable):
        return client.signed_header(height) is not None
    return False


def _wait(is_so: Callable[[], bool], words: str) -> None:
    until_s = time.monotonic() + BACK_WITHIN_S
    while not is_so():
        require(time.monotonic() < until_s, f"{words} within {BACK_WITHIN_S:.0f} s", "none")
        time.sleep(LOOK_AGAIN_S)
