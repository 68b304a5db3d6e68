"""What votes, accusations, rotations and evidence can come to, whatever their order (L7), and what CometBFT is told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.contracts import CONTRACTS, membership
from salus.contracts.genesis import FirstValidator, genesis_rows
from salus.contracts.membership import (
    ACCUSATIONS,
    CASES,
    NETWORK,
    NETWORK_KEY,
    ORGANISATIONS,
    PROPOSALS,
    UPGRADES,
    VALIDATORS,
    Admit,
    AnyAction,
    Case,
    KeyUse,
    LedgerAccess,
    MemberKey,
    Propose,
    Remove,
    RotateConsensusKey,
    ScheduleRules,
    SetAccess,
    SetSuspension,
    Suspend,
    Upgrade,
    Vote,
)
from salus.crypto.hashing import sha256
from salus.ledger.contract import Misbehaviour, RulesNewer
from salus.ledger.identifiers import OrganisationId, ProposalId, PublicKey
from salus.ledger.machine import ChainMismatch, FirstRow, Machine
from salus.ledger.outcomes import DONE, TransactionResult
from salus.ledger.readers import ReadOnce
from salus.ledger.transactions import Message, sign
from salus.testing.memory_store import MemoryStore
from tests.contracts.network import BEGIN_S, CHAIN, MEMBERS, Given, genesis, key, organisation
from tests.contracts.validator_set import UpdatesUnfit, updated

NAMES = tuple(MEMBERS)
NEWCOMER = OrganisationId("DE001")
DAY_S = 86_400


@dataclass
class Network:
    """Members who propose, vote, accuse and rotate, one block for each step, and CometBFT's view of the validators.

    Args:
        powers: of the first validators, by their names in the tables.
    """

    powers: dict[str, int]
    time_s: int = BEGIN_S
    height: int = 0
    nonces: Iterable[int] = field(default_factory=count)
    keys: dict[str, str] = field(default_factory=dict)
    updates: tuple[tuple[PublicKey, int], ...] = ()
    proposals: list[ProposalId] = field(default_factory=list)

    def __post_init__(self) -> None:
        plain = genesis(Given())
        self.keys = {name: f"{name}/consensus" for name in self.powers}
        rows = [self._first(row) for row in genesis_rows(plain) if row[1] is not VALIDATORS]
        for name, power in self.powers.items():
            seat = FirstValidator(organisation(name), PublicKey(key(self.keys[name]).public), power)
            owner = membership.Owner(seat.organisation, KeyUse.CONSENSUS)
            contract = membership.CONTRACT
            rows += [
                (contract, VALIDATORS, seat.organisation, membership.Validator(seat.key, power)),
                (contract, membership.KEYS, (seat.organisation, KeyUse.CONSENSUS), membership.Keys(seat.key, ())),
                (contract, membership.OWNERS, sha256(seat.key), owner),
            ]
        self.store = MemoryStore()
        self.machine = Machine(CHAIN, CONTRACTS, self.store)
        self.store.write(self.machine.genesis(time_s=BEGIN_S, rows=rows).changes)
        self.comet = {key(self.keys[name]).public: power for name, power in self.powers.items()}

    def _first(self, row: FirstRow) -> FirstRow:
        """A first row; of a validator's organisation, with that access."""
        contract, table, place, value = row
        if table is ORGANISATIONS and place in {organisation(name) for name in self.powers}:
            value = msgspec.structs.replace(value, access=LedgerAccess.VALIDATOR)
        return contract, table, place, value

    def block(
        self, *transactions: tuple[Message, tuple[str, ...]], evidence: Sequence[Misbehaviour] = ()
    ) -> tuple[TransactionResult, ...]:
        """Execute a block; CometBFT takes its updates, or the test fails."""
        raws = [self._signed(message, signers) for message, signers in transactions]
        admitted = [self.machine.admit_verified(raw, time_s=self.time_s) for raw in raws]
        self.height += 1
        executed = self.machine.execute(
            height=self.height, time_s=self.time_s, block_transactions=admitted, evidence=evidence
        )
        self.store.write(executed.changes)
        self.updates = executed.validator_updates
        self.comet = updated(self.comet, self.updates)
        assert self.comet == self.seats(), "the table is what CometBFT was told"
        return executed.results

    def _signed(self, message: Message, signers: tuple[str, ...]) -> bytes:
        nonce = next(iter(self.nonces)).to_bytes(16, "big")
        return sign(
            [message],
            chain=CHAIN,
            keys=[key(name) for name in signers],
            expires_at_s=self.time_s + 60,
            nonce=nonce,
        )

    def seats(self) -> dict[bytes, int]:
        rows = VALIDATORS.under(ReadOnce(self.store))
        return {row.key: row.power for _, row in rows}

    def members(self) -> set[str]:
        codes = membership.members(ReadOnce(self.store))
        return {name for name in NAMES if organisation(name) in codes}

    def propose(self, name: str, action: AnyAction, *more: str) -> tuple[Message, tuple[str, ...]]:
        return Propose(organisation(name), action, self.time_s + DAY_S), (name, *more)

    def carry(self, action: AnyAction, *more: str) -> None:
        """Have an action carried by all."""
        self.block(self.propose("hospital", action, *more))
        proposal = self.open_proposals()[-1]
        for name in NAMES[1:]:
            if PROPOSALS.get(self.store, proposal) is not None:
                self.block((Vote(organisation(name), proposal, is_in_favour=True), (name,)))
        assert PROPOSALS.get(self.store, proposal) is None

    def open_proposals(self) -> list[ProposalId]:
        """All that wait, those that a step added last."""
        rows = {ProposalId(place[2:]) for place, _ in PROPOSALS.under(ReadOnce(self.store))}
        self.proposals = [each for each in self.proposals if each in rows]
        self.proposals += sorted(rows.difference(self.proposals))
        return self.proposals

    def guilty(self, name: str, *, height: int = 1) -> Misbehaviour:
        return Misbehaviour(sha256(key(self.keys[name]).public)[:20], height, self.time_s)

    def access(self, name: str) -> LedgerAccess | None:
        row = membership.member(self.store, organisation(name))
        return None if row is None else row.access


FOUR = {"hospital": 10, "practice": 10, "pharmacy": 10, "insurer": 10}


# Evidence


def test_evidence_takes_the_power_and_opens_a_case() -> None:
    network = Network(FOUR)
    network.block(evidence=[network.guilty("practice", height=7)])
    assert network.updates == ((key("practice/consensus").public, 0),)
    address = network.guilty("practice").address
    case = Case(address, height=7, time_s=BEGIN_S, opened_at_s=BEGIN_S, closed_at_s=0)
    assert CASES.get(network.store, organisation("practice")) == case
    assert network.access("practice") is LedgerAccess.OBSERVER


def test_a_case_is_closed_by_a_vote_on_the_member_s_access() -> None:
    network = Network(FOUR)
    network.block(evidence=[network.guilty("practice")])
    network.carry(SetAccess(organisation("practice"), LedgerAccess.VALIDATOR, 10))
    case = CASES.get(network.store, organisation("practice"))
    assert case is not None
    assert case.closed_at_s == BEGIN_S
    assert network.comet[key("practice/consensus").public] == 10
    network.block(evidence=[network.guilty("practice")])
    assert network.updates == (), "the same evidence was heard"
    network.block(evidence=[network.guilty("practice", height=2)])
    assert network.updates == ((key("practice/consensus").public, 0),)


def test_a_key_that_was_replaced_is_still_its_owner_s() -> None:
    network = Network(FOUR)
    former = network.guilty("practice")
    network.block((RotateConsensusKey(organisation("practice"), PublicKey(key("p-2").public)), ("practice", "p-2")))
    assert set(network.updates) == {(key("practice/consensus").public, 0), (key("p-2").public, 10)}
    network.block(evidence=[former])
    assert network.updates == ((key("p-2").public, 0),)


def test_two_keys_of_one_validator_in_one_block_the_later_is_the_newest_evidence() -> None:
    network = Network(FOUR)
    former = network.guilty("practice")
    network.block((RotateConsensusKey(organisation("practice"), PublicKey(key("p-2").public)), ("practice", "p-2")))
    network.keys["practice"] = "p-2"
    present = network.guilty("practice")
    network.block(evidence=[former, present])
    case = CASES.get(network.store, organisation("practice"))
    assert case is not None
    assert case.address == present.address


def test_when_all_are_guilty_one_stays() -> None:
    network = Network(FOUR)
    network.block(evidence=[network.guilty(name) for name in FOUR])
    assert network.comet == {key("insurer/consensus").public: 10}
    assert all(CASES.get(network.store, organisation(name)) is not None for name in FOUR)


def test_evidence_against_nobody_changes_nothing_but_is_no_empty_block() -> None:
    network = Network(FOUR)
    network.block(evidence=[Misbehaviour(bytes(20), 1, BEGIN_S)])
    assert network.updates == ()


def test_a_vote_and_evidence_in_one_block_are_one_update_of_each_key() -> None:
    network = Network(FOUR)
    network.block(network.propose("hospital", Remove(organisation("practice"))))
    (proposal,) = network.open_proposals()
    for name in ("pharmacy", "insurer", "institute"):
        network.block((Vote(organisation(name), proposal, is_in_favour=True), (name,)))
    last = Vote(organisation("portal"), proposal, is_in_favour=True)
    network.block((last, ("portal",)), evidence=[network.guilty("practice"), network.guilty("pharmacy")])
    assert sorted(network.updates) == sorted((key(f"{name}/consensus").public, 0) for name in ("practice", "pharmacy"))
    assert CASES.get(network.store, organisation("practice")) is not None, "a case also of who is removed"


def test_an_owner_s_key_for_another_use_is_no_validator_s() -> None:
    network = Network(FOUR)
    network.block(evidence=[Misbehaviour(sha256(key("practice").public)[:20], 1, BEGIN_S)])
    assert (network.updates, CASES.get(network.store, organisation("practice"))) == ((), None)


# One member


def test_a_member_alone_carries_what_it_proposes() -> None:
    network = Network({"hospital": 10})
    for name in NAMES[1:]:
        network.carry(Remove(organisation(name)))
    assert network.members() == {"hospital"}
    (result,) = network.block(network.propose("hospital", SetSuspension(organisation("hospital"), BEGIN_S + 60)))
    assert result.code == DONE
    assert network.open_proposals() == []
    (result,) = network.block(network.propose("hospital", Remove(organisation("hospital"))))
    assert result.code == membership.Rejection.LAST_VALIDATOR


# A third


@pytest.mark.parametrize(
    ("validators", "code"),
    [(("hospital", "practice"), membership.Rejection.POWER_UNFIT), (("hospital", "practice", "insurer"), DONE)],
)
def test_a_power_of_one_counts_too(validators: tuple[str, ...], code: int) -> None:
    network = Network(dict.fromkeys(validators, 1))
    network.block((RotateConsensusKey(organisation("pharmacy"), PublicKey(key("p").public)), ("pharmacy", "p")))
    for action in (
        SetAccess(organisation("pharmacy"), LedgerAccess.VALIDATOR, 1),
        Remove(organisation("practice")),
    ):
        (result,) = network.block(network.propose("portal", action))
        assert result.code == code


# Rules by height


def test_software_stops_before_rules_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network({"hospital": 10})
    network.carry(ScheduleRules(2, network.height + 9))
    begins_at = _scheduled(network)
    while network.height < begins_at - 1:
        network.block()
    with pytest.raises(RulesNewer, match=f"block {begins_at} follows rules version 2, this software knows 1"):
        network.machine.execute(height=begins_at, time_s=network.time_s, block_transactions=[])
    with pytest.raises(ChainMismatch, match="run a newer release"):
        Machine(CHAIN, CONTRACTS, network.store)
    monkeypatch.setattr(membership.blocks, "RULES_VERSION", 2)
    network.machine = Machine(CHAIN, CONTRACTS, network.store)
    network.block()
    assert NETWORK.get(network.store, NETWORK_KEY) == _network(rules_version=1), "an empty block changes nothing"
    assert membership.rules_version(network.store, height=network.height) == 2
    network.block(network.propose("hospital", ScheduleRules(3, 10**6)))
    assert NETWORK.get(network.store, NETWORK_KEY) == _network(rules_version=2)
    assert UPGRADES.get(network.store, NETWORK_KEY) is None
    assert len(network.open_proposals()) == 1, "three is next"


def test_a_block_before_writes_the_rules_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership.blocks, "RULES_VERSION", 2)
    network = Network({"hospital": 10})
    network.carry(ScheduleRules(2, 20))
    while network.height < 17:
        network.block()
    network.block(network.propose("hospital", ScheduleRules(2, 30)))
    assert NETWORK.get(network.store, NETWORK_KEY) == _network(rules_version=1), "the next block is not the twentieth"
    network.block(network.propose("hospital", ScheduleRules(2, 30)))
    assert network.height == 19
    assert NETWORK.get(network.store, NETWORK_KEY) == _network(rules_version=2)
    assert UPGRADES.get(network.store, NETWORK_KEY) is None


def test_a_schedule_in_force_is_written_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership.blocks, "RULES_VERSION", 3)
    network = Network({"hospital": 10})
    network.carry(ScheduleRules(2, 30))
    while network.height < 31:
        network.block()  # empty: the rules of 30 on are in no row yet
    network.carry(ScheduleRules(3, 60))
    assert NETWORK.get(network.store, NETWORK_KEY) == _network(rules_version=2)
    assert UPGRADES.get(network.store, NETWORK_KEY) == Upgrade(3, 60)


def _scheduled(network: Network) -> int:
    row = UPGRADES.get(network.store, NETWORK_KEY)
    assert row is not None
    return row.height


def _network(*, rules_version: int) -> membership.Network:
    plain = genesis(Given()).network
    return membership.Network(rules_version, *(getattr(plain, name) for name in plain.__struct_fields__[1:]))


# CometBFT's rule, from its source


@pytest.mark.parametrize(
    ("updates", "what"),
    [
        ([(bytes(32), 0)], "failed to find"),
        ([(b"a" * 32, 0)], "empty set"),
        ([(b"b" * 32, 1), (b"b" * 32, 2)], "duplicate"),
        ([(b"b" * 32, -1)], "negative"),
        ([(b"b" * 33, 1)], "ed25519"),
        ([(b"b" * 32, (2**63 - 1) // 8)], "exceeds"),
    ],
)
def test_what_comet_would_stop_at(updates: list[tuple[bytes, int]], what: str) -> None:
    with pytest.raises(UpdatesUnfit, match=what):
        updated({b"a" * 32: 1}, updates)


# Laws

NAME = st.sampled_from(NAMES)
POWER = st.sampled_from((1, 3, 5, 10, 30, 2**31 - 1))
ACTION = st.one_of(
    NAME.map(lambda name: Remove(organisation(name))),
    st.tuples(NAME, POWER).map(lambda it: SetAccess(organisation(it[0]), LedgerAccess.VALIDATOR, it[1])),
    NAME.map(lambda name: SetAccess(organisation(name), LedgerAccess.OBSERVER, 0)),
    st.tuples(NAME, st.sampled_from((0, 60, DAY_S))).map(
        lambda it: SetSuspension(organisation(it[0]), BEGIN_S + it[1] if it[1] else 0)
    ),
    st.just(Admit(NEWCOMER, "New", (), LedgerAccess.OBSERVER, "", (MemberKey(KeyUse.TRANSACTION, key("new").public),))),
)
STEP = st.one_of(
    st.tuples(st.just("propose"), NAME, ACTION),
    st.tuples(st.just("vote"), NAME, st.booleans()),
    st.tuples(st.just("all vote"), st.sampled_from(range(1, 7)), st.none()),
    st.tuples(st.just("accuse"), NAME, NAME),
    st.tuples(st.just("rotate"), NAME, st.none()),
    st.tuples(st.just("guilty"), NAME, st.none()),
    st.tuples(st.just("later"), st.sampled_from((1, DAY_S, 3 * DAY_S, 30 * DAY_S)), st.none()),
)
POWERS = st.dictionaries(NAME, st.sampled_from((1, 3, 10)), min_size=1, max_size=6)


class Laws:
    """Plays steps, several of them in one block, and holds what came of it against the laws."""

    def __init__(self, powers: dict[str, int]) -> None:
        self.network = Network(powers)
        self.rotations = count()

    def play(self, steps: list[tuple[str, object, object]]) -> None:
        transactions, evidence = [], []
        for kind, first, second in steps:
            if kind == "later":
                self.network.time_s += first  # type: ignore[operator]
            elif kind == "guilty":
                if first in self.network.keys:
                    evidence.append(self.network.guilty(str(first), height=self.network.height + 1))
            else:
                transactions += self._transactions(kind, first, second)
        before = self._state()
        results = self.network.block(*transactions, evidence=evidence)
        self._check(before, transactions, results, is_guilty=bool(evidence))

    def _transactions(self, kind: str, first: object, second: object) -> list[tuple[Message, tuple[str, ...]]]:
        network, name = self.network, str(first)
        proposals = network.open_proposals()
        if kind == "propose":
            more = ("new",) if isinstance(second, Admit) else ()
            return [network.propose(name, second, *more)]  # type: ignore[arg-type]
        if kind == "accuse":
            return [(Suspend(organisation(name), organisation(str(second)), bytes(32)), (name,))]  # type: ignore[arg-type]
        if kind == "rotate":
            fresh = f"{name}-consensus-{next(self.rotations)}"
            network.keys[name] = fresh
            return [(RotateConsensusKey(organisation(name), PublicKey(key(fresh).public)), (name, fresh))]
        if not proposals:
            return []
        voters = NAMES[: int(first)] if kind == "all vote" else (name,)  # type: ignore[call-overload]
        side = kind == "all vote" or bool(second)
        return [(Vote(organisation(each), proposals[-1], is_in_favour=side), (each,)) for each in voters]

    def _state(self) -> dict[str, object]:
        store = self.network.store
        return {
            "members": set(membership.members(ReadOnce(store))),
            "powers": dict(self.network.comet),
            "suspended": {name: _suspended_until(store, name) for name in NAMES},
            "proposals": {each: PROPOSALS.get(store, each) for each in self.network.open_proposals()},
            "accusers": {
                name: {
                    each for each in NAMES if (row := ACCUSATIONS.get(store, organisation(each)))
                    and row.accused == organisation(name)
                }
                for name in NAMES
            },
        }  # fmt: skip

    def _check(
        self,
        before: dict[str, object],
        transactions: Sequence[tuple[Message, tuple[str, ...]]],
        results: Sequence[TransactionResult],
        *,
        is_guilty: bool,
    ) -> None:
        now = self._state()
        powers, was = self.network.comet, before["powers"]
        assert isinstance(was, dict)
        assert powers, "some validator stays"
        if not is_guilty:
            gained = sum(max(0, powers.get(each, 0) - was.get(each, 0)) for each in {*powers, *was})
            lost = sum(max(0, was.get(each, 0) - powers.get(each, 0)) for each in {*powers, *was})
            assert 3 * max(gained, lost) <= sum(was.values()), "a third at most"
        done = [message for (message, _), result in zip(transactions, results, strict=True) if result.code == DONE]
        self._check_changes(before, now, done)

    def _check_changes(self, before: dict[str, object], now: dict[str, object], done: Sequence[Message]) -> None:
        """Whatever changed, enough signed for it in this block and before."""
        was, members = before["members"], now["members"]
        assert isinstance(was, set)
        assert isinstance(members, set)
        if was != members or self._is_new_seat(before, now, done):
            assert self._was_carried(before, done, len(was | members) - len(was ^ members)), "members change by vote"
        for name in NAMES:
            until_s = now["suspended"][name]  # type: ignore[index]
            if until_s > max(before["suspended"][name], self.network.time_s):  # type: ignore[index]
                accusers = {each for each in done if isinstance(each, Suspend) and each.accused == organisation(name)}
                enough = len(accusers) + len(before["accusers"][name])  # type: ignore[index]
                is_by_vote = self._was_carried(before, done, len(was & members))
                assert is_by_vote or (enough >= 3 and 3 * enough > len(was & members)), "more than a third, or a vote"

    def _is_new_seat(self, before: dict[str, object], now: dict[str, object], done: Sequence[Message]) -> bool:
        rotated = {each.key for each in done if isinstance(each, RotateConsensusKey)}
        powers, was = now["powers"], before["powers"]
        assert isinstance(powers, dict)
        assert isinstance(was, dict)
        return bool({each for each in powers if powers[each] > was.get(each, 0)} - rotated)

    @staticmethod
    def _was_carried(before: dict[str, object], done: Sequence[Message], members: int) -> bool:
        """Tell whether some proposal could have so many votes, counting all that voted in this block."""
        voters = {each.organisation for each in done if isinstance(each, Vote) and each.is_in_favour}
        proposals = before["proposals"]
        assert isinstance(proposals, dict)
        was = before["members"]
        assert isinstance(was, set)
        sides = [{*row.in_favour, *voters} & was for row in proposals.values() if row is not None]
        return any(3 * len(side) > 2 * members for side in sides) or members <= 1


def _suspended_until(store: MemoryStore, name: str) -> int:
    row = membership.member(store, organisation(name))
    return 0 if row is None else row.suspended_until_s


@pytest.mark.promise("L7")
@given(POWERS, st.lists(st.lists(STEP, min_size=1, max_size=4), max_size=25))
@settings(max_examples=150, deadline=None)
def test_laws_of_governance(powers: dict[str, int], blocks: list[list[tuple[str, object, object]]]) -> None:
    laws = Laws(powers)
    for steps in blocks:
        laws.play(steps)
