"""SHA-256 in the three forms that Salus uses, so that no two purposes can ever hash the same bytes.

Promises: a tagged hash can be read back into exactly one tag and one list of parts; a tree leaf can never be taken for
a tree node. Never hashes patient data without a salt: that is the caller's duty (P1), see `commitments`.
"""

import hashlib
from functools import cache

Bytes = bytes | bytearray | memoryview

HASH_SIZE_BYTES = 32
TAG_SIZE_MAX_BYTES = 255

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"

# RFC 9162 2.1.1: the hash of an empty list is the hash of an empty string; CometBFT's trees agree.
EMPTY_ROOT = hashlib.sha256(b"").digest()


def sha256(data: Bytes) -> bytes:
    """The plain SHA-256 digest, 32 bytes (FIPS 180-4)."""
    return hashlib.sha256(data).digest()


def tagged(tag: str, *parts: bytes) -> bytes:
    """Hash a purpose and its parts so that neither can be shifted into the other.

    Args:
        tag: 1 to 255 ASCII characters that name the purpose.
        parts: byte strings of any length.

    Returns:
        SHA-256 over tag length (1 byte) ‖ tag ‖ for each part its length (8 bytes, big-endian) ‖ part.
    """
    digest = hashlib.sha256(tag_prefix(tag))
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


@cache  # tags are constants of this program
def tag_prefix(tag: str) -> bytes:
    """One length byte and the tag: what stands before everything that is hashed or signed for one purpose."""
    name = tag.encode("ascii")
    assert 0 < len(name) <= TAG_SIZE_MAX_BYTES, f"tag must have 1 to 255 characters, has {len(name)}"
    return bytes((len(name),)) + name


def leaf_hash(data: Bytes) -> bytes:
    """Hash of a tree leaf: SHA-256(0x00 ‖ data), RFC 9162 2.1.1."""
    digest = hashlib.sha256(LEAF_PREFIX)
    digest.update(data)  # not concatenated: a leaf may be a sealed segment of 1 MiB
    return digest.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner tree node: SHA-256(0x01 ‖ left ‖ right), RFC 9162 2.1.1."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()
