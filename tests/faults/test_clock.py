"""One validator whose clock is an hour off: block time stays honest, nothing expires early or late, it is named."""

import time

import pytest

from salus.contracts.membership import KeyUse
from salus.engines.attendance import attendance
from salus.ledger.outcomes import NOT_A_TRANSACTION
from salus.testing.world import unix_now_s
from tests.engines.cometbft.network import wait_until
from tests.faults.conftest import Evidence
from tests.faults.network import FourValidators, Load, has_header, height_of, outcome, publish

pytestmark = [pytest.mark.services, pytest.mark.long, pytest.mark.promise("L3")]

HOUR_S = 3_600
HONEST_MS = 10_000
BLOCKS = 12


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
@pytest.mark.fault("clock skew of an hour on one")
def test_a_wrong_clock_moves_no_block_time(four: FourValidators, evidence: Evidence, ahead_s: int) -> None:
    wrong, honest = four.all[3], four.all[0]
    wrong.settings.fault = f"clock {ahead_s}"
    four.start()
    wait_until(lambda: has_header(honest, 2), "a header with a time by votes: the first one's is that of the genesis")
    off_ms = []
    with Load(four.all[:3]) as load:
        began = height_of(honest)
        while height_of(honest) < began + BLOCKS:
            off_ms.append(abs(honest.client.status().header_time_ms - time.time_ns() // 10**6))
            time.sleep(0.2)
        late = outcome(honest, publish(honest, "late", expires_at_s=unix_now_s() - 1))
        soon = outcome(honest, publish(honest, "soon", expires_at_s=unix_now_s() + 30))
        wait_until(lambda: abs(ahead_ms_of(four)[wrong.organisation] - ahead_s * 1000) < HONEST_MS, "it is named")
    assert late is not None
    assert soon is not None
    assert (late.code, soon.code) == (NOT_A_TRANSACTION, 0)
    assert max(off_ms) < HONEST_MS
    others = [each for name, each in ahead_ms_of(four).items() if name != wrong.organisation]
    assert max(map(abs, others)) < HONEST_MS
    evidence(f"{ahead_s:+} s: block time at most {max(off_ms) / 1000:.1f} s from the wall clock, expiry as it was")
    evidence(f"status: {wrong.organisation} is {ahead_ms_of(four)[wrong.organisation] // 1000} s ahead")
    evidence(four.agree(load))


def ahead_ms_of(network: FourValidators) -> dict[str, int]:
    """How much each validator's clock is ahead, as the first one's status says."""
    client = network.all[0].client
    with client.snapshot() as snapshot:
        found = attendance(snapshot, height=height_of(network.all[0]))
    names = {each.keys.signing(KeyUse.CONSENSUS).public: each.organisation for each in network.all}
    return {names[each.public_key]: each.ahead_ms for each in found}
