"""Where every byte of a sealed object lies: the header, the suites, the sizes and places of its segments.

Promises: a plaintext size has exactly one suite, one number of segments and one sealed size, so that a sealed object
has one way to be read. Knows no key and opens nothing. Described in docs/spec/sealing.md.
"""

from dataclasses import dataclass
from typing import Final

from salus.crypto.hashing import Bytes

NONCE_SIZE_BYTES: Final = 12
TAG_SIZE_BYTES: Final = 16

FORMAT: Final = 1
SUITE_ONE_SHOT: Final = 1
SUITE_STREAM: Final = 2
COMMITMENT_SIZE_BYTES: Final = 32
HEADER_SIZE_BYTES: Final = 1 + 1 + COMMITMENT_SIZE_BYTES + 8
ONE_SHOT_SIZE_MAX_BYTES: Final = 1 << 20

# Tink, AES-GCM-HKDF streaming: header = its own length ‖ salt ‖ nonce prefix, inside the first segment of 1 MiB.
SEGMENT_SIZE_BYTES: Final = 1 << 20
STREAM_SALT_SIZE_BYTES: Final = 32
STREAM_PREFIX_SIZE_BYTES: Final = 7
STREAM_HEADER_SIZE_BYTES: Final = 1 + STREAM_SALT_SIZE_BYTES + STREAM_PREFIX_SIZE_BYTES
HEAD_SIZE_BYTES: Final = HEADER_SIZE_BYTES + STREAM_HEADER_SIZE_BYTES
SEGMENT_PLAIN_BYTES: Final = SEGMENT_SIZE_BYTES - TAG_SIZE_BYTES
FIRST_SEGMENT_PLAIN_BYTES: Final = SEGMENT_PLAIN_BYTES - STREAM_HEADER_SIZE_BYTES
# Tink numbers segments in four bytes.
STREAM_SIZE_MAX_BYTES: Final = FIRST_SEGMENT_PLAIN_BYTES + (2**32 - 1) * SEGMENT_PLAIN_BYTES


class SealBroken(Exception):
    """A sealed object or wrapped key does not open; the message names what was wrong, never what is inside."""


@dataclass(frozen=True, slots=True)
class Header:
    """The 42 bytes before every body: which suite, which key, how much plaintext."""

    suite: int
    commitment: bytes
    size_bytes: int

    def encode(self) -> bytes:
        """Format (1 byte) ‖ suite (1) ‖ key commitment (32) ‖ plaintext size (8, big-endian)."""
        return bytes((FORMAT, self.suite)) + self.commitment + self.size_bytes.to_bytes(8, "big")

    @classmethod
    def parse(cls, sealed: Bytes) -> "Header":
        """Read the header at the start of a sealed object or of its segment 0; raises `SealBroken`."""
        if len(sealed) < HEADER_SIZE_BYTES:
            raise SealBroken(f"a sealed object starts with {HEADER_SIZE_BYTES} bytes of header, got {len(sealed)}")
        if sealed[0] != FORMAT:
            raise SealBroken(f"expected sealed format {FORMAT}, got {sealed[0]}")
        size_bytes = int.from_bytes(sealed[2 + COMMITMENT_SIZE_BYTES : HEADER_SIZE_BYTES], "big")
        if size_bytes > STREAM_SIZE_MAX_BYTES or sealed[1] != suite_for(size_bytes):
            raise SealBroken(f"suite {sealed[1]} is not the one for {size_bytes} bytes of plaintext")
        return cls(sealed[1], bytes(sealed[2 : 2 + COMMITMENT_SIZE_BYTES]), size_bytes)


def suite_for(length: int) -> int:
    """The suite that a plaintext of `length` bytes must be sealed with."""
    return SUITE_ONE_SHOT if length <= ONE_SHOT_SIZE_MAX_BYTES else SUITE_STREAM


def segment_count(length: int) -> int:
    """How many sealed segments a plaintext of `length` bytes makes: one up to 1 MiB."""
    if suite_for(length) == SUITE_ONE_SHOT:
        return 1
    return 1 + -(-(length - FIRST_SEGMENT_PLAIN_BYTES) // SEGMENT_PLAIN_BYTES)


def sealed_size(length: int) -> int:
    """The size in bytes of the sealed object of a plaintext of `length` bytes."""
    if suite_for(length) == SUITE_ONE_SHOT:
        return HEADER_SIZE_BYTES + NONCE_SIZE_BYTES + length + TAG_SIZE_BYTES
    return HEAD_SIZE_BYTES + length + TAG_SIZE_BYTES * segment_count(length)


def segment_span(length: int, index: int) -> tuple[int, int]:
    """Where sealed segment `index` of a plaintext of `length` bytes lies: (offset, size), both in bytes.

    Segment 0 holds the outer header as well.
    """
    count = segment_count(length)
    assert 0 <= index < count, f"no segment {index} in an object of {count}"
    start = 0 if index == 0 else HEADER_SIZE_BYTES + index * SEGMENT_SIZE_BYTES
    end = sealed_size(length) if index == count - 1 else HEADER_SIZE_BYTES + (index + 1) * SEGMENT_SIZE_BYTES
    return start, end - start


def plain_sizes(length: int) -> list[int]:
    """How many bytes of plaintext go into each segment of the streaming suite."""
    rest = length - FIRST_SEGMENT_PLAIN_BYTES
    full, last = divmod(rest, SEGMENT_PLAIN_BYTES)
    sizes = [FIRST_SEGMENT_PLAIN_BYTES] + [SEGMENT_PLAIN_BYTES] * full
    return [*sizes, last] if last else sizes


def segment_nonce(prefix: bytes, index: int, *, last: bool) -> bytes:
    """Tink's nonce of one segment: prefix (7 bytes) ‖ index (4, big-endian) ‖ 1 for the last segment, else 0."""
    return prefix + index.to_bytes(4, "big") + bytes((last,))


def stream_header(salt: bytes, prefix: bytes) -> bytes:
    """Tink's header: its own length, 40 (1 byte) ‖ salt (32) ‖ nonce prefix (7)."""
    return bytes((STREAM_HEADER_SIZE_BYTES,)) + salt + prefix


def parse_stream_header(encoded: Bytes) -> tuple[bytes, bytes]:
    """The (salt, nonce prefix) of Tink's header; raises `SealBroken`."""
    if len(encoded) != STREAM_HEADER_SIZE_BYTES or encoded[0] != STREAM_HEADER_SIZE_BYTES:
        raise SealBroken(
            f"the streaming header should have {STREAM_HEADER_SIZE_BYTES} bytes and begin with that number"
        )
    salt_end = 1 + STREAM_SALT_SIZE_BYTES
    return bytes(encoded[1:salt_end]), bytes(encoded[salt_end:])
