"""Processes that are killed at any step, and validators that are away: nothing told is lost, nothing happens twice."""

import random
import time
from collections.abc import Callable, Sequence

import pytest

from tests.engines.cometbft.network import wait_until
from tests.faults import faulty
from tests.faults.conftest import Evidence
from tests.faults.network import FourValidators, Load
from tests.faults.validator import Validator

pytestmark = [pytest.mark.services, pytest.mark.promise("L1", "L2", "L3")]

KILLS: list[Callable[[Validator], None]] = [Validator.kill_node, Validator.kill, Validator.kill_both]
LOADED_S = 3.0


@pytest.mark.fault("kill node, application, both")
def test_killed_processes_rejoin_unaided(network: FourValidators, evidence: Evidence) -> None:
    chance = random.Random(20261128)
    with Load(network.all) as load:
        for kill in KILLS:
            victim = chance.choice(network.all)
            time.sleep(chance.uniform(0.5, 1.0))
            kill(victim)
            if not victim.is_running:
                victim.start()
            network.resumed()
    evidence(f"{len(KILLS)} kills under load, each rejoined; {network.agree(load)}")


@pytest.mark.fault("1 of 4 down")
def test_three_of_four_go_on(network: FourValidators, evidence: Evidence) -> None:
    with Load(network.all[:3]) as load:
        began_s = time.monotonic()
        time.sleep(LOADED_S)
        wait_until(lambda: load.has_told(since_s=began_s), "outcomes of four")
        down_s = time.monotonic()
        network.all[3].kill()
        time.sleep(LOADED_S)
        wait_until(lambda: load.has_told(since_s=down_s), "outcomes of three")
        up_s = time.monotonic()
        network.all[3].start()
        caught_up_s = network.resumed()
    with_it, without_it = load.p95_ms(0, down_s), load.p95_ms(down_s, up_s)
    evidence(f"p95 {with_it:.0f} ms with it, {without_it:.0f} ms without; back after {caught_up_s:.1f} s")
    evidence(network.agree(load))


@pytest.mark.long
@pytest.mark.fault("kill the application at each step of a block")
def test_an_application_that_dies_within_a_block_comes_back(network: FourValidators, evidence: Evidence) -> None:
    with Load(network.all) as load:
        for step in faulty.STEPS:
            began_again(network, f"die {step}")
    evidence(f"killed {', '.join(faulty.STEPS)}; {network.agree(load)}")


@pytest.mark.parametrize(
    "points",
    [
        pytest.param((5,), id="one"),
        pytest.param(range(41), id="all", marks=pytest.mark.long),
    ],
)
@pytest.mark.fault("FAIL_TEST_INDEX: the node dies at its own points of failure")
def test_a_node_that_dies_at_each_of_its_points_comes_back(
    network: FourValidators, evidence: Evidence, points: Sequence[int]
) -> None:
    with Load(network.all) as load:
        for point in points:
            victim = network.all[3]
            victim.kill()
            victim.settings.fault = f"fail-point {point}"
            ends = victim.said().count("cometbft.ended")
            victim.start()
            victim.settings.fault = ""
            wait_until(lambda: victim.said().count("cometbft.ended") > ends, f"it dies at point {point}")  # noqa: B023
            network.resumed()
    evidence(f"died at {len(points)} of the points {min(points)} to {max(points)}; {network.agree(load)}")


def began_again(network: FourValidators, fault: str) -> None:
    """Start the last validator so that it dies, and then as it should be."""
    victim = network.all[3]
    victim.kill()
    victim.settings.fault = fault
    victim.start()
    wait_until(lambda: not victim.is_running, f"it ends by itself: {fault}")
    victim.settings.fault = ""
    victim.start()
    network.resumed()
