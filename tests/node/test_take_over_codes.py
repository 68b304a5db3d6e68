"""The member where the device is asks by a code: what custodians, people and wires do wrong changes no wallet (U3)."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, Ask, Done, TakeOverAsk, TakeOverOffer
from salus.node.local_peers import LocalPeers
from salus.node.services import take_over, take_over_codes
from salus.node.services.accounts import AccountId
from salus.node.services.enrol import custodian_held_key, enrol
from salus.node.services.signer_requests import BeginTakeOver
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, World, world

pytestmark = pytest.mark.promise("U3")
BORN = "1980-02-29"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("codes")) as ready:
        yield ready


@pytest.fixture(scope="module")
def ann(made: World) -> Pseudonym:
    """At the hospital, which holds her key."""
    return enrol(made.hospital, kept_nhs_number(1), BORN)


@pytest.fixture
def account() -> AccountId:
    """Of somebody at the practice."""
    return AccountId(secrets.token_bytes(16))


@dataclass
class Heard:
    """Peers that note what is asked."""

    peers: LocalPeers
    asks: list[Ask] = field(default_factory=list)

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        self.asks.append(ask)
        return self.peers.ask(organisation, ask)

    def stream(self, *_: object) -> Iterator[bytes]:
        raise AssertionError("no stream is asked for")


class Says:
    """A custodian that answers one thing."""

    def __init__(self, answer: Answer | Exception) -> None:
        self._answer = answer

    def ask(self, *_: object) -> Answer:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def stream(self, *_: object) -> Iterator[bytes]:
        raise AssertionError("no stream is asked for")


def test_a_code_is_typed_in_any_way(made: World, ann: Pseudonym, account: AccountId) -> None:
    code, heard = take_over_codes.make(made.hospital, ann), Heard(made.peers(PRACTICE))
    item = BeginTakeOver(HOSPITAL, ann, custodian_held_key(made.hospital, ann).public)  # type: ignore[arg-type]
    for typed in (code, code.lower(), f" {code[:4]}-{code[4:8]} {code[8:]}\n"):
        assert take_over_codes.could_be(typed)
        assert take_over_codes.offered(made.practice, heard, account, HOSPITAL, typed) == item
    assert heard.asks == [TakeOverAsk(code)] * 3


@pytest.mark.parametrize("typed", ["", "A" * 15, "A" * 17, "0" * 16, "I" * 16, "É" * 16, "A" * 5000, "🏥" * 16])
def test_what_cannot_be_a_code_is_asked_of_nobody(made: World, account: AccountId, typed: str) -> None:
    heard = Heard(made.peers(PRACTICE))
    assert not take_over_codes.could_be(typed)
    assert take_over_codes.offered(made.practice, heard, account, HOSPITAL, typed) is None
    assert heard.asks == []


def test_for_ones_own_organisation_there_is_the_page_of_devices(
    made: World, ann: Pseudonym, account: AccountId
) -> None:
    code, heard = take_over_codes.make(made.hospital, ann), Heard(made.peers(HOSPITAL))
    with pytest.raises(Refused, match="use the page of your devices") as refused:
        take_over_codes.offered(made.hospital, heard, account, HOSPITAL, code)
    assert refused.value.refusal is Refusal.CHOICE_UNFIT
    assert heard.asks == []


def test_an_account_has_ten_tries_an_hour_and_uses_up_nobody_elses(made: World, account: AccountId) -> None:
    heard = Heard(made.peers(PRACTICE))
    for number in range(10):
        typed = "A" * 15 + take_over_codes.CODE_LETTERS[number]
        assert take_over_codes.offered(made.practice, heard, account, HOSPITAL, typed) is None
    with pytest.raises(Refused) as refused:
        take_over_codes.offered(made.practice, heard, account, HOSPITAL, "B" * 16)
    assert refused.value.refusal is Refusal.TOO_MANY
    assert len(heard.asks) == 10
    other = AccountId(secrets.token_bytes(16))
    assert take_over_codes.offered(made.practice, heard, other, HOSPITAL, "B" * 16) is None


def test_a_custodian_that_says_what_the_ledger_does_not_gets_nothing_signed(
    made: World, ann: Pseudonym, account: AccountId
) -> None:
    """An own patient's, another custodian's or nobody's pseudonym, another key, a patient who holds the key."""
    code, key = "A" * 16, custodian_held_key(made.hospital, ann).public
    theirs = enrol(made.practice, kept_nhs_number(2), BORN)
    gone = enrol(made.hospital, kept_nhs_number(3), BORN)
    own = SigningKey.generate()
    take_over.take_over(made.hospital, gone, own)
    for pseudonym, said in (
        (Pseudonym(secrets.token_bytes(16)), key),
        (theirs, custodian_held_key(made.practice, theirs).public),
        (ann, own.public),
        (ann, b""),
        (gone, own.public),
    ):
        with pytest.raises(NotNow, match="the ledger here does not say"):
            take_over_codes.offered(made.practice, Says(TakeOverOffer(pseudonym, said)), account, HOSPITAL, code)
    true = Says(TakeOverOffer(ann, key))
    assert take_over_codes.offered(made.practice, true, account, HOSPITAL, code) is not None


@pytest.mark.parametrize("error", [NotNow("away"), Refused(Refusal.TOO_MANY, "wait")], ids=["away", "too many"])
def test_what_the_custodian_cannot_or_will_not_is_said_as_it_is(
    made: World, account: AccountId, error: NotNow | Refused
) -> None:
    with pytest.raises(type(error), match=str(error)):
        take_over_codes.offered(made.practice, Says(error), account, HOSPITAL, "A" * 16)


def test_a_custodian_that_answers_something_else_is_asked_later(made: World, account: AccountId) -> None:
    for said in (Done(0), TakeOverOffer(bytes(3), bytes(32))):
        with pytest.raises(NotNow):
            take_over_codes.offered(made.practice, Says(said), account, HOSPITAL, "A" * 16)


def test_how_who_asked_was_checked_is_sealed_with_the_code(made: World, ann: Pseudonym) -> None:
    take_over_codes.make(made.hospital, ann, checked="passport of Ann seen")
    database = b"".join(each.read_bytes() for each in made.folder.rglob("node.db*"))
    assert b"passport of Ann" not in database
