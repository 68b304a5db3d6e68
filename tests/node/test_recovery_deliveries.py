"""What was signed about recovery for two custodians: what one takes stays, and who did not is named (U3)."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from salus.contracts.patients import ChangeRecoveryKey, StartRecovery
from salus.contracts.residuals import reason
from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.identifiers import Digest, OrganisationId, Pseudonym, PublicKey
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, Ask, Peers
from salus.node.sealed_rows import SealedRows
from salus.node.services import deliver, recoveries, recovery_deliveries
from salus.node.services.accounts import AccountId
from salus.node.services.enrol import enrol
from salus.node.services.recovery_deliveries import Delivered, WhyNot
from salus.node.services.signer_answers import NewBlob, Signed
from salus.node.services.signer_devices import SignerDevices
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, PRACTICE, World, world

pytestmark = pytest.mark.promise("U3")
ACCOUNT = AccountId(bytes(16))
OLD_BLOB, NEW_BLOB = bytes(99), bytes([1]) * 99
CUSTODIANS = (HOSPITAL, PRACTICE)


class Away:
    """A network on which nobody answers."""

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        raise NotNow(f"{organisation} does not answer {type(ask).__name__}")

    def stream(self, organisation: OrganisationId, ask: object) -> Iterator[bytes]:
        raise NotNow(f"{organisation} does not answer {type(ask).__name__}")


@dataclass
class Two:
    """Ann at two custodians, with keys and guardians of her own at each, and a new device at the hospital's portal."""

    made: World
    masters: dict[OrganisationId, SigningKey]
    pseudonyms: dict[OrganisationId, Pseudonym]

    def __post_init__(self) -> None:
        self.devices = SignerDevices(self.made.hospital, SealedRows(self.made.hospital.vault, CHAIN))
        self.device = self.devices.begin(ACCOUNT, self.pseudonyms[HOSPITAL]).id
        made = NewBlob(self.device, b"passkey", OLD_BLOB)
        self.devices.add(ACCOUNT, self.pseudonyms[HOSPITAL], made, name="My new phone", keys=())

    def start(self, custodian: OrganisationId, *, is_wrong: bool = False) -> tuple[str, Signed]:
        """A recovery by a new key of the device's; by words of other people if it is wrong."""
        why, new = reason("the device was lost", secrets.token_bytes(32)), SigningKey.generate()
        master = SigningKey.generate() if is_wrong else self.masters[custodian]
        message = StartRecovery(self.pseudonyms[custodian], PublicKey(new.public), why.root())
        return custodian, Signed(message, self.raw(message, master, new), why)

    def raw(self, message: ChangeRecoveryKey | StartRecovery, *keys: SigningKey) -> bytes:
        until_s, nonce = self.made.hospital.clock() + 300, secrets.token_bytes(16)
        return transactions.sign([message], chain=CHAIN, keys=keys, expires_at_s=until_s, nonce=nonce)

    def begin(self, peers: Peers, *signed: tuple[str, Signed]) -> Delivered:
        new = NewBlob(self.device, b"passkey", NEW_BLOB, sha256(self.kept()[0]))
        return recovery_deliveries.begin(self.made.hospital, peers, self.devices, ACCOUNT, signed, new)

    def started(self) -> list[bool]:
        found = [recoveries.standing(self.made.hospital, each) for each in self.pseudonyms.values()]
        return [bool(each.started) for each in found]

    def kept(self) -> tuple[bytes, list[str]]:
        """The wallet that is kept of the device, and for which custodians it has keys."""
        device = self.devices.find(ACCOUNT, self.device)
        return device.blob, [each.custodian for each in device.keys]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with world(tmp_path) as made:
        masters = {each: SigningKey.generate() for each in CUSTODIANS}
        pseudonyms = {each: Pseudonym(secrets.token_bytes(16)) for each in CUSTODIANS}
        ann = Two(made, masters, pseudonyms)
        for custodian, pseudonym in pseudonyms.items():
            node, own, why = made.nodes[custodian], SigningKey.generate(), reason("chosen", bytes(32))
            enrol(node, kept_nhs_number(1), "1980-02-29", key=own, pseudonym=pseudonym)
            key = PublicKey(masters[custodian].public)
            deliver.take(node, ann.raw(ChangeRecoveryKey(pseudonym, key, Digest(b""), why.root()), own), why)
        yield ann


def test_each_takes_its_own(two: Two) -> None:
    done = two.begin(two.made.peers(HOSPITAL), *map(two.start, CUSTODIANS))
    assert done == Delivered((HOSPITAL, PRACTICE))
    assert (two.started(), two.kept()) == ([True, True], (NEW_BLOB, [HOSPITAL, PRACTICE]))


def test_what_one_takes_stays_where_the_other_is_away_or_says_no(two: Two) -> None:
    here, there = map(two.start, CUSTODIANS)
    assert two.begin(Away(), here, there) == Delivered((HOSPITAL,), away=(PRACTICE,))
    assert (two.started(), two.kept()[0]) == ([True, False], NEW_BLOB)
    again = two.begin(two.made.peers(HOSPITAL), two.start(HOSPITAL), two.start(PRACTICE, is_wrong=True))
    assert again == Delivered((HOSPITAL,), refused=(PRACTICE,))
    assert two.started() == [True, False]


def test_where_all_say_no_the_wallet_is_as_it_was(two: Two) -> None:
    wrong = [two.start(each, is_wrong=True) for each in CUSTODIANS]
    with pytest.raises(Refused) as refused:
        two.begin(two.made.peers(HOSPITAL), *wrong)
    assert refused.value.refusal is Refusal.LEDGER_REJECTED
    assert (two.started(), two.kept()) == ([False, False], (OLD_BLOB, []))


def test_words_that_are_nobodys_put_no_wallet_in_a_devices_place(two: Two) -> None:
    """Whoever signed in without a device could name one, answer with anything, and wait for a custodian to be away."""
    with pytest.raises(Refused) as refused:
        two.begin(Away(), two.start(PRACTICE, is_wrong=True))
    assert recovery_deliveries.why_not(refused.value) is WhyNot.WORDS
    assert (two.kept(), two.devices.find(ACCOUNT, two.device).before) == ((OLD_BLOB, []), b"")


def test_where_none_takes_it_and_one_is_away_both_wallets_stay(two: Two) -> None:
    """It may have come there, and nobody has heard of it."""
    with pytest.raises(NotNow):
        two.begin(Away(), two.start(HOSPITAL, is_wrong=True), two.start(PRACTICE))
    device = two.devices.find(ACCOUNT, two.device)
    assert (two.started(), device.blob, device.before) == ([False, False], NEW_BLOB, OLD_BLOB)
