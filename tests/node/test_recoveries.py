"""Recovery as the portal has it: how things stand at each moment, what is kept with it, and whose it is (U3)."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from salus.contracts import patients
from salus.contracts.patients import (
    TIME_LOCK_S,
    CancelRecovery,
    ChangeRecoveryKey,
    CloseRelationship,
    FinishRecovery,
    StartRecovery,
)
from salus.contracts.residuals import reason
from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.transactions import PatientMessage
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.exchange import Peers
from salus.node.sealed_rows import SealedRows
from salus.node.services import deliver, recoveries, recovery_deliveries
from salus.node.services.accounts import AccountId
from salus.node.services.enrol import enrol
from salus.node.services.recoveries import Standing, StandingAt
from salus.node.services.recovery_deliveries import Delivered
from salus.node.services.signer_answers import NewBlob, Signed
from salus.node.services.signer_devices import SignerDevices
from salus.testing.clock import FakeClock
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, world

pytestmark = pytest.mark.promise("U3")
ACCOUNT, STRANGER = AccountId(bytes(16)), AccountId(bytes([1]) * 16)
OWN, NEW, MASTER, SECOND = (SigningKey.from_seed(bytes([number]) * 32) for number in (1, 2, 3, 4))
CREDENTIAL, OLD_BLOB, NEW_BLOB = b"passkey", bytes(99), bytes([1]) * 99


@dataclass
class Home:
    """Ann holds the key of her relationship, and has another device ready."""

    node: Node
    peers: Peers
    clock: FakeClock
    ann: Pseudonym

    def __post_init__(self) -> None:
        self.devices = SignerDevices(self.node, SealedRows(self.node.vault, self.node.chain))
        self.device = self.devices.begin(ACCOUNT, self.ann).id
        made = NewBlob(self.device, CREDENTIAL, OLD_BLOB)
        self.devices.add(ACCOUNT, self.ann, made, name="My new phone", keys=())

    def signed(self, make: object, *keys: SigningKey, words: str = "why", of: Pseudonym | None = None) -> Signed:
        why = reason(words, secrets.token_bytes(32))
        message: PatientMessage = make(of or self.ann, why.root())  # type: ignore[operator]
        until_s, nonce = self.node.clock() + 300, secrets.token_bytes(16)
        raw = transactions.sign([message], chain=CHAIN, keys=keys, expires_at_s=until_s, nonce=nonce)
        return Signed(message, raw, why)

    def choose(self, *, has_second: bool = False) -> None:
        second = Digest(SECOND.public) if has_second else Digest(b"")
        take(self.node, self.signed(lambda of, why: ChangeRecoveryKey(of, PublicKey(MASTER.public), second, why), OWN))

    def start(self, *keys: SigningKey, account: AccountId = ACCOUNT) -> Delivered:
        signed = self.signed(lambda of, why: StartRecovery(of, PublicKey(NEW.public), why), *(keys or (MASTER, NEW)))
        new = NewBlob(self.device, CREDENTIAL, NEW_BLOB, sha256(self.blob()))
        return recovery_deliveries.begin(self.node, self.peers, self.devices, account, [(HOSPITAL, signed)], new)

    def finish(self) -> None:
        take(self.node, self.signed(FinishRecovery, MASTER))

    def blob(self) -> bytes:
        return self.devices.find(ACCOUNT, self.device).blob

    def standing(self) -> Standing:
        return recoveries.standing(self.node, self.ann)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    clock = FakeClock(int(time.time()))
    with world(tmp_path, organisations=(HOSPITAL,), clock=clock) as made:
        node = made.open_node(HOSPITAL, clock=lambda: clock.wall_ns() // 10**9)
        pseudonym = secrets.token_bytes(16)
        ann = enrol(node, kept_nhs_number(1), "1980-02-29", key=OWN, pseudonym=pseudonym)
        yield Home(node, made.peers(HOSPITAL), clock, ann)


def take(node: Node, signed: Signed) -> None:
    deliver.take(node, signed.raw, signed.residual)


def refusal_of(act: object, *arguments: object, **named: object) -> tuple[Refusal, int]:
    with pytest.raises(Refused) as refused:
        act(*arguments, **named)  # type: ignore[operator]
    return refused.value.refusal, refused.value.number


def test_how_things_stand_from_guardians_to_the_new_device(home: Home) -> None:
    assert home.standing() == Standing(holds_key=True)
    home.choose()
    assert home.standing() == Standing(holds_key=True, first_key=MASTER.public)
    home.start()
    begun_s, now = home.node.clock(), home.standing()
    assert (now.started, now.is_final, now.is_ready) == (NEW.public, False, False)
    assert begun_s <= now.ready_at_s - TIME_LOCK_S <= begun_s + 2
    assert refusal_of(home.finish) == (Refusal.LEDGER_REJECTED, patients.Rejection.RECOVERY_EARLY)
    home.clock.advance(TIME_LOCK_S + 2)
    assert home.standing().is_ready
    home.finish()
    assert home.standing() == Standing(holds_key=True, first_key=MASTER.public)
    device = home.devices.find(ACCOUNT, home.device)
    assert home.devices.standing(device, home.ann).is_first
    assert [each.id for each in home.devices.acting(ACCOUNT, home.ann)] == [home.device]


def test_one_that_was_cancelled_leaves_the_second_circle(home: Home) -> None:
    home.choose(has_second=True)
    home.start()
    take(home.node, home.signed(CancelRecovery, OWN))
    stands = Standing(holds_key=True, first_key=MASTER.public, second_key=SECOND.public, is_spent=True)
    assert home.standing() == stands
    assert refusal_of(home.start) == (Refusal.LEDGER_REJECTED, patients.Rejection.RECOVERY_SPENT)


def test_the_new_wallet_is_kept_with_the_start_and_not_without(home: Home) -> None:
    home.choose()
    assert refusal_of(home.start, SECOND, NEW) == (Refusal.LEDGER_REJECTED, 11)  # SignatureMissing
    assert home.blob() == OLD_BLOB
    assert refusal_of(home.start, account=STRANGER)[0] is Refusal.NOT_YOURS
    assert not home.standing().started
    home.start()
    device = home.devices.find(ACCOUNT, home.device)
    assert (device.blob, device.before) == (NEW_BLOB, b"")
    assert [each.key for each in device.keys] == [NEW.public]


def test_why_is_kept_for_what_the_ledger_took_and_for_nothing_else(home: Home) -> None:
    for is_taken, master in ((False, SECOND), (True, MASTER)):
        if is_taken:
            home.choose()
        signed = home.signed(lambda of, why: StartRecovery(of, PublicKey(NEW.public), why), master, NEW)
        if is_taken:
            take(home.node, signed)
        else:
            assert refusal_of(take, home.node, signed)[0] is Refusal.LEDGER_REJECTED
        kept = documents.find(home.node.vault, Kind.REASON, signed.residual.root())
        assert (kept is not None) is is_taken


def test_what_is_of_somebody_elsewhere_or_something_else_is_not_taken(home: Home) -> None:
    elsewhere = home.signed(FinishRecovery, MASTER, of=Pseudonym(secrets.token_bytes(16)))
    of_ann = home.signed(FinishRecovery, MASTER)
    other_words = Signed(of_ann.message, of_ann.raw, reason("other", bytes(32)))
    for signed in (elsewhere, other_words):
        assert refusal_of(take, home.node, signed)[0] is Refusal.CHOICE_UNFIT


def test_in_assisted_mode_there_are_no_guardians(home: Home) -> None:
    other = enrol(home.node, kept_nhs_number(2), "1980-01-01")
    assert recoveries.standing(home.node, other) == recoveries.NONE
    assert recoveries.standing(home.node, Pseudonym(secrets.token_bytes(16))) == recoveries.NONE


def test_the_second_time_takes_one_guardian_more_if_there_is_one(home: Home) -> None:
    names = ("Tom", "Ida", "Dr Rao")
    here = [StandingAt(HOSPITAL, home.ann, home.standing())]
    asked = [each for count in (2, 3) for each in recoveries.to_choose(here, names, threshold=count)]
    assert [(each.threshold, each.second, each.guardians) for each in asked] == [(2, 3, names), (3, 0, names)]


def test_where_a_relationship_is_closed_nothing_stands(home: Home) -> None:
    home.choose()
    home.node.submit_raw(home.signed(CloseRelationship, OWN).raw)
    assert home.standing() == recoveries.NONE
