"""Processes that are killed, and validators that are away: nothing acknowledged is lost, nothing happens twice."""

import random
import time
from collections.abc import Callable

import pytest

from tests.faults.conftest import Evidence
from tests.faults.network import FourValidators, Load
from tests.faults.validator import Validator

pytestmark = [pytest.mark.services, pytest.mark.promise("L1", "L2", "L3")]

KILLS: list[Callable[[Validator], None]] = [Validator.kill_node, Validator.kill, Validator.kill_both]
LOADED_S = 4.0


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
            network.resumed(patience_s=30.0)
    evidence(f"{len(KILLS)} kills under load, each rejoined; {network.agree(load)}")


@pytest.mark.fault("1 of 4 down")
def test_three_of_four_go_on(network: FourValidators, evidence: Evidence) -> None:
    with Load(network.all[:3]) as load:
        time.sleep(LOADED_S)
        down_s = time.monotonic()
        network.all[3].kill()
        time.sleep(LOADED_S)
        up_s = time.monotonic()
        network.all[3].start()
        caught_up_s = network.resumed(patience_s=30.0)
    with_it, without_it = load.p95_ms(0, down_s), load.p95_ms(down_s, up_s)
    evidence(f"p95 {with_it:.0f} ms with it, {without_it:.0f} ms without; back after {caught_up_s:.1f} s")
    evidence(network.agree(load))
