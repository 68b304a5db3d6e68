"""Peers in the process and peers over HTTP: one suite for both, so that neither answers what the other would not."""

import os
from collections.abc import Iterator
from itertools import count

import pytest

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts import consent
from salus.contracts.consent import FileConsent
from salus.contracts.membership import KeyUse
from salus.contracts.patients import TakeOverKey
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, gate
from salus.contracts.residuals import certify_session, commit_choice, reason
from salus.crypto.signing import SigningKey
from salus.engines.base import Unavailable as LedgerUnavailable
from salus.ledger import erasure_statements, transactions
from salus.ledger.encoding import encode
from salus.ledger.erasure_statements import Conclusion
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, OrganisationId, PermitId, Pseudonym, PublicKey
from salus.node import documents, local_peers, sealed_streams
from salus.node.documents import Kind
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import (
    Ask,
    Delivery,
    Done,
    ErasureAnswer,
    ErasureAsk,
    MatchAnswer,
    MatchAsk,
    PartAccept,
    PartAsk,
    Peers,
    StreamAsk,
    TakeOverAsk,
    TakeOverOffer,
    TakeOverSigned,
)
from salus.node.http_peers import HttpPeers
from salus.node.local_peers import LocalPeers
from salus.node.members import LedgerDirectory
from salus.node.people import OpenSession, certify_person, open_session
from salus.node.services import choices, deposit, enrol, erase, match, receive, statements, take_over_codes
from salus.node.services.request import Denied, Granted, Wish, request
from salus.sdk import wallet
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE
from tests.api.exchange_world import Served

pytestmark = pytest.mark.services

NHS_NUMBER, BORN = NhsNumber("9990000018"), "1980-02-29"
SCAN_BYTES = 3_000_000
TO_THE_PRACTICE = Provision(
    type=ProvisionType.PERMIT,
    organisations=(PRACTICE,),
    role_classes=(RoleClass.CLINICAL,),
    purposes=(Purpose.TREAT,),
)
PLACES = count(100)
"""Of people in the range of invented numbers: each test takes its own."""
NO_PERMIT = PermitId(bytes(16))


@pytest.fixture(scope="module")
def pseudonym(served: Served) -> Pseudonym:
    hospital = served.world.hospital
    made = enrol.enrol(hospital, NHS_NUMBER, BORN)
    scan = os.urandom(SCAN_BYTES // 2).hex()
    bodies = [
        b'{"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/p"}}',
        b'{"resourceType":"DocumentReference","id":"d1","subject":{"reference":"Patient/p"},"x":"%s"}' % scan.encode(),
    ]
    deposit.deposit(hospital, made, [parse(body) for body in bodies])
    choices.file_by_custodian(hospital, made, TO_THE_PRACTICE)
    return made


@pytest.fixture(scope="module")
def session(served: Served) -> OpenSession:
    practice = served.world.practice
    doctor = certify_person(practice, name="Dr Li", role="GP", registration="1", role_class=RoleClass.CLINICAL)
    return open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=practice.clock())


@pytest.fixture(params=["local", "http"])
def peers(request: pytest.FixtureRequest, served: Served) -> Iterator[Peers]:
    if request.param == "local":
        yield served.world.peers(PRACTICE)
        return
    over_http = served.peers(PRACTICE)
    yield over_http
    over_http.close()


@pytest.fixture(params=["local", "http"])
def device(request: pytest.FixtureRequest, served: Served) -> Iterator[Peers]:
    if request.param == "local":
        yield LocalPeers(OrganisationId(""), served.world.nodes)
        return
    node = served.world.practice
    directory = LedgerDirectory(node.chain, node.engine, node.clock)
    over_http = HttpPeers(directory, sender=OrganisationId(""), key=SigningKey.generate())
    yield over_http
    over_http.close()


def granted(served: Served, session: OpenSession, pseudonym: Pseudonym) -> Granted:
    wish = Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT)
    decision = request(served.world.practice, session, wish)
    assert isinstance(decision, Granted)
    return decision


def test_a_match_and_nothing(peers: Peers, served: Served, session: OpenSession, pseudonym: Pseudonym) -> None:
    assert match.match(served.world.practice, peers, HOSPITAL, session, NHS_NUMBER, date_of_birth=BORN) == pseudonym
    assert match.match(served.world.practice, peers, HOSPITAL, session, NHS_NUMBER, date_of_birth="1980-02-28") is None
    ask = MatchAsk("1234567890", BORN, session.certified, session.certificate)
    assert peers.ask(HOSPITAL, match.sign_match(served.world.practice, HOSPITAL, session, ask)) == MatchAnswer(b"")


@pytest.mark.promise("U3")
def test_a_code_and_what_a_device_signed_by_it(peers: Peers, device: Peers, served: Served) -> None:
    """The hospital's patient has a device at the practice; a code by itself, without a member, is worth nothing."""
    hospital, mine, why = (
        served.world.hospital,
        SigningKey.generate(),
        reason("taken over by the patient", os.urandom(32)),
    )
    taken = enrol.enrol(hospital, kept_nhs_number(next(PLACES)), BORN)
    code = take_over_codes.make(hospital, taken)
    came = peers.ask(HOSPITAL, TakeOverAsk(code))
    assert isinstance(came, TakeOverOffer)
    assert came == TakeOverOffer(taken, enrol.custodian_held_key(hospital, taken).public)
    body = transactions.unsigned(
        [TakeOverKey(taken, PublicKey(mine.public), Digest(b""), why.root())],
        chain=hospital.chain,
        signers=(PublicKey(came.key), PublicKey(mine.public)),
        expires_at_s=hospital.clock() + 60,
        nonce=os.urandom(16),
    )
    signed = TakeOverSigned(code, body, transactions.sign_body(body, mine), why)
    for ask in (TakeOverAsk(code), signed):
        with pytest.raises(Refused) as refused:
            device.ask(HOSPITAL, ask)
        assert refused.value.refusal is Refusal.SENDER_UNKNOWN
    for _ in range(2):
        assert peers.ask(HOSPITAL, signed) == Done(0)
    assert peers.ask(HOSPITAL, TakeOverAsk(code)) == TakeOverOffer(b"", b"")


@pytest.mark.promise("P5")
def test_a_statement_of_erasure(peers: Peers, served: Served) -> None:
    """The practice has erased somebody, and asks the hospital, which never had a permit for them."""
    practice = served.world.practice
    erased = enrol.enrol(practice, kept_nhs_number(next(PLACES)), BORN)
    erase.erase(practice, erased)
    with practice.engine.snapshot() as reader:
        height = statements.tombstone(reader, erased).height
    came = peers.ask(HOSPITAL, ErasureAsk(erased, height))
    assert isinstance(came, ErasureAnswer)
    said = came.signed.statement
    assert (said.holder, said.height, said.conclusion) == (HOSPITAL, height, Conclusion.NOTHING_HELD)
    erasure_statements.verify(came.signed, served.world.hospital.signing(KeyUse.RECEIPT).public)
    with pytest.raises(Refused) as refused:
        peers.ask(HOSPITAL, ErasureAsk(enrol.enrol(practice, kept_nhs_number(next(PLACES)), BORN), height))
    assert refused.value.refusal is Refusal.NOT_ERASED


@pytest.mark.promise("R1", "R6")
def test_a_release_with_what_fits_into_the_offer_and_what_is_streamed(
    peers: Peers, served: Served, session: OpenSession, pseudonym: Pseudonym
) -> None:
    received = list(receive.receive(served.world.practice, peers, granted(served, session, pseudonym)))
    sizes = sorted(len(each.content) for each in received)
    assert len(sizes) == 2
    assert sizes[1] > SCAN_BYTES


REFUSED: dict[str, tuple[Ask, Refusal]] = {
    "a stream, asked for as an answer": (StreamAsk(NO_PERMIT, 1, 0), Refusal.MESSAGE_UNFIT),
    "slots of a part that was never offered": (PartAccept(NO_PERMIT, 1, bytes(64)), Refusal.PERMIT_DEAD),
    "a part without a permit": (PartAsk(NO_PERMIT, 1, 1, CommittedFields(bytes(32), ()), b""), Refusal.PERMIT_DEAD),
    "a code that opens nothing": (
        TakeOverSigned("A" * 16, b"?", bytes(64), CommittedFields(bytes(32), ())),
        Refusal.CHOICE_UNFIT,
    ),
    "a choice that is no transaction": (Delivery(b"?", CommittedFields(bytes(32), ())), Refusal.CHOICE_UNFIT),
}


@pytest.mark.parametrize(("ask", "refusal"), REFUSED.values(), ids=REFUSED)
def test_refused(ask: Ask, refusal: Refusal, peers: Peers) -> None:
    with pytest.raises(Refused) as refused:
        peers.ask(HOSPITAL, ask)
    assert refused.value.refusal is refusal
    assert refused.value.words == str(refused.value)


def test_refused_match_by_nobody_certified(peers: Peers, served: Served, session: OpenSession) -> None:
    ask = MatchAsk(NHS_NUMBER.digits, BORN, session.certified, CommittedFields(bytes(32), ()))
    with pytest.raises(Refused) as refused:
        peers.ask(HOSPITAL, match.sign_match(served.world.practice, HOSPITAL, session, ask))
    assert refused.value.refusal is Refusal.PERSON_UNFIT


def test_refused_match_in_a_session_of_another(peers: Peers, served: Served, session: OpenSession) -> None:
    forged = certify_session(session.certified.session, SigningKey.generate())
    ask = MatchAsk(NHS_NUMBER.digits, BORN, forged, session.certificate)
    signed = match.sign_match(served.world.practice, HOSPITAL, session, ask)
    with pytest.raises(Refused) as refused:
        peers.ask(HOSPITAL, signed)
    assert refused.value.refusal is Refusal.SESSION_UNFIT


def test_a_stream_that_is_refused_says_so_when_it_is_read(peers: Peers) -> None:
    stream = peers.stream(HOSPITAL, StreamAsk(NO_PERMIT, 1, 0))
    with pytest.raises(Refused) as refused:
        next(stream)
    assert refused.value.refusal is Refusal.PERMIT_DEAD


def test_a_part_of_a_permit_that_is_anothers(peers: Peers, served: Served, session: OpenSession) -> None:
    # The practice holds no such permit: the hospital's own is for its own staff.
    ask = PartAsk(PermitId(b"\x01" * 16), 1, 1, CommittedFields(bytes(32), ()), bytes(33))
    with pytest.raises(Refused):
        peers.ask(HOSPITAL, ask)


def test_not_now_while_the_ledger_is_away(peers: Peers, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise LedgerUnavailable("the ledger process went away")

    monkeypatch.setattr(served.world.engine, "wait_for", gone)
    with pytest.raises(NotNow):
        peers.ask(HOSPITAL, PartAsk(NO_PERMIT, 1 << 50, 1, CommittedFields(bytes(32), ()), b""))


SEGMENTS = [bytes((number,)) * 70_000 for number in range(5)]


@pytest.mark.promise("R3")
@pytest.mark.parametrize(
    "error", [Refused(Refusal.PERMIT_DEAD, "withdrawn"), NotNow("newest block is 11 s old")], ids=["refused", "not now"]
)
def test_a_stream_that_ends_half_way(error: Exception, peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(*_: object) -> Iterator[bytes]:
        yield from SEGMENTS[:3]
        raise error

    for module in (local_peers, sealed_streams):
        monkeypatch.setattr(module, "answer_stream", half)
    stream = peers.stream(HOSPITAL, StreamAsk(NO_PERMIT, 1, 0))
    assert [next(stream) for _ in range(3)] == SEGMENTS[:3]
    with pytest.raises(type(error), match=str(error)):
        next(stream)


def test_a_stream_that_is_whole(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (local_peers, sealed_streams):
        monkeypatch.setattr(module, "answer_stream", lambda *_: iter(SEGMENTS))
    assert list(peers.stream(HOSPITAL, StreamAsk(NO_PERMIT, 1, 0))) == SEGMENTS
    assert list(peers.stream(HOSPITAL, StreamAsk(NO_PERMIT, 1, 1))) == SEGMENTS


@pytest.mark.promise("R3")
def test_a_patients_own_device_withdraws_a_choice(
    device: Peers, peers: Peers, served: Served, session: OpenSession
) -> None:
    """The wallet files, the practice has records; the wallet withdraws, and the permit gives nothing more."""
    hospital, practice = served.world.hospital, served.world.practice
    now_s = hospital.clock()
    mine = wallet.begin(wallet.new_wallet(), chain=hospital.chain, custodian=HOSPITAL)
    of = wallet.relationship(mine, chain=hospital.chain, custodian=HOSPITAL)
    key, number = wallet.signing_key(mine, of), kept_nhs_number(next(PLACES))
    enrol.enrol(hospital, number, BORN, key=key, pseudonym=of.pseudonym)
    deposit.deposit(hospital, of.pseudonym, [parse(b'{"resourceType":"Observation","id":"o1"}')])
    filed = wallet.sign_choice(mine, of, TO_THE_PRACTICE, time_s=now_s)
    assert device.ask(HOSPITAL, Delivery(filed.raw, filed.residual)) == Done(0)
    mine = wallet.keep_choice(mine, of, filed, time_s=now_s)
    permit, unused = (granted(served, session, of.pseudonym) for _ in range(2))
    assert len(list(receive.receive(practice, peers, permit))) == 1
    of = wallet.relationship(mine, chain=hospital.chain, custodian=HOSPITAL)
    withdrawn = wallet.sign_withdrawal(mine, of, filed.message.choice, time_s=now_s)
    for _ in range(2):
        assert device.ask(HOSPITAL, Delivery(withdrawn.raw, withdrawn.residual)) == Done(0)
    for each in (permit, unused):
        with pytest.raises(Refused) as refused:
            list(receive.receive(practice, peers, each))
        assert refused.value.refusal is Refusal.PERMIT_DEAD
    wish = Wish(of.pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT)
    assert isinstance(request(practice, session, wish), Denied)
    kept = documents.find(hospital.vault, Kind.REASON, withdrawn.message.commitment)
    assert kept == encode(withdrawn.residual)


def test_a_patients_own_device_delivers_a_choice(device: Peers, served: Served) -> None:
    hospital, patient = served.world.hospital, SigningKey.generate()
    number = NhsNumber("9990000026" if isinstance(device, LocalPeers) else "9990000034")
    mine = enrol.enrol(hospital, number, BORN, key=patient)
    residual = commit_choice(TO_THE_PRACTICE, secret=os.urandom(32))
    filed = FileConsent(
        pseudonym=mine, choice=os.urandom(16), gate=gate(TO_THE_PRACTICE), commitment=residual.root(), evidence_on_day=0
    )
    raw = transactions.sign(
        (filed,), chain=hospital.chain, keys=(patient,), expires_at_s=hospital.clock() + 60, nonce=os.urandom(16)
    )
    assert device.ask(HOSPITAL, Delivery(raw, residual)) == Done(0)
    assert device.ask(HOSPITAL, Delivery(raw, residual)) == Done(0)
    with hospital.engine.snapshot() as reader:
        assert [each.commitment for each in consent.choices(reader, mine).choices] == [residual.root()]
