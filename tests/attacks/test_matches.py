"""Who may ask whether a person is known: the session's own key, for one node, now, once (DESIGN §6)."""

import secrets
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from salus.contracts.membership import KeyUse
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId
from salus.node.answer import answer
from salus.node.errors import Refusal, Refused
from salus.node.exchange import Answer, Ask, Done, MatchAnswer, RefusedAnswer, SignedMatchAsk, Slots
from salus.node.local_peers import LocalPeers
from salus.node.people import OpenSession, open_session
from salus.node.services.match import MATCH_S, MATCH_TAG, match, match_terms, sign_match
from salus.testing.world import HOSPITAL, PRACTICE
from tests.attacks.attackers import ANN, BORN, OUTSIDER, Scene, event_count, match_ask

OTHER_NUMBER = "9990000026"


def signed(on: Scene, session: OpenSession | None = None, *, at_s: int | None = None) -> SignedMatchAsk:
    """The practice's doctor asks the hospital for Ann; an attack changes one thing."""
    session = session or on.session(PRACTICE)
    return sign_match(on.practice, HOSPITAL, session, match_ask(session), at_s=at_s)


def without_session(on: Scene) -> Ask:
    return match_ask(on.session(PRACTICE))


def by_the_organisation(on: Scene) -> Ask:
    own = on.world.keys[PRACTICE].signing(KeyUse.HTTP)
    return signed(on, replace(on.session(PRACTICE), key=own))


def by_a_stranger(on: Scene) -> Ask:
    return signed(on, replace(on.session(PRACTICE), key=SigningKey.generate()))


def by_the_person(on: Scene) -> Ask:
    return signed(on, replace(on.session(PRACTICE), key=on.people[PRACTICE].key))


def over_another_body(on: Scene) -> Ask:
    good = signed(on)
    return msgspec.structs.replace(good, ask=msgspec.structs.replace(good.ask, nhs_number=OTHER_NUMBER))


def at_another_time(on: Scene) -> Ask:
    good = signed(on)
    return msgspec.structs.replace(good, at_s=good.at_s + 1)


def under_another_nonce(on: Scene) -> Ask:
    return msgspec.structs.replace(signed(on), nonce=secrets.token_bytes(16))


def for_another_node(on: Scene) -> Ask:
    session = on.session(PRACTICE)
    return sign_match(on.practice, OUTSIDER, session, match_ask(session))


def from_another_organisation(on: Scene) -> Ask:
    session = on.session(PRACTICE)
    return sign_match(on.outsider, HOSPITAL, session, match_ask(session))


def under_another_tag(on: Scene) -> Ask:
    session, good = on.session(PRACTICE), signed(on)
    good = msgspec.structs.replace(good, ask=match_ask(session))
    terms = match_terms(good, chain=on.practice.chain, sender=PRACTICE, asked=HOSPITAL)
    return msgspec.structs.replace(good, signature=session.key.sign_tagged(f"{MATCH_TAG}0", terms))


def long_ago(on: Scene) -> Ask:
    return signed(on, at_s=on.hospital.clock() - MATCH_S - 3)


def far_ahead(on: Scene) -> Ask:
    return signed(on, at_s=on.hospital.clock() + MATCH_S + 10)


def in_an_expired_session(on: Scene) -> Ask:
    doctor, ended_s = on.people[PRACTICE], on.hospital.clock() - 1
    return signed(
        on, open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=ended_s - 900, duration_s=900)
    )


def in_a_session_for_another_node(on: Scene) -> Ask:
    return signed(on, on.session(PRACTICE, custodian=OUTSIDER))


def in_a_session_of_another_organisation(on: Scene) -> Ask:
    return signed(on, on.session(OUTSIDER))


ATTACKS: dict[Callable[[Scene], Ask], Refusal] = {
    without_session: Refusal.SIGNATURE_UNFIT,
    by_the_organisation: Refusal.SIGNATURE_UNFIT,
    by_a_stranger: Refusal.SIGNATURE_UNFIT,
    by_the_person: Refusal.SIGNATURE_UNFIT,
    over_another_body: Refusal.SIGNATURE_UNFIT,
    at_another_time: Refusal.SIGNATURE_UNFIT,
    under_another_nonce: Refusal.SIGNATURE_UNFIT,
    for_another_node: Refusal.SIGNATURE_UNFIT,
    from_another_organisation: Refusal.SIGNATURE_UNFIT,
    under_another_tag: Refusal.SIGNATURE_UNFIT,
    long_ago: Refusal.SIGNATURE_UNFIT,
    far_ahead: Refusal.SIGNATURE_UNFIT,
    in_an_expired_session: Refusal.SESSION_UNFIT,
    in_a_session_for_another_node: Refusal.SESSION_UNFIT,
    in_a_session_of_another_organisation: Refusal.PERSON_UNFIT,
}


@pytest.mark.promise("R1")
@pytest.mark.parametrize(("attack", "refusal"), ATTACKS.items(), ids=[each.__name__ for each in ATTACKS])
def test_refused_before_anybody_is_looked_for(attack: Callable[[Scene], Ask], refusal: Refusal, on: Scene) -> None:
    """A member's gateway, or whoever has its http key, asks who is a patient where, without any person behind it."""
    before = event_count(on)
    came = answer(on.hospital, PRACTICE, attack(on))
    assert isinstance(came, RefusedAnswer), came
    assert came.refusal is refusal
    assert event_count(on) == before


@pytest.mark.promise("R1")
def test_a_match_is_heard_once(on: Scene) -> None:
    """The same signed match again, as it was and in an order of its own: refused, by every worker and after a start."""
    before = event_count(on)
    first, second = signed(on), signed(on)
    assert answer(on.hospital, PRACTICE, first) == MatchAnswer(on.pseudonym)
    worker, other_worker = on.hospital, on.world.open_node(HOSPITAL)
    for node in (worker, other_worker):
        came = answer(node, PRACTICE, first)
        assert isinstance(came, RefusedAnswer)
        assert came.refusal is Refusal.REPLAYED
    assert answer(other_worker, PRACTICE, second) == MatchAnswer(on.pseudonym)
    assert event_count(on) == before + 2


class Twice(LocalPeers):
    """Sends each first ask twice, as the exchange does when an answer was lost on its way."""

    sent = 0

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        self.sent += 1
        if self.sent == 1:
            super().ask(organisation, ask)
        return super().ask(organisation, ask)


@pytest.mark.promise("R1")
def test_a_match_whose_answer_was_lost_is_signed_anew(on: Scene) -> None:
    peers = Twice(PRACTICE, on.world.nodes)
    assert match(on.practice, peers, HOSPITAL, on.session(PRACTICE), ANN, date_of_birth=BORN) == on.pseudonym
    assert peers.sent == 2


class Says(LocalPeers):
    """A custodian that answers a match with something of its own."""

    answer: Answer

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        return self.answer


@pytest.mark.parametrize("said", [Done(0), Slots(b"", (), ()), MatchAnswer(b"short"), MatchAnswer(bytes(15))])
def test_a_custodian_that_answers_a_match_with_something_else_is_refused(on: Scene, said: Answer) -> None:
    peers, before = Says(PRACTICE, on.world.nodes), event_count(on)
    peers.answer = said
    with pytest.raises(Refused) as refused:
        match(on.practice, peers, HOSPITAL, on.session(PRACTICE), ANN, date_of_birth=BORN)
    assert (refused.value.refusal, HOSPITAL in refused.value.words) == (Refusal.MESSAGE_UNFIT, True)
    assert event_count(on) == before


@pytest.mark.promise("P4")
def test_what_is_kept_of_a_match_says_nothing_of_whom(on: Scene) -> None:
    good = signed(on)
    answer(on.hospital, PRACTICE, good)
    with on.hospital.vault.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT who, what FROM node_tallies").all()
    assert (bytes(good.ask.session.session.session_key), good.nonce) in [tuple(map(bytes, row)) for row in rows]
    assert not any(BORN.encode() in encode(tuple(row)) for row in rows)


def test_the_sender_is_part_of_what_is_signed(on: Scene) -> None:
    good = signed(on)
    terms = {match_terms(good, chain="c", sender=sender, asked=HOSPITAL) for sender in (PRACTICE, OrganisationId("X"))}
    assert len(terms) == 2
