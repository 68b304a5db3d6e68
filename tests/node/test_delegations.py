"""How far somebody may act for a patient: scope, what, until which age, seen to by the custodian at each release."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest

from salus.clinical.fhir.resources import parse
from salus.contracts import patients
from salus.contracts.patients import AddKey, Holder, KeyKind
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.contracts.residuals import (
    Ability,
    Band,
    DelegateTerms,
    Relation,
    ResidualInvalid,
    Scope,
    commit_delegate,
    delegate_terms,
    reason,
)
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.fields import CommittedFields, commit_fields
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.exchange import HistoryAnswer, HistoryAsk
from salus.node.people import NOBODY, OpenSession, open_session
from salus.node.services import delegations, deliver
from salus.node.services.audit import answer_history
from salus.node.services.choices import take_choice
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.own_care import Opened, open_for_own_staff
from salus.node.services.request import Denied, Wish
from salus.sdk.delegates import day_of_end, delegate_words, sign_delegate
from salus.sdk.wallet import Relationship, Wallet, begin, new_wallet, relationship, sign, sign_choice, signing_key
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, World, world

BORN = date(2012, 2, 29)
OBSERVATION = b'{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/ann"}}'
FLAG = b'{"resourceType":"Flag","id":"f","status":"active","subject":{"reference":"Patient/ann"}}'
READ, SHARE = Ability.READ, Ability.SHARE
CHOICE = Provision(ProvisionType.PERMIT, organisations=(HOSPITAL,))
LIMITED = DelegateTerms("Mary", Relation.CARER, (Band(0, (READ,), ("Observation",)),))
ALL = DelegateTerms("Mary", Relation.ATTORNEY, (Band(0, (READ, SHARE)),))
SHARER = DelegateTerms("Mary", Relation.OTHER, (Band(0, (SHARE,)),))
PARENT = DelegateTerms("Mary", Relation.PARENT, (Band(11, (READ, SHARE)), Band(13, (READ,), ("Observation",))))


@dataclass(frozen=True)
class Home:
    """A patient with a wallet, at one hospital."""

    node: Node
    wallet: Wallet
    mine: Relationship

    @property
    def ann(self) -> Pseudonym:
        return self.mine.pseudonym

    def let_act(self, terms: DelegateTerms | None, *, ends_in_s: int = 0) -> SigningKey:
        key, now_s = SigningKey.generate(), self.node.clock()
        until_s = now_s + ends_in_s if ends_in_s else 0
        if terms is not None:
            raw, residual = sign_delegate(self.wallet, self.mine, key, terms, time_s=now_s, expires_at_s=until_s)
        else:
            residual = reason("let act by the patient", new_key())
            raw = self.added(key, residual)
        deliver.take(self.node, raw, residual)
        return key

    def added(self, key: SigningKey, residual: CommittedFields, *, kind: KeyKind = KeyKind.DELEGATE) -> bytes:
        message = AddKey(self.ann, PublicKey(key.public), kind, 0, residual.root())
        return sign(self.wallet, self.mine, message, time_s=self.node.clock(), also=(key,))

    def session(self, key: SigningKey) -> OpenSession:
        return open_session(key, NOBODY, custodian=HOSPITAL, from_s=self.node.clock(), duration_s=900)

    def reads(self, key: SigningKey, *classes: str) -> list[bytes]:
        wish = Wish(self.ann, HOSPITAL, RoleClass.PATIENT_SIDE, Purpose.PATRQT, scope=Scope(classes=classes))
        came = open_for_own_staff(self.node, self.session(key), wish)
        assert not isinstance(came, Denied)
        return sorted(each.content for each in came if isinstance(each, Opened))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world"), organisations=(HOSPITAL,)) as one:
        yield one


@pytest.fixture(scope="module")
def home(made: World) -> Home:
    node = made.hospital
    wallet = begin(new_wallet(), chain=CHAIN, custodian=HOSPITAL)
    mine = relationship(wallet, chain=CHAIN, custodian=HOSPITAL)
    enrol(node, kept_nhs_number(1), BORN.isoformat(), key=signing_key(wallet, mine), pseudonym=mine.pseudonym)
    deposit(node, mine.pseudonym, [parse(OBSERVATION), parse(FLAG)])
    return Home(node, wallet, mine)


def refusal_of(refused: pytest.ExceptionInfo[Refused]) -> Refusal:
    return refused.value.refusal


@pytest.mark.promise("R1", "R4")
def test_a_delegate_reads_what_the_terms_say(home: Home) -> None:
    limited, everything = home.let_act(LIMITED), home.let_act(ALL)
    assert home.reads(everything) == [FLAG, OBSERVATION]
    assert home.reads(limited, "Observation") == [OBSERVATION]
    for classes in ((), ("Flag",), ("Observation", "Flag")):
        with pytest.raises(Refused, match="read Observation only") as refused:
            home.reads(limited, *classes)
        assert refusal_of(refused) is Refusal.DELEGATE_UNFIT


def test_who_may_share_does_not_read_and_who_reads_does_not_share(home: Home) -> None:
    with pytest.raises(Refused, match="do not let this delegate read"):
        home.reads(home.let_act(SHARER), "Observation")
    reader, sharer = home.let_act(LIMITED), home.let_act(SHARER)
    with pytest.raises(Refused, match="do not let this delegate share"):
        share(home, reader)
    assert share(home, sharer) == 0


def share(home: Home, key: SigningKey) -> int:
    made = sign_choice(home.wallet, home.mine, CHOICE, time_s=home.node.clock())
    message = made.message
    raw = transactions.sign(
        [message], chain=CHAIN, keys=[key], expires_at_s=home.node.clock() + 60, nonce=message.choice
    )
    return take_choice(home.node, raw, message, made.residual).code


def test_the_history_is_for_who_reads_everything(home: Home) -> None:
    def ask(key: SigningKey) -> HistoryAnswer:
        return answer_history(home.node, HistoryAsk(home.ann, home.session(key).certified))

    assert ask(home.let_act(ALL))
    with pytest.raises(Refused, match="read Observation only"):
        ask(home.let_act(LIMITED))


@pytest.mark.promise("R3")
def test_a_delegate_whose_key_has_gone_reads_nothing(home: Home) -> None:
    key = home.let_act(ALL)
    gone = patients.RemoveKey(home.ann, PublicKey(key.public), Digest(bytes(32)))
    home.node.submit_raw(sign(home.wallet, home.mine, gone, time_s=home.node.clock()))
    with pytest.raises(Refused) as refused:
        home.reads(key)
    assert refusal_of(refused) is Refusal.SESSION_UNFIT


def test_who_was_let_act_without_terms_acts_as_far_as_the_patient(home: Home) -> None:
    assert home.reads(home.let_act(None)) == [FLAG, OBSERVATION]


def test_a_custodian_without_the_terms_lets_nobody_act(home: Home) -> None:
    key, residual = SigningKey.generate(), commit_delegate("why", ALL, secret=new_key())
    home.node.submit_raw(home.added(key, residual))  # past the custodian
    with pytest.raises(Refused, match="are not held here") as refused:
        home.reads(key)
    assert refusal_of(refused) is Refusal.DELEGATE_UNFIT
    documents.keep(home.node.vault, CHAIN, home.ann, Kind.REASON, residual.root(), b"\x92\xc4\x00\x90")
    with pytest.raises(Refused, match="do not open the commitment"):
        home.reads(key)


AGES = {
    "a day before 11": (date(2023, 2, 28), (READ, SHARE), ()),
    "at 11, born on 29 February": (date(2023, 3, 1), (READ,), ("Observation",)),
    "a day before 13": (date(2025, 2, 28), (READ,), ("Observation",)),
    "at 13": (date(2025, 3, 1), None, ()),
}


@pytest.mark.parametrize(("day", "abilities", "classes"), AGES.values(), ids=AGES)
def test_a_parents_time_narrows_and_ends_with_the_childs_age(
    home: Home, day: date, abilities: tuple[Ability, ...] | None, classes: tuple[str, ...]
) -> None:
    key = PublicKey(home.let_act(PARENT).public)
    noon_s = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    with home.node.engine.snapshot() as reader:
        if abilities is None:
            with pytest.raises(Refused, match="ended with the patient's age"):
                delegations.band_of(home.node, reader, home.ann, key, time_s=noon_s)
        else:
            band = delegations.band_of(home.node, reader, home.ann, key, time_s=noon_s)
            assert (band.abilities, band.classes) == (abilities, classes)


def test_a_parent_of_somebody_of_14_reads_nothing(home: Home) -> None:
    with pytest.raises(Refused, match="ended with the patient's age"):
        home.reads(home.let_act(PARENT))


BIRTHDAYS = {
    "a plain day": (date(2010, 5, 6), 16, date(2026, 5, 6)),
    "29 February to a leap year": (date(2012, 2, 29), 16, date(2028, 2, 29)),
    "29 February to a plain year": (date(2012, 2, 29), 13, date(2025, 3, 1)),
    "29 February to a century": (date(2096, 2, 29), 4, date(2100, 3, 1)),
    "29 February to 2000": (date(1984, 2, 29), 16, date(2000, 2, 29)),
}


@pytest.mark.parametrize(("born", "age", "want"), BIRTHDAYS.values(), ids=BIRTHDAYS)
def test_birthdays(born: date, age: int, want: date) -> None:
    assert delegations.birthday(born, age=age) == want


UNFIT_TERMS = {
    "a parent without an age": DelegateTerms("M", Relation.PARENT, (Band(0, (READ,)),)),
    "a parent until 18": DelegateTerms("M", Relation.PARENT, (Band(18, (READ,)),)),
    "ages that fall": DelegateTerms("M", Relation.CARER, (Band(13, (READ,)), Band(11, (READ,)))),
    "an age twice": DelegateTerms("M", Relation.CARER, (Band(13, (READ,)), Band(13, ()))),
    "something after no end": DelegateTerms("M", Relation.CARER, (Band(0, (READ,)), Band(13, ()))),
}


@pytest.mark.parametrize("terms", UNFIT_TERMS.values(), ids=UNFIT_TERMS)
def test_terms_that_no_custodian_takes(home: Home, terms: DelegateTerms) -> None:
    with pytest.raises(ResidualInvalid):
        commit_delegate("why", terms, secret=new_key())
    residual = commit_fields(["why", terms], secret=new_key())
    with pytest.raises(Refused, match="not well formed"):
        deliver.take(home.node, home.added(SigningKey.generate(), residual), residual)


def test_what_is_taken_is_a_delegates_key_for_a_patient_here(home: Home) -> None:
    residual = commit_delegate("why", ALL, secret=new_key())
    key = SigningKey.generate()
    with pytest.raises(Refused, match="the reason is not well formed"):
        deliver.take(home.node, home.added(key, residual, kind=KeyKind.DEVICE), residual)
    with pytest.raises(Refused, match="opens the commitment"):
        deliver.take(home.node, home.added(key, residual), reason("why", new_key()))
    three = commit_fields(["a", "b", "c"], secret=new_key())
    with pytest.raises(Refused, match="well formed"):
        deliver.take(home.node, home.added(key, three), three)
    rotated = patients.RotatePseudonymKey(home.ann, PublicKey(key.public), Holder.PATIENT, Digest(bytes(32)))
    raw = sign(home.wallet, home.mine, rotated, time_s=home.node.clock(), also=(key,))
    with pytest.raises(Refused, match="one message that a patient's device signs"):
        deliver.take(home.node, raw, residual)


def test_terms_come_back_as_they_were() -> None:
    assert delegate_terms(commit_delegate("why", PARENT, secret=new_key())) == PARENT
    assert "Mary" not in repr(PARENT)


def test_who_it_is_in_words() -> None:
    until = day_of_end(1_803_888_000)
    assert delegate_words(PARENT, until=until) == "your parent Mary, who may act for you until 1 March 2027"
    assert delegate_words(LIMITED, until=day_of_end(0)) == "your carer Mary, who may act for you"
