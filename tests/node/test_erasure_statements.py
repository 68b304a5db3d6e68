"""Every holder states what became of what it held; what is not its own statement of this erasure is refused (P5)."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from salus.cli.erase import holder_facts, holder_lines
from salus.contracts.membership import KeyUse
from salus.ledger import erasure_statements
from salus.ledger.erasure_statements import Conclusion, ErasureStatement, SignedStatement
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.node.answer import answer
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, Ask, ErasureAnswer, ErasureAsk, RefusedAnswer
from salus.node.keys import generate
from salus.node.services import erase as erasing
from salus.node.services.enrol import enrol
from salus.node.services.erase import erase, follow_tombstones
from salus.node.services.statements import HolderState, collect, holder_states, tombstone
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, world
from tests.node.one_day import BORN, SMALL, Day, stage

pytestmark = pytest.mark.promise("P5")

PHARMACY = OrganisationId("FA001")


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    with world(tmp_path, organisations=(HOSPITAL, PRACTICE, PHARMACY)) as made:
        yield stage(made, SMALL)


@pytest.fixture
def erased(day: Day) -> Day:
    """Ann's record was released to the practice, and the hospital has erased her."""
    assert day.receive(day.granted()) == [SMALL]
    erase(day.hospital, day.ann)
    return day


def stated(day: Day) -> dict[str, Conclusion | None]:
    states = holder_states(day.hospital, day.ann)
    return {each.holder: each.statement and each.statement.conclusion for each in states}


def gather(day: Day) -> int:
    return collect(day.hospital, day.world.peers(HOSPITAL))


def height(day: Day) -> int:
    with day.world.engine.snapshot() as reader:
        return tombstone(reader, day.ann).height


# What holders say


def test_who_received_something_is_asked_erases_it_and_states_so(erased: Day) -> None:
    assert stated(erased) == {PRACTICE: None}
    assert erased.practice.vault.holds(erased.ann), "it has not followed the tombstone by itself"
    assert gather(erased) == 1
    assert stated(erased) == {PRACTICE: Conclusion.ERASED}
    assert not erased.practice.vault.holds(erased.ann)
    assert gather(erased) == 0, "what was stated for good is not asked again"


def test_a_holder_that_followed_the_tombstone_by_itself_still_states_that_it_erased(erased: Day) -> None:
    assert follow_tombstones(erased.practice) == 1
    assert gather(erased) == 1
    assert stated(erased) == {PRACTICE: Conclusion.ERASED}


def test_erasing_again_shows_what_was_stated(erased: Day) -> None:
    gather(erased)
    assert erase(erased.hospital, erased.ann) == 0
    assert stated(erased) == {PRACTICE: Conclusion.ERASED}


def test_nobody_is_asked_of_a_patient_who_was_never_shared(day: Day) -> None:
    bob = enrol(day.hospital, kept_nhs_number(1), BORN)
    erase(day.hospital, bob)
    assert holder_states(day.hospital, bob) == []


def test_who_held_nothing_says_so(erased: Day) -> None:
    came = answer(erased.world.nodes[PHARMACY], HOSPITAL, ErasureAsk(erased.ann, height(erased)))
    assert isinstance(came, ErasureAnswer)
    assert came.signed.statement.conclusion is Conclusion.NOTHING_HELD


class NoAnchors:
    """A ledger that says no to every message for now, as it does to a suspended member."""

    def __init__(self, engine: object) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def submit(self, _raw: bytes) -> None:
        raise Refused(Refusal.LEDGER_REJECTED, "suspended", number=1)


def test_a_permit_that_cannot_be_closed_yet_is_held_still_and_asked_about_again(erased: Day) -> None:
    """Keys and bytes go at once; the permit stays noted, since its end is owed to the patient's history (R5)."""
    practice = erased.practice
    erased.world.nodes[PRACTICE] = dataclasses.replace(practice, engine=NoAnchors(practice.engine))
    assert gather(erased) == 1
    (state,) = holder_states(erased.hospital, erased.ann)
    assert state.statement is not None
    assert state.statement.conclusion is Conclusion.STILL_HELD
    assert state.statement.until_s > erased.hospital.clock()
    assert not practice.vault.holds(erased.ann)
    erased.world.nodes[PRACTICE] = practice
    assert gather(erased) == 0, "not before the time it named"
    later = at(erased.hospital, state.statement.until_s)
    assert collect(later, erased.world.peers(HOSPITAL)) == 1
    assert stated(erased) == {PRACTICE: Conclusion.ERASED}


# Who may ask


@pytest.mark.parametrize(
    ("sender", "is_erased", "refusal"),
    [
        (PHARMACY, True, Refusal.NOT_THE_CUSTODIAN),
        (PRACTICE, True, Refusal.NOT_THE_CUSTODIAN),
        (HOSPITAL, False, Refusal.NOT_ERASED),
        (OrganisationId(""), True, Refusal.SENDER_UNKNOWN),
    ],
)
def test_only_the_custodian_is_answered_and_only_of_what_was_erased(
    day: Day, sender: OrganisationId, is_erased: bool, refusal: Refusal
) -> None:
    day.receive(day.granted())
    if is_erased:
        erase(day.hospital, day.ann)
    came = answer(day.practice, sender, ErasureAsk(day.ann, day.world.engine.status().height))
    assert isinstance(came, RefusedAnswer)
    assert came.refusal == refusal
    assert day.practice.vault.holds(day.ann), "nothing is done for who may not ask"


# Holders that do not answer


def at(node: Node, now_s: int) -> Node:
    return dataclasses.replace(node, clock=lambda: now_s)


class Silent:
    """Peers that never answer."""

    def __init__(self) -> None:
        self.asked: list[OrganisationId] = []

    def ask(self, organisation: OrganisationId, _ask: Ask) -> Answer:
        self.asked.append(organisation)
        raise NotNow("no answer")

    def stream(self, *_: object) -> Iterator[bytes]:
        raise AssertionError("nothing is streamed")


def test_a_holder_that_never_answers_is_asked_less_often_and_stays_in_the_list(erased: Day) -> None:
    peers, now_s, asked = Silent(), erased.hospital.clock(), []
    for pause_s in [0, *(60 * 2**times for times in range(11)), 86_400, 86_400]:
        for moment_s in (now_s + pause_s - 1, now_s + pause_s):
            collect(at(erased.hospital, moment_s), peers)
            asked.append(len(peers.asked))
        now_s += pause_s
    assert asked == [number for times in range(14) for number in (times, times + 1)]
    (state,) = holder_states(erased.hospital, erased.ann)
    assert (state.holder, state.asked, state.statement) == (PRACTICE, 14, None)


def test_a_silent_holder_is_asked_once_in_a_turn(day: Day) -> None:
    for _ in range(2):
        assert day.receive(day.granted()) == [SMALL]
        erase(day.hospital, day.ann)
        day = stage(day.world, SMALL)
    peers = Silent()
    assert collect(day.hospital, peers) == 0
    assert peers.asked == [PRACTICE]


# Statements that are not


class Forging:
    """Peers that answer with a statement of the attacker's making."""

    def __init__(self, day: Day, forge: Callable[[Day, SignedStatement], SignedStatement]) -> None:
        self._day = day
        self._forge = forge

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        came = self._day.world.peers(HOSPITAL).ask(organisation, ask)
        assert isinstance(came, ErasureAnswer)
        return ErasureAnswer(self._forge(self._day, came.signed))

    def stream(self, *_: object) -> Iterator[bytes]:
        raise AssertionError("nothing is streamed")


def changed(**values: object) -> Callable[[Day, SignedStatement], SignedStatement]:
    """The holder itself signs something else."""

    def forge(day: Day, signed: SignedStatement) -> SignedStatement:
        said: ErasureStatement = replace(signed.statement, **values)
        return erasure_statements.sign(said, day.practice.signing(KeyUse.RECEIPT))

    return forge


def unsigned(**values: object) -> Callable[[Day, SignedStatement], SignedStatement]:
    """Somebody between changes what the holder signed."""
    return lambda _day, signed: replace(signed, statement=replace(signed.statement, **values))


def signed_by(organisation: OrganisationId, use: KeyUse = KeyUse.RECEIPT, **values: object) -> Callable[..., object]:
    def forge(day: Day, signed: SignedStatement) -> SignedStatement:
        said: ErasureStatement = replace(signed.statement, **values)
        return erasure_statements.sign(said, day.world.keys[organisation].signing(use))

    return forge


FORGERIES = {
    "of another chain": changed(chain="another"),
    "of another pseudonym": changed(pseudonym=Pseudonym(bytes(16))),
    "of an earlier erasure": changed(height=1),
    "of another format": changed(format=2),
    "from before the tombstone": changed(at_s=1_600_000_000),
    "from the future": changed(at_s=(1 << 40) - 1),
    "erased, and held until": changed(until_s=(1 << 40) - 1),
    "held, and until never": changed(conclusion=Conclusion.STILL_HELD),
    "by another member, as the holder": signed_by(PHARMACY),
    "by another member, as itself": signed_by(PHARMACY, holder=PHARMACY),
    "in another member's name": changed(holder=PHARMACY),
    "by the holder's other key": signed_by(PRACTICE, KeyUse.HTTP),
    "by nobody": lambda _day, signed: erasure_statements.sign(signed.statement, generate().signing(KeyUse.RECEIPT)),
    "changed on the way": unsigned(conclusion=Conclusion.NOTHING_HELD),
    "with a signature of something else": lambda day, signed: replace(
        signed, signature=day.practice.signing(KeyUse.RECEIPT).sign_tagged("salus/receipt/requester/1", b"")
    ),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_what_is_not_the_holders_statement_of_this_erasure_counts_for_nothing(
    erased: Day, forge: Callable[[Day, SignedStatement], SignedStatement]
) -> None:
    assert collect(erased.hospital, Forging(erased, forge)) == 0
    (state,) = holder_states(erased.hospital, erased.ann)
    assert (state.asked, state.statement) == (1, None)
    later = at(erased.hospital, erased.hospital.clock() + 60)
    assert collect(later, Forging(erased, lambda _day, signed: signed)) == 1, "the true one counts"


def test_a_statement_of_one_erasure_is_none_of_the_next(erased: Day) -> None:
    """Replayed: the practice states Ann's erasure truly, and gives the same bytes for somebody else's."""
    gather(erased)
    came = erased.world.peers(HOSPITAL).ask(PRACTICE, ErasureAsk(erased.ann, height(erased)))
    assert isinstance(came, ErasureAnswer)
    fresh = stage(erased.world, SMALL)
    assert fresh.receive(fresh.granted()) == [SMALL]
    erase(fresh.hospital, fresh.ann)
    assert collect(fresh.hospital, Forging(fresh, lambda _day, _signed: came.signed)) == 0
    assert stated(fresh) == {PRACTICE: None}


# When the list is written


def test_the_list_of_holders_is_written_in_the_step_in_which_the_permits_go(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two would lose who received something."""
    day.receive(day.granted())
    with monkeypatch.context() as patched:
        patched.setattr(erasing, "delete", crash)
        with pytest.raises(Crash):
            erase(day.hospital, day.ann)
    assert holder_states(day.hospital, day.ann) == []
    assert follow_tombstones(day.hospital) == 1, "it goes on where it was"
    assert stated(day) == {PRACTICE: None}


class Crash(BaseException):
    """The process is gone."""


def crash(*_: object) -> None:
    raise Crash


# What people are told


def said(conclusion: Conclusion, until_s: int = 0) -> ErasureStatement:
    return ErasureStatement(1, "c", Pseudonym(bytes(16)), 7, PRACTICE, 1_750_000_000, conclusion, until_s)


@dataclass(frozen=True)
class Told:
    state: HolderState
    words: str
    fact: str | None


TOLD = [
    Told(HolderState(PRACTICE, 0, 0, None), "no statement since 1 January 1970, 00:00:00 GMT, not asked yet", None),
    Told(HolderState(PRACTICE, 0, 1, None), "no statement since 1 January 1970, 00:00:00 GMT, asked once", None),
    Told(HolderState(PRACTICE, 0, 5, None), "no statement since 1 January 1970, 00:00:00 GMT, asked 5 times", None),
    Told(
        HolderState(PRACTICE, 0, 0, said(Conclusion.ERASED)),
        "has erased what it held (stated 15 June 2025, 16:06:40 BST)",
        "erased",
    ),
    Told(
        HolderState(PRACTICE, 0, 0, said(Conclusion.NOTHING_HELD)),
        "held nothing (stated 15 June 2025, 16:06:40 BST)",
        "nothing_held",
    ),
    Told(
        HolderState(PRACTICE, 0, 0, said(Conclusion.STILL_HELD, 1_750_003_600)),
        "still holds something, and is asked again after 15 June 2025, 17:06:40 BST"
        " (stated 15 June 2025, 16:06:40 BST)",
        "still_held",
    ),
]


@pytest.mark.parametrize("told", TOLD, ids=lambda told: told.words[:30])
def test_where_a_holder_stands_in_plain_words(told: Told) -> None:
    heading, line = holder_lines([told.state])
    assert heading.startswith(f"signed statements of other holders: {int(told.fact is not None)} of 1")
    assert line == f"  {PRACTICE}: {told.words}"
    assert holder_facts(told.state)["state"] == told.fact
