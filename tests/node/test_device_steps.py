"""A device that acts at two custodians: what one of them refuses or answers oddly keeps nothing from the other (U3)."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from salus.contracts.patients import AddKey, KeyKind, RemoveKey
from salus.contracts.residuals import reason
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.identifiers import OrganisationId, Pseudonym, PublicKey
from salus.ledger.outcomes import DENIED
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, Done, HistoryAnswer
from salus.node.sealed_rows import SealedRows
from salus.node.services import deliver, device_steps
from salus.node.services.accounts import AccountId
from salus.node.services.enrol import enrol
from salus.node.services.signer_answers import HalfSigned, KeyAccepted, NewBlob, Signed
from salus.node.services.signer_devices import DeviceKey, SignerDevices
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, PRACTICE, World, world
from tests.node.test_take_over_codes import Says

pytestmark = pytest.mark.promise("U3")
ACCOUNT = AccountId(bytes(16))
WAIT_S = 5
CUSTODIANS = (PRACTICE, HOSPITAL)
"""The one that says no comes first."""


REFUSES = Says(Refused(Refusal.CHOICE_UNFIT, "an older release takes choices alone"))
AWAY = Says(NotNow("away"))
ODD = Says(HistoryAnswer(b""))
LIES = Says(Done(0))


@dataclass
class Two:
    """Ann at two custodians, with a first device and a phone; her portal is the hospital's."""

    made: World
    own: dict[OrganisationId, SigningKey] = field(default_factory=dict, repr=False)
    phone: dict[OrganisationId, SigningKey] = field(default_factory=dict, repr=False)
    pseudonyms: dict[OrganisationId, Pseudonym] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in CUSTODIANS:
            self.own[each], self.phone[each] = SigningKey.generate(), SigningKey.generate()
            pseudonym = Pseudonym(secrets.token_bytes(16))
            self.pseudonyms[each] = enrol(
                self.made.nodes[each], kept_nhs_number(1), "1980-02-29", key=self.own[each], pseudonym=pseudonym
            )
        self.devices = SignerDevices(self.made.hospital, SealedRows(self.made.hospital.vault, CHAIN))
        keys = tuple(DeviceKey(each, self.pseudonyms[each], self.phone[each].public) for each in CUSTODIANS)
        self.device = self.devices.begin(ACCOUNT, self.pseudonyms[HOSPITAL]).id
        blob = NewBlob(self.device, b"passkey", bytes(99))
        self.devices.add(ACCOUNT, self.pseudonyms[HOSPITAL], blob, name="My phone", keys=keys)

    def half(self, custodian: OrganisationId) -> HalfSigned:
        """What the first device signs to let the phone act."""
        why, key = reason("let act by the patient", secrets.token_bytes(32)), PublicKey(self.phone[custodian].public)
        message = AddKey(self.pseudonyms[custodian], key, KeyKind.DEVICE, 0, why.root())
        signers = (PublicKey(self.own[custodian].public), key)
        body = transactions.unsigned(
            [message],
            chain=CHAIN,
            signers=signers,
            expires_at_s=self.made.hospital.clock() + 300,
            nonce=secrets.token_bytes(16),
        )
        return HalfSigned(message, body, signers, transactions.sign_body(body, self.own[custodian]), why)

    def accepted(self) -> list[KeyAccepted]:
        """What the phone answers to the first device's offers."""
        halves = [self.half(each) for each in CUSTODIANS]
        device_steps.offer(self.made.hospital, self.devices, ACCOUNT, self.device, halves, CUSTODIANS)
        pairs = zip(CUSTODIANS, halves, strict=True)
        return [KeyAccepted(each.body, transactions.sign_body(each.body, self.phone[of])) for of, each in pairs]

    def removals(self) -> list[Signed]:
        """What the first device signs when the phone was lost."""
        until_s, signed = self.made.hospital.clock() + 300, []
        for each in CUSTODIANS:
            why = reason("removed by the patient", secrets.token_bytes(32))
            message = RemoveKey(self.pseudonyms[each], PublicKey(self.phone[each].public), why.root())
            keys, nonce = [self.own[each]], secrets.token_bytes(16)
            raw = transactions.sign([message], chain=CHAIN, keys=keys, expires_at_s=until_s, nonce=nonce)
            signed.append(Signed(message, raw, why))
        return signed

    def acts(self) -> list[OrganisationId]:
        """Where the phone acts."""
        device = self.devices.find(ACCOUNT, self.device)
        return [each for each in CUSTODIANS if self.devices.standing(device, self.pseudonyms[each]).acts]

    def accept(self, peers: Says, accepted: list[KeyAccepted]) -> tuple[str, ...]:
        return device_steps.accept(self.made.hospital, peers, self.devices, ACCOUNT, self.device, accepted)

    def stop(self, peers: Says) -> tuple[str, ...]:
        signed = self.removals()
        return device_steps.stop(self.made.hospital, peers, self.devices, ACCOUNT, self.device, signed)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with world(tmp_path) as made:
        yield Two(made)


def let_act(two: Two) -> None:
    """At both, as if each had answered."""
    for each in CUSTODIANS:
        half = two.half(each)
        other = KeyAccepted(half.body, transactions.sign_body(half.body, two.phone[each]))
        deliver.take(two.made.nodes[each], device_steps.join(half, other), half.residual)
    assert two.acts() == list(CUSTODIANS)


def test_a_device_acts_where_it_is_taken_though_another_custodian_says_no(two: Two) -> None:
    accepted = two.accepted()
    with pytest.raises(Refused, match="an older release"):
        two.accept(REFUSES, accepted)
    assert two.acts() == [HOSPITAL]
    left = [each.custodian for each in two.devices.find(ACCOUNT, two.device).offers]
    assert left == [PRACTICE]


@pytest.mark.parametrize("peers", [REFUSES, AWAY, ODD], ids=["refuses", "is away", "says something else"])
def test_a_lost_device_stops_where_it_is_taken_whatever_another_custodian_does(two: Two, peers: Says) -> None:
    let_act(two)
    assert two.stop(peers) == (PRACTICE,)
    assert two.acts() == [PRACTICE]
    assert two.devices.find(ACCOUNT, two.device).is_leaving


class Hangs:
    """A custodian that answers once the phone has ceased to act at the other one."""

    def __init__(self, two: Two) -> None:
        self._two = two

    def ask(self, *_: object) -> Answer:
        until_s = time.monotonic() + WAIT_S
        while HOSPITAL in self._two.acts():
            assert time.monotonic() < until_s, "the other one waits for this one"
            time.sleep(0.01)
        raise NotNow("away")

    def stream(self, *_: object) -> Iterator[bytes]:
        raise AssertionError("no stream is asked for")


def test_a_lost_device_stops_at_once_where_it_can_though_another_custodian_hangs(two: Two) -> None:
    let_act(two)
    assert device_steps.stop(two.made.hospital, Hangs(two), two.devices, ACCOUNT, two.device, two.removals()) == (
        PRACTICE,
    )
    assert two.acts() == [PRACTICE]


def test_a_removal_that_nobody_takes_is_said_as_it_is(two: Two) -> None:
    let_act(two)
    device_steps.stop(two.made.hospital, AWAY, two.devices, ACCOUNT, two.device, two.removals()[1:])
    with pytest.raises(Refused, match="an older release"):
        device_steps.stop(two.made.hospital, REFUSES, two.devices, ACCOUNT, two.device, two.removals()[:1])
    assert two.acts() == [PRACTICE]


def test_a_custodian_that_says_done_and_did_nothing_is_found_out(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a device that was lost is forgotten here, and acts there."""
    monkeypatch.setattr(deliver, "SEEN_S", 0.1)
    let_act(two)
    assert two.stop(LIES) == (PRACTICE,)
    assert two.acts() == [PRACTICE]
    with pytest.raises(NotNow, match="the ledger here does not have"):
        deliver.deliver(
            two.made.hospital, LIES, *((each := two.removals()[0]).message.pseudonym, each.raw, each.residual)
        )


def test_a_custodian_that_says_done_of_what_the_ledger_refused_is_found_out(two: Two) -> None:
    """Before the phone acts there is nothing to remove: the ledger has the transaction, and its no."""
    (signed, _) = two.removals()
    assert two.made.practice.ask_ledger(signed.raw).code > DENIED
    with pytest.raises(Refused) as refused:
        deliver.deliver(two.made.hospital, LIES, signed.message.pseudonym, signed.raw, signed.residual)
    assert refused.value.refusal is Refusal.LEDGER_REJECTED


def test_an_odd_answer_is_not_now(two: Two) -> None:
    """It may have been taken: what a device signed is sent again, and a wallet stays."""
    (signed, _) = two.removals()
    with pytest.raises(NotNow, match="something else"):
        deliver.deliver(two.made.hospital, ODD, signed.message.pseudonym, signed.raw, signed.residual)
