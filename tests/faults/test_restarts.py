"""All four restarted at once and one after the other, and a newer CometBFT, node by node: the same height and hash."""

import time

import pytest

from salus.engines.cometbft.installing import CHECKSUMS, VERSION
from tests.faults.conftest import Evidence
from tests.faults.network import FourValidators, Load
from tests.faults.validator import PATIENCE_S

pytestmark = [pytest.mark.services, pytest.mark.promise("L1", "L2", "L3")]
[OLDER] = set(CHECKSUMS) - {VERSION}


@pytest.mark.fault("all four restarted at once")
def test_all_four_restarted_at_once(network: FourValidators, evidence: Evidence) -> None:
    with Load(network.all) as load:
        time.sleep(1.0)
        for each in network.all:
            each.kill()
        stood = network.heights()
        for each in network.all:
            each.start()
        back_s = network.resumed(patience_s=PATIENCE_S)
    evidence(f"killed at {stood}, next block on all after {back_s:.1f} s; {network.agree(load)}")


@pytest.mark.long
@pytest.mark.fault("rolling restart")
def test_each_restarted_in_turn(network: FourValidators, evidence: Evidence) -> None:
    with Load(network.all) as load:
        took_s = [stopped_and_started(network, number) for number in range(len(network.all))]
    longest_s = load.longest_gap_s()
    evidence(f"each back after {', '.join(f'{each:.1f}' for each in took_s)} s; {longest_s:.1f} s without an outcome")
    evidence(network.agree(load))


@pytest.mark.long
@pytest.mark.fault(f"rolling upgrade {OLDER} to {VERSION} under load")
def test_a_newer_cometbft_node_by_node(four: FourValidators, evidence: Evidence) -> None:
    for each in four.all:
        each.settings.version = OLDER
    four.start()
    with Load(four.all) as load:
        for number, each in enumerate(four.all):
            each.settings.version = VERSION
            stopped_and_started(four, number)
    longest_s = load.longest_gap_s()
    assert longest_s < PATIENCE_S / 4, "progress throughout"
    evidence(f"{OLDER} to {VERSION}, {longest_s:.1f} s without an outcome; {four.agree(load)}")


def stopped_and_started(network: FourValidators, number: int) -> float:
    """Stop one in order, start it; return how long until all have a newer block."""
    assert network.all[number].stop() == 0
    network.all[number].start()
    return network.resumed(patience_s=PATIENCE_S)
