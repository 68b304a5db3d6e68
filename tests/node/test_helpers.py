"""Helpers: taken up by a code, each within the patient's terms, and no longer than these last; attacks on all of it."""

import calendar
import datetime
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import select

from salus.clinical.fhir.resources import parse
from salus.clinical.uk_time import uk_datetime
from salus.contracts import consent, residuals
from salus.contracts.patients import Actor, AddKey, KeyKind
from salus.contracts.provisions import Verb
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.identifiers import Pseudonym, PublicKey
from salus.node import schema
from salus.node.acting import Delegate
from salus.node.assemble import Node
from salus.node.bearers import Bearers
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows
from salus.node.services import delegations, erase, patient_helpers, sharing
from salus.node.services.accounts import Account, AccountId, Accounts
from salus.node.services.deposit import deposit, placed_entries
from salus.node.services.enrol import enrol
from salus.node.services.patient_helpers import CODE_S, Help, Helpers
from salus.node.services.respond import Login, Responder
from salus.node.services.sharing import Wanted
from salus.node.services.signer_answers import HalfSigned
from salus.testing.clock import FakeClock
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, world


def born(today: datetime.date) -> datetime.date:
    """The last 29 February on which somebody was born who is twelve today: their sixteenth birthday is another."""
    leap = (datetime.date(year, 2, 29) for year in range(today.year - 17, today.year - 11) if calendar.isleap(year))
    return max(each for each in leap if each.replace(year=each.year + 12) <= today)


BORN = born(uk_datetime(int(time.time())).date())
SIXTEEN = BORN.replace(year=BORN.year + 16)
OBSERVATION = b'{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/ann"}}'
FLAG = b'{"resourceType":"Flag","id":"f","status":"active","subject":{"reference":"Patient/ann"}}'
ALL = Help("Ben Moss", "other", may_share=True)
READER = replace(ALL, may_share=False)
RESULTS = replace(READER, classes=("Observation",))
HIDDEN = Wanted(is_permit=False)


@dataclass
class Home:
    """Ann and a stranger, in assisted mode, and Ben, who has an account and helps nobody yet."""

    node: Node
    clock: FakeClock
    ann: Pseudonym
    other: Pseudonym

    def __post_init__(self) -> None:
        rows = SealedRows(self.node.vault, self.node.chain)
        self.accounts = Accounts(self.node, rows)
        self.helpers = Helpers(self.node, rows, self.accounts, Bearers(self.node, rows))
        self.responder = Responder(self.node)
        self.own = self.accounts.add_patient(self.ann, name="Ann")
        self.ben = self.accounts.add_helper(name="Ben Moss")

    def login(self, account: Account) -> Login:
        return self.accounts.login_of(account, self.accounts.hold(account)[0])

    def find(self, name: AccountId) -> Account:
        found = self.accounts.find(name)
        assert found is not None
        return found

    def add(self, wanted: Help) -> str:
        return self.helpers.add(self.login(self.find(self.own)), self.ann, wanted, patient="Ann")

    def helped(self, wanted: Help) -> Account:
        """Ben helps: the account in which he does."""
        return self.helpers.take_up(self.add(wanted), self.ben).account

    def reads(self, account: Account) -> list[bytes]:
        keys = [(each.entry.record, each.entry.version) for each in placed_entries(self.node, self.ann)]
        came = self.responder.respond(self.login(account), self.ann, Verb.READ, keys)
        return sorted(came.released.values())

    def choices(self) -> list[consent.Choice]:
        with self.node.engine.snapshot() as reader:
            return list(consent.choices(reader, self.ann).choices)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    clock = FakeClock(int(time.time()))
    with world(tmp_path, organisations=(HOSPITAL,), clock=clock) as made:
        node = made.open_node(HOSPITAL, clock=lambda: clock.wall_ns() // 10**9)
        ann = enrol(node, kept_nhs_number(1), BORN.isoformat())
        other = enrol(node, kept_nhs_number(2), "1980-01-01")
        deposit(node, ann, [parse(OBSERVATION), parse(FLAG)])
        yield Home(node, clock, ann, other)


def refusal_of(act: object, *arguments: object) -> Refusal:
    with pytest.raises(Refused) as refused:
        act(*arguments)  # type: ignore[operator]
    return refused.value.refusal


@pytest.mark.promise("R4")
def test_a_helper_sees_what_the_patient_said_and_no_more(home: Home) -> None:
    assert home.reads(home.helped(READER)) == [FLAG, OBSERVATION]
    assert home.reads(home.helped(RESULTS)) == [OBSERVATION]
    limited = home.login(home.helped(RESULTS))
    keys = [(each.entry.record, each.entry.version) for each in placed_entries(home.node, home.ann)]
    asked_for_all = replace(limited, classes=())
    assert refusal_of(home.responder.respond, asked_for_all, home.ann, Verb.READ, keys) is Refusal.DELEGATE_UNFIT
    assert refusal_of(home.responder.respond, limited, home.other, Verb.READ, keys) is Refusal.SESSION_UNFIT


def test_what_a_helper_decides_is_by_their_name(home: Home) -> None:
    sharer, reader = (home.helped(each).acts_as for each in (ALL, READER))
    assert isinstance(sharer, Delegate)
    assert isinstance(reader, Delegate)
    assert refusal_of(patient_helpers.file, home.node, reader, HIDDEN) is Refusal.DELEGATE_UNFIT
    patient_helpers.file(home.node, sharer, HIDDEN)
    (choice,) = home.choices()
    with home.node.engine.snapshot() as read:
        assert delegations.signer_name(home.node, read, home.ann, choice.commitment) == "Ben Moss"
    assert refusal_of(patient_helpers.withdraw, home.node, reader, choice.choice) is Refusal.DELEGATE_UNFIT
    patient_helpers.file(home.node, sharer, Wanted(is_permit=True), choice=choice.choice)
    (changed,) = home.choices()
    assert (changed.choice, changed.commitment == choice.commitment) == (choice.choice, False)
    patient_helpers.withdraw(home.node, sharer, choice.choice)
    assert home.choices() == []


def test_one_whom_the_patients_own_device_let_act_acts_as_a_delegate(home: Home) -> None:
    own, key, name = SigningKey.generate(), SigningKey.generate(), Pseudonym(secrets.token_bytes(16))
    enrol(home.node, kept_nhs_number(3), "1970-01-01", key=own, pseudonym=name)
    item = home.helpers.to_let_act(name, ALL, key)
    assert item.terms is not None
    residual = residuals.commit_delegate("let act by the patient", item.terms, secret=bytes(32))
    message = AddKey(name, item.key, KeyKind.DELEGATE, 0, residual.root())
    signers, until_s = (PublicKey(own.public), item.key), home.node.clock() + 60
    body = transactions.unsigned([message], chain=CHAIN, signers=signers, expires_at_s=until_s, nonce=bytes(16))
    half = HalfSigned(message, body, signers, transactions.sign_body(body, own), residual)
    with pytest.raises(Refused):
        home.helpers.take_signed(half, SigningKey.generate(), patient="Cat")
    assert home.accounts.of_patient(name) == []
    cat = home.helpers.take_up(home.helpers.take_signed(half, key, patient="Cat"), home.ben).account
    assert isinstance(cat.acts_as, Delegate)
    patient_helpers.file(home.node, cat.acts_as, HIDDEN)
    with home.node.engine.snapshot() as reader:
        (choice,) = consent.choices(reader, name).choices
        assert choice.actor is Actor.DELEGATE
        assert delegations.signer_name(home.node, reader, name, choice.commitment) == "Ben Moss"
    patient_helpers.withdraw(home.node, cat.acts_as, choice.choice)


@pytest.mark.promise("R3")
def test_one_who_was_removed_acts_no_more(home: Home) -> None:
    ben = home.helped(ALL)
    login, held = home.login(ben), home.accounts.hold(ben)
    (row,) = home.helpers.of(home.ann)
    assert (row.help, row.until, row.is_ended, row.is_taken_up) == (ALL, None, False, True)
    home.helpers.remove(home.login(home.find(home.own)), home.ann, row.key)
    assert refusal_of(home.accounts.require_held, ben, held) is Refusal.SESSION_UNFIT
    keys = [(each.entry.record, each.entry.version) for each in placed_entries(home.node, home.ann)]
    assert refusal_of(home.responder.respond, login, home.ann, Verb.READ, keys) is Refusal.SESSION_UNFIT
    assert refusal_of(patient_helpers.file, home.node, ben.acts_as, HIDDEN) is Refusal.CHOICE_UNFIT
    assert home.helpers.helped_by(home.ben) == []
    assert [each.is_ended for each in home.helpers.of(home.ann)] == [True]


@pytest.mark.promise("R3")
def test_one_whose_last_day_is_over_acts_no_more(home: Home) -> None:
    until = uk_datetime(home.node.clock()).date()
    ben = home.helped(replace(READER, until=until))
    assert home.reads(ben) == [FLAG, OBSERVATION]
    home.clock.advance(patient_helpers.end_of(until) + 1 - home.node.clock())
    assert refusal_of(home.accounts.hold, ben) is Refusal.SESSION_UNFIT
    assert [(each.until, each.is_ended) for each in home.helpers.of(home.ann)] == [(until, True)]


@pytest.mark.promise("R3")
def test_a_parent_loses_access_when_the_child_reaches_the_age(home: Home) -> None:
    parent = home.helped(Help("Mary Moss", "parent", may_share=True, until_age=16))
    held = home.accounts.hold(parent)
    assert home.reads(parent) == [FLAG, OBSERVATION]
    (row,) = home.helpers.of(home.ann)
    assert row.until == SIXTEEN - datetime.timedelta(days=1)
    home.clock.advance(patient_helpers.end_of(row.until) + 1 - home.node.clock())
    for act, arguments in (
        (home.accounts.hold, (parent,)),
        (home.accounts.require_held, (parent, held)),
        (patient_helpers.file, (home.node, parent.acts_as, HIDDEN)),
    ):
        assert refusal_of(act, *arguments) in (Refusal.DELEGATE_UNFIT, Refusal.SESSION_UNFIT)
    assert [each.is_ended for each in home.helpers.of(home.ann)] == [True]


def test_a_parent_without_an_age_is_nobodys_helper(home: Home) -> None:
    assert refusal_of(home.add, Help("Mary", "parent", may_share=True)) is Refusal.DELEGATE_UNFIT
    assert home.helpers.of(home.ann) == []


PARENT = Help("Ben Moss", "parent", may_share=True, until_age=16)


@pytest.mark.promise("R3", "U4")
def test_a_parent_whose_papers_were_checked_acts_by_custodian_until_the_age(home: Home) -> None:
    code = home.helpers.add_parent(home.ann, PARENT, patient="Ann", checked="birth certificate seen")
    acting = home.helpers.take_up(code, home.ben).account
    assert home.reads(acting) == [FLAG, OBSERVATION]
    assert isinstance(acting.acts_as, Delegate)
    patient_helpers.file(home.node, acting.acts_as, HIDDEN)
    (choice,) = home.choices()
    assert choice.actor is Actor.CUSTODIAN
    (row,) = home.helpers.of(home.ann)
    assert (row.help, row.until) == (PARENT, SIXTEEN - datetime.timedelta(days=1))
    at_noon = datetime.datetime.combine(SIXTEEN, datetime.time(12), datetime.UTC)
    home.clock.advance(int(at_noon.timestamp()) - home.node.clock())
    assert refusal_of(home.login, acting) is Refusal.DELEGATE_UNFIT


UNFIT_PARENTS = {
    "a carer": replace(PARENT, relation="carer"),
    "no age": replace(PARENT, until_age=0),
    "an age that is none": replace(PARENT, until_age=18),
    "an age that is over": replace(PARENT, until_age=11),
    "no name": replace(PARENT, name=""),
}


@pytest.mark.parametrize("wanted", UNFIT_PARENTS.values(), ids=UNFIT_PARENTS)
def test_nobody_else_is_let_act_by_papers(home: Home, wanted: Help) -> None:
    """Nor for somebody who is grown up, nor where the child's own device holds the key."""
    for child in (home.ann, home.other):
        with pytest.raises(Refused):
            home.helpers.add_parent(child, wanted, patient="Ann", checked="papers seen")
        assert home.helpers.of(child) == []
    with pytest.raises(Refused):
        home.helpers.add_parent(home.other, PARENT, patient="Bo", checked="papers seen")
    name = Pseudonym(secrets.token_bytes(16))
    enrol(home.node, kept_nhs_number(4), "2020-01-01", key=SigningKey.generate(), pseudonym=name)
    with pytest.raises(Refused):
        home.helpers.add_parent(name, PARENT, patient="Cy", checked="papers seen")
    assert [each for each in home.accounts.all() if isinstance(each.account.acts_as, Delegate)] == []


def test_a_code_opens_once_within_a_week_and_not_for_the_patient(home: Home) -> None:
    code = home.add(READER)
    assert refusal_of(home.helpers.take_up, code, home.own) is Refusal.DELEGATE_UNFIT
    typed = f" {code[:4].lower()}-{code[4:]}"
    assert home.helpers.take_up(typed, home.ben).account.pseudonym == home.ann
    eve = home.accounts.add_helper(name="Eve")
    for given in (code, "", "A" * 16, code[::-1]):
        assert refusal_of(home.helpers.take_up, given, eve) is Refusal.DELEGATE_UNFIT
    late = home.add(READER)
    home.clock.advance(CODE_S + 1)
    assert home.helpers.invited(late) is None
    assert home.helpers.helped_by(eve) == []


def test_only_the_patient_chooses_helpers_and_only_their_own(home: Home) -> None:
    ben = home.helped(ALL)
    theirs, (row,) = home.login(ben), home.helpers.of(home.ann)
    assert refusal_of(lambda: home.helpers.add(theirs, home.ann, ALL, patient="Ann")) is Refusal.PERSON_UNFIT
    assert refusal_of(home.helpers.remove, theirs, home.ann, row.key) is Refusal.PERSON_UNFIT
    stranger = home.find(home.accounts.add_patient(home.other, name="Eve"))
    assert refusal_of(home.helpers.remove, home.login(stranger), home.ann, row.key) is Refusal.SESSION_UNFIT
    assert home.helpers.acting(home.own, home.helpers.helped_by(home.ben)[0].id) is None
    assert refusal_of(sharing.file, home.node, theirs, home.ann, HIDDEN) is Refusal.PERSON_UNFIT


@pytest.mark.promise("P5")
def test_an_erasure_takes_helpers_along(home: Home) -> None:
    code = home.add(READER)
    home.helped(READER)
    erase.erase(home.node, home.ann)
    assert home.helpers.helped_by(home.ben) == []
    assert home.helpers.invited(code) is None
    assert home.accounts.of_patient(home.ann) == []
    with home.node.vault.database.reading() as connection:
        assert connection.execute(select(schema.helped)).all() == []


def test_the_last_second_of_a_day_is_the_uks() -> None:
    for day, hour in ((datetime.date(2027, 1, 5), 23), (datetime.date(2027, 7, 5), 22)):
        end = datetime.datetime.fromtimestamp(patient_helpers.end_of(day), datetime.UTC)
        assert (end.date(), end.hour, end.minute, end.second) == (day, hour, 59, 59)
