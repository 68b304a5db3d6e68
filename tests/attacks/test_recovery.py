"""A lost device loses no record, and nobody takes a key over unseen: thieves, guardians and operators try (U3)."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from salus.clinical.fhir.resources import parse
from salus.contracts import patients
from salus.contracts.membership import KeyUse
from salus.contracts.patients import (
    CHANGE_S,
    TIME_LOCK_S,
    CancelRecovery,
    ChangeRecoveryKey,
    FinishRecovery,
    Holder,
    Rejection,
    StartRecovery,
    UndoRecoveryKey,
)
from salus.contracts.provisions import Purpose, RoleClass
from salus.contracts.residuals import reason
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.contract import SIGNATURE_MISSING
from salus.ledger.identifiers import Digest, OrganisationId, PublicKey
from salus.ledger.transactions import PatientMessage
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.people import NOBODY, open_session
from salus.node.services.deposit import deposit
from salus.node.services.enrol import custodian_held_key, enrol
from salus.node.services.own_care import Opened, open_for_own_staff
from salus.node.services.recover import vouch
from salus.node.services.request import Denied, Wish
from salus.node.services.take_over import take_over
from salus.sdk import guardians
from salus.sdk.guardians import Circle, Half, Shares
from salus.sdk.wallet import Relationship, Wallet, WalletRefuses, begin, new_wallet, relationship, signing_key
from salus.testing.clock import FakeClock
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, PRACTICE, World, world

pytestmark = pytest.mark.promise("U3")
RECORD = b'{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/ann"}}'
DIGEST = Digest(bytes(32))


@dataclass(frozen=True)
class Scene:
    """Ann at a hospital, with three guardians of whom two recover, and five of whom three do so a second time."""

    made: World
    clock: FakeClock
    wallet: Wallet
    mine: Relationship
    first: Shares
    second: Shares

    @property
    def node(self) -> Node:
        return self.made.hospital

    @property
    def now_s(self) -> int:
        return self.clock.wall_ns() // 10**9

    def submit(self, raw: bytes) -> None:
        self.node.submit_raw(raw)

    def later(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def new_device(self) -> tuple[Wallet, Relationship]:
        """A wallet with a seed of its own, for the pseudonym that was ann's before."""
        wallet = begin(new_wallet(), chain=CHAIN, custodian=HOSPITAL, pseudonym=self.mine.pseudonym)
        return wallet, relationship(wallet, chain=CHAIN, custodian=HOSPITAL)

    def reads(self, wallet: Wallet, of: Relationship) -> list[bytes]:
        key = signing_key(wallet, of)
        session = open_session(key, NOBODY, custodian=HOSPITAL, from_s=self.now_s, duration_s=900)
        wish = Wish(of.pseudonym, HOSPITAL, RoleClass.PATIENT_SIDE, Purpose.PATRQT)
        came = open_for_own_staff(self.node, session, wish)
        assert not isinstance(came, Denied)
        return [each.content for each in came if isinstance(each, Opened)]

    def half(self, wallet: Wallet, of: Relationship, seed: bytes) -> Half:
        own = PublicKey(self.node.keys.signing(KeyUse.TRANSACTION).public)
        return guardians.half_start(wallet, of, seed, custodian=own, checked="passport seen", time_s=self.now_s)


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Scene]:
    clock = FakeClock(int(time.time()))
    with world(tmp_path, organisations=(HOSPITAL, PRACTICE), clock=clock) as made:
        for each in (HOSPITAL, PRACTICE):
            made.open_node(each, clock=lambda: clock.wall_ns() // 10**9)
        wallet = begin(new_wallet(), chain=CHAIN, custodian=HOSPITAL)
        mine = relationship(wallet, chain=CHAIN, custodian=HOSPITAL)
        key, node = signing_key(wallet, mine), made.hospital
        enrol(node, kept_nhs_number(1), "1980-02-29", key=key, pseudonym=mine.pseudonym)
        deposit(node, mine.pseudonym, [parse(RECORD)])
        first, second = guardians.choose(Circle(2, 3), Circle(3, 5))
        assert second is not None
        scene = Scene(made, clock, wallet, mine, first, second)
        scene.submit(guardians.sign_first_keys(wallet, mine, first.seed, second.seed, time_s=scene.now_s))
        yield scene


def refused(number: int, act: object, *arguments: object, **named: object) -> None:
    with pytest.raises(Refused) as error:
        act(*arguments, **named)  # type: ignore[operator]
    assert (error.value.refusal, error.value.number) == (Refusal.LEDGER_REJECTED, number)


def test_device_lost_guardians_approve_time_lock_new_device_opens_old_records(on: Scene) -> None:
    assert on.reads(on.wallet, on.mine) == [RECORD]
    seed = guardians.combine(on.first.words[1:])
    wallet, mine = on.new_device()
    on.submit(guardians.sign_start(wallet, mine, seed, time_s=on.now_s))
    on.later(TIME_LOCK_S - 60)
    refused(Rejection.RECOVERY_EARLY, lambda: on.submit(guardians.sign_finish(mine, seed, time_s=on.now_s)))
    on.later(60)
    on.submit(guardians.sign_finish(mine, seed, time_s=on.now_s))
    assert on.reads(wallet, mine) == [RECORD]
    with pytest.raises(Refused) as error:
        on.reads(on.wallet, on.mine)
    assert error.value.refusal is Refusal.SESSION_UNFIT


def test_the_thiefs_attempt_is_cancelled_and_the_thiefs_second_cancel_fails(on: Scene) -> None:
    # guardians who were talked into it
    thief, theirs = on.new_device()
    on.submit(guardians.sign_start(thief, theirs, guardians.combine(on.first.words[:2]), time_s=on.now_s))
    on.submit(guardians.sign_cancel(on.wallet, on.mine, time_s=on.now_s))
    again = guardians.sign_start(thief, theirs, on.first.seed, time_s=on.now_s)
    refused(Rejection.RECOVERY_SPENT, on.submit, again)
    # a thief who has the device itself
    wallet, mine = on.new_device()
    seed = guardians.combine(on.second.words[2:])
    half = on.half(wallet, mine, seed)
    vouch(on.node, half.body, half.signatures, half.residual)
    refused(Rejection.RECOVERY_FINAL, lambda: on.submit(guardians.sign_cancel(on.wallet, on.mine, time_s=on.now_s)))
    on.later(TIME_LOCK_S)
    on.submit(guardians.sign_finish(mine, seed, time_s=on.now_s))
    assert on.reads(wallet, mine) == [RECORD]


def test_a_changed_recovery_key_is_undone_within_7_days(on: Scene) -> None:
    theirs, _ = guardians.choose(Circle(2, 2))
    raw = guardians.sign_change(on.mine, on.first.seed, theirs.seed, on.second.seed, time_s=on.now_s)
    on.submit(raw)
    on.later(CHANGE_S - 60)
    on.submit(guardians.sign_undo(on.mine, on.second.seed, time_s=on.now_s))
    on.later(60)
    thief, of = on.new_device()
    refused(SIGNATURE_MISSING, lambda: on.submit(guardians.sign_start(thief, of, theirs.seed, time_s=on.now_s)))
    on.submit(guardians.sign_start(thief, of, on.first.seed, time_s=on.now_s))


OPERATOR_MESSAGES = (
    lambda on, key: StartRecovery(on.mine.pseudonym, key, DIGEST),
    lambda on, _: FinishRecovery(on.mine.pseudonym, DIGEST),
    lambda on, key: ChangeRecoveryKey(on.mine.pseudonym, key, guardians.NO_KEY, DIGEST),
    lambda on, _: UndoRecoveryKey(on.mine.pseudonym, DIGEST),
    lambda on, _: CancelRecovery(on.mine.pseudonym, DIGEST),
    lambda on, key: patients.RotatePseudonymKey(on.mine.pseudonym, key, Holder.PATIENT, DIGEST),
    lambda on, key: patients.TakeOverKey(on.mine.pseudonym, key, guardians.NO_KEY, DIGEST),
    lambda on, key: patients.AddKey(on.mine.pseudonym, key, patients.KeyKind.DEVICE, 0, DIGEST),
)


@pytest.mark.parametrize("organisation", [HOSPITAL, PRACTICE])
def test_no_operator_does_it_alone_with_any_key_that_it_has(on: Scene, organisation: OrganisationId) -> None:
    wallet, mine = on.new_device()
    on.submit(guardians.sign_start(wallet, mine, on.first.seed, time_s=on.now_s))
    on.later(TIME_LOCK_S)
    own = on.made.keys[organisation]
    held = [own.signing(use) for use in (KeyUse.TRANSACTION, KeyUse.HTTP, KeyUse.RECEIPT, KeyUse.CONSENSUS)]
    new = SigningKey.generate()
    for make in OPERATOR_MESSAGES:
        message: PatientMessage = make(on, PublicKey(new.public))
        for keys in ([held[0]], [held[0], new], [new], *([each, new] for each in held[1:])):
            raw = transactions.sign(
                [message], chain=CHAIN, keys=keys, expires_at_s=on.now_s + 60, nonce=secrets.token_bytes(16)
            )
            refused(SIGNATURE_MISSING, on.submit, raw)


def _own_recovery(on: Scene) -> None:
    """Vouch, as the operator may, for a recovery by a seed of the operator's own."""
    wallet, mine = on.new_device()
    half = on.half(wallet, mine, secrets.token_bytes(32))
    vouch(on.node, half.body, half.signatures, half.residual)


def _own_guardians(on: Scene) -> None:
    wallet, mine = on.new_device()
    on.submit(guardians.sign_first_keys(wallet, mine, secrets.token_bytes(32), None, time_s=on.now_s))


def _own_end(on: Scene) -> None:
    """End somebody's recovery that waits, with a seed of the operator's own."""
    wallet, mine = on.new_device()
    on.submit(guardians.sign_start(wallet, mine, on.first.seed, time_s=on.now_s))
    on.later(TIME_LOCK_S)
    on.submit(guardians.sign_finish(mine, secrets.token_bytes(32), time_s=on.now_s))


def _both_members(on: Scene) -> None:
    """The custodian and another member sign together what the pseudonym's key has to sign."""
    keys = [on.made.keys[each].signing(KeyUse.TRANSACTION) for each in (HOSPITAL, PRACTICE)]
    message = patients.RotatePseudonymKey(on.mine.pseudonym, PublicKey(keys[1].public), Holder.PATIENT, DIGEST)
    raw = transactions.sign(
        [message], chain=CHAIN, keys=keys, expires_at_s=on.now_s + 60, nonce=secrets.token_bytes(16)
    )
    on.submit(raw)


def _own_session(on: Scene) -> None:
    """Certify a session of the patient's with the organisation's key, and read."""
    session = open_session(on.node.signing(KeyUse.TRANSACTION), NOBODY, custodian=HOSPITAL, from_s=on.now_s)
    wish = Wish(on.mine.pseudonym, HOSPITAL, RoleClass.PATIENT_SIDE, Purpose.PATRQT)
    open_for_own_staff(on.node, session, wish)


def _again(on: Scene) -> None:
    """Enrol the same person once more, with a key that the operator has."""
    enrol(on.node, kept_nhs_number(1), "1980-02-29", key=SigningKey.generate())


def _again_as(on: Scene) -> None:
    """Enrol somebody else under the pseudonym, with a key that the operator has."""
    enrol(on.node, kept_nhs_number(2), "1980-02-29", key=SigningKey.generate(), pseudonym=on.mine.pseudonym)


LEDGER = Refusal.LEDGER_REJECTED
POWERS = {
    "vouch for a seed of its own": (_own_recovery, LEDGER, SIGNATURE_MISSING),
    "choose guardians of its own": (_own_guardians, LEDGER, SIGNATURE_MISSING),
    "end a recovery that waits": (_own_end, LEDGER, SIGNATURE_MISSING),
    "sign with another member": (_both_members, LEDGER, SIGNATURE_MISSING),
    "open a session as the patient": (_own_session, Refusal.SESSION_UNFIT, None),
    "use the key that it holds": (
        lambda on: custodian_held_key(on.node, on.mine.pseudonym),
        Refusal.CHOICE_UNFIT,
        None,
    ),
    "take the relationship over": (
        lambda on: take_over(on.node, on.mine.pseudonym, SigningKey.generate()),
        Refusal.CHOICE_UNFIT,
        None,
    ),
    "enrol the person again": (_again, Refusal.ALREADY_ENROLLED, None),
    "enrol another under the pseudonym": (_again_as, LEDGER, Rejection.PSEUDONYM_KNOWN),
}


@pytest.mark.parametrize("power", POWERS)
def test_no_operator_does_it_with_any_power_that_it_has(on: Scene, power: str) -> None:
    act, refusal, number = POWERS[power]
    with pytest.raises(Refused) as error:
        act(on)  # type: ignore[operator]
    assert (error.value.refusal, error.value.number if number is not None else None) == (refusal, number)
    assert on.reads(on.wallet, on.mine) == [RECORD]


def test_nothing_at_rest_has_a_seed_or_a_key_of_the_patients(on: Scene) -> None:
    """All that an operator finds on its disks: folders, database, journals, and the rows of the ledger."""
    own = [on.wallet.seed, on.first.seed, on.second.seed, signing_key(on.wallet, on.mine).seed]
    own += [guardians.recovery_key(each.seed, on.mine.pseudonym).seed for each in (on.first, on.second)]
    found = [each.read_bytes() for each in sorted(on.made.folder.rglob("*")) if each.is_file()]
    assert any(on.mine.pseudonym in each for each in found), "they are the files in which everything is"
    for each in found:
        assert not any(secret in each for secret in own)


def test_the_custodian_vouches_for_nothing_else(on: Scene) -> None:
    wallet, mine = on.new_device()
    half = on.half(wallet, mine, on.second.seed)
    for body, signatures, residual in (
        (half.body, half.signatures, reason("other words", secrets.token_bytes(32))),
        (half.body, half.signatures[::-1], half.residual),
        (half.body, half.signatures[:1], half.residual),
    ):
        with pytest.raises(Refused) as error:
            vouch(on.node, body, signatures, residual)
        assert error.value.refusal is Refusal.CHOICE_UNFIT
    stranger = replace(on, mine=msgspec.structs.replace(on.mine, custodian=PRACTICE))
    own = PublicKey(on.made.practice.keys.signing(KeyUse.TRANSACTION).public)
    made = guardians.half_start(wallet, stranger.mine, on.second.seed, custodian=own, checked="seen", time_s=on.now_s)
    with pytest.raises(Refused, match="kept here"):
        vouch(on.made.practice, made.body, made.signatures, made.residual)


def test_shares_below_the_threshold_and_of_two_circles_are_nothing(on: Scene) -> None:
    assert guardians.combine(on.first.words[:2]) == on.first.seed
    assert guardians.combine(on.second.words[1:4]) == on.second.seed
    for words in (on.first.words[:1], on.second.words[:2], (on.first.words[0], on.second.words[0]), ("a b c",), ()):
        with pytest.raises(WalletRefuses):
            guardians.combine(words)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Circle(1, 3), None),
        (Circle(3, 2), None),
        (Circle(2, 17), None),
        (Circle(2, 3), Circle(2, 5)),
        (Circle(2, 3), Circle(6, 5)),
    ],
)
def test_circles_that_nobody_chooses(first: Circle, second: Circle | None) -> None:
    with pytest.raises(WalletRefuses):
        guardians.choose(first, second)


def test_nothing_prints_a_seed_or_a_share(on: Scene) -> None:
    text = repr(on.first)
    assert on.first.words[0] not in text
    assert on.first.seed.hex() not in text


def test_a_wallet_says_nothing_of_its_recovery_keys(on: Scene) -> None:
    """Whoever has the device has the wallet's seed: no recovery key may follow from it."""
    derived = guardians.recovery_key(on.wallet.seed, on.mine.pseudonym).public
    with on.node.engine.snapshot() as reader:
        assert derived not in patients.recovery_keys(reader, on.mine.pseudonym)
