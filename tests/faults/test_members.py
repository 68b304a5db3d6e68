"""Validators that are removed, added and given new keys by vote, and rules that change at a height, all under load."""

from itertools import pairwise

import msgspec
import pytest

from salus.contracts import membership
from salus.contracts.membership import KeyUse, LedgerAccess, Propose, RotateConsensusKey, ScheduleRules, SetAccess, Vote
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.engines.headers import read_header
from salus.ledger.identifiers import OrganisationId, PublicKey
from salus.ledger.outcomes import decode_leaf
from salus.ledger.transactions import transaction_hash
from salus.node.keys import write_keys
from salus.testing.world import unix_now_s
from tests.engines.cometbft.network import wait_until
from tests.faults.conftest import Evidence
from tests.faults.network import (
    POWER,
    FourValidators,
    Load,
    absent,
    has_header,
    height_of,
    outcome,
    seats_of,
    signed,
)
from tests.faults.validator import Validator

pytestmark = [pytest.mark.services, pytest.mark.long, pytest.mark.promise("L3", "L7")]

AHEAD = 12
"""Heights between a vote and the rules that it schedules."""


@pytest.mark.fault("add, remove, rotate validators under load")
def test_seats_change_two_heights_after_the_vote(network: FourValidators, evidence: Evidence) -> None:
    first, changed = network.all[0], network.all[3]
    organisation, key = OrganisationId(changed.organisation), changed.keys.signing(KeyUse.CONSENSUS).public
    with Load(network.all) as load:
        began = height_of(first)
        removed = voted(network, SetAccess(organisation, LedgerAccess.OBSERVER, 0))
        assert powers(first, removed, key) == [POWER, POWER, 0]
        added = voted(network, SetAccess(organisation, LedgerAccess.VALIDATOR, POWER))
        assert powers(first, added, key) == [0, 0, POWER]
        new = msgspec.structs.replace(changed.keys, consensus_seed=new_key())
        own = new.signing(KeyUse.CONSENSUS)
        rotated = rotate(changed, own)
        assert powers(first, rotated, key) == [POWER, POWER, 0]
        assert powers(first, rotated, own.public) == [0, 0, POWER]
        begin_with(changed, new.consensus_seed)
        wait_until(lambda: changed.organisation not in absent(first), "it signs with its new key")
        ended = height_of(first)
    longest_s = longest_block_s(first, began, ended)
    assert longest_s < 5.0, "no gap beyond two blocks of an idle network"
    evidence(f"removed at {removed}, added at {added}, new key at {rotated}, each two heights later")
    evidence(f"longest block {longest_s:.1f} s, longest without an outcome {load.longest_gap_s():.1f} s")
    evidence(network.agree(load))


@pytest.mark.fault("rules upgrade by height")
def test_who_does_not_know_the_rules_stops_before_them(four: FourValidators, evidence: Evidence) -> None:
    for each in four.all[:3]:
        each.settings.fault = "rules 2"
    four.start()
    old = four.all[3]
    with Load(four.all[:3]) as load:
        height = height_of(four.all[0]) + AHEAD
        voted(four, ScheduleRules(2, height))
        wait_until(lambda: not old.is_running, "the old one stops")
        wait_until(lambda: height_of(four.all[0]) > height + 2, "the others go on")
        stood = height_of(old)
        assert stood == height - 1
        words = f"block {height} follows rules version 2, this software knows 1: run a newer release"
        assert words in old.said()
        old.settings.fault = "rules 2"
        old.start()
        back_s = four.resumed(patience_s=30.0)
    with four.all[0].client.snapshot() as snapshot:
        before, since = read_header(snapshot, height - 1), read_header(snapshot, height)
    assert before is not None
    assert since is not None
    assert (before.signed.header.version.app, since.signed.header.version.app) == (1, 2)
    evidence(f"scheduled for {height}: the old one stopped at {stood} and said why, the others went on")
    evidence(f"with the newer release it was back after {back_s:.1f} s; {four.agree(load)}")


def voted(network: FourValidators, action: membership.AnyAction) -> int:
    """Have three of four members vote for an action; return the height at which it was carried."""
    proposer = network.all[0]
    raw = signed(proposer, Propose(OrganisationId(proposer.organisation), action, unix_now_s() + 600))
    assert done(proposer, raw)
    proposal = membership.proposal_id(transaction_hash(raw), 0)
    heights = [
        done(each, signed(each, Vote(OrganisationId(each.organisation), proposal, is_in_favour=True)))
        for each in network.all[1:3]
    ]
    return heights[-1]


def rotate(validator: Validator, key: SigningKey) -> int:
    message = RotateConsensusKey(OrganisationId(validator.organisation), PublicKey(key.public))
    return done(validator, signed(validator, message, also=(key,)))


def done(validator: Validator, raw: bytes) -> int:
    """Submit, and return the height of the outcome."""
    result = outcome(validator, raw, timeout_s=30.0)
    assert result is not None
    assert result.code == 0, result
    return decode_leaf(result.leaves[0]).height


def powers(validator: Validator, height: int, key: bytes) -> list[int]:
    """The power of a key at a height and at the two after it."""
    wait_until(lambda: has_header(validator, height + 2), "two heights later")
    return [seats_of(validator, height + later).get(key, 0) for later in range(3)]


def begin_with(validator: Validator, seed: bytes) -> None:
    """Start it again with another consensus key."""
    assert validator.stop() == 0
    (validator.place / "keys").unlink()
    write_keys(validator.place / "keys", msgspec.structs.replace(validator.keys, consensus_seed=seed))
    validator.start()


def longest_block_s(validator: Validator, first: int, last: int) -> float:
    """The longest time between two blocks, by their own times, in seconds."""
    with validator.client.snapshot() as snapshot:
        found = [read_header(snapshot, height) for height in range(first, last)]
    times = [each.signed.header.time_ns for each in found if each is not None]
    return max(later - earlier for earlier, later in pairwise(times)) / 1e9
