"""The header: bytes, hash, and the rules that it keeps by itself (CometBFT types/block.go, spec/core)."""

from collections.abc import Iterable

from salus.crypto import merkle
from salus.crypto.hashing import HASH_SIZE_BYTES, leaf_hash
from salus.ledger.comet import wire
from salus.ledger.comet.types import BLOCK_PROTOCOL, BlockID, Header, PartSetHeader, Version
from salus.ledger.comet.wire import LENGTH, VARINT, Fields, decode_canonical
from salus.ledger.encoding import EncodingInvalid

ADDRESS_SIZE_BYTES = 20
CHAIN_ID_SIZE_MAX_BYTES = 50
HEADER_SIZE_MAX_BYTES = 1024
SIZE_MAX_BYTES = 128
"""No embedded message of a header or a signature is longer."""

_SECOND_NS = 10**9
_SECONDS_MIN, _SECONDS_MAX = -62_135_596_800, 253_402_300_799  # years 1 to 9999, as protobuf's Timestamp
_HEADER_KINDS = {3: VARINT} | {number: LENGTH for number in range(1, 15) if number != 3}


def header_hash(header: Header) -> bytes:
    """The block's hash: RFC 9162 root over the encodings of the fourteen fields, in order."""
    return root_of(
        (
            _encode_version(header.version),
            wire.text(1, header.chain_id),
            wire.integer(1, header.height),
            encode_time(header.time_ns),
            encode_block_id(header.last_block_id),
            wire.blob(1, header.last_commit_hash),
            wire.blob(1, header.data_hash),
            wire.blob(1, header.validators_hash),
            wire.blob(1, header.next_validators_hash),
            wire.blob(1, header.consensus_hash),
            wire.blob(1, header.app_hash),
            wire.blob(1, header.last_results_hash),
            wire.blob(1, header.evidence_hash),
            wire.blob(1, header.proposer_address),
        )
    )


def encode_header(header: Header) -> bytes:
    """Encode as CometBFT's `Header` message."""
    return b"".join(
        (
            wire.message(1, _encode_version(header.version)),
            wire.text(2, header.chain_id),
            wire.integer(3, header.height),
            wire.message(4, encode_time(header.time_ns)),
            wire.message(5, encode_block_id(header.last_block_id)),
            wire.blob(6, header.last_commit_hash),
            wire.blob(7, header.data_hash),
            wire.blob(8, header.validators_hash),
            wire.blob(9, header.next_validators_hash),
            wire.blob(10, header.consensus_hash),
            wire.blob(11, header.app_hash),
            wire.blob(12, header.last_results_hash),
            wire.blob(13, header.evidence_hash),
            wire.blob(14, header.proposer_address),
        )
    )


def decode_header(data: bytes) -> Header:
    """Decode canonical bytes of a `Header` that keeps its own rules.

    Raises:
        EncodingInvalid: other bytes, out of bounds, or a rule of `check_header` broken.
    """
    if len(data) > HEADER_SIZE_MAX_BYTES:
        raise EncodingInvalid(f"expected at most {HEADER_SIZE_MAX_BYTES} bytes of header, came {len(data)}")
    header = decode_canonical(data, _parse_header, encode_header)
    check_header(header)
    return header


def check_header(header: Header) -> None:
    """Check what a header says by itself (CometBFT `Header.ValidateBasic`); raises `EncodingInvalid`."""
    if header.version.block != BLOCK_PROTOCOL:
        raise EncodingInvalid(f"expected block protocol {BLOCK_PROTOCOL}, came {header.version.block}")
    if not header.chain_id or len(header.chain_id.encode()) > CHAIN_ID_SIZE_MAX_BYTES:
        raise EncodingInvalid(f"expected a chain id of 1 to {CHAIN_ID_SIZE_MAX_BYTES} bytes")
    if header.height < 1:
        raise EncodingInvalid(f"expected a height of at least 1, came {header.height}")
    if len(header.validators_hash) != HASH_SIZE_BYTES:
        raise EncodingInvalid("expected a hash of the validators: a header has no hash without it")
    check_hashes(
        header.last_block_id.hash,
        header.last_block_id.parts.hash,
        header.last_commit_hash,
        header.data_hash,
        header.next_validators_hash,
        header.consensus_hash,
        header.app_hash,  # CometBFT leaves its length open; Salus does not
        header.last_results_hash,
        header.evidence_hash,
    )
    if len(header.proposer_address) != ADDRESS_SIZE_BYTES:
        raise EncodingInvalid(f"expected an address of {ADDRESS_SIZE_BYTES} bytes")


def check_hashes(*hashes: bytes) -> None:
    """Check that each hash has 32 bytes or none; raises `EncodingInvalid`."""
    for value in hashes:
        if len(value) not in (0, HASH_SIZE_BYTES):
            raise EncodingInvalid(f"expected a hash of {HASH_SIZE_BYTES} bytes or none, came {len(value)}")


def root_of(encoded: Iterable[bytes]) -> bytes:
    """The RFC 9162 root over byte strings, as all of CometBFT's lists are hashed."""
    return merkle.root([leaf_hash(item) for item in encoded])


def encode_time(time_ns: int) -> bytes:
    """Encode as protobuf's `Timestamp`."""
    seconds, nanoseconds = divmod(time_ns, _SECOND_NS)
    return wire.integer(1, seconds) + wire.integer(2, nanoseconds)


def parse_time(data: bytes) -> int:
    """Parse a `Timestamp` into nanoseconds since 1970."""
    fields = Fields(data, {1: VARINT, 2: VARINT})
    seconds, nanoseconds = fields.integer(1), fields.integer(2)
    if not (_SECONDS_MIN <= seconds <= _SECONDS_MAX and 0 <= nanoseconds < _SECOND_NS):
        raise EncodingInvalid("expected a time between the years 1 and 9999")
    return seconds * _SECOND_NS + nanoseconds


def encode_block_id(block_id: BlockID) -> bytes:
    """Encode as `BlockID`, and as `CanonicalBlockID`, which has the same bytes."""
    parts = wire.integer(1, block_id.parts.total) + wire.blob(2, block_id.parts.hash)
    return wire.blob(1, block_id.hash) + wire.message(2, parts)


def parse_block_id(data: bytes) -> BlockID:
    """Parse a `BlockID`."""
    fields = Fields(data, {1: LENGTH, 2: LENGTH})
    parts = Fields(fields.blob(2, size_max_bytes=SIZE_MAX_BYTES), {1: VARINT, 2: LENGTH})
    total = parts.integer(1)
    if not 0 <= total < 1 << 32:
        raise EncodingInvalid(f"expected a number of parts below 2^32, came {total}")
    return BlockID(
        hash=fields.blob(1, size_max_bytes=HASH_SIZE_BYTES),
        parts=PartSetHeader(total=total, hash=parts.blob(2, size_max_bytes=HASH_SIZE_BYTES)),
    )


def _encode_version(version: Version) -> bytes:
    return wire.integer(1, version.block) + wire.integer(2, version.app)


def _parse_version(data: bytes) -> Version:
    fields = Fields(data, {1: VARINT, 2: VARINT})
    return Version(block=fields.integer(1) % (1 << 64), app=fields.integer(2) % (1 << 64))


def _parse_header(data: bytes) -> Header:
    fields = Fields(data, _HEADER_KINDS)

    def hash_at(number: int) -> bytes:
        return fields.blob(number, size_max_bytes=HASH_SIZE_BYTES)

    return Header(
        version=_parse_version(fields.blob(1, size_max_bytes=SIZE_MAX_BYTES)),
        chain_id=fields.text(2, size_max_bytes=CHAIN_ID_SIZE_MAX_BYTES),
        height=fields.integer(3),
        time_ns=parse_time(fields.blob(4, size_max_bytes=SIZE_MAX_BYTES)),
        last_block_id=parse_block_id(fields.blob(5, size_max_bytes=SIZE_MAX_BYTES)),
        last_commit_hash=hash_at(6),
        data_hash=hash_at(7),
        validators_hash=hash_at(8),
        next_validators_hash=hash_at(9),
        consensus_hash=hash_at(10),
        app_hash=hash_at(11),
        last_results_hash=hash_at(12),
        evidence_hash=hash_at(13),
        proposer_address=hash_at(14),
    )
