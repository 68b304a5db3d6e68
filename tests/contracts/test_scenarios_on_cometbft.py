"""Every scenario table behind ABCI, and the same blocks on the embedded engine: the same outcomes and app hashes."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from salus.contracts import CONTRACTS, membership, payer
from salus.engines.base import Founding
from salus.engines.chain import EmbeddedChain
from salus.ledger.comet.types import Validator
from salus.ledger.machine import FirstRow, stored_result
from salus.ledger.outcomes import TransactionResult
from salus.ledger.state import Reader
from salus.ledger.transactions import NotATransaction, transaction_hash
from salus.testing.abci_application import AbciApplication
from salus.testing.abci_node import AbciNode, Block
from salus.testing.clock import FakeClock
from tests.contracts.network import BEGIN_S, CHAIN, MemoryLedger, key
from tests.contracts.scenario import Scenario, read_tables, run

SCENARIOS = read_tables()
MAP_SIZE_BYTES = 1 << 22
SECOND_NS = 10**9
CONSENSUS = key("hospital/consensus")


class BothEngines:
    """Each block is proposed, judged, executed and stored behind ABCI, and then made by the embedded engine."""

    def __init__(self, folder: Path, socket: Path, rows: list[FirstRow]) -> None:
        self._clock = FakeClock(BEGIN_S)
        founding = Founding(
            chain=CHAIN,
            contracts=CONTRACTS,
            time_s=BEGIN_S,
            rows=rows,
            rules_version=lambda reader: membership.network(reader).rules_version,
            validators=(Validator(CONSENSUS.public, 1),),
        )
        self._application = AbciApplication(folder / "comet", socket, founding, self._clock, payer)
        self._node = AbciNode(socket, CHAIN, founding.validators)
        self._node.start()
        self._embedded = EmbeddedChain(
            folder / "embedded", founding, CONSENSUS, self._clock, map_size_bytes=MAP_SIZE_BYTES
        )
        self._last_ns = 0
        self._open = ExitStack()

    @property
    def time_s(self) -> int:
        """The time that the next block will have, seconds."""
        return self._clock.wall_ns() // SECOND_NS

    def reader(self) -> Reader:
        """Rows as of now."""
        self._open.close()
        return self._open.enter_context(self._application.chain.store.snapshot())

    def submit(self, raws: Sequence[bytes]) -> tuple[TransactionResult, ...]:
        """Have transactions ordered and executed on both; compare codes, header hashes and app hashes."""
        self._open.close()
        self._last_ns = max(self._last_ns + 10**6, self._clock.wall_ns())
        prepared = self._node.prepare(raws, time_ns=self._last_ns)
        assert self._node.process(prepared, time_ns=self._last_ns)
        decided = self._node.decide(Block(self._last_ns, tuple(prepared)))
        machine = self._embedded.machine
        block = [machine.admit(raw, time_s=self._last_ns // SECOND_NS) for raw in prepared]
        executed = self._embedded.append(block, time_ns=self._last_ns)
        assert decided.codes == tuple(result.code for result in executed.results)
        assert decided.app_hash == executed.meta.app_hash
        with self._application.chain.store.snapshot() as snapshot:
            return tuple(self._result(snapshot, raw) for raw in raws)

    def later(self, seconds: int) -> None:
        """Let time pass."""
        self._clock.advance(seconds)

    def close(self) -> None:
        """Stop both."""
        self._open.close()
        self._node.stop()
        self._application.close()
        self._embedded.close()

    def _result(self, reader: Reader, raw: bytes) -> TransactionResult:
        try:
            stored = stored_result(reader, transaction_hash(raw))
        except NotATransaction:
            stored = None
        return stored or TransactionResult(code=2, first_leaf=0, leaves=())


@pytest.fixture
def found() -> Iterator[list[BothEngines]]:
    """The ledgers that a test started; they are closed in the end."""
    started: list[BothEngines] = []
    yield started
    for ledger in started:
        ledger.close()


@pytest.mark.promise("L1")
@pytest.mark.services
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: f"{scenario.file}: {scenario.title}")
def test_scenario_on_both_engines(scenario: Scenario, found: list[BothEngines], tmp_path: Path) -> None:
    def start(rows: list[FirstRow]) -> BothEngines:
        found.append(BothEngines(tmp_path, tmp_path / "s", rows))
        return found[-1]

    on_both = run(scenario, start)
    in_memory = run(scenario, MemoryLedger)
    assert [event.leaf.data for event in on_both.events] == [event.leaf.data for event in in_memory.events]
