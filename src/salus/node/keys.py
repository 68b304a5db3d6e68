"""An organisation's own keys, one for each use, in one file that only the node may read (DESIGN §4).

Organisations with an HSM keep them there instead, behind the same five values. Never in a data backup.
"""

import os
from functools import lru_cache
from pathlib import Path

import msgspec

from salus.contracts.genesis import FounderKey
from salus.contracts.membership import KeyUse
from salus.crypto.hpke import HpkeKey, HpkeSuite
from salus.crypto.sealing import new_key
from salus.crypto.signing import SEED_SIZE_BYTES, SigningKey

SIGNING_USES = (KeyUse.TRANSACTION, KeyUse.HTTP, KeyUse.TICKET, KeyUse.RECEIPT, KeyUse.CONSENSUS)
KEYS_FORMAT = 1


_signing_key = lru_cache(len(SIGNING_USES) + 1)(SigningKey.from_seed)
"""Making a key pair of a seed takes as long as a signature."""


class KeysUnfit(Exception):
    """The file of the organisation's keys is missing, damaged or readable by others."""


class OrganisationKeys(msgspec.Struct, frozen=True, array_like=True):
    """Secret seeds of 32 bytes by use; `lookup` keys the node's identity map and is nobody else's."""

    format: int
    transaction_seed: bytes
    http_seed: bytes
    ticket_seed: bytes
    receipt_seed: bytes
    consensus_seed: bytes
    hpke_seed: bytes
    lookup: bytes

    def __repr__(self) -> str:
        """Hide every seed."""
        return "OrganisationKeys(…)"

    def signing(self, use: KeyUse) -> SigningKey:
        """Return the signing key for one use."""
        seeds = {
            KeyUse.TRANSACTION: self.transaction_seed,
            KeyUse.HTTP: self.http_seed,
            KeyUse.TICKET: self.ticket_seed,
            KeyUse.RECEIPT: self.receipt_seed,
            KeyUse.CONSENSUS: self.consensus_seed,
        }
        return _signing_key(seeds[use])

    def hpke(self) -> HpkeKey:
        """Return the key to which others seal what they send."""
        return HpkeKey.from_seed(HpkeSuite.HYBRID, self.hpke_seed)

    def registered(self) -> tuple[FounderKey, ...]:
        """Return the public keys as genesis registers them."""
        signing = tuple(FounderKey(use, self.signing(use).public) for use in SIGNING_USES)
        return (*signing, FounderKey(KeyUse.HPKE, self.hpke().public))


def generate() -> OrganisationKeys:
    """Return fresh keys."""
    return OrganisationKeys(KEYS_FORMAT, *(new_key() for _ in range(7)))


def write_keys(path: Path, keys: OrganisationKeys) -> None:
    """Write a new file that only its owner can read. Raises FileExistsError rather than replace keys."""
    _write(path, msgspec.msgpack.encode(keys))


def write_node_key(path: Path) -> SigningKey:
    """Write a new key by which a CometBFT node is known to its peers. Raises FileExistsError."""
    seed = new_key()
    _write(path, seed.hex().encode("ascii"))
    return SigningKey.from_seed(seed)


def read_node_key(path: Path) -> SigningKey:
    """Read a CometBFT node's key. Raises KeysUnfit."""
    try:
        seed = bytes.fromhex(_read(path).decode("ascii"))
    except FileNotFoundError as error:
        raise KeysUnfit(f"expected the node's key at {path}: restore it, or tell the peers a new one") from error
    except ValueError as error:
        raise KeysUnfit(f"{path} is no key of a node: restore it") from error
    if len(seed) != SEED_SIZE_BYTES:
        raise KeysUnfit(f"{path} is no key of a node: restore it")
    return SigningKey.from_seed(seed)


def read_keys(path: Path) -> OrganisationKeys:
    """Read the organisation's keys.

    Raises:
        KeysUnfit: the file is missing, not ours, or others may read it.
    """
    try:
        keys = msgspec.msgpack.decode(_read(path), type=OrganisationKeys)
    except FileNotFoundError as error:
        raise KeysUnfit(f"expected the organisation's keys at {path}: run salus init, or restore them") from error
    except msgspec.DecodeError as error:
        raise KeysUnfit(f"{path} is no file of keys: restore it from the key backup") from error
    if keys.format != KEYS_FORMAT:
        raise KeysUnfit(f"expected keys of format {KEYS_FORMAT}, came {keys.format}: use the release that wrote them")
    return keys


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise KeysUnfit(f"expected {path} to be readable by its owner only: chmod 600 it")
    return path.read_bytes()
