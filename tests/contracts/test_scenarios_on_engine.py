"""Every scenario table on the embedded engine: blocks, store and folds of the real thing, and the same answers."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from salus.contracts import CONTRACTS
from salus.engines.base import Founding
from salus.engines.embedded import EmbeddedEngine
from salus.ledger.machine import FirstRow
from salus.ledger.outcomes import TransactionResult
from salus.ledger.state import Reader
from salus.testing.clock import FakeClock
from tests.contracts.network import BEGIN_S, CHAIN, MemoryLedger, key
from tests.contracts.scenario import Scenario, read_tables, run

SCENARIOS = read_tables()
MAP_SIZE_BYTES = 1 << 22


class EngineLedger:
    """An embedded engine with a clock that only the table moves."""

    def __init__(self, folder: Path, rows: list[FirstRow]) -> None:
        self._clock = FakeClock(BEGIN_S)
        founding = Founding(chain=CHAIN, contracts=CONTRACTS, time_s=BEGIN_S, rows=rows)
        self._engine = EmbeddedEngine(
            folder, founding, key("hospital/consensus"), self._clock, map_size_bytes=MAP_SIZE_BYTES
        )
        self._open = ExitStack()

    @property
    def time_s(self) -> int:
        """The time that the next block will have, seconds."""
        return self._clock.wall_ns() // 10**9

    def reader(self) -> Reader:
        """Rows as of now."""
        self._open.close()
        return self._open.enter_context(self._engine.snapshot())

    def submit(self, raws: Sequence[bytes]) -> tuple[TransactionResult, ...]:
        """Have transactions ordered and executed."""
        self._open.close()
        return tuple(self._engine.submit_many(list(raws)))

    def later(self, seconds: int) -> None:
        """Let time pass."""
        self._clock.advance(seconds)

    def close(self) -> None:
        """Stop the engine."""
        self._open.close()
        self._engine.close()


@pytest.fixture
def found(tmp_path: Path) -> Iterator[list[EngineLedger]]:
    """The engines that a test started; they are closed in the end."""
    started: list[EngineLedger] = []
    yield started
    for ledger in started:
        ledger.close()


@pytest.mark.promise("L1")
@pytest.mark.services
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: f"{scenario.file}: {scenario.title}")
def test_scenario_on_the_embedded_engine(scenario: Scenario, found: list[EngineLedger], tmp_path: Path) -> None:
    def start(rows: list[FirstRow]) -> EngineLedger:
        found.append(EngineLedger(tmp_path / "ledger", rows))
        return found[-1]

    on_engine = run(scenario, start)
    in_memory = run(scenario, MemoryLedger)
    assert [event.leaf.data for event in on_engine.events] == [event.leaf.data for event in in_memory.events]
