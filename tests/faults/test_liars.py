"""Validators that propose what no block may hold, execute something else, or sign twice: the honest three go on."""

import re

import msgspec
import pytest

from salus.contracts import membership
from salus.contracts.membership import KeyUse
from salus.engines.attendance import BLOCKS
from salus.engines.base import Unavailable
from salus.engines.headers import read_evidence
from salus.engines.proving import prove_signed
from salus.ledger.identifiers import OrganisationId
from tests.engines.cometbft.network import wait_until
from tests.faults import faulty
from tests.faults.conftest import Evidence
from tests.faults.links import between
from tests.faults.network import FourValidators, Load, absent, has_header, height_of, outcome, publish, seats_of
from tests.faults.validator import Validator

pytestmark = [pytest.mark.services, pytest.mark.promise("L3")]


@pytest.mark.fault("bad proposer")
def test_what_no_block_may_hold_is_refused_and_the_next_round_decides(
    network: FourValidators, evidence: Evidence
) -> None:
    proposer, honest = network.all[3], network.all[:3]
    started_with(proposer, "propose")
    before = [each.said().count("ledger.proposal_refused") for each in honest]
    with Load(network.all, pause_s=0.02) as load:
        wait_until(lambda: all(f"kind={each}" in proposer.said() for each in faulty.PROPOSED), "each kind")
        network.resumed()
    proposed = proposer.said().count("faulty.proposed")
    refused = [each.said().count("ledger.proposal_refused") - count for each, count in zip(honest, before, strict=True)]
    assert max(refused) >= proposed - 1, "the last one may just have been proposed"
    assert min(refused) > 0, "who heard of one too late voted for none, and had nothing to refuse"
    started_with(proposer, "")
    evidence(f"{proposed} bad blocks of {len(faulty.PROPOSED)} kinds, refused {refused} times by the three")
    evidence(network.agree(load))


def started_with(validator: Validator, fault: str) -> None:
    """Start it again as what it is from now on."""
    validator.kill()
    validator.settings.fault = fault
    validator.start()


@pytest.mark.long
@pytest.mark.fault("lying application")
def test_a_validator_that_executes_something_else_stands_alone(four: FourValidators, evidence: Evidence) -> None:
    liar = four.all[3]
    liar.settings.fault = "lie"
    four.start()
    raw = publish(four.all[0], "told")
    told = outcome(four.all[0], raw)
    assert told is not None
    lied_at = height_of(four.all[0])
    with Load(four.all[:3]) as load:
        wait_until(lambda: height_of(four.all[0]) > lied_at + 2 * BLOCKS, "the three go on")
    assert "faulty.lied" in liar.said()
    with liar.client.snapshot() as snapshot:
        lie = membership.FILES.get(snapshot, (OrganisationId(four.all[0].organisation), "told"))
    assert lie == faulty.LIE, "it believes its own lie"
    key = membership.FILES.key((OrganisationId(four.all[0].organisation), "told"))
    with pytest.raises(Unavailable):
        prove_signed(liar.client, [key])
    prove_signed(four.all[0].client, [key])
    stood = height_of(liar)
    named = absent(four.all[0])
    assert set(named) == {liar.organisation}
    assert liar.client.status().header_age_ms > 10_000, "its own status says that it does not move"
    wait_until(lambda: "cometbft.consensus_failed" in liar.said(), "its own log says why")
    [why] = set(re.findall(r"cometbft.consensus_failed .*(wrong Block.Header.AppHash)", liar.said()))
    evidence(f"it halted at {stood} ({why}), the three went on; no proof of its row; status names {named}")
    evidence(four.agree(load, among=four.all[:3]))


@pytest.mark.long
@pytest.mark.fault("equivocation")
def test_one_key_in_two_nodes_loses_its_power(four: FourValidators, evidence: Evidence) -> None:
    """The twin has all keys of the fourth; over a split one of them is heard by two, the other by one."""
    original = four.all[3]
    four.links.cut(between((3,), (2,)))
    four.start()
    twin = Validator(
        original.organisation,
        original.keys,
        original.genesis,
        msgspec.structs.replace(original.settings, place=str(four.place / "twin"), ports=four.twin_ports()),
    )
    key = original.keys.signing(KeyUse.CONSENSUS).public
    try:
        with Load(four.all[:3]) as load:
            twin.start()
            wait_until(lambda: case_of(four.all[0], original.organisation) is not None, "evidence", patience_s=120)
            case = case_of(four.all[0], original.organisation)
            committed = evidence_height(four.all[0])
            wait_until(lambda: has_header(four.all[0], committed + 3), "the heights after it")
    finally:
        twin.close()
    assert case is not None
    assert [key in seats_of(four.all[0], committed + each) for each in (1, 2)] == [True, False]
    evidence(f"signed twice at {case.height}, evidence in block {committed}, power 0 at {committed + 2}")
    evidence(four.agree(load, among=four.all[:3]))


def case_of(validator: Validator, organisation: str) -> membership.Case | None:
    with validator.client.snapshot() as snapshot:
        return membership.CASES.get(snapshot, OrganisationId(organisation))


def evidence_height(validator: Validator) -> int:
    """The first block that has evidence."""
    with validator.client.snapshot() as snapshot:
        return next(each for each in range(1, height_of(validator) + 1) if read_evidence(snapshot, each))
