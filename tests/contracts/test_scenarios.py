"""Every scenario table, on a machine in memory."""

import pytest

from tests.contracts.network import MemoryLedger
from tests.contracts.scenario import Scenario, read_tables, run

SCENARIOS = read_tables()


@pytest.mark.promise("R1", "R2", "R3", "L4")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: f"{scenario.file}: {scenario.title}")
def test_scenario(scenario: Scenario) -> None:
    run(scenario, MemoryLedger)


def test_titles_are_unique() -> None:
    titles = [scenario.title for scenario in SCENARIOS]
    assert sorted(set(titles)) == sorted(titles)
