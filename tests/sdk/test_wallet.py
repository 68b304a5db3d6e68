"""The wallet: keys by branches, nothing shared between relationships, one of them in a transaction, sealed files."""

import json
import stat
from itertools import combinations
from pathlib import Path

import msgspec
import pytest

from salus.contracts import CONTRACTS
from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.provisions import Provision, ProvisionType, gate
from salus.contracts.residuals import choice_tree, reason_words
from salus.contracts.ticket_bearers import Resources, read_bearer
from salus.ledger import transactions
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest, OrganisationId, PublicKey
from salus.ledger.machine import message_decoder
from salus.sdk import wallet
from salus.sdk.choice_presets import share
from salus.sdk.wallet import Relationship, Wallet, WalletRefuses
from salus.sdk.wallet_files import (
    SecretKind,
    WalletFileUnfit,
    WalletSecret,
    create_wallet,
    make_key_file,
    read_wallet,
    replace_wallet,
)

CHAIN = "salus-test"
NOW_S = 1_800_000_000
HOSPITAL, PRACTICE = OrganisationId("RZ1"), OrganisationId("Z99001")
MESSAGES = message_decoder(CONTRACTS)


def both() -> tuple[Wallet, Relationship, Relationship]:
    """A wallet with two relationships."""
    made = wallet.new_wallet()
    for custodian in (HOSPITAL, PRACTICE):
        made = wallet.begin(made, chain=CHAIN, custodian=custodian)
    one, two = (wallet.relationship(made, chain=CHAIN, custodian=each) for each in (HOSPITAL, PRACTICE))
    return made, one, two


@pytest.mark.promise("P7")
def test_two_relationships_share_nothing() -> None:
    made, one, two = both()
    sets = []
    for each in (one, two):
        signed = wallet.sign_choice(made, each, share([PRACTICE]), time_s=NOW_S)
        own = {each.pseudonym, wallet.signing_key(made, each).public, wallet.reading_key(made, each).public}
        own |= {signed.message.choice, signed.message.commitment, signed.residual.secret, signed.residual.root()}
        sets.append(own)
    for left, right in combinations(sets, 2):
        assert not left & right


@pytest.mark.promise("P7")
def test_one_transaction_never_joins_two_relationships() -> None:
    made, one, two = both()
    own, foreign = (
        WithdrawConsent(pseudonym=each.pseudonym, choice=bytes(16), commitment=Digest(bytes(32)), evidence_on_day=0)
        for each in (one, two)
    )
    with pytest.raises(WalletRefuses, match="sign a transaction for each"):
        wallet.sign(made, one, own, foreign, time_s=NOW_S)


def test_keys_follow_from_the_seed_and_the_relationship() -> None:
    made, one, two = both()
    assert wallet.signing_key(made, one).public == wallet.signing_key(made, one).public
    other = msgspec.structs.replace(wallet.new_wallet(), relationships=made.relationships)
    publics = {
        wallet.signing_key(made, one).public,
        wallet.signing_key(made, two).public,
        wallet.signing_key(other, one).public,
        wallet.signing_key(made, msgspec.structs.replace(one, key_number=1)).public,
    }
    assert len(publics) == 4


def test_a_signed_choice_is_a_transaction_with_the_gate_of_its_rules() -> None:
    made, one, _ = both()
    tree = share([PRACTICE], except_labels=["PSY"])
    signed = wallet.sign_choice(made, one, tree, time_s=NOW_S)
    transaction = transactions.decode(signed.raw, chain=CHAIN, messages=MESSAGES)
    transactions.verify(transaction)
    (message,) = transaction.messages
    assert isinstance(message, FileConsent)
    assert message == signed.message
    assert transaction.body.signers == (PublicKey(wallet.signing_key(made, one).public),)
    assert (message.gate, message.commitment) == (gate(tree), signed.residual.root())
    assert choice_tree(signed.residual) == tree
    kept = wallet.keep_choice(made, one, signed, time_s=NOW_S)
    (choice,) = wallet.relationship(kept, chain=CHAIN, custodian=HOSPITAL).choices
    assert (choice.choice, choice.withdrawn_at_s) == (message.choice, 0)


TICKET = {"resources": (), "audience": "https://north.example", "uses_max": 2, "expires_at_s": NOW_S + 60}


def test_a_signed_ticket_has_the_one_condition_of_its_rules_and_the_key_of_its_bearer() -> None:
    made, one, _ = both()
    tree = share([PRACTICE], except_labels=["PSY"])
    signed = wallet.sign_ticket(made, one, tree, time_s=NOW_S, **TICKET | {"resources": (Resources("*", ("read",)),)})
    transaction = transactions.decode(signed.raw, chain=CHAIN, messages=MESSAGES)
    transactions.verify(transaction)
    assert transaction.messages == (signed.message,)
    bearer = read_bearer(signed.bearer)
    assert transaction.body.signers == (wallet.signing_key(made, one).public, bearer.key.public)
    assert (bearer.claims.exp, bearer.pseudonym) == (signed.message.expires_at_s, one.pseudonym)
    assert (signed.message.condition,) == gate(tree).may_permit
    assert choice_tree(signed.residual) == tree


def test_a_signed_revocation_is_of_one_ticket_and_says_why() -> None:
    made, one, _ = both()
    signed = wallet.sign_revocation(made, one, PublicKey(bytes(32)), time_s=NOW_S)
    transaction = transactions.decode(signed.raw, chain=CHAIN, messages=MESSAGES)
    transactions.verify(transaction)
    assert transaction.messages == (signed.message,)
    assert signed.residual.root() == signed.message.commitment
    assert reason_words(signed.residual) == "revoked by the patient"


def test_a_ticket_of_several_conditions_is_not_signed() -> None:
    made, one, _ = both()
    permits = (share([PRACTICE]), share([HOSPITAL]))
    with pytest.raises(WalletRefuses, match="one condition, came 2"):
        wallet.sign_ticket(made, one, Provision(ProvisionType.DENY, provisions=permits), time_s=NOW_S, **TICKET)


def test_a_withdrawal_is_of_a_choice_in_force_by_this_wallet() -> None:
    made, one, _ = both()
    with pytest.raises(WalletRefuses, match="expected a choice in force"):
        wallet.sign_withdrawal(made, one, bytes(16), time_s=NOW_S)
    signed = wallet.sign_choice(made, one, share([PRACTICE]), time_s=NOW_S)
    made = wallet.keep_choice(made, one, signed, time_s=NOW_S)
    one = wallet.relationship(made, chain=CHAIN, custodian=HOSPITAL)
    withdrawal = wallet.sign_withdrawal(made, one, signed.message.choice, time_s=NOW_S)
    assert withdrawal.message.commitment == withdrawal.residual.root()
    made = wallet.keep_withdrawal(made, one, signed.message.choice, time_s=NOW_S + 5)
    one = wallet.relationship(made, chain=CHAIN, custodian=HOSPITAL)
    assert one.choices[0].withdrawn_at_s == NOW_S + 5
    with pytest.raises(WalletRefuses):
        wallet.sign_withdrawal(made, one, signed.message.choice, time_s=NOW_S)


def test_a_custodian_has_one_relationship() -> None:
    made, _, _ = both()
    with pytest.raises(WalletRefuses, match="use it"):
        wallet.begin(made, chain=CHAIN, custodian=HOSPITAL)
    with pytest.raises(WalletRefuses, match="enrol there"):
        wallet.relationship(made, chain="another", custodian=HOSPITAL)


def test_a_session_is_certified_by_the_pseudonyms_key() -> None:
    made, one, _ = both()
    key, certified = wallet.open_session(made, one, time_s=NOW_S)
    certified.verify(PublicKey(wallet.signing_key(made, one).public))
    assert certified.session.session_key == key.public
    assert (certified.session.custodian, certified.session.until_s) == (HOSPITAL, NOW_S + 900)


@pytest.mark.promise("P4")
def test_no_secret_shows_in_a_repr() -> None:
    made, one, _ = both()
    shown = repr(made) + repr(WalletSecret.passphrase("correct horse")) + repr(wallet.signing_key(made, one))
    assert made.seed.hex() not in shown
    assert str(made.seed) not in shown
    assert "horse" not in shown


# Files


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Path, WalletSecret, Wallet]:
    """A wallet on disk under a key file."""
    made, _, _ = both()
    secret = make_key_file(tmp_path / "key")
    create_wallet(tmp_path / "wallet", made, secret)
    return tmp_path / "wallet", secret, made


def test_a_wallet_file_opens_again(sealed: tuple[Path, WalletSecret, Wallet], tmp_path: Path) -> None:
    path, secret, made = sealed
    assert read_wallet(path, secret) == made
    assert read_wallet(path, WalletSecret.key_file(tmp_path / "key")) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made.seed not in path.read_bytes()


def test_a_passphrase_opens_and_another_does_not(tmp_path: Path) -> None:
    made, _, _ = both()
    create_wallet(tmp_path / "wallet", made, WalletSecret.passphrase("correct horse"))
    assert read_wallet(tmp_path / "wallet", WalletSecret.passphrase("correct horse")) == made
    with pytest.raises(WalletFileUnfit, match="does not open"):
        read_wallet(tmp_path / "wallet", WalletSecret.passphrase("correct house"))


def test_each_changed_byte_is_refused(sealed: tuple[Path, WalletSecret, Wallet]) -> None:
    path, secret, _ = sealed
    data = path.read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(WalletFileUnfit):
            read_wallet(path, secret)
    path.write_bytes(data[:-1])
    with pytest.raises(WalletFileUnfit):
        read_wallet(path, secret)


def test_a_wallet_is_replaced_whole(sealed: tuple[Path, WalletSecret, Wallet]) -> None:
    path, secret, made = sealed
    changed = wallet.begin(made, chain="salus-other", custodian=HOSPITAL)
    replace_wallet(path, changed, secret)
    assert read_wallet(path, secret) == changed
    assert sorted(each.name for each in path.parent.iterdir()) == ["key", "wallet"]


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_file_of_another_size(size: int, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(size))
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(WalletFileUnfit, match="expected 32 bytes"):
        WalletSecret.key_file(tmp_path / "key")


def test_an_exposed_key_file(tmp_path: Path) -> None:
    make_key_file(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(WalletFileUnfit, match="chmod 600"):
        WalletSecret.key_file(tmp_path / "key")


# Golden vectors: files of this format open for ever

VECTORS = json.loads((Path(__file__).parent / "vectors" / "wallet.json").read_text(encoding="utf-8"))
FILES = {each["name"]: each for each in VECTORS["files"]}


def golden(name: str, place: Path, *, flip: int = -1) -> tuple[Path, WalletSecret]:
    """Write a golden file, with one byte changed if that is wanted."""
    data = bytearray.fromhex(FILES[name]["file"])
    if flip >= 0:
        data[flip] ^= 0x40
    place.write_bytes(data)
    return place, WalletSecret(SecretKind(FILES[name]["kind"]), bytes.fromhex(FILES[name]["secret"]))


@pytest.mark.parametrize("name", FILES)
def test_a_golden_file_opens(name: str, tmp_path: Path) -> None:
    made = read_wallet(*golden(name, tmp_path / "wallet"))
    assert encode(made) == bytes.fromhex(VECTORS["content"])
    assert wallet.signing_key(made, made.relationships[0]).public == bytes.fromhex(VECTORS["signing_public"])


@pytest.mark.parametrize("refused", VECTORS["refused"], ids=lambda each: each["name"])
def test_a_golden_file_with_one_change_is_refused(refused: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(WalletFileUnfit):
        read_wallet(*golden("key file", tmp_path / "wallet", flip=refused["offset"]))
