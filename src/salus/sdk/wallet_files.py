"""A wallet on disk: sealed under a passphrase or under a key file, replaced whole, readable by its owner only.

Format: magic, one header of 19 bytes (kind, cost, reserved 0, salt), then the sealed wallet (DESIGN §6 format), whose
associated data is magic and header, so that neither can be exchanged.
"""

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from salus.crypto.derive import hkdf
from salus.crypto.sealing import SealBroken, new_key, open_sealed, seal
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.sdk.wallet import FORMAT, Wallet

MAGIC = b"salus wallet 1\n"
KEY_SIZE_BYTES = 32
SCRYPT_COST = 16
"""log2 of scrypt's N, with r = 8 and p = 1: 64 MiB and a fifth of a second for each guess."""
_SCRYPT_COST_MAX = 20
_SALT_SIZE_BYTES = 16
_HEADER_SIZE_BYTES = 3 + _SALT_SIZE_BYTES
_KEY_INFO = b"salus/wallet-file/1"


class WalletFileUnfit(Exception):
    """The file is no wallet, was changed, or the passphrase or key is not the one: the message says what to do."""


class SecretKind(IntEnum):
    """What a wallet is sealed under."""

    PASSPHRASE = 1
    KEY_FILE = 2


@dataclass(frozen=True)
class WalletSecret:
    """A passphrase in UTF-8, or the 32 bytes of a key file."""

    kind: SecretKind
    secret: bytes = field(repr=False)

    @classmethod
    def passphrase(cls, words: str) -> "WalletSecret":
        """A passphrase; there is no recovery without it."""
        return cls(SecretKind.PASSPHRASE, words.encode())

    @classmethod
    def key_file(cls, path: Path) -> "WalletSecret":
        """The key in a file. Raises WalletFileUnfit."""
        try:
            if path.stat().st_mode & 0o077:
                raise WalletFileUnfit(f"expected {path} to be readable by its owner only: chmod 600 it")
            secret = path.read_bytes()
        except OSError as error:
            raise WalletFileUnfit(f"expected the wallet's key at {path}: name the file that has it") from error
        if len(secret) != KEY_SIZE_BYTES:
            raise WalletFileUnfit(f"expected {KEY_SIZE_BYTES} bytes in {path}, came {len(secret)}: name the key file")
        return cls(SecretKind.KEY_FILE, secret)


def make_key_file(path: Path) -> WalletSecret:
    """Write a new key file. Raises FileExistsError rather than replace one."""
    secret = new_key()
    _write_new(path, secret)
    return WalletSecret(SecretKind.KEY_FILE, secret)


def create_wallet(path: Path, wallet: Wallet, secret: WalletSecret) -> None:
    """Write a new wallet. Raises FileExistsError rather than replace one."""
    _write_new(path, _sealed(wallet, secret))


def replace_wallet(path: Path, wallet: Wallet, secret: WalletSecret) -> None:
    """Put a wallet in the place of the one before, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    _write_new(part, _sealed(wallet, secret))
    part.rename(path)


def read_wallet(path: Path, secret: WalletSecret) -> Wallet:
    """Open a wallet. Raises WalletFileUnfit."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WalletFileUnfit(f"expected a wallet at {path}: make one with salus patient new") from error
    head, sealed = data[: len(MAGIC) + _HEADER_SIZE_BYTES], data[len(MAGIC) + _HEADER_SIZE_BYTES :]
    key = _key(path, secret, head)
    try:
        wallet: Wallet = _WALLET.decode(open_sealed(key, sealed, head))
    except (SealBroken, EncodingInvalid) as error:
        raise WalletFileUnfit(f"{path} does not open: check the passphrase or the key file, or take a copy") from error
    if wallet.format != FORMAT:
        raise WalletFileUnfit(f"expected a wallet of format {FORMAT}, came {wallet.format}: use a newer release")
    return wallet


def secret_kind(path: Path) -> SecretKind:
    """Tell what a wallet is sealed under. Raises WalletFileUnfit."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC) + 1)
    except OSError as error:
        raise WalletFileUnfit(f"expected a wallet at {path}: make one with salus patient new") from error
    if not head.startswith(MAGIC) or head[-1] not in set(SecretKind):
        raise WalletFileUnfit(f"{path} is no wallet of this release: name the file that salus patient new made")
    return SecretKind(head[-1])


_WALLET = decoder(Wallet)


def _sealed(wallet: Wallet, secret: WalletSecret) -> bytes:
    cost = SCRYPT_COST if secret.kind is SecretKind.PASSPHRASE else 0
    head = MAGIC + bytes([secret.kind, cost, 0]) + secrets.token_bytes(_SALT_SIZE_BYTES)
    return head + seal(_derived(secret, head), encode(wallet), head)


def _key(path: Path, secret: WalletSecret, head: bytes) -> bytes:
    if secret_kind(path) is not secret.kind:
        raise WalletFileUnfit(f"{path} is sealed under a {secret_kind(path).name.lower().replace('_', ' ')}: give that")
    if len(head) != len(MAGIC) + _HEADER_SIZE_BYTES or head[len(MAGIC) + 1] > _SCRYPT_COST_MAX:
        raise WalletFileUnfit(f"{path} is cut short or changed: take a copy")
    return _derived(secret, head)


def _derived(secret: WalletSecret, head: bytes) -> bytes:
    cost, salt = head[len(MAGIC) + 1], head[-_SALT_SIZE_BYTES:]
    if secret.kind is SecretKind.KEY_FILE:
        return hkdf(secret.secret, salt=salt, info=_KEY_INFO, length=KEY_SIZE_BYTES)
    # RFC 7914; the memory that it may take is what N and r ask for, and a little more
    return hashlib.scrypt(secret.secret, salt=salt, n=1 << cost, r=8, p=1, maxmem=(1 << cost) * 1100, dklen=32)


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
