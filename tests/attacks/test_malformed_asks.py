"""Whatever another node or a device sends is answered with a number and words; nothing crashes, nothing is kept."""

import secrets
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.patients import (
    AddKey,
    CancelRecovery,
    ChangeRecoveryKey,
    FinishRecovery,
    KeyKind,
    RemoveKey,
    StartRecovery,
    TakeOverKey,
)
from salus.contracts.provisions import gate
from salus.contracts.record_metadata import Facts
from salus.contracts.residuals import (
    Ability,
    Band,
    CertifiedSession,
    DelegateTerms,
    Relation,
    Session,
    commit_delegate,
    person_certificate,
    reason,
)
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.fields import CommittedFields, commit_fields
from salus.ledger.identifiers import Digest, OrganisationId, PermitId, Pseudonym, PublicKey
from salus.node.answer import answer, answer_stream
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import (
    Ask,
    ChoicesAsk,
    Delivery,
    Done,
    HistoryAsk,
    MatchAsk,
    NotNowAnswer,
    PartAccept,
    PartAsk,
    RefusedAnswer,
    SignedMatchAsk,
    StreamAsk,
    TakeOverAsk,
    TakeOverSigned,
)
from salus.node.services import take_over_codes
from salus.node.services.enrol import RelationshipSecret, enrol
from salus.node.services.match import sign_match
from salus.node.services.take_over import take_over
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE
from tests.attacks.attackers import (
    ANN,
    BORN,
    OUTSIDER,
    TO_THE_PRACTICE,
    Scene,
    choice_by,
    choices,
    digest,
    match_ask,
    part_ask,
    sign,
    tree_root,
)

NOBODY = OrganisationId("")
STRANGER = OrganisationId("ZZ9")
SENDERS = (NOBODY, STRANGER, OUTSIDER, PRACTICE, HOSPITAL)
NOTHING = CommittedFields(secret=bytes(32), values=())
SESSION = CertifiedSession(Session(PublicKey(bytes(32)), HOSPITAL, 0, 1), bytes(64))


def odd_fields() -> Iterator[CommittedFields]:
    """Committed lists that are none of ours: no field, too many, no secret, a long one, fields that are no values."""
    yield NOTHING
    yield CommittedFields(secret=b"", values=())
    yield CommittedFields(secret=b"", values=(b"",))
    yield CommittedFields(secret=bytes(1000), values=(b"\xc1",))
    yield CommittedFields(secret=bytes(32), values=tuple(b"" for _ in range(7)))
    yield CommittedFields(secret=bytes(32), values=(encode("text"), encode(5), encode((1, 2))))


def odd_asks(on: Scene) -> Iterator[Ask]:
    granted = on.granted()
    unknown = Pseudonym(secrets.token_bytes(16))
    raw, residual = choice_by(on, on.key, TO_THE_PRACTICE)
    for fields in odd_fields():
        yield MatchAsk(ANN.digits, BORN, SESSION, fields)
        yield SignedMatchAsk(MatchAsk(ANN.digits, BORN, SESSION, fields), 0, bytes(16), bytes(64))
        yield PartAsk(granted.permit, granted.height, 1, fields, b"")
        yield PartAsk(granted.permit, granted.height, 1, fields, granted.reader_key.public)
        yield ChoicesAsk(granted.permit, granted.height, fields)
        yield Delivery(raw, fields)
    for bad in (b"", b"\xc1", raw[:-1], raw + b"\0", encode((b"", ()))):
        yield Delivery(bad, residual)
        yield TakeOverSigned("A" * 16, bad, bytes(64), residual)
    for code in ("", "A" * 16, "é" * 32, "\0" * 16):
        yield TakeOverAsk(code)
        yield TakeOverSigned(code, raw, bytes(64), NOTHING)
    yield HistoryAsk(unknown, SESSION)
    yield HistoryAsk(on.pseudonym, SESSION)
    yield PartAsk(PermitId(b""), 0, 1, granted.residual, b"")
    yield PartAsk(granted.permit, 1 << 52, 1, granted.residual, granted.reader_key.public)
    yield PartAsk(granted.permit, granted.height, (1 << 32) - 1, granted.residual, granted.reader_key.public)
    yield ChoicesAsk(PermitId(b""), 0, granted.residual)
    yield ChoicesAsk(granted.permit, 1 << 52, granted.residual)
    yield ChoicesAsk(granted.permit, granted.height, granted.residual)
    yield PartAccept(granted.permit, (1 << 32) - 1, bytes(64))
    yield PartAccept(PermitId(bytes(32)), 1, bytes(64))
    yield StreamAsk(granted.permit, 1, 0)


@pytest.mark.promise("R1", "R4")
def test_every_odd_ask_gets_a_number_and_words(on: Scene) -> None:
    answer(on.hospital, PRACTICE, TakeOverAsk(""))  # the secret of a node's interfaces, of nobody, is there
    root, held = tree_root(on), on.hospital.vault.relationships()
    for ask in odd_asks(on):
        for sender in SENDERS:
            came = answer(on.hospital, sender, ask)
            if isinstance(ask, TakeOverAsk) and came == take_over_codes.NOTHING:
                continue
            assert isinstance(came, RefusedAnswer | NotNowAnswer), (sender, ask)
            assert came.words
    assert on.hospital.vault.relationships() == held
    assert tree_root(on) != root, "only the permits that were asked for"


@pytest.mark.promise("R4")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32), place=st.integers(0, 1 << 16), value=st.integers(0, 255))
def test_flipped_bytes_of_an_ask_never_crash_a_node(on: Scene, seed: int, place: int, value: int) -> None:
    ask = SAMPLES.setdefault("asks", list(samples(on)))[seed % 7]
    data = bytearray(encode(ask))
    data[place % len(data)] = value
    try:
        changed: Ask = ASKS.decode(bytes(data))
    except EncodingInvalid:
        return
    for sender in (PRACTICE, NOBODY):
        try:
            came = answer(on.hospital, sender, changed)
            list(answer_stream(on.hospital, sender, changed)) if isinstance(changed, StreamAsk) else None
        except (Refused, NotNow):
            continue
        assert isinstance(came, msgspec.Struct)


ASKS = decoder(Ask)
SAMPLES: dict[str, list[Ask]] = {}


def samples(on: Scene) -> Iterator[Ask]:
    session = on.session(PRACTICE)
    granted = on.granted()
    yield sign_match(on.practice, HOSPITAL, session, match_ask(session))
    yield part_ask(granted)
    yield PartAccept(granted.permit, 1, bytes(64))
    yield StreamAsk(granted.permit, 1, 0)
    yield HistoryAsk(on.pseudonym, session.certified)
    yield TakeOverAsk("A" * 16)
    yield TakeOverSigned("A" * 16, b"\x96" + bytes(40), bytes(64), NOTHING)


@pytest.mark.promise("P2")
def test_a_stranger_fills_a_node_with_choices_of_nobody(on: Scene) -> None:
    """A device needs no account to deliver a choice, so a node keeps none before it knows that it is wanted (CWE-770).

    Choices for pseudonyms that are nobody's, of another custodian's patient, of Ann signed by a stranger, of Ann with a
    signature that does not hold: refused, and neither a key nor a document is left in the vault.
    """
    held, records = on.hospital.vault.relationships(), len(on.hospital.vault.records(on.pseudonym))
    stranger = SigningKey.generate()
    for pseudonym in (Pseudonym(secrets.token_bytes(16)), on.pseudonym):
        _, residual = choice_by(on, stranger, TO_THE_PRACTICE)
        message = FileConsent(pseudonym, secrets.token_bytes(16), gate(TO_THE_PRACTICE), residual.root(), 0)
        for raw in (sign(on, [message], [stranger]), forged(on, message)):
            came = answer(on.hospital, NOBODY, Delivery(raw, residual))
            assert isinstance(came, RefusedAnswer)
            assert came.refusal is Refusal.CHOICE_UNFIT
    elsewhere, residual = choice_by(on, on.key, TO_THE_PRACTICE)
    came = answer(on.practice, NOBODY, Delivery(elsewhere, residual))
    assert isinstance(came, RefusedAnswer)
    assert on.hospital.vault.relationships() == held
    assert len(on.hospital.vault.records(on.pseudonym)) == records
    assert on.practice.vault.relationships() == []


@pytest.mark.promise("R3")
def test_a_stranger_withdraws_what_is_not_theirs(on: Scene) -> None:
    """A withdrawal needs the pseudonym's own key, here as on the ledger (CWE-306), and the reason that was signed."""
    before, held = choices(on), on.hospital.vault.records(on.pseudonym)
    stranger, why = SigningKey.generate(), reason("because", bytes(32))
    message = WithdrawConsent(on.pseudonym, on.choice, why.root(), 0)
    unknown = WithdrawConsent(on.pseudonym, secrets.token_bytes(16), why.root(), 0)
    mine = sign(on, [message], [on.key])
    for node, raw, residual, refusal in (
        (on.hospital, sign(on, [message], [stranger]), why, Refusal.CHOICE_UNFIT),
        (on.hospital, forged(on, message), why, Refusal.CHOICE_UNFIT),
        (on.hospital, mine, reason("otherwise", bytes(32)), Refusal.CHOICE_UNFIT),
        (on.hospital, sign(on, [message, unknown], [on.key]), why, Refusal.CHOICE_UNFIT),
        (on.hospital, sign(on, [unknown], [on.key]), why, Refusal.LEDGER_REJECTED),
        (on.practice, mine, why, Refusal.CHOICE_UNFIT),
    ):
        came = answer(node, NOBODY, Delivery(raw, residual))
        assert isinstance(came, RefusedAnswer)
        assert came.refusal is refusal
    odd = commit_fields(["x" * 3000], secret=bytes(32))
    raw = sign(on, [WithdrawConsent(on.pseudonym, on.choice, odd.root(), 0)], [on.key])
    came = answer(on.hospital, NOBODY, Delivery(raw, odd))
    assert isinstance(came, RefusedAnswer)
    assert choices(on) == before
    assert on.hospital.vault.records(on.pseudonym) == held


@pytest.mark.promise("U3")
def test_a_stranger_changes_who_acts_for_a_patient(on: Scene) -> None:
    """Keys and recovery need a key that acts, or a recovery key, whoever brings it; nothing refused is kept."""
    held, records = tree_root(on), on.hospital.vault.records(on.pseudonym)
    stranger, why = SigningKey.generate(), reason("because", bytes(32))
    own, key = PublicKey(on.key.public), PublicKey(stranger.public)
    added = AddKey(on.pseudonym, key, KeyKind.DEVICE, 0, why.root())
    guardians = ChangeRecoveryKey(on.pseudonym, key, Digest(b""), why.root())
    odd = commit_fields(["why", "no terms"], secret=bytes(32))
    untermed = AddKey(on.pseudonym, key, KeyKind.DELEGATE, 0, odd.root())
    termed = AddKey(on.pseudonym, key, KeyKind.DEVICE, 0, odd.root())
    for message, keys, residual, refusal in (
        (added, [stranger], why, Refusal.CHOICE_UNFIT),
        (added, [on.key, stranger], reason("otherwise", bytes(32)), Refusal.CHOICE_UNFIT),
        (untermed, [on.key, stranger], odd, Refusal.DELEGATE_UNFIT),
        (termed, [on.key, stranger], odd, Refusal.CHOICE_UNFIT),
        (RemoveKey(on.pseudonym, own, why.root()), [stranger], why, Refusal.CHOICE_UNFIT),
        (CancelRecovery(on.pseudonym, why.root()), [stranger], why, Refusal.CHOICE_UNFIT),
        (guardians, [stranger], why, Refusal.LEDGER_REJECTED),
        (StartRecovery(on.pseudonym, key, why.root()), [stranger], why, Refusal.LEDGER_REJECTED),
        (FinishRecovery(on.pseudonym, why.root()), [stranger], why, Refusal.LEDGER_REJECTED),
        (TakeOverKey(on.pseudonym, key, Digest(b""), why.root()), [on.key, stranger], why, Refusal.CHOICE_UNFIT),
    ):
        for node in (on.hospital, on.practice):
            came = answer(node, NOBODY, Delivery(sign(on, [message], keys), residual))
            assert isinstance(came, RefusedAnswer), message
            assert came.refusal is refusal or node is on.practice, message
    assert on.hospital.vault.records(on.pseudonym) == records
    assert tree_root(on) == held, "nothing that rights depend on has changed"


@pytest.mark.promise("P2", "P7")
def test_one_secret_is_used_for_two_relationships(on: Scene) -> None:
    """Equal commitments would join two pseudonyms: the second one is refused in words, and nothing of it is kept."""
    other, bob = SigningKey.generate(), enrol(on.hospital, kept_nhs_number(7), BORN)
    take_over(on.hospital, bob, other)
    why = reason("because", bytes(32))
    added = SigningKey.generate()
    mine = AddKey(on.pseudonym, PublicKey(added.public), KeyKind.DEVICE, 0, why.root())
    assert isinstance(answer(on.hospital, NOBODY, Delivery(sign(on, [mine], [on.key, added]), why)), Done)
    held, records = tree_root(on), on.hospital.vault.records(bob)
    for message in (
        RemoveKey(bob, PublicKey(added.public), why.root()),
        AddKey(bob, PublicKey(added.public), KeyKind.DEVICE, 0, why.root()),
    ):
        keys = [other, added] if isinstance(message, AddKey) else [other]
        came = answer(on.hospital, NOBODY, Delivery(sign(on, [message], keys), why))
        assert isinstance(came, RefusedAnswer)
        assert came.refusal is Refusal.CHOICE_UNFIT
    assert (tree_root(on), on.hospital.vault.records(bob)) == (held, records)


@pytest.mark.promise("P2")
def test_a_patients_own_device_keeps_more_than_words_with_a_custodian(on: Scene) -> None:
    """The ledger would take each of them: what opens a commitment is of a bounded size, whoever signs it."""
    added = SigningKey.generate()
    terms = DelegateTerms("Bea", Relation.CARER, (Band(0, (Ability.READ,)),))
    large = CommittedFields(bytes(32), (encode("x" * 500_000), encode(terms)))
    long = DelegateTerms("Bea", Relation.CARER, (Band(0, (Ability.READ,), ("C" * 500_000,)),))
    classy = CommittedFields(bytes(32), (encode("because"), encode(long)))
    secretive = CommittedFields(bytes(500_000), (encode("because"),))
    termed = commit_delegate("because", terms, secret=bytes([1]) * 32)
    own = PublicKey(added.public)
    records = on.hospital.vault.records(on.pseudonym)
    for message, keys, residual, refusal in (
        (AddKey(on.pseudonym, own, KeyKind.DELEGATE, 0, large.root()), [on.key, added], large, Refusal.DELEGATE_UNFIT),
        (
            AddKey(on.pseudonym, own, KeyKind.DELEGATE, 0, classy.root()),
            [on.key, added],
            classy,
            Refusal.DELEGATE_UNFIT,
        ),
        (WithdrawConsent(on.pseudonym, on.choice, secretive.root(), 0), [on.key], secretive, Refusal.CHOICE_UNFIT),
        (RemoveKey(on.pseudonym, own, termed.root()), [on.key], termed, Refusal.CHOICE_UNFIT),
    ):
        came = answer(on.hospital, NOBODY, Delivery(sign(on, [message], keys), residual))
        assert isinstance(came, RefusedAnswer), message
        assert came.refusal is refusal
    assert on.hospital.vault.records(on.pseudonym) == records


@pytest.mark.promise("P2")
def test_a_member_keeps_more_than_its_request_with_a_custodian(on: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salus.node.services.request.new_key", lambda: bytes(500_000))
    granted = on.granted()
    records = on.hospital.vault.records(on.pseudonym)
    for ask in (
        PartAsk(granted.permit, granted.height, 1, granted.residual, granted.reader_key.public),
        ChoicesAsk(granted.permit, granted.height, granted.residual),
    ):
        came = answer(on.hospital, PRACTICE, ask)
        assert isinstance(came, RefusedAnswer)
        assert came.refusal in (Refusal.RESIDUAL_UNFIT, Refusal.PERSON_UNFIT)
    assert on.hospital.vault.records(on.pseudonym) == records


def forged(on: Scene, message: FileConsent | WithdrawConsent) -> bytes:
    """Ann's key among the signers, and a signature that is none."""
    raw = sign(on, [message], [on.key])
    return raw[:-64] + bytes(64)


@pytest.mark.promise("R1")
def test_a_stranger_is_told_nothing_by_a_match(on: Scene) -> None:
    """Who is no member, or names a certificate that is none, is refused; *nothing* is the same for every reason."""
    good = on.session(PRACTICE)
    for sender in (STRANGER, OUTSIDER):
        came = answer(on.hospital, sender, sign_match(on.practice, HOSPITAL, good, match_ask(good)))
        assert isinstance(came, RefusedAnswer)
        assert came.refusal in (Refusal.SENDER_UNKNOWN, Refusal.PERSON_UNFIT)
    nothing = {
        encode(answer(on.hospital, PRACTICE, sign_match(on.practice, HOSPITAL, good, match_ask(good, number, born))))
        for number, born in (("9990000026", BORN), (ANN.digits, "1980-02-28"), ("9990000027", BORN), ("", ""))
    }
    assert len(nothing) == 1


def test_digest_is_random(on: Scene) -> None:
    assert digest() != digest()


@pytest.mark.promise("P4")
def test_what_is_asked_shows_in_no_traceback(on: Scene) -> None:
    """A request that fails is printed by whoever handles the error (CWE-532): its text must not tell whose it was."""
    session = on.session(PRACTICE)
    ask = MatchAsk(ANN.digits, BORN, session.certified, session.certificate)
    secret = RelationshipSecret(bytes(32), bytes(32), ANN.digits, BORN)
    person = person_certificate(session.certificate)
    facts = Facts(("Observation",), codes=("GMC",), title="Dr Jones")
    shown = repr(
        [ask, part_ask(on.granted()), session.certificate, session.certificate.open(0), ANN, secret, person, facts]
    )
    assert not any(told in shown for told in (ANN.digits, BORN, "GMC", "Dr "))
