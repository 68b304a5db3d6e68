"""Sealed objects: a record's bytes under its own data key, whole or as a stream of segments, and wrapped keys.

Promises: a sealed object opens only under the data key that its header commits to and with the associated data it was
sealed with; a segment that was changed, moved, cut off or added is refused by name; an object of any size is sealed
and opened in the memory of a few segments. Small objects are AES-256-GCM in one shot, larger ones the streaming
format AES-256-GCM-HKDF that Tink publishes. Byte formats: docs/spec/sealing.md.
Never writes a plaintext anywhere, and never returns one that was not authenticated.
"""

import hmac
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from salus.crypto.chunks import LengthWrong, cut, joined
from salus.crypto.derive import expand, extract, hkdf
from salus.crypto.hashing import Bytes, leaf_hash, tag_prefix
from salus.crypto.merkle import Frontier, inclusion_path
from salus.crypto.seal_format import (
    HEAD_SIZE_BYTES,
    HEADER_SIZE_BYTES,
    NONCE_SIZE_BYTES,
    ONE_SHOT_SIZE_MAX_BYTES,
    STREAM_PREFIX_SIZE_BYTES,
    STREAM_SALT_SIZE_BYTES,
    STREAM_SIZE_MAX_BYTES,
    SUITE_ONE_SHOT,
    TAG_SIZE_BYTES,
    Header,
    SealBroken,
    parse_stream_header,
    plain_sizes,
    sealed_size,
    segment_count,
    segment_nonce,
    segment_span,
    stream_header,
    suite_for,
)

__all__ = [
    "KEY_SIZE_BYTES",
    "WRAPPED_KEY_SIZE_BYTES",
    "Header",
    "LengthWrong",
    "Opener",
    "SealBroken",
    "SegmentRoot",
    "decrypt",
    "encrypt",
    "key_commitment",
    "new_key",
    "one_shot_key",
    "open_sealed",
    "open_stream",
    "seal",
    "seal_stream",
    "sealed_root",
    "sealed_size",
    "segment_count",
    "segment_span",
    "segments",
    "stream_key",
    "unwrap",
    "wrap",
]

KEY_SIZE_BYTES: Final = 32
_COMMITMENT: Final = tag_prefix("salus/seal/commitment/1")
_ONE_SHOT: Final = tag_prefix("salus/seal/one-shot/1")
WRAPPED_KEY_SIZE_BYTES: Final = NONCE_SIZE_BYTES + KEY_SIZE_BYTES + TAG_SIZE_BYTES


@dataclass(frozen=True, slots=True, repr=False)
class Opener:
    """Opens the segments of one sealed object in any order, so that a single frame can be served."""

    header: Header
    _cipher: AESGCM
    _nonce_prefix: bytes
    _associated: bytes

    @classmethod
    def of(cls, data_key: bytes, head: Bytes, associated: bytes) -> "Opener":
        """Check the key against the header's commitment and prepare to open.

        Args:
            data_key: 32 bytes.
            head: the first 82 bytes of the sealed object, or more (all of it, when shorter).
            associated: as given when it was sealed.

        Raises:
            SealBroken: no header of ours, or another key.
        """
        header = Header.parse(head)
        extracted = _extracted(data_key)
        if not hmac.compare_digest(header.commitment, _expanded(extracted, _COMMITMENT)):
            raise SealBroken("this data key is not the one that the header commits to")
        bound = header.encode() + associated
        if header.suite == SUITE_ONE_SHOT:
            return cls(header, AESGCM(_expanded(extracted, _ONE_SHOT)), b"", bound)
        salt, prefix = parse_stream_header(head[HEADER_SIZE_BYTES:HEAD_SIZE_BYTES])
        return cls(header, _stream_cipher(data_key, salt=salt, bound=bound), prefix, b"")

    def open(self, index: int, segment: Bytes) -> bytes:
        """The plaintext of one sealed segment, segment 0 with its headers; raises `SealBroken`."""
        count = segment_count(self.header.size_bytes)
        if not 0 <= index < count:
            raise SealBroken(f"no segment {index} in an object of {count}")
        _, size_bytes = segment_span(self.header.size_bytes, index)
        if len(segment) != size_bytes:
            raise SealBroken(f"segment {index} of {count} should have {size_bytes} bytes, got {len(segment)}")
        nonce, body = self._split(index, count, memoryview(segment))
        try:
            return self._cipher.decrypt(nonce, body, self._associated)
        except InvalidTag:
            raise SealBroken(f"segment {index} of {count} was changed, or belongs elsewhere") from None

    def _split(self, index: int, count: int, segment: memoryview) -> tuple[Bytes, memoryview]:
        if self.header.suite == SUITE_ONE_SHOT:
            start = HEADER_SIZE_BYTES + NONCE_SIZE_BYTES
            return segment[HEADER_SIZE_BYTES:start], segment[start:]
        body = segment[HEAD_SIZE_BYTES:] if index == 0 else segment
        return segment_nonce(self._nonce_prefix, index, last=index == count - 1), body


class SegmentRoot:
    """The RFC 9162 root over sealed segments while they pass by: O(log n) memory unless the leaves are kept."""

    __slots__ = ("_frontier", "_leaves")

    def __init__(self, *, keep_leaves: bool = False) -> None:
        self._frontier = Frontier()
        self._leaves: list[bytes] | None = [] if keep_leaves else None

    def add(self, segment: Bytes) -> None:
        """Count one sealed segment in; segment 0 includes the outer header."""
        leaf = leaf_hash(segment)
        self._frontier.add(leaf)
        if self._leaves is not None:
            self._leaves.append(leaf)

    def root(self) -> bytes:
        """The root over the segments so far (RFC 9162 2.1.1)."""
        return self._frontier.root()

    def path(self, index: int) -> list[bytes]:
        """The inclusion path of one segment; only when made with `keep_leaves`."""
        assert self._leaves is not None, "leaf hashes were not kept"
        return inclusion_path(self._leaves, index)


def new_key() -> bytes:
    """32 bytes from the operating system's random source."""
    return os.urandom(KEY_SIZE_BYTES)


def key_commitment(data_key: bytes) -> bytes:
    """What the header says of the data key, 32 bytes: nobody can find two keys with one commitment."""
    return _expanded(_extracted(data_key), _COMMITMENT)


def one_shot_key(data_key: bytes) -> bytes:
    """The AES-256-GCM key of suite 1."""
    return _expanded(_extracted(data_key), _ONE_SHOT)


def stream_key(data_key: bytes) -> bytes:
    """The key of suite 2: what Tink calls the initial keying material of AesGcmHkdfStreaming."""
    return _expanded(_extracted(data_key), tag_prefix("salus/seal/stream/1"))


def seal(data_key: bytes, plaintext: Bytes, associated: bytes) -> bytes:
    """Seal a plaintext that is in memory already; for large ones `seal_stream` is several times as fast.

    Args:
        data_key: 32 bytes, used for this record version only.
        plaintext: the record's bytes.
        associated: what the object is bound to, such as chain ‖ record ‖ version; not stored in it.
    """
    pieces = seal_stream(data_key, (plaintext,), len(plaintext), associated)
    return joined(pieces, sealed_size(len(plaintext)))


def open_sealed(data_key: bytes, sealed: Bytes, associated: bytes) -> bytes:
    """The plaintext of a whole sealed object; raises `SealBroken`, and then returns nothing of it."""
    whole = segments(sealed)  # checks the size that the header claims before any room is made for it
    if len(sealed) <= sealed_size(ONE_SHOT_SIZE_MAX_BYTES):  # of one segment: nothing to put together
        (segment,) = whole
        return Opener.of(data_key, segment, associated).open(0, segment)
    return joined(open_stream(data_key, whole, associated), Header.parse(sealed).size_bytes)


def seal_stream(data_key: bytes, chunks: Iterable[Bytes], length: int, associated: bytes) -> Iterator[bytes]:
    """Seal a plaintext that passes by in chunks of any size.

    Args:
        data_key: 32 bytes, used for this record version only.
        chunks: the plaintext.
        length: its whole size in bytes, needed beforehand because the header holds it.
        associated: as for `seal`.

    Raises:
        LengthWrong: the chunks hold more or fewer than `length` bytes; what was yielded is no sealed object.

    Returns:
        The sealed segments, the first with the outer header before it; concatenated they are the sealed object.
    """
    assert 0 <= length <= STREAM_SIZE_MAX_BYTES, f"no suite for {length} bytes"
    header = Header(suite_for(length), key_commitment(data_key), length)
    if header.suite == SUITE_ONE_SHOT:
        return _seal_whole(data_key, header, chunks, associated)
    return _seal_segments(data_key, header, chunks, associated)


def open_stream(data_key: bytes, segments: Iterable[Bytes], associated: bytes) -> Iterator[bytes]:
    """Open a sealed object segment by segment.

    Each piece is authenticated before it is yielded. That none is missing is known only when the iterator ends
    without an error: act on the whole only then.

    Raises:
        SealBroken: wrong key, or a changed, missing, surplus or reordered segment.
    """
    opener, opened = None, 0
    for index, segment in enumerate(segments):
        opener = opener or Opener.of(data_key, segment, associated)
        yield opener.open(index, segment)
        opened += 1
    count = segment_count(opener.header.size_bytes) if opener else 1
    if opened < count:
        raise SealBroken(f"the sealed object ends after {opened} of {count} segments")


def segments(sealed: Bytes) -> Iterator[memoryview]:
    """Cut a whole sealed object into its segments without copying; raises `SealBroken` on a wrong total size."""
    length = Header.parse(sealed).size_bytes
    if len(sealed) != sealed_size(length):
        raise SealBroken(f"the sealed object should have {sealed_size(length)} bytes, got {len(sealed)}")
    view = memoryview(sealed)
    spans = (segment_span(length, index) for index in range(segment_count(length)))
    return (view[start : start + size_bytes] for start, size_bytes in spans)


def sealed_root(segments: Iterable[Bytes]) -> bytes:
    """The RFC 9162 root over sealed segments, which the index on the ledger holds."""
    running = SegmentRoot()
    for segment in segments:
        running.add(segment)
    return running.root()


def wrap(kek: bytes, key: bytes, associated: bytes) -> bytes:
    """Encrypt a 32-byte key under a key-encryption key: random nonce (12) ‖ AES-256-GCM ciphertext (32) ‖ tag (16)."""
    assert len(key) == KEY_SIZE_BYTES, f"a key has {KEY_SIZE_BYTES} bytes, got {len(key)}"
    return encrypt(kek, key, associated)


def unwrap(kek: bytes, wrapped: bytes, associated: bytes) -> bytes:
    """The 32-byte key that `wrap` encrypted; raises `SealBroken`."""
    if len(wrapped) != WRAPPED_KEY_SIZE_BYTES:
        raise SealBroken(f"a wrapped key has {WRAPPED_KEY_SIZE_BYTES} bytes, got {len(wrapped)}")
    try:
        return decrypt(kek, wrapped, associated)
    except SealBroken:
        raise SealBroken("the wrapped key was changed, or wrapped under another key or for another use") from None


def encrypt(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Encrypt something short: random nonce (12) ‖ AES-256-GCM ciphertext ‖ tag (16).

    Args:
        key: 32 bytes, for at most 2^32 plaintexts (NIST SP 800-38D 8.3).
    """
    nonce = os.urandom(NONCE_SIZE_BYTES)
    return nonce + _key_cipher(key).encrypt(nonce, plaintext, associated)


def decrypt(key: bytes, encrypted: bytes, associated: bytes) -> bytes:
    """What `encrypt` encrypted; raises `SealBroken`."""
    if len(encrypted) < NONCE_SIZE_BYTES + TAG_SIZE_BYTES:
        raise SealBroken(f"expected at least {NONCE_SIZE_BYTES + TAG_SIZE_BYTES} bytes, got {len(encrypted)}")
    try:
        return _key_cipher(key).decrypt(encrypted[:NONCE_SIZE_BYTES], encrypted[NONCE_SIZE_BYTES:], associated)
    except InvalidTag:
        raise SealBroken("what was encrypted was changed, or belongs to another key or use") from None


def _seal_whole(data_key: bytes, header: Header, chunks: Iterable[Bytes], associated: bytes) -> Iterator[bytes]:
    encoded, nonce = header.encode(), os.urandom(NONCE_SIZE_BYTES)
    cipher = AESGCM(one_shot_key(data_key))
    for plain in cut(chunks, (header.size_bytes,)):
        yield encoded + nonce + cipher.encrypt(nonce, plain, encoded + associated)


def _seal_segments(data_key: bytes, header: Header, chunks: Iterable[Bytes], associated: bytes) -> Iterator[bytes]:
    salt, prefix = os.urandom(STREAM_SALT_SIZE_BYTES), os.urandom(STREAM_PREFIX_SIZE_BYTES)
    cipher = _stream_cipher(data_key, salt=salt, bound=header.encode() + associated)
    sizes = plain_sizes(header.size_bytes)
    for index, plain in enumerate(cut(chunks, sizes)):
        nonce = segment_nonce(prefix, index, last=index == len(sizes) - 1)
        segment = cipher.encrypt(nonce, plain, None)
        yield segment if index else header.encode() + stream_header(salt, prefix) + segment


def _stream_cipher(data_key: bytes, *, salt: bytes, bound: bytes) -> AESGCM:
    # Tink: the key of one stream is HKDF(keying material, salt of the header, info = associated data)
    return AESGCM(hkdf(stream_key(data_key), salt=salt, info=bound, length=KEY_SIZE_BYTES))


def _key_cipher(kek: bytes) -> AESGCM:
    assert len(kek) == KEY_SIZE_BYTES, f"a key-encryption key has {KEY_SIZE_BYTES} bytes, got {len(kek)}"
    return AESGCM(kek)


def _extracted(data_key: bytes) -> bytes:
    """The half of HKDF that all keys and the commitment of one data key share."""
    assert len(data_key) == KEY_SIZE_BYTES, f"a data key has {KEY_SIZE_BYTES} bytes, got {len(data_key)}"
    return extract(data_key, salt=b"")


def _expanded(extracted: bytes, info: bytes) -> bytes:
    return expand(extracted, info=info, length=KEY_SIZE_BYTES)
