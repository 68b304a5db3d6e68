"""The commit: bytes, hash, and what each validator signed (CometBFT types/block.go, types/canonical.go)."""

from salus.crypto.hashing import HASH_SIZE_BYTES
from salus.crypto.signing import SIGNATURE_SIZE_BYTES
from salus.ledger.comet import wire
from salus.ledger.comet.header import (
    ADDRESS_SIZE_BYTES,
    HEADER_SIZE_MAX_BYTES,
    SIZE_MAX_BYTES,
    check_hashes,
    decode_header,
    encode_block_id,
    encode_header,
    encode_time,
    parse_block_id,
    parse_time,
    root_of,
)
from salus.ledger.comet.types import ABSENT, COMMIT, NIL, Commit, CommitSig, SignedHeader
from salus.ledger.comet.validators import VALIDATOR_COUNT_MAX
from salus.ledger.comet.wire import LENGTH, VARINT, Fields, decode_canonical
from salus.ledger.encoding import EncodingInvalid

PRECOMMIT = 2  # CometBFT `SignedMsgType`
COMMIT_SIZE_MAX_BYTES = 256 + (SIZE_MAX_BYTES + 3) * VALIDATOR_COUNT_MAX


def vote_sign_bytes(chain_id: str, commit: Commit, index: int) -> bytes:
    """What validator `index` signed: its precommit as length-delimited `CanonicalVote`."""
    signature = commit.signatures[index]
    block_id = wire.message(4, encode_block_id(commit.block_id)) if signature.flag == COMMIT else b""
    return wire.delimited(
        wire.integer(1, PRECOMMIT)
        + wire.sfixed64(2, commit.height)
        + wire.sfixed64(3, commit.round)
        + block_id
        + wire.message(5, encode_time(signature.time_ns))
        + wire.text(6, chain_id)
    )


def commit_hash(commit: Commit) -> bytes:
    """The RFC 9162 root over the signatures: the next header's `last_commit_hash`."""
    return root_of(_encode_signature(each) for each in commit.signatures)


def encode_commit(commit: Commit) -> bytes:
    """Encode as CometBFT's `Commit` message."""
    return (
        wire.integer(1, commit.height)
        + wire.integer(2, commit.round)
        + wire.message(3, encode_block_id(commit.block_id))
        + b"".join(wire.message(4, _encode_signature(each)) for each in commit.signatures)
    )


def decode_commit(data: bytes) -> Commit:
    """Decode canonical bytes of a `Commit` that keeps its own rules.

    Raises:
        EncodingInvalid: other bytes, out of bounds, or a rule of `check_commit` broken.
    """
    if len(data) > COMMIT_SIZE_MAX_BYTES:
        raise EncodingInvalid(f"expected at most {COMMIT_SIZE_MAX_BYTES} bytes of commit, came {len(data)}")
    commit = decode_canonical(data, _parse_commit, encode_commit)
    check_commit(commit)
    return commit


def check_commit(commit: Commit) -> None:
    """Check what a commit says by itself (CometBFT `Commit.ValidateBasic`); raises `EncodingInvalid`."""
    if commit == Commit():  # below the first block
        return
    if commit.height < 1 or not 0 <= commit.round < 1 << 31:
        raise EncodingInvalid(f"expected a height and a round, came {commit.height} and {commit.round}")
    if len(commit.block_id.hash) != HASH_SIZE_BYTES:
        raise EncodingInvalid("expected a commit for a block")
    check_hashes(commit.block_id.parts.hash)
    if not 0 < len(commit.signatures) <= VALIDATOR_COUNT_MAX:
        raise EncodingInvalid(f"expected 1 to {VALIDATOR_COUNT_MAX} signatures, came {len(commit.signatures)}")
    for signature in commit.signatures:
        _check_signature(signature)


def encode_signed_header(signed: SignedHeader) -> bytes:
    """Encode as CometBFT's `SignedHeader` message."""
    return wire.message(1, encode_header(signed.header)) + wire.message(2, encode_commit(signed.commit))


def decode_signed_header(data: bytes) -> SignedHeader:
    """Decode canonical bytes of a `SignedHeader`; raises `EncodingInvalid`."""
    return decode_canonical(data, _parse_signed_header, encode_signed_header)


def _encode_signature(signature: CommitSig) -> bytes:
    return (
        wire.integer(1, signature.flag)
        + wire.blob(2, signature.validator_address)
        + wire.message(3, encode_time(signature.time_ns))
        + wire.blob(4, signature.signature)
    )


def _check_signature(signature: CommitSig) -> None:
    if signature.flag == ABSENT:
        if signature != CommitSig():
            raise EncodingInvalid("expected nothing but the flag in an absent signature")
    elif signature.flag not in (COMMIT, NIL):
        raise EncodingInvalid(f"unknown flag {signature.flag} of a signature")
    elif len(signature.validator_address) != ADDRESS_SIZE_BYTES:
        raise EncodingInvalid(f"expected an address of {ADDRESS_SIZE_BYTES} bytes with a signature")
    elif len(signature.signature) != SIGNATURE_SIZE_BYTES:
        raise EncodingInvalid(f"expected a signature of {SIGNATURE_SIZE_BYTES} bytes")


def _parse_signature(data: bytes) -> CommitSig:
    fields = Fields(data, {1: VARINT, 2: LENGTH, 3: LENGTH, 4: LENGTH})
    return CommitSig(
        flag=fields.integer(1),
        validator_address=fields.blob(2, size_max_bytes=ADDRESS_SIZE_BYTES),
        time_ns=parse_time(fields.blob(3, size_max_bytes=SIZE_MAX_BYTES)),
        signature=fields.blob(4, size_max_bytes=SIGNATURE_SIZE_BYTES),
    )


def _parse_commit(data: bytes) -> Commit:
    fields = Fields(data, {1: VARINT, 2: VARINT, 3: LENGTH, 4: LENGTH})
    signatures = fields.blobs(4, size_max_bytes=SIZE_MAX_BYTES, count_max=VALIDATOR_COUNT_MAX)
    return Commit(
        height=fields.integer(1),
        round=fields.integer(2),
        block_id=parse_block_id(fields.blob(3, size_max_bytes=SIZE_MAX_BYTES)),
        signatures=tuple(_parse_signature(each) for each in signatures),
    )


def _parse_signed_header(data: bytes) -> SignedHeader:
    fields = Fields(data, {1: LENGTH, 2: LENGTH})
    return SignedHeader(
        header=decode_header(fields.blob(1, size_max_bytes=HEADER_SIZE_MAX_BYTES)),
        commit=decode_commit(fields.blob(2, size_max_bytes=COMMIT_SIZE_MAX_BYTES)),
    )
