"""Processes killed at any moment, again and again, while nodes deposit, choose, release and anchor.

Nothing acknowledged is lost, nothing is applied twice, nothing is torn, and no byte leaves without a receipt or a mark
that it was possibly released. After each kill the ledger is checked as it was left; then everything is started again.
"""

import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from salus.contracts.access import End
from salus.engines.base import Unavailable
from salus.engines.client import LedgerClient
from salus.engines.store import LmdbReader
from salus.ledger.identifiers import PermitId
from salus.node import config
from salus.node.assemble import Node
from salus.node.founding import Member, found
from salus.node.opening import founding
from salus.node.services import deposit, enrol
from salus.node.services.anchor import anchor
from salus.testing.world import HOSPITAL, PRACTICE
from tests.kill import checks
from tests.kill.acknowledged import Committed, Deposited, Facts, Offered, Opened, SlotsSent
from tests.kill.nursery import Nursery
from tests.kill.workload import ALL, LEDGER, NODES, open_client, open_engine, open_nodes
from tests.progress import Progress

pytestmark = [pytest.mark.services, pytest.mark.promise("L2", "L4", "R5")]

KILLS_PER_NETWORK = 10
"""Each check executes the whole chain again, so a chain is not made too long."""
FACTS_MAX = 40
"""A process is killed at the latest after so many more facts, however slow the machine is."""
ALIVE_S_MAX = 5.0
BARELY_ALIVE_S_MAX = 0.3
BARELY_ALIVE = 0.25
"""How often a process is killed while it starts and finishes what the last kill cut off."""
START_S = 20.0


@pytest.fixture
def seed() -> int:
    """Printed when the test fails; SALUS_SEED repeats a run."""
    number = int(os.environ.get("SALUS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"SALUS_SEED={number}")
    return number


def test_twenty_kills(tmp_path: Path, seed: int) -> None:
    kill_many(tmp_path, seed, kills=20, least=1)  # as chance has it, few of one kind come between so few kills


@pytest.mark.long
@pytest.mark.parametrize("quarter", range(4))
def test_a_thousand_kills(tmp_path: Path, seed: int, quarter: int) -> None:
    kill_many(tmp_path, seed + 1000 * quarter, kills=250, least=250 // 4)


def kill_many(tmp_path: Path, seed: int, *, kills: int, least: int) -> None:
    """Kill so many times over several networks; say on the way how far it is and what was done.

    Args:
        least: so much of each kind has to have been done, or nothing was tried by it.
    """
    done: Counter[str] = Counter()
    progress = Progress(f"kills, seed {seed}")
    with Nursery() as nursery:
        for number in range(kills // KILLS_PER_NETWORK):
            with tempfile.TemporaryDirectory(prefix="salus-kill-") as sockets:
                killed = KilledNetwork(tmp_path / str(number), Path(sockets) / "s", nursery, seed + number)
                done += killed.kill_again_and_again(KILLS_PER_NETWORK)
            told = ", ".join(f"{count} {name}" for name, count in sorted(done.items()))
            progress.tell(told, now=number == kills // KILLS_PER_NETWORK - 1)
    assert done["kills"] == kills
    assert min(done[kind] for kind in ("transactions", "deposits", "offers", "slots", "opened")) >= least, done


class KilledNetwork:
    """A ledger and two nodes in one process or two, killed and started again."""

    def __init__(self, folder: Path, socket: Path, nursery: Nursery, seed: int) -> None:
        members = [Member(HOSPITAL, "hospital", "Hospital", 0), Member(PRACTICE, "practice", "Practice", 0)]
        found(folder, members, chain="salus-kill", time_s=int(time.time()) - 60, socket=socket)
        self._folder = folder
        self._founding = founding(config.read_genesis(folder / "genesis"))
        self._store = Path(config.read_ledger(folder / "ledger").folder)
        self._nursery = nursery
        self._chance = random.Random(seed)
        self._is_one_process = self._chance.random() < 0.3
        self._roles = (ALL,) if self._is_one_process else (LEDGER, NODES)
        self._running: dict[str, int] = {}
        self._facts = Facts(folder / "facts")

    def kill_again_and_again(self, kills: int) -> Counter[str]:
        """Kill so many times, then let everything be finished and check it all; return what was done."""
        for _ in range(kills):
            self._start_all()
            is_barely = self._chance.random() < BARELY_ALIVE
            if is_barely:
                time.sleep(self._chance.uniform(0.0, BARELY_ALIVE_S_MAX))
            else:
                self._wait_for_facts(self._chance.randrange(1, FACTS_MAX))
            victims = self._choose_victims()
            for victim in victims:
                self._nursery.kill(self._running.pop(victim))
                time.sleep(self._chance.choice((0.0, 0.05)))
            self._check_after(victims, is_barely=is_barely)
        for running in self._running.values():
            self._nursery.kill(running)
        self._running.clear()
        return self._count(kills)

    def _start_all(self) -> None:
        for role in self._roles:
            if role not in self._running:
                self._running[role] = self._nursery.start(
                    role, network=self._folder, facts=self._folder / "facts", seed=self._chance.randrange(1 << 32)
                )

    def _wait_for_facts(self, count: int) -> None:
        until_s = time.monotonic() + ALIVE_S_MAX
        self._facts.refresh()
        until_count = self._facts.count + count
        while self._facts.count < until_count and time.monotonic() < until_s:
            time.sleep(self._chance.uniform(0.0, 0.01))
            self._facts.refresh()

    def _choose_victims(self) -> list[str]:
        if self._is_one_process:
            return [ALL]
        return self._chance.choice(([LEDGER], [NODES], [NODES, LEDGER], [LEDGER, NODES]))

    def _check_after(self, victims: list[str], *, is_barely: bool) -> None:
        self._facts.refresh()
        if LEDGER in victims or ALL in victims:
            self._check_ledger()
        if victims == [LEDGER]:
            return
        self._facts.drop_torn()
        with ExitStack() as stack:
            nodes = self._open_nodes(stack)
            expect_nothing(finding for node in nodes for finding in checks.of_vault(node))
            if not is_barely:  # else the next process finds what two kills have left
                self._finish(*nodes)
                expect_nothing(self._node_findings(*nodes))

    def _check_ledger(self) -> None:
        try:
            reader = LmdbReader(self._store)
        except Unavailable:  # killed before there was one, and so before anything was acknowledged
            assert self._facts.of(Committed) == []
            return
        with closing(reader), reader.snapshot() as snapshot:
            expect_nothing(checks.of_ledger(snapshot, self._founding, self._facts))

    def _open_nodes(self, stack: ExitStack) -> list[Node]:
        if self._is_one_process:
            engine = open_engine(self._folder)
            stack.callback(engine.close)
            return list(open_nodes(self._folder, engine, stack).values())
        if LEDGER not in self._running:
            self._running[LEDGER] = self._nursery.start(
                LEDGER, network=self._folder, facts=self._folder / "facts", seed=0
            )
        client = stack.enter_context(self._client())  # one for both: LMDB opens a store once in a process
        return list(open_nodes(self._folder, client, stack).values())

    def _client(self) -> "closing[LedgerClient]":
        client = open_client(self._folder, reconnect_s=START_S)
        client.wait_for(1, timeout_s=START_S)
        return closing(client)

    def _finish(self, hospital: Node, practice: Node) -> None:
        """What nodes do at their start, and close some of the permits."""
        enrol.finish_enrolments(hospital)
        deposit.redrive(hospital)
        for node, end in ((hospital, End.CUSTODIAN), (practice, End.REQUESTER)):
            permits = [PermitId(permit) for permit in checks.permits_of(node, end) if self._chance.random() < 0.3]
            anchor(node, close=frozenset(permits))

    def _node_findings(self, hospital: Node, practice: Node) -> Iterator[str]:
        yield from checks.of_failures(self._facts)
        yield from checks.of_deposits(hospital, self._facts)
        yield from checks.of_releases(hospital, practice, self._facts)
        yield from checks.of_opened(hospital, self._facts)
        yield from checks.of_settling(hospital, practice)
        yield from checks.of_node(hospital, self._folder / HOSPITAL.lower())
        yield from checks.of_node(practice, self._folder / PRACTICE.lower())
        with hospital.engine.snapshot() as snapshot:
            yield from checks.of_anchors(snapshot, hospital, End.CUSTODIAN)
            yield from checks.of_anchors(snapshot, practice, End.REQUESTER)

    def _count(self, kills: int) -> Counter[str]:
        self._facts.refresh()
        return Counter(
            kills=kills,
            transactions=len(self._facts.of(Committed)),
            deposits=len(self._facts.of(Deposited)),
            offers=len(self._facts.of(Offered)),
            slots=len(self._facts.of(SlotsSent)),
            opened=len(self._facts.of(Opened)),
        )


def expect_nothing(findings: Iterable[str]) -> None:
    """Fail with what was found."""
    found = list(findings)
    assert found == [], "\n".join(found)
