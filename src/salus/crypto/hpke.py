"""Sealing to a public key: HPKE (RFC 9180) in base mode, for reader keys and, hybrid, for patients and organisations.

Two suites, each with HKDF-SHA-256 and AES-256-GCM: X25519, for keys that live for one permit; and ML-KEM-768 with
X25519 (X-Wing), for keys whose sealed data must stay closed when large quantum computers exist.
Promises: every key, public key and sealed message names its suite in its first byte, and one suite is never taken for
the other; a key follows from its 32-byte seed alone. Never says who sealed: that is for signatures.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from salus.crypto.seal_format import SealBroken
from salus.crypto.signing import KeyInvalid

SEED_SIZE_BYTES: Final = 32
X25519_SIZE_BYTES: Final = 32
MLKEM768_SIZE_BYTES: Final = 1184


class HpkeSuite(IntEnum):
    """The first byte of keys and sealed messages."""

    X25519 = 1
    HYBRID = 2


PUBLIC_KEY_SIZE_BYTES: Final = {
    HpkeSuite.X25519: 1 + X25519_SIZE_BYTES,
    HpkeSuite.HYBRID: 1 + MLKEM768_SIZE_BYTES + X25519_SIZE_BYTES,
}

_SUITES: Final = {
    HpkeSuite.X25519: Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    HpkeSuite.HYBRID: Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}

_Private = X25519PrivateKey | MLKEM768X25519PrivateKey
_Public = X25519PublicKey | MLKEM768X25519PublicKey


@dataclass(frozen=True, slots=True, repr=False)
class HpkeKey:
    """A key pair that opens what was sealed to it; everything is computed from suite and seed."""

    suite: HpkeSuite
    seed: bytes
    public: bytes = field(init=False)
    _private: _Private = field(init=False, compare=False)

    def __post_init__(self) -> None:
        assert len(self.seed) == SEED_SIZE_BYTES, f"a seed has {SEED_SIZE_BYTES} bytes, got {len(self.seed)}"
        build = _build_x25519 if self.suite is HpkeSuite.X25519 else _build_hybrid
        private, public = build(self.seed)
        object.__setattr__(self, "_private", private)
        object.__setattr__(self, "public", bytes((self.suite,)) + public)

    @classmethod
    def generate(cls, suite: HpkeSuite) -> "HpkeKey":
        """A new key from the operating system's random source."""
        return cls(suite, os.urandom(SEED_SIZE_BYTES))

    @classmethod
    def from_seed(cls, suite: HpkeSuite, seed: bytes) -> "HpkeKey":
        """The key of a 32-byte seed: RFC 9180 7.1.3 DeriveKeyPair for X25519, X-Wing key expansion for hybrid."""
        return cls(suite, seed)

    @classmethod
    def from_private(cls, private: bytes) -> "HpkeKey":
        """Read what `private` wrote; raises `KeyInvalid`."""
        if len(private) != 1 + SEED_SIZE_BYTES:
            raise KeyInvalid(f"an HPKE private key has {1 + SEED_SIZE_BYTES} bytes, got {len(private)}")
        return cls(_suite_of(private), private[1:])

    @property
    def private(self) -> bytes:
        """Secret: suite (1 byte) ‖ seed (32)."""
        return bytes((self.suite,)) + self.seed

    def __repr__(self) -> str:
        return f"HpkeKey({self.suite.name}, public={hashlib.sha256(self.public).hexdigest()})"


def check_public_key(public: bytes) -> None:
    """Refuse what nothing can be sealed to.

    Raises:
        KeyInvalid: unknown suite, wrong length, an X25519 point of small order, or an ML-KEM key out of range.
    """
    _parse_public(public)


def seal_to(public: bytes, plaintext: bytes, *, info: bytes) -> bytes:
    """Seal a short message, such as a key, to a public key.

    Args:
        public: suite byte and key, as in `HpkeKey.public`.
        plaintext: what to seal.
        info: what the message is for and bound to, such as tag ‖ chain ‖ permit; the opener gives the same.

    Raises:
        KeyInvalid: see `check_public_key`.

    Returns:
        Suite (1 byte) ‖ encapsulated key (32, or 1120 for hybrid) ‖ ciphertext and tag (RFC 9180 6.1, empty aad).
    """
    suite, key = _parse_public(public)
    return bytes((suite,)) + _SUITES[suite].encrypt(plaintext, key, info)


def open_with(key: HpkeKey, sealed: bytes, *, info: bytes) -> bytes:
    """The plaintext that `seal_to` sealed to this key for the same `info`; raises `SealBroken`."""
    if not sealed or sealed[0] != key.suite:
        raise SealBroken(f"sealed for suite {sealed[:1].hex() or 'none'}, the key is of suite {key.suite:02x}")
    try:
        return _SUITES[key.suite].decrypt(sealed[1:], key._private, info)
    except InvalidTag:
        raise SealBroken("the message was changed, or sealed to another key or for another use") from None


def _build_x25519(seed: bytes) -> tuple[X25519PrivateKey, bytes]:
    # RFC 9180 7.1.3, DHKEM(X25519, HKDF-SHA256): LabeledExtract("", "dkp_prk", ikm), LabeledExpand(prk, "sk", "", 32)
    suite_id = b"KEM" + b"\x00\x20"
    extracted = hmac.digest(b"", b"HPKE-v1" + suite_id + b"dkp_prk" + seed, "sha256")
    scalar = hmac.digest(extracted, b"\x00\x20" + b"HPKE-v1" + suite_id + b"sk" + b"\x01", "sha256")
    private = X25519PrivateKey.from_private_bytes(scalar)
    return private, private.public_key().public_bytes_raw()


def _build_hybrid(seed: bytes) -> tuple[MLKEM768X25519PrivateKey, bytes]:
    # draft-connolly-cfrg-xwing-kem 5.2 expandDecapsulationKey: SHAKE256 gives the ML-KEM seed (64) and the scalar (32)
    expanded = hashlib.shake_256(seed).digest(96)
    lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    curve = X25519PrivateKey.from_private_bytes(expanded[64:])
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return MLKEM768X25519PrivateKey(lattice, curve), public


def _parse_public(public: bytes) -> tuple[HpkeSuite, _Public]:
    suite = _suite_of(public)
    if len(public) != PUBLIC_KEY_SIZE_BYTES[suite]:
        raise KeyInvalid(
            f"an HPKE public key of suite {suite} has {PUBLIC_KEY_SIZE_BYTES[suite]} bytes, got {len(public)}"
        )
    curve = _parse_x25519(public[-X25519_SIZE_BYTES:])
    if suite is HpkeSuite.X25519:
        return suite, curve
    try:
        lattice = MLKEM768PublicKey.from_public_bytes(public[1:-X25519_SIZE_BYTES])
    except ValueError as error:
        raise KeyInvalid("the ML-KEM-768 key has a coefficient out of range (FIPS 203 7.2)") from error
    return suite, MLKEM768X25519PublicKey(lattice, curve)


def _parse_x25519(public: bytes) -> X25519PublicKey:
    key = X25519PublicKey.from_public_bytes(public)
    try:
        _PROBE.exchange(key)
    except ValueError as error:
        raise KeyInvalid("small order: every X25519 exchange with this key gives zero (RFC 7748 6.1)") from error
    return key


def _suite_of(encoded: bytes) -> HpkeSuite:
    try:
        return HpkeSuite(encoded[0] if encoded else 0)
    except ValueError:
        raise KeyInvalid(f"no HPKE suite {encoded[:1].hex() or 'none'}: expected 01 or 02") from None


# Any scalar will do: after clamping each is a multiple of eight, which takes exactly the small-order points to zero.
_PROBE: Final = X25519PrivateKey.from_private_bytes(bytes(32))
