"""The block: bytes, parts, and the hashes of what is in it (CometBFT types/block.go, part_set.go, results.go)."""

from collections.abc import Iterable

from salus.crypto.hashing import sha256
from salus.ledger.comet import wire
from salus.ledger.comet.commit import COMMIT_SIZE_MAX_BYTES, decode_commit, encode_commit
from salus.ledger.comet.header import (
    HEADER_SIZE_MAX_BYTES,
    decode_header,
    encode_header,
    header_hash,
    root_of,
)
from salus.ledger.comet.types import Block, BlockID, PartSetHeader, TxResult
from salus.ledger.comet.wire import LENGTH, Fields, decode_canonical
from salus.ledger.encoding import EncodingInvalid

PART_SIZE_BYTES = 65_536
BLOCK_SIZE_MAX_BYTES = 2 * 1024 * 1024
"""The network's block size (DESIGN §4); CometBFT itself would go to 100 MB."""


def encode_block(block: Block) -> bytes:
    """Encode as CometBFT's `Block` message."""
    return (
        wire.message(1, encode_header(block.header))
        + wire.message(2, b"".join(wire.message(1, each) for each in block.transactions))
        + wire.message(3, b"".join(wire.message(1, each) for each in block.evidence))
        + wire.message(4, encode_commit(block.last_commit))
    )


def decode_block(data: bytes) -> Block:
    """Decode canonical bytes of a `Block` of at most 2 MiB.

    Raises:
        EncodingInvalid: other bytes, out of bounds, or header or commit break their own rules.
    """
    if len(data) > BLOCK_SIZE_MAX_BYTES:
        raise EncodingInvalid(f"expected at most {BLOCK_SIZE_MAX_BYTES} bytes of block, came {len(data)}")
    return decode_canonical(data, _parse_block, encode_block)


def block_id(block: Block) -> BlockID:
    """What votes are for: the header's hash and the parts of the encoded block."""
    return BlockID(hash=header_hash(block.header), parts=part_set_header(encode_block(block)))


def part_set_header(encoded: bytes) -> PartSetHeader:
    """Cut an encoded block into parts of 64 KiB; their number and their RFC 9162 root."""
    parts = [encoded[at : at + PART_SIZE_BYTES] for at in range(0, len(encoded), PART_SIZE_BYTES)]
    return PartSetHeader(total=len(parts), hash=root_of(parts))


def data_hash(transactions: Iterable[bytes]) -> bytes:
    """The header's `data_hash`: root over the SHA-256 of each transaction."""
    return root_of(sha256(each) for each in transactions)


def results_hash(results: Iterable[TxResult]) -> bytes:
    """The next header's `last_results_hash`: root over the deterministic part of each `ExecTxResult`."""
    return root_of(
        wire.integer(1, each.code)
        + wire.blob(2, each.data)
        + wire.integer(5, each.gas_wanted)
        + wire.integer(6, each.gas_used)
        for each in results
    )


def evidence_hash(evidence: Iterable[bytes]) -> bytes:
    """The header's `evidence_hash`: root over what is inside each `Evidence` message."""
    return root_of(_inside(each) for each in evidence)


def consensus_hash(*, block_size_max_bytes: int, gas_max: int) -> bytes:
    """The header's `consensus_hash`: SHA-256 of `HashedParams`; `gas_max` is -1 for no limit."""
    return sha256(wire.integer(1, block_size_max_bytes) + wire.integer(2, gas_max))


def _inside(evidence: bytes) -> bytes:
    # oneof: duplicate vote 1, light client attack 2
    fields = Fields(evidence, {1: LENGTH, 2: LENGTH})
    kinds = [fields.blobs(number, size_max_bytes=BLOCK_SIZE_MAX_BYTES, count_max=1) for number in (1, 2)]
    found = [each for kind in kinds for each in kind]
    if len(found) != 1:
        raise EncodingInvalid("expected one kind of evidence")
    return found[0]


def _parse_block(data: bytes) -> Block:
    fields = Fields(data, {1: LENGTH, 2: LENGTH, 3: LENGTH, 4: LENGTH})
    return Block(
        header=decode_header(fields.blob(1, size_max_bytes=HEADER_SIZE_MAX_BYTES)),
        transactions=_parse_list(fields.blob(2, size_max_bytes=BLOCK_SIZE_MAX_BYTES)),
        evidence=_parse_list(fields.blob(3, size_max_bytes=BLOCK_SIZE_MAX_BYTES)),
        last_commit=decode_commit(fields.blob(4, size_max_bytes=COMMIT_SIZE_MAX_BYTES)),
    )


def _parse_list(data: bytes) -> tuple[bytes, ...]:
    fields = Fields(data, {1: LENGTH})
    return tuple(fields.blobs(1, size_max_bytes=BLOCK_SIZE_MAX_BYTES, count_max=BLOCK_SIZE_MAX_BYTES))
