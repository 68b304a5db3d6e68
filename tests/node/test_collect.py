"""Collecting one person's records from other custodians: what each may answer, and what becomes of it."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait

import pytest

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.access import AccessDenied, AccessPermitted
from salus.contracts.gathering import read_trail
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, Ask, MatchAnswer, PartAsk, SignedMatchAsk
from salus.node.local_peers import LocalPeers
from salus.node.people import certify_person
from salus.node.sealed_rows import SealedRows
from salus.node.services import collect
from salus.node.services.accounts import Account, Accounts
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.node.services.collect import Answered, Asking, Collected, Collections
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.testing.world import HOSPITAL, PRACTICE, World, world

ANN = NhsNumber("9990000018")
BEN = NhsNumber("9990000026")
BORN = "1980-02-29"
CHART = [
    json.dumps({"resourceType": "Observation", "id": f"o-{number}", "status": "final"}).encode() for number in range(3)
]
SHARED = Provision(type=ProvisionType.PERMIT, organisations=(PRACTICE,))


class Weather(LocalPeers):
    """Peers of whom one may be away, or go away half way."""

    away: type[Ask] | None = None

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        if self.away is not None and isinstance(ask, self.away):
            raise NotNow("nobody answers")
        return super().ask(organisation, ask)


class Desk:
    """A doctor at the practice who looks for Ann's records at the hospital."""

    def __init__(self, made: World) -> None:
        self.node = made.practice
        self.hospital = made.hospital
        self.peers = Weather(PRACTICE, made.nodes)
        self.collections = Collections(self.node, SealedRows(self.node.vault, self.node.chain), self.peers)
        self.accounts = Accounts.of(self.node)
        person = certify_person(
            self.node, name="Dr Jones", role="GP", registration="GMC 1", role_class=RoleClass.CLINICAL
        )
        self.account = self.accounts.add_staff(person, RoleClass.CLINICAL, name="Dr Jones")
        self.ann = enrol(self.hospital, ANN, BORN)
        deposit(self.hospital, self.ann, [parse(each) for each in CHART])

    @property
    def owner(self) -> Account:
        found = self.accounts.find(self.account)
        assert found is not None
        return found

    def asking(self, number: NhsNumber = ANN, **more: object) -> Asking:
        session = self.accounts.hold_with(self.owner, HOSPITAL)
        return Asking(session, RoleClass.CLINICAL, Purpose.TREAT, number=number, born=BORN, **more)

    def settled(self, collection: bytes) -> Collected:
        until_s = time.monotonic() + 60
        while time.monotonic() < until_s:
            came = self.collections.look(collection)[HOSPITAL]
            if came.state is not Answered.ASKING:
                return came
            time.sleep(0.01)
        raise AssertionError("nothing came")

    def collected(self, number: NhsNumber = ANN, **more: object) -> Collected:
        return self.settled(self.collections.begin([self.asking(number, **more)], about=b""))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with world(tmp_path_factory.mktemp("world")) as made:
        here = Desk(made)
        yield here
        here.collections.close()


@pytest.fixture
def shared(desk: Desk) -> Iterator[Pseudonym]:
    """Ann has chosen to share with the practice."""
    choice = file_by_custodian(desk.hospital, desk.ann, SHARED)
    yield desk.ann
    withdraw_by_custodian(desk.hospital, desk.ann, choice)


def test_others_are_those_beside_this_organisation(desk: Desk) -> None:
    assert [each.organisation for each in desk.collections.others()] == [HOSPITAL]


@pytest.mark.promise("R1")
def test_what_the_permit_allows_comes_whole(desk: Desk, shared: Pseudonym) -> None:
    came = desk.collected()
    assert (came.state, came.is_cut) == (Answered.CAME, False)
    assert sorted(came.records) == CHART


def test_nothing_is_released_where_no_choice_lets_it(desk: Desk) -> None:
    came = desk.collected()
    assert (came.state, came.records) == (Answered.DENIED, ())
    assert came.reason


def test_somebody_unknown_there_is_nothing_there(desk: Desk) -> None:
    assert desk.collected(BEN).state is Answered.NOTHING_THERE


@pytest.mark.parametrize("away", [Ask, PartAsk])
def test_a_custodian_that_does_not_answer_is_silent_and_answers_when_asked_again(
    desk: Desk, shared: Pseudonym, away: type[Ask]
) -> None:
    desk.peers.away = object if away is Ask else away
    asking = desk.asking()
    collection = desk.collections.begin([asking], about=b"")
    assert desk.settled(collection).state is Answered.SILENT
    desk.peers.away = None
    desk.collections.again(collection, asking)
    assert desk.settled(collection).state is Answered.CAME


class Hangs(LocalPeers):
    """Peers of whom the hospital, or some, answer nobody until they are let."""

    def __init__(self) -> None:
        super().__init__(PRACTICE, {})
        self.hanging: tuple[OrganisationId, ...] = (HOSPITAL,)
        self.let = threading.Event()
        self.asked = 0

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        self.asked += 1
        if organisation in self.hanging:
            assert self.let.wait(30), "nobody let it"
        return MatchAnswer(b"")


def test_however_many_wait_for_one_custodian_another_answers_at_once(desk: Desk) -> None:
    """A hospital that hangs, and more doctors who wait for it than are asked for at the same moment."""
    peers = Hangs()
    collections = Collections(desk.node, SealedRows(desk.node.vault, desk.node.chain), peers)
    hanging = [collections.begin([desk.asking()], about=b"") for _ in range(5 * collect.AT_ONCE)]
    other = desk.accounts.hold_with(desk.owner, OrganisationId("OTHER"))
    quick = collections.begin([dataclasses.replace(desk.asking(), session=other)], about=b"")
    try:
        wait(collections.running(quick), timeout=60)
        (came,) = collections.look(quick).values()
        assert came.state is Answered.NOTHING_THERE
    finally:
        for each in hanging:
            collections.drop(each)
        peers.let.set()
        collections.close()
    assert peers.asked <= collect.AT_ONCE + 1, "nobody is asked once nobody looks any more"


def test_what_closes_asks_no_custodian_anew_while_it_waits_for_another(desk: Desk) -> None:
    peers = Hangs()
    collections = Collections(desk.node, SealedRows(desk.node.vault, desk.node.chain), peers)
    other = dataclasses.replace(desk.asking(), session=desk.accounts.hold_with(desk.owner, OrganisationId("OTHER")))
    peers.hanging = (HOSPITAL, other.custodian)
    for asked in (desk.asking(), other):
        begun = [collections.begin([asked], about=b"") for _ in range(collect.AT_ONCE + 1)]
    (last,) = collections.running(begun[-1])
    closing = threading.Thread(target=collections.close)
    closing.start()
    wait([last], timeout=10)
    is_cancelled = last.cancelled()
    peers.let.set()
    closing.join()
    assert is_cancelled


class Late(LocalPeers):
    """Peers who answer a match after whoever asked has left."""

    left: Callable[[], None]

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        came = super().ask(organisation, ask)
        if isinstance(ask, SignedMatchAsk):
            self.left()
        return came


@pytest.mark.promise("R1")
def test_nothing_is_asked_for_in_the_name_of_somebody_who_has_left(desk: Desk, shared: Pseudonym) -> None:
    """Signed out while a custodian still thought: the ledger hears of no emergency."""
    peers, has_left = Late(PRACTICE, desk.peers._nodes), threading.Event()
    collections = Collections(desk.node, SealedRows(desk.node.vault, desk.node.chain), peers)
    asking = dataclasses.replace(desk.asking(), purpose=Purpose.BTG)
    name = collections.begin([], about=b"", have=[(asking, Collected(Answered.ASKING, desk.node.clock()))])

    def leave() -> None:
        collections.drop(name)
        has_left.set()

    def permits() -> int:
        with desk.node.engine.snapshot() as reader:
            outcomes = [each.outcome for each in read_trail(reader, shared)]
        return sum(isinstance(each, AccessPermitted | AccessDenied) for each in outcomes)

    before = permits()
    peers.left = leave
    collections.again(name, asking)
    assert has_left.wait(30)
    collections.close()
    assert permits() == before
    peers.left = lambda: None
    collections = Collections(desk.node, SealedRows(desk.node.vault, desk.node.chain), peers)
    wait(collections.running(collections.begin([asking], about=b"")), timeout=30)
    collections.close()
    assert permits() == before + 1, "with somebody who looks it is"


def test_a_bound_on_what_is_kept_is_said(desk: Desk, shared: Pseudonym, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "BYTES_MAX", len(CHART[0]) + 1)
    came = desk.collected()
    assert (came.state, len(came.records), came.is_cut) == (Answered.CAME, 1, True)


def test_a_patient_asks_through_a_session_of_their_own_only(desk: Desk) -> None:
    account = Accounts.of(desk.hospital).add_patient(desk.ann, name="Ann")
    owner = Accounts.of(desk.hospital).find(account)
    assert owner is not None
    with pytest.raises(Refused) as refused:
        Accounts.of(desk.hospital).hold_with(owner, PRACTICE)
    assert refused.value.refusal is Refusal.ACCOUNT_UNFIT


@pytest.mark.promise("P3", "P5")
def test_what_came_is_sealed_and_gone_with_the_look_and_with_its_time(desk: Desk, shared: Pseudonym) -> None:
    looked_at, left = (desk.collections.begin([desk.asking()], about=b"") for _ in range(2))
    for each in (looked_at, left):
        assert desk.settled(each).state is Answered.CAME
    with desk.node.vault.database.reading() as connection:
        rows = connection.exec_driver_sql("select sealed from node_collected").all()
    assert rows
    assert not any(b"Observation" in row[0] for row in rows)
    desk.collections.drop(looked_at)
    assert desk.collections.look(looked_at) == {}
    now_s = desk.node.clock()
    object.__setattr__(desk.node, "clock", lambda: now_s + 901)
    try:
        assert desk.collections.look(left) == {}
        assert collect.sweep(desk.node) > 0
    finally:
        object.__setattr__(desk.node, "clock", lambda: int(time.time()))
