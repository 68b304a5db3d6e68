"""What operators have at rest, all of it together, replaces no key: disks, key tables, portal, desk, consensus (U3)."""

import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from salus.contracts import CONTRACTS, patients
from salus.contracts.genesis import genesis_rows
from salus.contracts.membership import KeyUse
from salus.contracts.patients import (
    TIME_LOCK_S,
    ChangeRecoveryKey,
    FinishRecovery,
    Holder,
    RotatePseudonymKey,
    StartRecovery,
)
from salus.contracts.patients.state import RECOVERIES, RELATIONSHIPS, Recovery, Started
from salus.crypto.derive import hkdf
from salus.crypto.hashing import tag_prefix
from salus.crypto.signing import SigningKey
from salus.engines.base import Founding
from salus.engines.embedded import EmbeddedEngine
from salus.engines.fsck import fsck
from salus.engines.store import LmdbStore
from salus.ledger import transactions
from salus.ledger.contract import SIGNATURE_MISSING
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId, Pseudonym, PublicKey
from salus.ledger.state import STATE
from salus.ledger.transactions import PatientMessage
from salus.node.errors import Refusal, Refused
from salus.node.exchange import KeepShareAsk
from salus.node.people import NOBODY, open_session
from salus.node.sealed_rows import SealedRows
from salus.node.services import recovery_shares
from salus.node.services.accounts import AccountId
from salus.node.services.enrol import custodian_held_key, enrol
from salus.node.services.identify import check_patient_session
from salus.node.services.signer_answers import NewBlob
from salus.node.services.signer_devices import Device, DeviceKey, SignerDevices
from salus.node.services.take_over import take_over
from salus.sdk import guardians, reading_secrets
from salus.sdk.wallet import WalletRefuses, signing_key
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, PRACTICE
from tests.attacks.test_recovery import DIGEST, OPERATOR_MESSAGES, RECORD, Scene, on, refused

__all__ = ["on"]
pytestmark = pytest.mark.promise("U3")
ACCOUNT, CREDENTIAL, PRF = AccountId(bytes(16)), b"passkey", secrets.token_bytes(32)
WRAP = tag_prefix("salus/signer/wrap/1")
OPERATORS = SigningKey.generate()


def founding(on: Scene) -> Founding:
    genesis = on.made.genesis
    return Founding(chain=CHAIN, contracts=CONTRACTS, time_s=genesis.time_s, rows=tuple(genesis_rows(genesis)))


def own_key(on: Scene) -> tuple[bytes, bytes]:
    """The relationship's row with the operator's key in the patient's place."""
    with on.node.engine.snapshot() as reader:
        row = patients.relationship_of(reader, on.mine.pseudonym)
    assert row is not None
    altered = msgspec.structs.replace(row, key=PublicKey(OPERATORS.public))
    return RELATIONSHIPS.key(Pseudonym(on.mine.pseudonym)), encode(altered)


def own_recovery(on: Scene) -> tuple[bytes, bytes]:
    """The row of a recovery that the operator began long ago."""
    public = PublicKey(OPERATORS.public)
    started = Started(public, public, is_second=True, ready_at_s=on.now_s - 1)
    begun = Recovery(b"", is_spent=False, started=(started,), change=())
    return RECOVERIES.key(Pseudonym(on.mine.pseudonym)), encode(begun)


@pytest.mark.parametrize("alter", [own_key, own_recovery])
def test_a_row_that_is_altered_on_the_ledgers_disk_is_named(
    on: Scene, tmp_path: Path, alter: Callable[[Scene], tuple[bytes, bytes]]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(on.made.folder / "ledger", copy)
    assert fsck(copy, founding(on)) == [], "as it was, it is whole"
    key, row = alter(on)
    store = LmdbStore(copy)
    store.write({STATE: {key: row}})
    store.close()
    assert key in {each.key for each in fsck(copy, founding(on))}


def test_who_has_the_consensus_key_goes_on_with_an_altered_ledger_alone(on: Scene, tmp_path: Path) -> None:
    """Its own blocks then say what it wants, are signed, and do not follow from those before: everybody sees that."""
    copy, pseudonym = tmp_path / "copy", Pseudonym(on.mine.pseudonym)
    shutil.copytree(on.made.folder / "ledger", copy)
    store = LmdbStore(copy)
    store.write({STATE: dict([own_key(on)])})
    store.close()
    new = SigningKey.generate()
    message = RotatePseudonymKey(pseudonym, PublicKey(new.public), Holder.PATIENT, DIGEST)
    raw = signed(on, message, OPERATORS, new)
    consensus = on.made.keys[HOSPITAL].signing(KeyUse.CONSENSUS)
    engine = EmbeddedEngine(copy, founding(on), consensus, clock=on.clock)
    assert engine.submit(raw).code == 0, "on its own disk it does as it likes"
    engine.close()
    (found,) = fsck(copy, founding(on))
    assert "executed again, give another app hash" in found.words
    refused(SIGNATURE_MISSING, on.submit, raw)
    assert on.reads(on.wallet, on.mine) == [RECORD]


def signed(on: Scene, message: PatientMessage, *keys: SigningKey) -> bytes:
    terms = {"chain": CHAIN, "expires_at_s": on.now_s + 60, "nonce": secrets.token_bytes(16)}
    return transactions.sign([message], keys=keys, **terms)


def test_a_key_that_the_custodian_kept_from_before_the_take_over_is_nothing(on: Scene) -> None:
    """As from a backup of its key table; Bob has chosen guardians since, and a recovery of his is ready."""
    bob = enrol(on.node, kept_nhs_number(7), "1950-01-01")
    old, mine, master, new = custodian_held_key(on.node, bob), *(SigningKey.generate() for _ in range(3))
    take_over(on.node, bob, mine)
    of_bob = replace(on, mine=msgspec.structs.replace(on.mine, pseudonym=bob))
    first, second = PublicKey(master.public), guardians.NO_KEY
    on.submit(signed(on, ChangeRecoveryKey(bob, first, second, DIGEST), mine))
    on.submit(signed(on, StartRecovery(bob, PublicKey(new.public), DIGEST), master, new))
    on.later(TIME_LOCK_S)
    organisation, other = on.node.keys.signing(KeyUse.TRANSACTION), SigningKey.generate()
    for make in OPERATOR_MESSAGES:
        message = make(of_bob, PublicKey(other.public))
        for keys in ([old], [old, other], [organisation, old], [organisation, old, other]):
            refused(SIGNATURE_MISSING, on.submit, signed(on, message, *keys))
    on.submit(signed(on, FinishRecovery(bob, DIGEST), master))


def wrapped(on: Scene, device: bytes, share: bytes, prf: bytes) -> bytes:
    """A device's blob as the signer page writes it (docs/spec/signer.md)."""
    head, nonce = b"\x01" + secrets.token_bytes(32), secrets.token_bytes(12)
    key = hkdf(prf + share, salt=head[1:], info=WRAP, length=32)
    return head + nonce + AESGCM(key).encrypt(nonce, encode(on.wallet), WRAP + ACCOUNT + device + head)


def opened(blob: bytes, device: bytes, share: bytes, prf: bytes) -> bytes | None:
    """What is in a blob; None for another secret than the passkey's."""
    head, nonce, sealed = blob[:33], blob[33:45], blob[45:]
    key = hkdf(prf + share, salt=head[1:], info=WRAP, length=32)
    try:
        return AESGCM(key).decrypt(nonce, sealed, WRAP + ACCOUNT + device + head)
    except InvalidTag:
        return None


@pytest.fixture
def portal(on: Scene) -> tuple[SignerDevices, Device]:
    """What the hospital's portal keeps of Ann's phone."""
    devices = SignerDevices(on.node, SealedRows(on.node.vault, on.node.chain))
    begun = devices.begin(ACCOUNT, on.mine.pseudonym)
    key = DeviceKey(HOSPITAL, on.mine.pseudonym, signing_key(on.wallet, on.mine).public)
    blob = NewBlob(begun.id, CREDENTIAL, wrapped(on, begun.id, begun.share, PRF))
    devices.add(ACCOUNT, on.mine.pseudonym, blob, name="My phone", keys=(key,))
    return devices, devices.find(ACCOUNT, begun.id)


def held(on: Scene) -> list[bytes]:
    """Every secret of 32 bytes that operators of both members have: keys, and what they could guess from."""
    uses = (KeyUse.TRANSACTION, KeyUse.HTTP, KeyUse.RECEIPT, KeyUse.CONSENSUS)
    keys = [on.made.keys[each].signing(use).seed for each in (HOSPITAL, PRACTICE) for use in uses]
    roots = [each.read_bytes()[-32:] for each in on.made.folder.rglob("epoch.root")]
    assert len(roots) >= 2, "the roots of the key tables are among the files"
    return [*keys, *roots, bytes(32), sha256(CREDENTIAL).digest(), sha256(on.mine.pseudonym).digest()]


def test_blob_and_share_together_open_nothing_without_the_passkey(
    on: Scene, portal: tuple[SignerDevices, Device]
) -> None:
    devices, device = portal
    (kept,) = devices.kept(ACCOUNT, (device.id,))
    assert opened(kept.blob, kept.id, kept.share, PRF) == encode(on.wallet), "this is how it opens"
    for secret in (*held(on), kept.share, kept.blob[1:33]):
        assert opened(kept.blob, kept.id, kept.share, secret) is None
    assert opened(kept.blob, kept.id, bytes(32), PRF) is None, "nor the passkey without the share"


def test_a_device_that_an_operator_writes_into_the_portals_rows_does_not_act(
    on: Scene, portal: tuple[SignerDevices, Device]
) -> None:
    devices, device = portal
    assert devices.standing(device, Pseudonym(on.mine.pseudonym)).is_first, "before it was altered"
    own = DeviceKey(HOSPITAL, on.mine.pseudonym, OPERATORS.public)
    devices.change(ACCOUNT, device.id, lambda now: msgspec.structs.replace(now, blob=bytes(99), keys=(own,)))
    pseudonym = Pseudonym(on.mine.pseudonym)
    assert not devices.standing(devices.find(ACCOUNT, device.id), pseudonym).acts
    assert devices.acting(ACCOUNT, pseudonym) == []
    session = open_session(OPERATORS, NOBODY, custodian=HOSPITAL, from_s=on.now_s)
    with on.node.engine.snapshot() as reader, pytest.raises(Refused) as error:
        check_patient_session(reader, pseudonym, session.certified, custodian=HOSPITAL, time_s=on.now_s)
    assert error.value.refusal is Refusal.SESSION_UNFIT


def test_both_members_with_all_that_they_hold_open_no_reading_secret(on: Scene) -> None:
    """Their shares are in the clear for them; guardians' part is not, and follows from nothing that they have."""
    members = (HOSPITAL, PRACTICE)
    seeds = (on.first.seed, on.second.seed)
    for each in reading_secrets.protect(on.wallet, on.mine, seeds, members, time_s=on.now_s):
        recovery_shares.keep(on.made.nodes[each.kept.member], KeepShareAsk(each.kept, each.signature))
    one, other = (recovery_shares._kept(on.made.nodes[each], Pseudonym(on.mine.pseudonym)) for each in members)
    assert reading_secrets.recover(on.mine, on.first.seed, (one, other)), "this is how it opens"
    for secret in (*held(on), one.share, other.share):
        with pytest.raises(WalletRefuses):
            reading_secrets.recover(on.mine, secret, (one, other))


@pytest.mark.parametrize("organisation", [HOSPITAL, PRACTICE])
def test_nobody_recovers_with_a_seed_that_is_among_an_operators_secrets(
    on: Scene, organisation: OrganisationId
) -> None:
    """Begun, changed, undone and finished by each of them as if it were guardians' seed."""
    assert organisation in on.made.nodes
    wallet, mine = on.new_device()
    for secret in held(on):
        for raw in (
            guardians.sign_start(wallet, mine, secret, time_s=on.now_s),
            guardians.sign_change(mine, secret, secrets.token_bytes(32), None, time_s=on.now_s),
            guardians.sign_undo(mine, secret, time_s=on.now_s),
        ):
            with pytest.raises(Refused) as error:
                on.made.nodes[organisation].submit_raw(raw)
            assert (error.value.refusal, error.value.number) == (Refusal.LEDGER_REJECTED, SIGNATURE_MISSING)
    on.submit(guardians.sign_start(wallet, mine, on.first.seed, time_s=on.now_s))
    on.later(TIME_LOCK_S)
    for secret in held(on):
        refused(SIGNATURE_MISSING, on.submit, guardians.sign_finish(mine, secret, time_s=on.now_s))
    assert on.reads(on.wallet, on.mine) == [RECORD]
