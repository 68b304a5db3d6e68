"""Serving in processes: signals, deaths, and what several workers must know of each other."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from salus.api.exchange.serve import listen
from salus.cli.demonstration_places import free_ports
from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts import CONTRACTS
from salus.contracts.genesis import genesis_rows
from salus.contracts.membership import KeyUse
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.crypto.hashing import EMPTY_ROOT
from salus.engines.base import Founding
from salus.engines.embedded import EmbeddedEngine
from salus.engines.process import LedgerServer
from salus.ledger.identifiers import PermitId
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refused
from salus.node.http_peers import HttpPeers, node_peers
from salus.node.keys import generate, write_keys
from salus.node.people import certify_person, open_session
from salus.node.schema import permits
from salus.node.services import choices, deposit, enrol, receive
from salus.node.services.anchor import UNANSWERED_S
from salus.node.services.request import Granted, Wish, request
from salus.node.upkeep import TASKS
from salus.testing.world import HOSPITAL, PRACTICE, World, make_genesis
from tests.api.attacker import ASK, Forged, post
from tests.api.exchange_world import Served, eventually, let_go, with_endpoints

pytestmark = pytest.mark.services

CHILD = Path(__file__).with_name("serving_child.py")
PATIENCE_S = 120
"""For what has to come: a machine that has too much to do is slow, and that is no fault of ours."""
ANCHORED_S = 5
"""R5."""
WHOLE_MEMORY = 10_000
"""Objects that Python's collections would go through again and again; a worker has many times as many."""


@dataclass
class Machine:
    """A ledger process (in this process) and a served hospital in processes of its own."""

    served: Served
    child: subprocess.Popen[bytes]
    peers: HttpPeers
    said: Path

    def answers(self) -> bool:
        """Whether the hospital answers; what it says is a refusal."""
        try:
            self.peers.ask(HOSPITAL, ASK)
        except NotNow:
            return False
        except Refused:
            return True
        return False

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text()
        return [int(each) for each in children.split()]

    def comes(self, holds: Callable[[], bool]) -> None:
        """Wait until something is so, for as long as the hospital runs."""
        assert eventually(lambda: self.child.poll() is not None or holds(), within_s=PATIENCE_S), self.said.read_text()
        assert self.child.poll() is None, self.said.read_text()


@contextmanager
def machine(folder: Path, *, workers: int) -> Iterator[Machine]:
    keys = {organisation: generate() for organisation in (HOSPITAL, PRACTICE)}
    [port] = free_ports(1)
    genesis = with_endpoints(make_genesis(keys), {HOSPITAL: port})
    rows = tuple(genesis_rows(genesis))
    founding = Founding(chain=genesis.chain, contracts=CONTRACTS, time_s=genesis.time_s, rows=rows)
    with ExitStack() as stack:
        engine = EmbeddedEngine(folder / "ledger", founding, keys[HOSPITAL].signing(KeyUse.CONSENSUS))
        stack.callback(engine.close)
        stack.enter_context(closing(LedgerServer(engine, folder / "socket")))
        world = World(folder, genesis, engine, keys)
        for organisation in keys:
            write_keys(folder / f"{organisation}.keys", keys[organisation])
            stack.callback(let_go, world.open_node(organisation))
        command = [sys.executable, str(CHILD), str(folder), HOSPITAL, str(port), str(workers)]
        said = stack.enter_context((folder / "said").open("wb"))
        child = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=said, stderr=said)
        stack.callback(end, child)
        peers = stack.enter_context(closing(node_peers(world.practice)))
        made = Machine(Served(world, {HOSPITAL: port}), child, peers, folder / "said")
        made.comes(made.answers)
        yield made


def end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
    child.wait(PATIENCE_S)


def is_alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine"), workers=request.param) as made:
        yield made


def test_a_request_is_heard_once_whichever_worker_it_reaches(running: Machine) -> None:
    forged = Forged(running.served.world)
    body, _ = forged.sealed()
    request = forged.signed(body)
    statuses = [post(running.served, request, body, forged).status for _ in range(12)]
    assert statuses == [200] + [409] * 11


@pytest.mark.promise("R5")
def test_releases_are_anchored_by_the_worker_itself(running: Machine) -> None:
    hospital, practice = running.served.world.hospital, running.served.world.practice
    pseudonym = enrol.enrol(hospital, NhsNumber("9990000018"), "1980-02-29")
    body = b'{"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/p"}}'
    deposit.deposit(hospital, pseudonym, [parse(body)])
    choices.file_by_custodian(
        hospital, pseudonym, Provision(type=ProvisionType.PERMIT, organisations=(PRACTICE,), purposes=(Purpose.TREAT,))
    )
    doctor = certify_person(practice, name="Dr Li", role="GP", registration="1", role_class=RoleClass.CLINICAL)
    session = open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=practice.clock())
    granted = request(practice, session, Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT))
    assert isinstance(granted, Granted)
    [received] = receive.receive(practice, running.peers, granted)
    assert received.content == body
    running.comes(lambda: anchored_root(hospital, granted.permit) not in (None, EMPTY_ROOT))


@pytest.mark.promise("R5")
def test_upkeep_looks_so_often_that_an_anchor_is_never_later_than_five_seconds() -> None:
    every_s = {task.name: task.every_s for task in TASKS}["anchor"]
    assert every_s + UNANSWERED_S + 1 <= ANCHORED_S  # clocks are in whole seconds


def anchored_root(node: Node, permit: PermitId) -> bytes | None:
    """What the workers of a node have anchored of a permit; None when they have not heard of it."""
    with node.vault.database.reading() as connection:
        return connection.scalar(select(permits.c.anchored_root).where(permits.c.permit == permit))


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, 2), (signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_a_signal_ends_it_cleanly(number: signal.Signals, workers: int, tmp_path: Path) -> None:
    with machine(tmp_path, workers=workers) as made:
        everybody = [made.child.pid, *made.workers()]
        made.child.send_signal(number)
        assert made.child.wait(PATIENCE_S) == 0
        assert not any(map(is_alive, everybody))
        assert "exchange.worker_killed" not in made.said.read_text()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", made.served.ports[HOSPITAL]))


def test_a_worker_that_was_killed_is_replaced(tmp_path: Path) -> None:
    with machine(tmp_path, workers=2) as made:
        before = made.workers()
        for killed in before:
            os.kill(killed, signal.SIGKILL)
        made.comes(lambda: len(set(made.workers()) - set(before)) == 2 and made.answers())


def test_no_worker_outlives_the_process_that_began_it(tmp_path: Path) -> None:
    with machine(tmp_path, workers=2) as made:
        workers = made.workers()
        made.child.kill()
        assert eventually(lambda: not any(map(is_alive, workers)), within_s=PATIENCE_S)


def test_collections_leave_out_what_a_worker_keeps_for_its_life(tmp_path: Path) -> None:
    with machine(tmp_path, workers=1) as made:
        made.child.terminate()
        assert made.child.wait(PATIENCE_S) == 0
        [frozen] = [int(each.read_text()) for each in tmp_path.glob("*.frozen")]
    assert frozen > WHOLE_MEMORY


def test_workers_that_cannot_start_end_it(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, str(CHILD), str(tmp_path), HOSPITAL, "0", "2"],
        cwd=Path(__file__).parents[2], capture_output=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert child.returncode == 1


def test_an_address_in_use_is_an_error(tmp_path: Path) -> None:
    with closing(listen("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", taken.getsockname()[1])
