"""A year of a population on the ledger, as the contracts see it: enrolments, deposits, choices, requests, anchors.

Visits are those of the synthetic charts; a machine in memory executes what custodians and patients would sign, at the
times at which they would. Repeatable from a seed, so that what it shows an adversary can be published. There are no
vaults and no records here: the ledger would not show them either.
"""

import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

import msgspec

from salus.contracts import CONTRACTS
from salus.contracts.access import AccessPermitted, CommitReleases, End, RequestAccess, permit_id
from salus.contracts.consent import FileConsent
from salus.contracts.genesis import FirstPolicy, genesis_rows
from salus.contracts.membership import KeyUse
from salus.contracts.patients import Enrol, Holder
from salus.contracts.provisions import Condition, Gate, Provision, ProvisionType, Purpose, RoleClass, Verb
from salus.contracts.records import RegisterBatch
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.entries import batch_size
from salus.ledger.identifiers import Digest, OrganisationId, PermitId, Pseudonym, PublicKey
from salus.ledger.machine import Machine, outcome_decoder
from salus.ledger.outcomes import DENIED, decode_leaf
from salus.ledger.transactions import Message
from salus.node.keys import OrganisationKeys
from salus.testing.memory_store import MemoryStore
from salus.testing.population import CUSTODIANS, Chart, SyntheticPerson, people
from salus.testing.population.chance import Chance
from salus.testing.world import make_genesis

DAY_S = 86_400
YEAR_FROM = "2025-07-01"
YEAR_FROM_S = int(datetime.fromisoformat(f"{YEAR_FROM}T00:00:00+00:00").timestamp())
YEAR_TO_S = YEAR_FROM_S + 365 * DAY_S
ENROLLING_S = 30 * DAY_S
"""In the first days each custodian enrols whom it knows, in an order of its own, and deposits their older records."""
DISPENSING_S = 600
ASKING_S = 300
"""Others are asked within so many seconds of the beginning of a visit."""
PERMIT_S = 900
ANCHOR_S = 5
CLOSE_S = PERMIT_S + 30
DIRECT_CARE = Provision(type=ProvisionType.PERMIT, purposes=(Purpose.TREAT,))
"""The network's policy of this year: who treats may ask, unless the patient says no."""
GATES = (
    Gate(may_permit=(Condition(role_classes=(RoleClass.CLINICAL,), purposes=(Purpose.TREAT, Purpose.ETREAT)),)),
    Gate(may_permit=(Condition(purposes=(Purpose.TREAT,)),)),
    Gate(may_permit=(Condition(organisations=tuple(OrganisationId(each.ods) for each in CUSTODIANS[:2])),)),
    Gate(may_permit=(Condition(role_classes=(RoleClass.CLINICAL, RoleClass.PHARMACY)),)),
    Gate(),
)
GATE_WEIGHTS = tuple(zip(GATES, (40, 25, 20, 10, 5), strict=True))


@dataclass(frozen=True)
class Habits:
    """How custodians and patients behave; the last three are faults, to show that the adversary notices them.

    Args:
        batch_s: records wait for the next multiple of this many seconds before their batch is registered.
        asks_per_mille: at how many of a thousand visits the other custodians are asked for their records.
        files_per_mille: how many of a thousand people file a sharing choice.
        filing_spread_s: a device files the choice at each custodian at a time of its own within so many seconds.
        enrols_together: everybody is enrolled at all their custodians in the same second.
        shares_a_key: one key under all pseudonyms of a person.
        shares_a_transaction: the choices of a person at all custodians travel in one transaction.
    """

    batch_s: int = 60
    asks_per_mille: int = 500
    files_per_mille: int = 300
    filing_spread_s: int = DAY_S
    enrols_together: bool = False
    shares_a_key: bool = False
    shares_a_transaction: bool = False


@dataclass(frozen=True)
class Dweller:
    """A person of the year: pseudonyms, keys and visits by custodian. Visits are (start, end) in seconds since 1970."""

    number: int
    pseudonyms: dict[OrganisationId, Pseudonym]
    keys: dict[OrganisationId, SigningKey] = field(repr=False)
    visits: dict[OrganisationId, list[tuple[int, int]]]


@dataclass(frozen=True)
class Year:
    """What happened: the leaves that every member has, and the truth that none should get from them."""

    leaves: list[bytes] = field(repr=False)
    dwellers: list[Dweller] = field(repr=False)


@dataclass(frozen=True, order=True)
class _Act:
    """Messages that these keys sign in one transaction at a time; `place` makes the order the same each time."""

    time_s: int
    place: bytes
    messages: tuple[Message, ...] = field(compare=False)
    keys: tuple[SigningKey, ...] = field(compare=False)


def live_a_year(*, seed: int, people_count: int, habits: Habits) -> Year:
    """Let a population of a seed live for a year; the same arguments give the same leaves."""
    dwellers = [_dweller(seed, person, habits) for person in people(seed, people_count)]
    ledger = _Ledger(seed)
    waiting = [act for dweller in dwellers for act in _Script(seed, dweller, ledger, habits).all()]
    heapq.heapify(waiting)
    while waiting:
        for follows in ledger.act(heapq.heappop(waiting)):
            heapq.heappush(waiting, follows)
    return Year(ledger.leaves, dwellers)


def visits_of(chart: Chart) -> list[tuple[int, int]]:
    """Return the visits of a chart within the year: its encounters, or the days on which a pharmacy dispensed."""
    found = [_times(json.loads(body)) for body in chart.resources]
    by_day: dict[int, tuple[int, int]] = {}
    for start_s, end_s in sorted(each for each in found if each is not None):
        if YEAR_FROM_S <= start_s < YEAR_TO_S:
            first, last = by_day.get(start_s // DAY_S, (start_s, end_s))
            by_day[start_s // DAY_S] = (first, max(last, end_s))
    return list(by_day.values())


def _times(resource: dict[str, object]) -> tuple[int, int] | None:
    period = resource.get("period")
    if resource["resourceType"] == "Encounter" and isinstance(period, dict):
        return _seconds(period["start"]), _seconds(period["end"])
    handed_over = resource.get("whenHandedOver")
    if resource["resourceType"] == "MedicationDispense" and isinstance(handed_over, str):
        return _seconds(handed_over), _seconds(handed_over) + DISPENSING_S
    return None


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text if "T" in text else f"{text}T12:00:00+00:00").timestamp())


def _dweller(seed: int, person: SyntheticPerson, habits: Habits) -> Dweller:
    organisations = [OrganisationId(chart.custodian.ods) for chart in person.charts]
    keys = {each: _key(seed, "key", person.index, "" if habits.shares_a_key else each) for each in organisations}
    return Dweller(
        number=person.index,
        pseudonyms={each: Pseudonym(drawn(seed, "pseudonym", person.index, each)[:16]) for each in organisations},
        keys=keys,
        visits={OrganisationId(chart.custodian.ods): visits_of(chart) for chart in person.charts},
    )


def drawn(*path: int | str) -> bytes:
    """Return 32 bytes that stand for random ones: repeatable, and equal for equal paths only."""
    return hashlib.sha256("/".join(map(str, path)).encode()).digest()


def _key(*path: int | str) -> SigningKey:
    return SigningKey.from_seed(drawn(*path))


# What is signed when


class _Script:
    """What is signed because of one person, and when."""

    def __init__(self, seed: int, dweller: Dweller, ledger: "_Ledger", habits: Habits) -> None:
        self._path = (seed, "act", dweller.number)
        self._dweller = dweller
        self._ledger = ledger
        self._habits = habits
        self._chance = Chance(seed, "year", dweller.number)
        self._count = count()

    def all(self) -> Iterator[_Act]:
        """Yield everything, in no order of time."""
        yield from self._enrolments()
        yield from self._choices()
        for organisation, visits in self._dweller.visits.items():
            for start_s, end_s in visits:
                if start_s >= YEAR_FROM_S + ENROLLING_S:
                    yield from self._requests(organisation, start_s)
                    yield self._deposit(organisation, end_s)

    def _fresh(self) -> Digest:
        return Digest(drawn(*self._path, next(self._count)))

    def _act(self, time_s: int, messages: Sequence[Message], keys: Iterable[SigningKey]) -> _Act:
        return _Act(time_s, self._fresh(), tuple(messages), tuple(keys))

    def _enrolments(self) -> Iterator[_Act]:
        together_s = YEAR_FROM_S + self._chance.below(ENROLLING_S)
        for organisation, pseudonym in self._dweller.pseudonyms.items():
            own_s = YEAR_FROM_S + self._chance.below(ENROLLING_S)
            time_s = together_s if self._habits.enrols_together else own_s
            key = self._dweller.keys[organisation]
            message = Enrol(pseudonym, organisation, PublicKey(key.public), Holder.PATIENT, Digest(b""), self._fresh())
            yield self._act(time_s, [message], [self._ledger.key_of(organisation), key])
            yield self._register(organisation, time_s + 60)

    def _deposit(self, organisation: OrganisationId, time_s: int) -> _Act:
        batch_s = self._habits.batch_s
        return self._register(organisation, -(-time_s // batch_s) * batch_s + 1)

    def _register(self, organisation: OrganisationId, time_s: int) -> _Act:
        size = batch_size(self._chance.between(1, 12))
        message = RegisterBatch(self._dweller.pseudonyms[organisation], organisation, self._fresh(), size)
        return self._act(time_s, [message], [self._ledger.key_of(organisation)])

    def _choices(self) -> Iterator[_Act]:
        if not self._chance.per_mille(self._habits.files_per_mille):
            return
        gate = self._chance.weighted(GATE_WEIGHTS)
        sitting_s = YEAR_FROM_S + ENROLLING_S + self._chance.below(300 * DAY_S)
        messages = [
            FileConsent(pseudonym, self._fresh()[:16], gate, self._fresh(), evidence_on_day=0)
            for pseudonym in self._dweller.pseudonyms.values()
        ]
        keys = list(self._dweller.keys.values())
        if self._habits.shares_a_transaction:
            yield self._act(sitting_s, messages, keys)
            return
        for message, key in zip(messages, keys, strict=True):
            yield self._act(sitting_s + self._chance.below(self._habits.filing_spread_s), [message], [key])

    def _requests(self, requester: OrganisationId, start_s: int) -> Iterator[_Act]:
        if not self._chance.per_mille(self._habits.asks_per_mille):
            return
        for custodian in self._dweller.pseudonyms:
            if custodian != requester:
                yield self._request(requester, custodian, start_s + self._chance.below(ASKING_S))

    def _request(self, requester: OrganisationId, custodian: OrganisationId, time_s: int) -> _Act:
        message = RequestAccess(
            pseudonym=self._dweller.pseudonyms[custodian],
            custodian=custodian,
            requester=requester,
            role_class=RoleClass.CLINICAL,
            purpose=Purpose.TREAT,
            verb=Verb.READ,
            duration_s=PERMIT_S,
            session=0,
            reader_key=self._fresh(),
            ticket=Digest(b""),
            residual=self._fresh(),
        )
        session = SigningKey.from_seed(self._fresh())
        return self._act(time_s, [message], [session, self._ledger.key_of(requester)])


# The ledger


class _Ledger:
    """A machine in memory with the four custodians as members."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        keys = {
            OrganisationId(each.ods): OrganisationKeys(1, *(drawn(seed, "member", each.ods, use) for use in range(7)))
            for each in CUSTODIANS
        }
        self._keys = {organisation: own.signing(KeyUse.TRANSACTION) for organisation, own in keys.items()}
        policy = FirstPolicy("", (DIRECT_CARE,))
        made = make_genesis(keys, policies=[policy], chain="salus-year")
        genesis = msgspec.structs.replace(made, time_s=YEAR_FROM_S - DAY_S)
        self._chain = genesis.chain
        self._store = MemoryStore()
        self._machine = Machine(genesis.chain, CONTRACTS, self._store)
        self._store.write(self._machine.genesis(time_s=genesis.time_s, rows=genesis_rows(genesis)).changes)
        self._outcomes = outcome_decoder(CONTRACTS)
        self._height = 0
        self.leaves: list[bytes] = []

    def key_of(self, organisation: OrganisationId) -> SigningKey:
        """A member's transaction key."""
        return self._keys[organisation]

    def act(self, act: _Act) -> Iterator[_Act]:
        """Execute an act in a block of its own; yield what its outcome leads to: both ends anchor and close."""
        raw = transactions.sign(
            act.messages, chain=self._chain, keys=act.keys, expires_at_s=act.time_s + 60, nonce=act.place[:16]
        )
        transaction = transactions.decode(raw, chain=self._chain, messages=self._machine.messages)
        self._height += 1
        executed = self._machine.execute(height=self._height, time_s=act.time_s, block_transactions=[transaction])
        self._store.write(executed.changes)
        result = executed.results[0]
        assert result.code <= DENIED, f"everybody does what they may, came {result.code}: {result.reason}"
        self.leaves += result.leaves
        for leaf in map(decode_leaf, result.leaves):
            outcome = self._outcomes.decode(leaf.data)
            if isinstance(outcome, AccessPermitted):
                yield from self._anchors(outcome, permit_id(leaf.transaction, leaf.index), leaf.time_s)

    def _anchors(self, permitted: AccessPermitted, permit: PermitId, time_s: int) -> Iterator[_Act]:
        for end, signer in ((End.CUSTODIAN, permitted.custodian), (End.REQUESTER, permitted.requester)):
            for after_s, is_closed in ((ANCHOR_S, False), (CLOSE_S, True)):
                root = Digest(drawn(self._seed, "anchor", permit.hex(), end, after_s))
                message = CommitReleases(permitted.pseudonym, permit, end, root, is_closed)
                yield _Act(time_s + after_s, root, (message,), (self.key_of(signer),))
