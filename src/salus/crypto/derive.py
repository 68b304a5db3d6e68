"""Keys made from other secrets by HKDF-SHA-256 (RFC 5869), each for one use.

Promises: different names give unrelated keys; from a branch neither its parent nor its siblings can be found.
Never stores a secret.
"""

import hmac

from salus.crypto.hashing import HASH_SIZE_BYTES, tag_prefix
from salus.crypto.signing import SigningKey

SEED_SIZE_BYTES = 32
EXPANDED_SIZE_MAX_BYTES = 255 * HASH_SIZE_BYTES
BEARER_SECRET_SIZE_MIN_BYTES = 16


def hkdf(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    """Extract and expand a secret (RFC 5869 2.2 and 2.3, SHA-256).

    Args:
        secret: input keying material.
        salt: may be empty, which means 32 zero bytes.
        info: what the output is for.
        length: bytes wanted, 1 to 8160.

    Raises:
        ValueError: `length` outside what RFC 5869 allows.
    """
    return expand(extract(secret, salt=salt), info=info, length=length)


def extract(secret: bytes, *, salt: bytes) -> bytes:
    """The first half of `hkdf` (RFC 5869 2.2), 32 bytes: done once where many keys come from one secret."""
    return hmac.digest(salt or bytes(HASH_SIZE_BYTES), secret, "sha256")


def expand(extracted: bytes, *, info: bytes, length: int) -> bytes:
    """The second half of `hkdf` (RFC 5869 2.3); arguments and errors as there."""
    if not 0 < length <= EXPANDED_SIZE_MAX_BYTES:
        raise ValueError(f"RFC 5869 gives 1 to {EXPANDED_SIZE_MAX_BYTES} bytes, {length} were wanted")
    if length <= HASH_SIZE_BYTES:  # one block, which nearly every key and salt is
        return hmac.digest(extracted, info + b"\x01", "sha256")[:length]
    block, expanded = b"", b""
    for number in range(1, -(-length // HASH_SIZE_BYTES) + 1):
        block = hmac.digest(extracted, block + info + bytes((number,)), "sha256")
        expanded += block
    return expanded[:length]


def branch(seed: bytes, *path: str) -> bytes:
    """Walk down from a seed, one HKDF per step: the hardened derivation of a patient's keys.

    Args:
        seed: 32 bytes, secret.
        path: at least one name, each 1 to 255 ASCII characters, such as `"signing", pseudonym.hex()`.

    Returns:
        32 bytes, secret: HKDF(parent, salt = "", info = tag("salus/branch/1") ‖ tag(name)) repeated down the path.
    """
    assert len(seed) == SEED_SIZE_BYTES, f"a seed has {SEED_SIZE_BYTES} bytes, got {len(seed)}"
    assert path, "a branch needs a path"
    secret = seed
    for name in path:
        info = tag_prefix("salus/branch/1") + tag_prefix(name)
        secret = hkdf(secret, salt=b"", info=info, length=SEED_SIZE_BYTES)
    return secret


def ticket_key(bearer_secret: bytes) -> SigningKey:
    """The signing key that a ticket's bearer secret stands for; the ledger holds only its public half.

    Args:
        bearer_secret: at least 16 random bytes, as printed in the QR code.
    """
    assert len(bearer_secret) >= BEARER_SECRET_SIZE_MIN_BYTES, "a bearer secret has at least 16 bytes"
    seed = hkdf(bearer_secret, salt=b"", info=tag_prefix("salus/ticket-key/1"), length=SEED_SIZE_BYTES)
    return SigningKey.from_seed(seed)
