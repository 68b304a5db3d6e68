"""Any legal order of ABCI calls over a real socket: the application says what the auditor says."""

import os
import random
from pathlib import Path

import pytest

from salus.testing.simulator.in_memory import Seen
from salus.testing.simulator.on_abci import simulate_abci
from tests.progress import Progress
from tests.simulator.seeds import place, run, run_all

LONG_CALLS = 100_000
CALLS_PER_SEED = 2_000


def abci(seed: int, calls: int) -> Seen:
    """The application behind its socket, and a node that decides as the seed says."""
    with place() as folder:
        return simulate_abci(seed, calls, Path(folder))


@pytest.mark.services
@pytest.mark.promise("L1", "L2", "L3", "L4")
def test_application() -> None:
    assert sum(run_all(range(3), 600, abci).values()) > 200


@pytest.mark.long
@pytest.mark.services
@pytest.mark.promise("L1", "L2", "L3", "L4")
def test_a_hundred_thousand_calls() -> None:
    first_seed = int(os.environ.get("SALUS_SEED") or random.SystemRandom().randrange(10**9))
    progress = Progress(f"ABCI simulator, seeds from {first_seed}")
    for number in range(LONG_CALLS // CALLS_PER_SEED):
        run(first_seed + number, CALLS_PER_SEED, abci)
        progress.tell(f"{(number + 1) * CALLS_PER_SEED} calls")
