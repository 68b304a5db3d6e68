"""Release between two nodes over HTTP on loopback, and withdrawal to first refusal (DESIGN §9)."""

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Line, Spread, latencies
from salus.cli.demonstration_places import free_ports
from salus.cli.running import NetworkProcesses
from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.ledger.identifiers import OrganisationId
from salus.node.assemble import Node
from salus.node.config import read_node
from salus.node.errors import Refused
from salus.node.founding import Member, found
from salus.node.http_peers import HttpPeers, node_peers
from salus.node.opening import ledger_client, open_node
from salus.node.people import OpenSession, certify_person, open_session
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.receive import receive
from salus.node.services.request import Granted, Wish, request

HOSPITAL, PRACTICE = OrganisationId("RVJ"), OrganisationId("A81001")
RECORD_BYTES = 10_000
IDLE_COUNT = 150
CLIENTS = 4
PEAK_S = 4.0
WITHDRAWALS = 40
TO_PRACTICE = Provision(type=ProvisionType.PERMIT, organisations=(PRACTICE,), purposes=(Purpose.TREAT,))


def run() -> list[Line]:
    """Measure with one client, at half of the peak, and how soon a withdrawal holds."""
    with two_nodes() as pair:
        idle = latencies_of(pair, IDLE_COUNT)
        peak = throughput(pair)
        half = paced(pair, peak / 2)
        withdrawn = withdrawals(pair)
    return [
        Line(
            "release of a 10 kB record between two nodes, one client, idle",
            "p95 ≤ 15 ms",
            f"p95 {idle.percentile(95):.1f} ms, median {idle.median:.1f} ms",
            idle.percentile(95) <= 15,
            {"ms": idle.raw(), "p95_ms": idle.percentile(95)},
        ),
        Line(
            "the same at half of peak",
            "p95 ≤ 60 ms",
            f"p95 {half.percentile(95):.1f} ms at {peak / 2:.0f}/s of {peak:.0f}/s",
            half.percentile(95) <= 60,
            {"ms": half.raw(), "p95_ms": half.percentile(95), "peak_per_s": peak},
        ),
        Line(
            "withdrawal to first refusal at the custodian, idle",
            "p99 ≤ 250 ms",
            f"p99 {withdrawn.percentile(99):.0f} ms, median {withdrawn.median:.0f} ms",
            withdrawn.percentile(99) <= 250,
            {"ms": withdrawn.raw()},
        ),
    ]


@dataclass
class Pair:
    """Two nodes that are served by processes of their own, and a worker of each in this process."""

    hospital: Node
    practice: Node
    peers: HttpPeers
    session: OpenSession
    wish: Wish

    def grant(self) -> Granted:
        """Return a fresh permit; committed before any clock starts."""
        granted = request(self.practice, self.session, self.wish)
        assert isinstance(granted, Granted)
        return granted


@contextmanager
def two_nodes() -> Iterator[Pair]:
    """Start a ledger process and two node processes; one patient with one record of 10 kB."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "net"
        ports = free_ports(2)
        founded = found(
            folder,
            [
                Member(HOSPITAL, "hospital", "Bench Hospital", ports[0]),
                Member(PRACTICE, "practice", "Bench Practice", ports[1]),
            ],
            chain="salus-bench",
            time_s=int(time.time()) - 60,
        )
        stack.enter_context(NetworkProcesses(folder, log=folder / "log"))
        settings = read_node(founded.nodes[HOSPITAL])
        engine = stack.enter_context(ledger_client(settings, founded.genesis.chain))  # one for this process
        hospital = stack.enter_context(open_node(founded.nodes[HOSPITAL], engine=engine))
        practice = stack.enter_context(open_node(founded.nodes[PRACTICE], engine=engine))
        peers = node_peers(practice)
        stack.callback(peers.close)
        yield _prepare(hospital, practice, peers)


def _prepare(hospital: Node, practice: Node, peers: HttpPeers) -> Pair:
    pseudonym = enrol(hospital, NhsNumber("9990000018"), "1980-02-29")
    body = {"resourceType": "Observation", "id": "o", "status": "final", "note": [{"text": "x" * RECORD_BYTES}]}
    deposit(hospital, pseudonym, [parse(json.dumps(body).encode())])
    file_by_custodian(hospital, pseudonym, TO_PRACTICE)
    gp = certify_person(practice, name="G", role="GP", registration="GMC 1", role_class=RoleClass.CLINICAL)
    session = open_session(gp.key, gp.certificate, custodian=HOSPITAL, from_s=practice.clock())
    return Pair(hospital, practice, peers, session, Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT))


def latencies_of(pair: Pair, count: int) -> Spread:
    """Return milliseconds of releases one after another, each under a permit of its own."""
    grants = iter([pair.grant() for _ in range(count + 10)])
    for _ in range(10):
        list(receive(pair.practice, pair.peers, next(grants)))
    return latencies(lambda: list(receive(pair.practice, pair.peers, next(grants))), count=count)


def throughput(pair: Pair) -> float:
    """Return releases per second with several clients, as fast as they can."""
    done = [0] * CLIENTS
    grants = [[pair.grant() for _ in range(150)] for _ in range(CLIENTS)]
    until_s = time.perf_counter() + PEAK_S

    def client(number: int) -> None:
        for granted in grants[number]:
            if time.perf_counter() > until_s:
                return
            list(receive(pair.practice, pair.peers, granted))
            done[number] += 1

    begun = time.perf_counter()
    _together(client)
    return sum(done) / (time.perf_counter() - begun)


def paced(pair: Pair, per_s: float) -> Spread:
    """Return milliseconds of releases that begin at a steady rate, from when each should have begun."""
    count = int(per_s * PEAK_S)
    grants = [pair.grant() for _ in range(count)]
    took = [0.0] * count
    begun = time.perf_counter()

    def client(number: int) -> None:
        for place in range(number, count, CLIENTS):
            due = begun + place / per_s
            time.sleep(max(0.0, due - time.perf_counter()))
            list(receive(pair.practice, pair.peers, grants[place]))
            took[place] = (time.perf_counter() - due) * 1000

    _together(client)
    return Spread(tuple(took))


def withdrawals(pair: Pair) -> Spread:
    """Return milliseconds from sending a withdrawal to the first refusal of a permit that held before."""
    readings = []
    for _ in range(WITHDRAWALS):
        choice = file_by_custodian(pair.hospital, pair.wish.pseudonym, TO_PRACTICE)
        granted = pair.grant()
        begun = time.perf_counter()
        withdraw_by_custodian(pair.hospital, pair.wish.pseudonym, choice)
        while _is_released(pair, granted):
            pass
        readings.append((time.perf_counter() - begun) * 1000)
    return Spread(tuple(readings))


def _is_released(pair: Pair, granted: Granted) -> bool:
    try:
        list(receive(pair.practice, pair.peers, granted))
    except Refused:
        return False
    return True


def _together(client: object) -> None:
    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
