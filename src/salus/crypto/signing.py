"""Ed25519 with PyNaCl, and only PyNaCl: signing, checking, and which public keys may be registered.

Libraries disagree on twelve kinds of odd signature; the network would split if two nodes answered differently, so one
library decides and `self_test` refuses to start when its answers have changed. What is signed for Salus carries its
purpose in front (`sign_tagged`); raw messages are for CometBFT votes and RFC 9421 only.
Never prints a secret.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
    has_crypto_core_ed25519,
    randombytes,
)
from nacl.exceptions import BadSignatureError

from salus.crypto import edwards
from salus.crypto.edge_cases import EDGE_CASES
from salus.crypto.hashing import tag_prefix

SEED_SIZE_BYTES = 32
PUBLIC_KEY_SIZE_BYTES = 32
SIGNATURE_SIZE_BYTES = 64

Check = Callable[[bytes, bytes, bytes], None]


class SignatureInvalid(Exception):
    """The signature is not this key's over this message."""


class KeyInvalid(Exception):
    """The bytes may not be registered as an Ed25519 public key; the message says why."""


class LibraryUnfit(Exception):
    """The installed PyNaCl answers known cases differently from what the network relies on: do not start."""


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """An Ed25519 key pair; `public` is always computed from `seed`, so that the two cannot part."""

    seed: bytes
    public: bytes = field(init=False)

    def __post_init__(self) -> None:
        assert len(self.seed) == SEED_SIZE_BYTES, f"a seed has {SEED_SIZE_BYTES} bytes, got {len(self.seed)}"
        public, _ = crypto_sign_seed_keypair(self.seed)
        object.__setattr__(self, "public", public)

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new key from the operating system's random source."""
        return cls(randombytes(SEED_SIZE_BYTES))

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """The key of a 32-byte seed (RFC 8032 5.1.5)."""
        return cls(seed)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over exactly these bytes: for formats of others (CometBFT votes, RFC 9421)."""
        return crypto_sign(message, self.seed + self.public)[:SIGNATURE_SIZE_BYTES]

    def sign_tagged(self, tag: str, message: bytes) -> bytes:
        """The 64-byte signature over tag length (1 byte) ‖ tag ‖ message."""
        return self.sign(tag_prefix(tag) + message)

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature the way the whole network does; raises `SignatureInvalid`.

    Releases the interpreter lock while libsodium works, so that two threads check nearly twice as many.
    """
    # libsodium reads 32 and 64 bytes whatever it is given: the lengths are checked here.
    if len(signature) != SIGNATURE_SIZE_BYTES or len(public) != PUBLIC_KEY_SIZE_BYTES:
        raise SignatureInvalid(f"expected key of 32 and signature of 64 bytes, got {len(public)} and {len(signature)}")
    try:
        crypto_sign_open(signature + message, public)
    except BadSignatureError:
        raise SignatureInvalid("the signature is not this key's over this message") from None


def verify_tagged(public: bytes, tag: str, message: bytes, signature: bytes) -> None:
    """Check a signature made by `SigningKey.sign_tagged`; raises `SignatureInvalid`."""
    verify(public, tag_prefix(tag) + message, signature)


def verify_zip215(public: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature by the rules of ZIP-215, as CometBFT does for commits; raises `SignatureInvalid`.

    What PyNaCl accepts, ZIP-215 accepts; only what PyNaCl refuses is looked at again, slowly.
    """
    try:
        verify(public, message, signature)
    except SignatureInvalid:
        if len(signature) != SIGNATURE_SIZE_BYTES or len(public) != PUBLIC_KEY_SIZE_BYTES:
            raise
        if not _holds_with_cofactor(public, message, signature):
            raise


def check_public_key(public: bytes) -> None:
    """Refuse keys whose signatures two correct libraries could judge differently, or that sign for anybody.

    Raises:
        KeyInvalid: wrong length; y not below the prime (non-canonical); not on the curve; small order; or a
            small-order component beside the prime-order one.
    """
    if len(public) != PUBLIC_KEY_SIZE_BYTES:
        raise KeyInvalid(f"an Ed25519 public key has {PUBLIC_KEY_SIZE_BYTES} bytes, got {len(public)}")
    if not edwards.has_canonical_y(public):
        raise KeyInvalid("non-canonical encoding: y is not below 2^255 - 19")
    point = edwards.decode(public)
    if point is None:
        raise KeyInvalid("no point of the curve has this encoding")
    if edwards.is_small_order(point):
        raise KeyInvalid("small order: anybody could sign for this key")
    if not crypto_core_ed25519_is_valid_point(public):
        raise KeyInvalid("mixed order: libraries disagree on signatures of this key")


def self_test() -> None:
    """Run at start: RFC 8032 test 2, and the twelve edge cases answered as the network relies on.

    Raises:
        LibraryUnfit: names the first case that is answered differently.
    """
    if not has_crypto_core_ed25519:
        raise LibraryUnfit("PyNaCl was built on a libsodium without point checks: install the published wheel")
    _test_rfc8032()
    for case in EDGE_CASES:
        arguments = bytes.fromhex(case.public), bytes.fromhex(case.message), bytes.fromhex(case.signature)
        if _accepts(verify, *arguments) != case.pynacl:
            raise LibraryUnfit(f"PyNaCl answers edge case {case.name} differently: use a version in the lock file")
        if _accepts(verify_zip215, *arguments) != case.zip215:
            raise LibraryUnfit(f"ZIP-215 edge case {case.name} is answered wrongly")


def _holds_with_cofactor(public: bytes, message: bytes, signature: bytes) -> bool:
    # ZIP-215: S below L; A and R may be encoded non-canonically; [8][S]B = [8]R + [8][k]A
    scalar = int.from_bytes(signature[32:], "little")
    key_point, nonce_point = edwards.decode(public), edwards.decode(signature[:32])
    if scalar >= edwards.ORDER or key_point is None or nonce_point is None:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % edwards.ORDER
    negated = edwards.subtract(edwards.IDENTITY, key_point)
    difference = edwards.subtract(edwards.combine(scalar, challenge, negated), nonce_point)
    return edwards.is_small_order(difference)


def _accepts(check: Check, public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        check(public, message, signature)
    except SignatureInvalid:
        return False
    return True


def _test_rfc8032() -> None:
    # RFC 8032 7.1 test 2: one octet
    key = SigningKey.from_seed(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    want = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    if key.sign(b"\x72") != want or not _accepts(verify, key.public, b"\x72", want):
        raise LibraryUnfit("PyNaCl does not reproduce RFC 8032 7.1 test 2")
    if _accepts(verify, key.public, b"\x73", want):
        raise LibraryUnfit("PyNaCl accepts a signature over another message")
