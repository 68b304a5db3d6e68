"""Validators that propose what no block may hold, execute something else, or sign twice: the honest three go on."""

import re

import pytest

from tests.engines.cometbft.network import wait_until
from tests.faults import faulty
from tests.faults.conftest import Evidence
from tests.faults.network import FourValidators, Load

pytestmark = [pytest.mark.services, pytest.mark.promise("L3")]

TIMES = 2


@pytest.mark.fault("bad proposer")
def test_what_no_block_may_hold_is_refused_and_the_next_round_decides(four: FourValidators, evidence: Evidence) -> None:
    proposer = four.all[3]
    proposer.settings.fault = "propose"
    four.start()
    with Load(four.all, pause_s=0.02) as load:
        wait_until(lambda: all(proposer.said().count(f"kind={each}") >= TIMES for each in faulty.PROPOSED), "each kind")
        four.resumed()
    proposed = len(re.findall(r"faulty\.proposed", proposer.said()))
    refused = [each.said().count("ledger.proposal_refused") for each in four.all[:3]]
    reasons = set(re.findall(r"ledger\.proposal_refused .*reason=(.*)", four.all[0].said()))
    assert min(refused) >= proposed - 1, "the last one may just have been proposed"
    evidence(f"{proposed} bad blocks of {len(faulty.PROPOSED)} kinds, refused {refused} times by the three")
    evidence(f"for {len(reasons)} reasons; {four.agree(load)}")
