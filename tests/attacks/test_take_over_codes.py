"""Take-over codes: no member and no device gets a key over but by the code that its own patient has (U3, P3)."""

import dataclasses
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from salus.contracts import patients
from salus.contracts.membership import KeyUse
from salus.contracts.patients import AddKey, Holder, KeyKind, Relationship, TakeOverKey
from salus.contracts.residuals import reason
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.fields import CommittedFields, commit_fields
from salus.ledger.identifiers import Digest, OrganisationId, Pseudonym, PublicKey
from salus.ledger.machine import read_meta
from salus.ledger.transactions import Message
from salus.node.answer import answer
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.exchange import (
    Answer,
    Done,
    NotNowAnswer,
    RefusedAnswer,
    TakeOverAsk,
    TakeOverOffer,
    TakeOverSigned,
)
from salus.node.sealed_bodies import ASK_PATH, Route, seal_answer
from salus.node.sealed_rows import SealedRows
from salus.node.services import erase, take_over, take_over_codes
from salus.node.services.accounts import Accounts
from salus.node.services.enrol import custodian_held_key, enrol
from salus.node.services.take_over_codes import NOTHING, make
from salus.testing.clock import SECOND_NS, ForwardClock
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, World, world
from tests.attacks.attackers import OUTSIDER
from tests.node.test_bad_surroundings import suspended_world
from tests.node.test_take_over import Away, Killed, KilledAfter

pytestmark = pytest.mark.promise("U3")
BORN = "1980-02-29"
WHY = "taken over by the patient"
DEVICE = OrganisationId("")


@dataclass
class Scene:
    """Ann and Bob at the hospital in assisted mode; Ann's device is at the practice."""

    made: World
    clock: ForwardClock
    hospital: Node
    ann: Pseudonym
    bob: Pseudonym
    device: SigningKey = field(repr=False)

    @property
    def now_s(self) -> int:
        return self.clock.wall_ns() // SECOND_NS

    @property
    def held(self) -> SigningKey:
        """The key that the hospital holds for Ann."""
        return custodian_held_key(self.hospital, self.ann)

    def ask(self, code: str, sender: OrganisationId = PRACTICE) -> Answer:
        return answer(self.hospital, sender, TakeOverAsk(code))

    def send(self, signed: TakeOverSigned, sender: OrganisationId = PRACTICE) -> Answer:
        return answer(self.hospital, sender, signed)

    def signed(
        self, code: str, *, by: SigningKey | None = None, why: CommittedFields | None = None, **changed: object
    ) -> TakeOverSigned:
        """What Ann's device signs at the practice; an attack changes fields of the message or of the body.

        Args:
            by: another key that signs; why: another residual, which opens the commitment.
        """
        residual = why or reason(WHY, new_key())
        message = TakeOverKey(self.ann, PublicKey(self.device.public), Digest(b""), residual.root())
        names = set(message.__struct_fields__) & changed.keys()
        message = msgspec.structs.replace(message, **{name: changed.pop(name) for name in names})
        fields: dict[str, object] = {
            "messages": (message,),
            "chain": self.made.genesis.chain,
            "signers": (PublicKey(self.held.public), PublicKey(self.device.public)),
            "expires_at_s": self.now_s + 300,
            "nonce": secrets.token_bytes(16),
        }
        body = transactions.unsigned(**(fields | changed))  # type: ignore[arg-type]
        return TakeOverSigned(code, body, transactions.sign_body(body, by or self.device), residual)

    def offered(self, code: str) -> TakeOverOffer:
        came = self.ask(code)
        assert isinstance(came, TakeOverOffer)
        return came

    def relationship(self) -> Relationship:
        with self.made.engine.snapshot() as reader:
            return patients.require_relationship(reader, self.ann)

    def kept(self) -> object:
        """All that must not have changed: rights and log, and every object in the vault."""
        with self.made.engine.snapshot() as reader:
            meta = read_meta(reader)
        assert meta is not None
        vault = self.hospital.vault
        return meta.tree_root, meta.log_size, [(each, vault.records(each)) for each in vault.relationships()]


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One for all attacks that leave nothing: what one left must not help the next either."""
    with scene(tmp_path_factory.mktemp("attacked")) as made:
        yield made


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    clock = ForwardClock()
    with world(folder, organisations=(HOSPITAL, PRACTICE, OUTSIDER), clock=clock) as made:
        hospital = made.open_node(HOSPITAL, clock=lambda: clock.wall_ns() // SECOND_NS)
        ann, bob = (enrol(hospital, kept_nhs_number(place), BORN) for place in (1, 2))
        make(hospital, bob)  # the secret of a node's interfaces is there
        yield Scene(made, clock, hospital, ann, bob, SigningKey.generate())


def test_a_code_hands_one_relationship_over_once_whatever_is_lost(on: Scene) -> None:
    code = make(on.hospital, on.ann)
    assert on.offered(code) == TakeOverOffer(on.ann, on.held.public), "spaces and small letters are as good"
    assert on.offered(f" {code[:8].lower()}-{code[8:]}") == on.offered(code)
    signed = on.signed(code)
    assert on.send(signed) == Done(0)
    row = on.relationship()
    assert (row.holder, row.key) == (Holder.PATIENT, on.device.public)
    before = on.kept()
    for _ in range(2):
        assert on.send(signed) == Done(0), "the answer was lost"
    assert on.offered(code) == NOTHING
    other = make(on.hospital, on.bob)
    assert on.send(msgspec.structs.replace(signed, code=other)) == Done(0), "of Ann's it was done, of Bob's nothing"
    assert on.offered(other).pseudonym == on.bob
    assert on.kept() == before


def test_a_newer_code_ends_the_older_one_and_a_week_ends_both(on: Scene) -> None:
    older, newer = make(on.hospital, on.ann), make(on.hospital, on.ann)
    assert on.offered(older) == NOTHING
    assert on.offered(newer).pseudonym == on.ann
    signed = on.signed(newer)
    on.clock.advance(take_over_codes.CODE_S)
    assert on.offered(newer) == NOTHING
    assert isinstance(on.send(signed), RefusedAnswer)


def test_a_new_password_ends_the_code_that_somebody_may_have_made_by_the_old_one(on: Scene) -> None:
    accounts = Accounts(on.hospital, SealedRows(on.hospital.vault, on.hospital.chain))
    account, staff = accounts.add_patient(on.ann, name="Ann"), accounts.add_operator(name="Sam")
    code, other = make(on.hospital, on.ann), make(on.hospital, on.bob)
    accounts.set_password(staff, signs_in_as="sam", password="correct horse battery")
    assert on.offered(code) != NOTHING
    accounts.set_password(account, signs_in_as="ann", password="correct horse battery")
    assert on.offered(code) == NOTHING
    assert on.offered(other) != NOTHING


def test_who_took_over_at_home_or_is_erased_has_no_code(on: Scene) -> None:
    code, other = make(on.hospital, on.ann), make(on.hospital, on.bob)
    signed = on.signed(code)
    take_over.take_over(on.hospital, on.ann, SigningKey.generate())
    erase.erase(on.hospital, on.bob)
    before = on.kept()
    assert (on.offered(code), on.offered(other)) == (NOTHING, NOTHING)
    assert refusal(on.send(signed)) is Refusal.CHOICE_UNFIT
    assert refusal(on.send(msgspec.structs.replace(signed, code=other))) is Refusal.CHOICE_UNFIT
    with pytest.raises(Refused, match="expected a key that is held here"):
        make(on.hospital, on.ann)
    assert on.kept() == before


OTHER = SigningKey.generate()
ATTACKS: dict[str, tuple[Callable[[Scene, str], TakeOverSigned], Refusal]] = {
    "a code that was never made": (lambda on, _: on.signed("A" * 16), Refusal.CHOICE_UNFIT),
    "no code": (lambda on, _: on.signed(""), Refusal.CHOICE_UNFIT),
    "another patient's code": (lambda on, _: on.signed(make(on.hospital, on.bob)), Refusal.MESSAGE_UNFIT),
    "another patient's pseudonym": (lambda on, code: on.signed(code, pseudonym=on.bob), Refusal.MESSAGE_UNFIT),
    "another patient's pseudonym and present key": (
        lambda on, code: on.signed(
            code, pseudonym=on.bob, signers=signers(on, custodian_held_key(on.hospital, on.bob))
        ),
        Refusal.MESSAGE_UNFIT,
    ),
    "another chain": (lambda on, code: on.signed(code, chain="salus-other"), Refusal.MESSAGE_UNFIT),
    "a body that has ended": (lambda on, code: on.signed(code, expires_at_s=on.now_s), Refusal.MESSAGE_UNFIT),
    "a body that is good for too long": (
        lambda on, code: on.signed(code, expires_at_s=on.now_s + 700),
        Refusal.MESSAGE_UNFIT,
    ),
    "a recovery key": (
        lambda on, code: on.signed(code, recovery_key=Digest(OTHER.public)),
        Refusal.MESSAGE_UNFIT,
    ),
    "two messages": (lambda on, code: on.signed(code, messages=two_messages(on)), Refusal.MESSAGE_UNFIT),
    "another message": (lambda on, code: on.signed(code, messages=two_messages(on)[1:]), Refusal.MESSAGE_UNFIT),
    "signers in another order": (
        lambda on, code: on.signed(code, signers=signers(on)[::-1]),
        Refusal.MESSAGE_UNFIT,
    ),
    "the device alone": (lambda on, code: on.signed(code, signers=signers(on)[1:]), Refusal.MESSAGE_UNFIT),
    "the held key alone": (lambda on, code: on.signed(code, signers=signers(on)[:1]), Refusal.MESSAGE_UNFIT),
    "a third signer": (
        lambda on, code: on.signed(code, signers=(*signers(on), PublicKey(OTHER.public))),
        Refusal.MESSAGE_UNFIT,
    ),
    "another first signer": (lambda on, code: on.signed(code, signers=signers(on, OTHER)), Refusal.MESSAGE_UNFIT),
    "the held key as the new one": (lambda on, code: held_twice(on, code), Refusal.MESSAGE_UNFIT),
    "a key that does not sign": (
        lambda on, code: on.signed(code, key=PublicKey(OTHER.public)),
        Refusal.MESSAGE_UNFIT,
    ),
    "another key's signature": (lambda on, code: on.signed(code, by=OTHER), Refusal.SIGNATURE_UNFIT),
    "the signature of another body": (
        lambda on, code: msgspec.structs.replace(on.signed(code), signature=on.signed(code).signature),
        Refusal.SIGNATURE_UNFIT,
    ),
    "a residual that opens nothing": (
        lambda on, code: msgspec.structs.replace(on.signed(code), residual=reason(WHY, new_key())),
        Refusal.MESSAGE_UNFIT,
    ),
    "another reason": (lambda on, code: on.signed(code, why=reason("because", new_key())), Refusal.MESSAGE_UNFIT),
    "a reason that is no text": (
        lambda on, code: on.signed(code, why=commit_fields([7], secret=new_key())),
        Refusal.MESSAGE_UNFIT,
    ),
    "more than a reason": (
        lambda on, code: on.signed(code, why=commit_fields([WHY, "and terms"], secret=new_key())),
        Refusal.MESSAGE_UNFIT,
    ),
    "no reason": (
        lambda on, code: on.signed(code, why=commit_fields([], secret=new_key()), commitment=Digest(bytes(32))),
        Refusal.MESSAGE_UNFIT,
    ),
    "a body with something behind it": (
        lambda on, code: signed_as(on, code, on.signed(code).body + b"\0"),
        Refusal.MESSAGE_UNFIT,
    ),
    "no body": (lambda on, code: signed_as(on, code, b""), Refusal.MESSAGE_UNFIT),
}


@pytest.mark.parametrize(("attack", "number"), ATTACKS.values(), ids=ATTACKS)
def test_whatever_else_is_signed_gets_no_signature_and_leaves_nothing(
    attacked: Scene, attack: Callable[[Scene, str], TakeOverSigned], number: Refusal
) -> None:
    on, code = attacked, make(attacked.hospital, attacked.ann)
    sent = attack(on, code)
    before, key = on.kept(), on.held.public
    assert refusal(on.send(sent)) is number
    assert (on.kept(), on.held.public) == (before, key)
    assert on.offered(code).pseudonym == on.ann, "the code is as good as before"


def test_one_byte_of_what_was_signed_is_another(on: Scene) -> None:
    code = make(on.hospital, on.ann)
    signed, before = on.signed(code), on.kept()
    for place in range(0, len(signed.body), 3):
        body = bytearray(signed.body)
        body[place] ^= 1
        came = on.send(msgspec.structs.replace(signed, body=bytes(body)))
        assert refusal(came) in (Refusal.MESSAGE_UNFIT, Refusal.SIGNATURE_UNFIT), place
    assert on.kept() == before


@pytest.mark.parametrize("sender", [DEVICE, OrganisationId("ZZ9")])
def test_who_is_no_member_is_told_nothing(on: Scene, sender: OrganisationId) -> None:
    code = make(on.hospital, on.ann)
    before = on.kept()
    for ask in (TakeOverAsk(code), on.signed(code)):
        assert refusal(answer(on.hospital, sender, ask)) is Refusal.SENDER_UNKNOWN
    assert on.kept() == before


def test_a_suspended_member_is_told_nothing(tmp_path: Path) -> None:
    with suspended_world(tmp_path, PRACTICE) as made:
        ann = enrol(made.hospital, kept_nhs_number(1), BORN)
        on = Scene(made, ForwardClock(), made.hospital, ann, ann, SigningKey.generate())
        code = make(made.hospital, ann)
        before = on.kept()
        for ask in (TakeOverAsk(code), on.signed(code)):
            assert refusal(answer(made.hospital, PRACTICE, ask)) is Refusal.SENDER_UNKNOWN
        assert on.kept() == before


def test_another_custodian_knows_nothing_of_a_code(on: Scene) -> None:
    code = make(on.hospital, on.ann)
    practice = on.made.practice
    assert answer(practice, OUTSIDER, TakeOverAsk(code)) == NOTHING
    assert refusal(answer(practice, OUTSIDER, on.signed(code))) is Refusal.CHOICE_UNFIT


def test_an_offer_of_nothing_is_as_long_as_any_other(on: Scene) -> None:
    route = Route(on.made.genesis.chain, PRACTICE, HOSPITAL, ASK_PATH)
    sizes = {
        len(seal_answer(on.offered(code), answer_key=bytes(32), route=route, ask_digest=bytes(32)))
        for code in ("A" * 16, make(on.hospital, on.ann))
    }
    assert len(sizes) == 1


def test_guessing_ends_for_the_member_that_guesses_and_for_no_other(on: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both messages count together; a wrong code counts once, however often it comes, and right ones do not."""
    monkeypatch.setattr(take_over_codes, "WRONG_MAX", 4)
    code = make(on.hospital, on.ann)
    for guess in ("A" * 16, "B" * 16, "B" * 16, "C" * 16):
        assert on.offered(guess) == NOTHING
        assert on.offered(code) != NOTHING
    assert refusal(on.send(on.signed("D" * 16))) is Refusal.CHOICE_UNFIT
    before = on.kept()
    for ask in (TakeOverAsk("E" * 16), TakeOverAsk(code), on.signed(code), on.signed("E" * 16)):
        assert refusal(answer(on.hospital, PRACTICE, ask)) is Refusal.TOO_MANY
    assert on.kept() == before
    assert on.ask(code, OUTSIDER) == TakeOverOffer(on.ann, on.held.public)
    on.clock.advance(take_over_codes.TRIES_S)
    assert on.send(on.signed(code)) == Done(0)


@pytest.mark.parametrize("ended", ["past its time", "too many wrong ones", "stopped"])
def test_what_was_done_is_done_whatever_became_of_the_code(
    on: Scene, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was lost: who hears no now would put the old wallet back, and nobody has the record any more."""
    code = make(on.hospital, on.ann)
    signed = on.signed(code)
    assert on.send(signed) == Done(0)
    if ended == "past its time":
        on.clock.advance(take_over_codes.CODE_S)
    elif ended == "too many wrong ones":
        monkeypatch.setattr(take_over_codes, "WRONG_MAX", 0)
    else:
        take_over_codes.stop(on.hospital, on.ann)
    assert on.send(signed) == Done(0)
    theirs = answer(on.made.practice, OUTSIDER, signed)
    assert isinstance(theirs, RefusedAnswer), "another custodian has done nothing"


def test_of_two_devices_with_one_code_at_the_same_moment_one_wins(on: Scene) -> None:
    code = make(on.hospital, on.ann)
    first = on.signed(code)
    on.device = SigningKey.generate()
    second = on.signed(code)
    came: dict[bytes, Answer] = {}
    threads = [
        threading.Thread(target=lambda each=each: came.update({each.body: on.send(each)})) for each in (first, second)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    (won,) = [each for each in (first, second) if came[each.body] == Done(0)]
    (lost,) = [each for each in (first, second) if each is not won]
    assert refusal(came[lost.body]) in (Refusal.CHOICE_UNFIT, Refusal.LEDGER_REJECTED)
    row = on.relationship()
    assert row.holder is Holder.PATIENT
    assert row.key in won.body
    for _ in range(2):
        assert on.send(won) == Done(0)
        assert refusal(on.send(lost)) is Refusal.CHOICE_UNFIT
    assert on.relationship() == row


def test_while_the_ledger_is_away_the_code_stays_good(on: Scene) -> None:
    code = make(on.hospital, on.ann)
    signed = on.signed(code)
    away = dataclasses.replace(on.hospital, engine=Away(on.hospital.engine))  # type: ignore[arg-type]
    assert isinstance(answer(away, PRACTICE, signed), NotNowAnswer)
    assert on.offered(code) != NOTHING
    assert on.send(signed) == Done(0)


def test_killed_after_the_commit_the_same_again_is_done(on: Scene) -> None:
    code = make(on.hospital, on.ann)
    signed = on.signed(code)
    dies = dataclasses.replace(on.hospital, engine=KilledAfter(on.hospital.engine))  # type: ignore[arg-type]
    with pytest.raises(Killed):
        answer(dies, PRACTICE, signed)
    assert on.relationship().holder is Holder.PATIENT
    assert on.offered(code) == NOTHING
    assert on.send(signed) == Done(0)
    with pytest.raises(Refused):
        custodian_held_key(on.hospital, on.ann)


def test_a_reason_that_another_relationship_has_is_refused_and_the_code_stays_good(on: Scene) -> None:
    code, other, why = make(on.hospital, on.ann), make(on.hospital, on.bob), reason(WHY, new_key())
    present, bob = PublicKey(custodian_held_key(on.hospital, on.bob).public), SigningKey.generate()
    theirs = on.signed(
        other, why=why, by=bob, pseudonym=on.bob, key=PublicKey(bob.public), signers=(present, PublicKey(bob.public))
    )
    assert on.send(theirs) == Done(0)
    before = on.kept()
    assert refusal(on.send(on.signed(code, why=why))) is Refusal.CHOICE_UNFIT
    assert on.kept() == before
    assert on.send(on.signed(code)) == Done(0)


def test_a_key_that_a_member_registered_is_refused_by_the_ledger_and_the_code_stays_good(on: Scene) -> None:
    code, mine = make(on.hospital, on.ann), on.device
    on.device = on.made.keys[OUTSIDER].signing(KeyUse.TRANSACTION)
    assert refusal(on.send(on.signed(code))) is Refusal.LEDGER_REJECTED
    assert on.relationship().holder is Holder.CUSTODIAN
    on.device = mine
    assert on.send(on.signed(code)) == Done(0)


def refusal(came: Answer) -> Refusal:
    assert isinstance(came, RefusedAnswer), came
    assert came.words
    return Refusal(came.refusal)


def signers(on: Scene, first: SigningKey | None = None) -> tuple[PublicKey, ...]:
    return PublicKey((first or on.held).public), PublicKey(on.device.public)


def signed_as(on: Scene, code: str, body: bytes) -> TakeOverSigned:
    return TakeOverSigned(code, body, transactions.sign_body(body, on.device), reason(WHY, new_key()))


def held_twice(on: Scene, code: str) -> TakeOverSigned:
    """As a custodian's own operator could sign it."""
    key = PublicKey(on.held.public)
    return on.signed(code, key=key, signers=(key, key), by=on.held)


def two_messages(on: Scene) -> list[Message]:
    """The take-over that was asked for, and a key of somebody else's that is to act as well."""
    why = reason(WHY, new_key())
    message = TakeOverKey(on.ann, PublicKey(on.device.public), Digest(b""), why.root())
    return [message, AddKey(on.ann, PublicKey(on.device.public), KeyKind.DEVICE, 0, why.root())]
