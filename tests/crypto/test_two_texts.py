"""The attack "one ciphertext that opens to two texts", carried out on AES-GCM and stopped by the key commitment."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from salus.crypto.seal_format import Header
from salus.crypto.sealing import SealBroken, key_commitment, one_shot_key, open_sealed

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
ASSOCIATED = b"chain record version"


@pytest.mark.promise("R6")
def test_one_ciphertext_that_opens_to_two_texts_is_impossible() -> None:
    """AES-GCM alone lets a sender do this (Grubbs, Lu, Ristenpart 2017); the key commitment must not.

    The attacker chooses both data keys and solves for one block that gives both the same tag. Under the two derived
    keys the body does open to two texts; as a sealed object it opens under the committed key only.
    """
    head = Header(suite=1, commitment=key_commitment(KEY), size_bytes=48).encode()
    nonce = bytes(12)
    body = two_way_ciphertext(one_shot_key(KEY), one_shot_key(OTHER_KEY), nonce, head + ASSOCIATED)
    first = AESGCM(one_shot_key(KEY)).decrypt(nonce, body, head + ASSOCIATED)
    second = AESGCM(one_shot_key(OTHER_KEY)).decrypt(nonce, body, head + ASSOCIATED)
    assert first != second
    assert open_sealed(KEY, head + nonce + body, ASSOCIATED) == first
    with pytest.raises(SealBroken, match="not the one that the header commits to"):
        open_sealed(OTHER_KEY, head + nonce + body, ASSOCIATED)


def two_way_ciphertext(key: bytes, other: bytes, nonce: bytes, associated: bytes) -> bytes:
    """Three blocks of ciphertext and one tag that are right under both keys: GHASH is linear in each block."""
    blocks = [*in_blocks(associated), 1 << 7, 0, 2 << 9, len(associated) << 67 | 48 << 3]
    free = len(blocks) - 3
    (hash_key, mask), (other_hash_key, other_mask) = (gcm_secrets(k, nonce) for k in (key, other))
    difference = ghash(blocks, hash_key) ^ mask ^ ghash(blocks, other_hash_key) ^ other_mask
    weight = power(hash_key, len(blocks) - free) ^ power(other_hash_key, len(blocks) - free)
    blocks[free] = multiply(difference, power(weight, 2**128 - 2))
    tag = ghash(blocks, hash_key) ^ mask
    return b"".join(x.to_bytes(16, "big") for x in [*blocks[free - 1 : free + 2], tag])


def in_blocks(data: bytes) -> list[int]:
    padded = data + bytes(-len(data) % 16)
    return [int.from_bytes(padded[at : at + 16], "big") for at in range(0, len(padded), 16)]


def gcm_secrets(key: bytes, nonce: bytes) -> tuple[int, int]:
    """The hash key E(0) and the tag mask E(J0), which whoever chose the key can compute (SP 800-38D 7.1)."""
    mask = int.from_bytes(AESGCM(key).encrypt(nonce, b"", b"")[-16:], "big")
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16))
    return int.from_bytes(block, "big"), mask


def ghash(blocks: list[int], hash_key: int) -> int:
    """SP 800-38D 6.4."""
    result = 0
    for block in blocks:
        result = multiply(result ^ block, hash_key)
    return result


def multiply(x: int, y: int) -> int:
    """SP 800-38D 6.3: bit 0 is the leftmost."""
    result = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            result ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return result


def power(x: int, exponent: int) -> int:
    result = 1 << 127
    while exponent:
        if exponent & 1:
            result = multiply(result, x)
        x, exponent = multiply(x, x), exponent >> 1
    return result
