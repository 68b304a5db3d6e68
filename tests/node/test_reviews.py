"""Emergencies are reviewed by the custodian's officer, who was no part of them, and challenges reach the officer."""

import dataclasses
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from sqlalchemy import select

from salus.clinical.fhir.resources import parse
from salus.contracts import access
from salus.contracts.access import Challenge, DenialReason, EmergencyReviewed, Verdict
from salus.contracts.evidence import permit_of
from salus.contracts.gathering import read_trail
from salus.contracts.patients import Actor
from salus.contracts.provisions import Purpose, RoleClass
from salus.contracts.residuals import reason
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym
from salus.ledger.machine import HISTORY, NO_HISTORY
from salus.node import schema
from salus.node.answer import answer
from salus.node.errors import Refusal, Refused
from salus.node.exchange import PartAsk, PartOffer
from salus.node.notices import NoticeKind, notices
from salus.node.people import OpenSession, Person, certify_person, open_session
from salus.node.services import challenges, deliver, own_care, reviews
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.erase import erase
from salus.node.services.request import Denied, Granted, Wish, request
from salus.node.tallies import Tally
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, World, unix_now_s, world

BODY = b'{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/ann"}}'
WORDS = "I was not there that day."
LONGER_IN_NFC = "\u0958" * 1_500


@dataclass
class Desk:
    """Ann, whose key the hospital holds; Ben, who holds his; the people of both organisations."""

    world: World
    ann: Pseudonym
    ben: Pseudonym
    ben_key: SigningKey

    def person(self, name: str, role_class: RoleClass, *, registration: str = "", at: OrganisationId) -> Person:
        node = self.world.nodes[at]
        return certify_person(node, name=name, role=name, registration=registration, role_class=role_class)

    def session(self, person: Person, *, custodian: OrganisationId = HOSPITAL) -> OpenSession:
        return open_session(person.key, person.certificate, custodian=custodian, from_s=unix_now_s())

    def officer(self, registration: str = "", *, at: OrganisationId = HOSPITAL) -> OpenSession:
        return self.session(self.person("Guardian", RoleClass.OFFICER, registration=registration, at=at), custodian=at)

    def emergency(self, *, of: Pseudonym | None = None, asks_for_records: bool = True) -> PermitId:
        """One of the practice's, who got as far as an offer, or no further than the permit."""
        session = self.session(self.person("Dr Li", RoleClass.CLINICAL, registration="GMC 1", at=PRACTICE))
        wish = Wish(of or self.ann, HOSPITAL, RoleClass.CLINICAL, Purpose.BTG, justification="unconscious")
        granted = request(self.world.practice, session, wish)
        assert isinstance(granted, Granted)
        if asks_for_records:
            ask = PartAsk(granted.permit, granted.height, 1, granted.residual, granted.reader_key.public)
            assert isinstance(answer(self.world.hospital, PRACTICE, ask), PartOffer)
        return granted.permit

    def own_emergency(self, registration: str) -> PermitId:
        """One of the hospital's own staff, who opened what there is."""
        before = set(self.world.hospital.custodian_journal.permits_of(self.ann))
        session = self.session(self.person("Nurse", RoleClass.CLINICAL, registration=registration, at=HOSPITAL))
        wish = Wish(self.ann, HOSPITAL, RoleClass.CLINICAL, Purpose.BTG, justification="fell")
        opened = own_care.open_for_own_staff(self.world.hospital, session, wish)
        assert not isinstance(opened, Denied)
        assert [each.content for each in opened] == [BODY]
        (permit,) = set(self.world.hospital.custodian_journal.permits_of(self.ann)) - before
        return PermitId(permit)

    def count(self, pseudonym: Pseudonym) -> int:
        with self.world.engine.snapshot() as reader:
            return (HISTORY.get(reader, pseudonym) or NO_HISTORY).count

    def challenge(self, permit: bytes, words: CommittedFields, key: SigningKey, of: Pseudonym | None = None) -> bytes:
        """A challenge as a device signs it."""
        node = self.world.hospital
        return transactions.sign(
            (Challenge(of or self.ben, PermitId(permit), words.root()),),
            chain=node.chain,
            keys=(key,),
            expires_at_s=node.clock() + 60,
            nonce=secrets.token_bytes(16),
        )


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with world(tmp_path_factory.mktemp("world")) as made:
        ann = enrol(made.hospital, kept_nhs_number(0), "1980-02-29")
        deposit(made.hospital, ann, [parse(BODY)])
        key = SigningKey.generate()
        ben = enrol(made.hospital, kept_nhs_number(1), "1990-01-01", key=key, pseudonym=Pseudonym(bytes([7]) * 16))
        yield Desk(made, ann, ben, key)


def refusal(act: Callable[[], object]) -> Refusal:
    with pytest.raises(Refused) as refused:
        act()
    return refused.value.refusal


@pytest.mark.promise("R1")
def test_what_waits_says_who_asked_and_until_when_and_nothing_of_patients(desk: Desk) -> None:
    node, officer = desk.world.hospital, desk.officer()
    first, silent = desk.emergency(), desk.emergency(asks_for_records=False)
    before = desk.count(desk.ann)
    found = {each.permit: each for each in reviews.waiting(node, officer)}
    assert found.keys() == {first, silent}
    assert (found[first].name, found[first].role, found[first].requester) == ("Dr Li", "Dr Li", PRACTICE)
    assert found[silent].name == "", "who asked for no record is known to the requester alone"
    assert found[first].due_at_s - found[first].opened_at_s == 3 * 86_400
    assert desk.count(desk.ann) == before, "no patient was looked at"
    assert reviews.waiting(desk.world.practice, desk.officer(at=PRACTICE)) == [], "it is for the custodian to review"


@pytest.mark.promise("U2")
def test_a_case_says_what_was_released_and_to_open_it_is_a_look(desk: Desk) -> None:
    node, officer = desk.world.hospital, desk.officer()
    own, others = desk.own_emergency("NMC 1"), desk.emergency()
    before = desk.count(desk.ann)
    opened, offered = reviews.open_review(node, officer, own), reviews.open_review(node, officer, others)
    assert desk.count(desk.ann) == before + 1
    assert (opened.justification, len(opened.released), opened.withheld_count) == ("fell", 1, 0)
    assert (offered.justification, offered.released) == ("unconscious", ()), "an offer that nobody signed for"
    assert opened.pseudonym == desk.ann


@pytest.mark.promise("R1")
@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_is_on_the_ledger_and_frees_a_place(desk: Desk, verdict: Verdict) -> None:
    node, officer, permit = desk.world.hospital, desk.officer(), desk.emergency()
    reviews.give_verdict(
        node, officer, permit, "the ambulance's note says so", is_justified=verdict is Verdict.JUSTIFIED
    )
    with node.engine.snapshot() as reader:
        assert access.unreviewed(reader, PRACTICE) == 0
        outcome = read_trail(reader, desk.ann)[-1].outcome
        row = access.permit(reader, permit)
    assert isinstance(outcome, EmergencyReviewed)
    assert (outcome.permit, outcome.verdict) == (permit, verdict)
    assert row is not None
    assert (row.until_s <= node.clock()) is (verdict is Verdict.NOT_JUSTIFIED)
    assert reviews.waiting(node, officer) == []
    assert refusal(lambda: reviews.give_verdict(node, officer, permit, "again", is_justified=True)) is Refusal.NOT_YOURS


@pytest.mark.promise("R1")
def test_nobody_reviews_themselves_under_another_certificate(desk: Desk) -> None:
    node, permit = desk.world.hospital, desk.own_emergency("NMC 1")
    both, other = desk.officer("NMC 1"), desk.officer("NMC 2")
    assert refusal(lambda: reviews.give_verdict(node, both, permit, "mine", is_justified=True)) is Refusal.PERSON_UNFIT
    reviews.give_verdict(node, other, permit, "seen", is_justified=True)


@pytest.mark.promise("R4")
def test_who_is_no_officer_here_sees_and_decides_nothing(desk: Desk) -> None:
    node, permit = desk.world.hospital, desk.emergency()
    nurse = desk.session(desk.person("Nurse", RoleClass.CLINICAL, at=HOSPITAL))
    before = desk.count(desk.ann)
    acts: tuple[Callable[[OpenSession], object], ...] = (
        lambda session: reviews.waiting(node, session),
        lambda session: reviews.open_review(node, session, permit),
        lambda session: reviews.give_verdict(node, session, permit, "", is_justified=True),
        lambda session: challenges.received(node, session),
    )
    for session in (nurse, desk.officer(at=PRACTICE)):
        assert [refusal(partial(act, session)) for act in acts] == [Refusal.PERSON_UNFIT] * len(acts)
    officer = desk.officer()
    assert refusal(lambda: reviews.open_review(node, officer, PermitId(bytes(16)))) is Refusal.NOT_YOURS
    for too_many in ("x" * 2001, LONGER_IN_NFC):
        with pytest.raises(Refused) as refused:
            reviews.give_verdict(node, officer, permit, too_many, is_justified=True)
        assert refused.value.refusal is Refusal.MESSAGE_UNFIT
    assert desk.count(desk.ann) == before + 1, "only the officer has looked"


def denied(desk: Desk) -> bytes:
    """A request for Ben's records that was denied: its id."""
    session = desk.session(desk.person("Dr Li", RoleClass.CLINICAL, at=PRACTICE))
    answered = request(desk.world.practice, session, Wish(desk.ben, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT))
    assert isinstance(answered, Denied)
    assert answered.reason is DenialReason.NOTHING_PERMITS
    with desk.world.engine.snapshot() as reader:
        return permit_of(read_trail(reader, desk.ben)[-1].leaf)


@pytest.mark.promise("U2")
def test_a_challenge_reaches_the_officer_with_its_words(desk: Desk) -> None:
    node, officer, permit = desk.world.hospital, desk.officer(), desk.emergency()
    challenges.send_by_custodian(node, desk.ann, permit, WORDS)
    words, refused = reason("Why was I asked about?", bytes(32)), denied(desk)
    deliver.take(node, desk.challenge(refused, words, desk.ben_key), words)
    before = desk.count(desk.ann)
    found = challenges.received(node, officer)
    assert [(each.pseudonym, each.permit, each.actor, each.words) for each in found] == [
        (desk.ben, refused, Actor.PATIENT, "Why was I asked about?"),
        (desk.ann, permit, Actor.CUSTODIAN, WORDS),
    ]
    of_ben, of_ann = (each.questioned for each in found)
    assert (of_ben and (of_ben.requester, of_ben.is_denied, of_ben.name)) == (PRACTICE, True, "")
    assert (of_ann and (of_ann.requester, of_ann.is_denied, of_ann.purpose)) == (PRACTICE, False, Purpose.BTG)
    assert challenges.received(node, officer, skip=1, most=1) == found[1:]
    assert desk.count(desk.ann) == before
    assert [each.kind for each in notices(node)] == [NoticeKind.CHALLENGED] * 2
    assert challenges.received(node, officer) == found, "it is noted once"
    assert challenges.received(desk.world.practice, desk.officer(at=PRACTICE)) == []


@pytest.mark.promise("U2")
def test_a_challenge_that_came_by_another_member_is_not_missed(desk: Desk) -> None:
    words, refused = reason(WORDS, bytes(32)), denied(desk)
    desk.world.practice.submit_raw(desk.challenge(refused, words, desk.ben_key))
    (found,) = challenges.received(desk.world.hospital, desk.officer())
    assert (found.permit, found.words) == (refused, "")


@pytest.mark.promise("P5")
def test_an_erasure_takes_the_challenge_with_it(desk: Desk) -> None:
    node = desk.world.hospital
    challenges.send_by_custodian(node, desk.ann, desk.emergency(), WORDS)
    assert len(challenges.received(node, desk.officer())) == 1
    erase(node, desk.ann)
    assert challenges.received(node, desk.officer()) == []
    with node.vault.database.reading() as connection:
        tallied = connection.execute(select(schema.tallies).where(schema.tallies.c.tally == Tally.CHALLENGE)).all()
    assert len(tallied) == 1
    assert desk.ann not in {tallied[0].who, tallied[0].what}, "what still counts names nobody"


@pytest.mark.promise("P5")
def test_what_is_no_patients_own_challenge_is_not_kept(desk: Desk) -> None:
    node, refused, words = desk.world.hospital, denied(desk), reason(WORDS, bytes(32))
    stranger, of_ann = SigningKey.generate(), desk.emergency()
    wrong: dict[str, tuple[Callable[[], object], Refusal]] = {
        "signed by a stranger": (
            lambda: deliver.take(node, desk.challenge(refused, words, stranger), words),
            Refusal.CHOICE_UNFIT,
        ),
        "of a patient elsewhere": (
            lambda: deliver.take(desk.world.practice, desk.challenge(refused, words, desk.ben_key), words),
            Refusal.CHOICE_UNFIT,
        ),
        "with other words": (
            lambda: deliver.take(node, desk.challenge(refused, words, desk.ben_key), reason("x", bytes(32))),
            Refusal.CHOICE_UNFIT,
        ),
        "no transaction": (
            lambda: deliver.take(node, b"no", words),
            Refusal.CHOICE_UNFIT,
        ),
        "of another's request": (
            lambda: deliver.take(node, desk.challenge(of_ann, words, desk.ben_key), words),
            Refusal.NOT_YOURS,
        ),
        "by custodian for who holds the key": (
            lambda: challenges.send_by_custodian(node, desk.ben, PermitId(refused), WORDS),
            Refusal.CHOICE_UNFIT,
        ),
        "by custodian of another's request": (
            lambda: challenges.send_by_custodian(node, desk.ann, PermitId(refused), WORDS),
            Refusal.NOT_YOURS,
        ),
        "with too many words": (
            lambda: challenges.send_by_custodian(node, desk.ann, of_ann, "x" * 2001),
            Refusal.MESSAGE_UNFIT,
        ),
        "with words that become too many in NFC": (
            lambda: challenges.send_by_custodian(node, desk.ann, of_ann, LONGER_IN_NFC),
            Refusal.MESSAGE_UNFIT,
        ),
    }
    counts = desk.count(desk.ann), desk.count(desk.ben)
    assert {name: refusal(act) for name, (act, _) in wrong.items()} == {name: no for name, (_, no) in wrong.items()}
    assert (desk.count(desk.ann), desk.count(desk.ben)) == counts


@pytest.mark.promise("P5")
def test_a_patient_sends_so_many_in_a_day(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenges, "CHALLENGES_MAX", 2)
    node, permit = desk.world.hospital, desk.emergency()
    for number in range(2):
        challenges.send_by_custodian(node, desk.ann, permit, f"{WORDS} {number}")
    assert refusal(lambda: challenges.send_by_custodian(node, desk.ann, permit, WORDS)) is Refusal.TOO_MANY
    tomorrow = dataclasses.replace(node, clock=lambda: unix_now_s() + 86_400)
    with pytest.raises(Refused) as refused:  # the ledger says no to a time so far ahead; the tally does not
        challenges.send_by_custodian(tomorrow, desk.ann, permit, WORDS)
    assert refused.value.refusal is Refusal.LEDGER_REJECTED
