"""Two organisations on one ledger, each with its exchange on a real socket; servers run in threads of this process."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import msgspec
import uvicorn

from salus.api.exchange.app import Exchange
from salus.api.exchange.serve import listen, server_config
from salus.api.exchange.settings import ExchangeSettings
from salus.contracts import CONTRACTS, membership
from salus.contracts.genesis import Genesis, genesis_rows
from salus.contracts.membership import KeyUse
from salus.engines.base import Founding
from salus.engines.embedded import EmbeddedEngine
from salus.ledger.identifiers import OrganisationId
from salus.ledger.machine import FirstRow
from salus.node.assemble import Node
from salus.node.http_peers import HttpPeers, node_peers
from salus.node.keys import generate
from salus.node.members import LedgerDirectory
from salus.testing.world import HOSPITAL, PRACTICE, World, make_genesis

STRANGER = OrganisationId("X99")
SUSPENDED = OrganisationId("X66")
PATHS = {HOSPITAL: "", PRACTICE: "/north/a81001"}
"""The practice's endpoint is published by a gateway below a path of its own."""
SUSPENDED_UNTIL_S = 1 << 39


@dataclass
class Served:
    """A world whose hospital and practice serve their exchanges; the other two members serve nothing."""

    world: World
    ports: dict[OrganisationId, int]
    exchanges: dict[OrganisationId, Exchange] = field(default_factory=dict)

    def peers(self, organisation: OrganisationId, *, transport: httpx2.BaseTransport | None = None) -> HttpPeers:
        """What one organisation reaches the others by."""
        node = self.world.nodes[organisation]
        if transport is None:
            return node_peers(node)
        directory = LedgerDirectory(node.chain, node.engine, node.clock)
        return HttpPeers(directory, sender=organisation, key=node.signing(KeyUse.HTTP), transport=transport)


@contextmanager
def served_world(folder: Path, **settings: float) -> Iterator[Served]:
    """Start ledger, nodes and servers; everything ends with the block."""
    keys = {organisation: generate() for organisation in (HOSPITAL, PRACTICE, STRANGER, SUSPENDED)}
    with ExitStack() as stack:
        listeners = {each: stack.enter_context(closing(listen("127.0.0.1", 0))) for each in (HOSPITAL, PRACTICE)}
        ports = {each: listener.getsockname()[1] for each, listener in listeners.items()}
        genesis = with_endpoints(make_genesis(keys), ports)
        founding = Founding(
            chain=genesis.chain, contracts=CONTRACTS, time_s=genesis.time_s, rows=tuple(first_rows(genesis))
        )
        engine = EmbeddedEngine(folder / "ledger", founding, keys[HOSPITAL].signing(KeyUse.CONSENSUS))
        stack.callback(engine.close)
        served = Served(World(folder, genesis, engine, keys), ports)
        for organisation in keys:
            stack.callback(let_go, served.world.open_node(organisation))
        for organisation, listener in listeners.items():
            limits = ExchangeSettings(folder=folder / organisation.lower(), **{"match_step_ms": 20} | settings)
            exchange = stack.enter_context(closing(Exchange(served.world.nodes[organisation], limits)))
            served.exchanges[organisation] = exchange
            stack.enter_context(running(exchange, listener))
        yield served


def let_go(node: Node) -> None:
    """Close what a node has open."""
    node.custodian_journal.close()
    node.requester_journal.close()
    node.vault.database.close()


def with_endpoints(genesis: Genesis, ports: dict[OrganisationId, int]) -> Genesis:
    """Register where each node is."""
    founders = tuple(
        msgspec.structs.replace(
            founder, endpoint=f"http://127.0.0.1:{ports[founder.organisation]}{PATHS[founder.organisation]}"
        )
        if founder.organisation in ports
        else founder
        for founder in genesis.founders
    )
    return msgspec.structs.replace(genesis, founders=founders)


def first_rows(genesis: Genesis) -> Iterator[FirstRow]:
    """The rows of genesis, with one member suspended: there is no vote for that yet."""
    for contract, table, key, value in genesis_rows(genesis):
        if table is membership.ORGANISATIONS and key == SUSPENDED:
            value = msgspec.structs.replace(value, suspended_until_s=SUSPENDED_UNTIL_S)
        yield contract, table, key, value


@contextmanager
def running(exchange: Exchange, listener: socket.socket) -> Iterator[None]:
    """Serve in a thread."""
    server = uvicorn.Server(server_config(exchange))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def eventually(holds: Callable[[], bool], *, within_s: float = 15) -> bool:
    """Whether something comes true in time."""
    until_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.02)
    return True
