"""Guardians: the seeds of recovery keys, in shares of words for people whom a patient chose (DESIGN §5.2).

Promises: a recovery seed is drawn by itself, so that whoever has a device and its wallet cannot recover with it; no
share says anything about a seed, and fewer than the threshold say nothing together (SLIP-39). Never keeps a seed: it
is split, the keys that it makes are registered, and it is gone until guardians bring enough shares.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from shamir_mnemonic import MnemonicError, combine_mnemonics, generate_mnemonics

from salus.contracts.patients import (
    CancelRecovery,
    ChangeRecoveryKey,
    FinishRecovery,
    StartRecovery,
    UndoRecoveryKey,
)
from salus.contracts.residuals import reason
from salus.crypto.derive import branch
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.transactions import PatientMessage
from salus.sdk.wallet import EXPIRY_S, Relationship, Wallet, WalletRefuses, sign, signing_key

THRESHOLD_MIN = 2
GUARDIANS_MAX = 16
"""As many as SLIP-39 has places in a group."""
NO_KEY = Digest(b"")


@dataclass(frozen=True)
class Circle:
    """So many of so many guardians are needed."""

    threshold: int
    count: int


@dataclass(frozen=True)
class Shares:
    """A seed, to register its keys and then forget, and a share for each guardian, as words to write down."""

    seed: bytes = field(repr=False)
    words: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Half:
    """A transaction that the custodian signs as well, and why: the signatures of all others, in their order."""

    body: bytes
    signatures: tuple[bytes, ...]
    residual: CommittedFields


def choose(first: Circle, second: Circle | None = None) -> tuple[Shares, Shares | None]:
    """Draw a seed for each circle of guardians, and split it.

    Args:
        second: for a recovery after one that was cancelled; without it there is none.

    Raises:
        WalletRefuses: a threshold below 2, or above the guardians there are; or a second one that is not higher.
    """
    if second is not None and second.threshold <= first.threshold:
        raise WalletRefuses(f"expected a second threshold above {first.threshold}, came {second.threshold}")
    return _split(first), None if second is None else _split(second)


def combine(words: Iterable[str]) -> bytes:
    """Return the seed that enough shares of one circle make. Raises WalletRefuses for too few, or others'."""
    try:
        seed: bytes = combine_mnemonics(words)
    except MnemonicError as error:
        raise WalletRefuses(f"these shares do not go together: {error}") from error
    return seed


def recovery_key(seed: bytes, pseudonym: Pseudonym) -> SigningKey:
    """Return the key that a seed has for one pseudonym alone (P7)."""
    return SigningKey.from_seed(branch(seed, "recovery", pseudonym.hex()))


def sign_first_keys(wallet: Wallet, of: Relationship, first: bytes, second: bytes | None, *, time_s: int) -> bytes:
    """Sign what registers recovery keys where there are none, with the pseudonym's key."""
    return sign(wallet, of, _change(of, first, second), time_s=time_s)


def sign_change(of: Relationship, seed: bytes, first: bytes, second: bytes | None, *, time_s: int) -> bytes:
    """Sign a change to the keys of other seeds, with a key in force; the second one where it is to change."""
    return _signed(of, _change(of, first, second), recovery_key(seed, of.pseudonym), time_s=time_s)


def sign_undo(of: Relationship, seed: bytes, *, time_s: int) -> bytes:
    """Sign that a change of recovery keys does not come about."""
    return _signed(
        of, UndoRecoveryKey(of.pseudonym, _why("undone").root()), recovery_key(seed, of.pseudonym), time_s=time_s
    )


def sign_start(wallet: Wallet, of: Relationship, seed: bytes, *, time_s: int) -> bytes:
    """Sign a first recovery, after which the new wallet's key is the pseudonym's."""
    new = signing_key(wallet, of)
    message = StartRecovery(of.pseudonym, PublicKey(new.public), _why("the device was lost").root())
    return _signed(of, message, recovery_key(seed, of.pseudonym), new, time_s=time_s)


def half_start(
    wallet: Wallet, of: Relationship, seed: bytes, *, custodian: PublicKey, checked: str, time_s: int
) -> Half:
    """Sign a second recovery, for the custodian to sign as well.

    Args:
        seed: of the second circle.
        custodian: its transaction key.
        checked: how it saw who asks, in words.
    """
    new, master, why = signing_key(wallet, of), recovery_key(seed, of.pseudonym), _why(checked)
    body = transactions.unsigned(
        [StartRecovery(of.pseudonym, PublicKey(new.public), why.root())],
        chain=of.chain,
        signers=(PublicKey(master.public), custodian, PublicKey(new.public)),
        expires_at_s=time_s + EXPIRY_S,
        nonce=secrets.token_bytes(16),
    )
    return Half(body, (transactions.sign_body(body, master), transactions.sign_body(body, new)), why)


def sign_finish(of: Relationship, seed: bytes, *, time_s: int) -> bytes:
    """Sign the end of a recovery with the key that started it."""
    return _signed(
        of, FinishRecovery(of.pseudonym, _why("recovered").root()), recovery_key(seed, of.pseudonym), time_s=time_s
    )


def sign_cancel(wallet: Wallet, of: Relationship, *, time_s: int) -> bytes:
    """Sign that nothing was lost, with the pseudonym's key."""
    return sign(wallet, of, CancelRecovery(of.pseudonym, _why("nothing was lost").root()), time_s=time_s)


def _split(circle: Circle) -> Shares:
    if not THRESHOLD_MIN <= circle.threshold <= circle.count <= GUARDIANS_MAX:
        words = f"expected {THRESHOLD_MIN} to {GUARDIANS_MAX} guardians, and a threshold that they reach"
        raise WalletRefuses(f"{words}; came {circle.threshold} of {circle.count}")
    seed = new_key()
    (words_of,) = generate_mnemonics(1, [(circle.threshold, circle.count)], seed)
    return Shares(seed, tuple(words_of))


def _change(of: Relationship, first: bytes, second: bytes | None) -> ChangeRecoveryKey:
    second_key = NO_KEY if second is None else Digest(recovery_key(second, of.pseudonym).public)
    key = PublicKey(recovery_key(first, of.pseudonym).public)
    return ChangeRecoveryKey(of.pseudonym, key, second_key, _why("guardians chosen").root())


def _signed(of: Relationship, message: PatientMessage, *keys: SigningKey, time_s: int) -> bytes:
    nonce = secrets.token_bytes(16)
    return transactions.sign([message], chain=of.chain, keys=keys, expires_at_s=time_s + EXPIRY_S, nonce=nonce)


def _why(words: str) -> CommittedFields:
    return reason(words, new_key())
