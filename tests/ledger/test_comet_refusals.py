"""What no decoder of CometBFT's formats may accept: each a single change to good bytes, refused for its own reason."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from salus.ledger.comet import wire
from salus.ledger.comet.block import BLOCK_SIZE_MAX_BYTES, decode_block, encode_block, evidence_hash
from salus.ledger.comet.commit import (
    COMMIT_SIZE_MAX_BYTES,
    decode_commit,
    decode_signed_header,
    encode_commit,
    encode_signed_header,
)
from salus.ledger.comet.header import HEADER_SIZE_MAX_BYTES, decode_header, encode_header, encode_time
from salus.ledger.comet.types import (
    ABSENT,
    NIL,
    BlockID,
    Commit,
    CommitSig,
    PartSetHeader,
    SignedHeader,
    Validator,
    Version,
)
from salus.ledger.comet.validators import TOTAL_POWER_MAX, check_validators
from salus.ledger.comet.wire import LENGTH, VARINT, Fields
from salus.ledger.encoding import EncodingInvalid
from tests.ledger import comet_cases as cases

pytestmark = pytest.mark.promise("L1")

HEADER = cases.header(cases.named("headers", "usual")["header"])
COMMIT = cases.commit(cases.named("commits", "one absent")["commit"])
ENCODED = encode_header(HEADER)

TAG_OF_HEIGHT = b"\x18\x07"


def replaced(value: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(value, **fields)


HEADER_RULES = {
    "block protocol": (replaced(HEADER, version=Version(12, 1)), "block protocol 11"),
    "no chain id": (replaced(HEADER, chain_id=""), "chain id"),
    "height zero": (replaced(HEADER, height=0), "height"),
    "height negative": (replaced(HEADER, height=-1), "height"),
    "no validators": (replaced(HEADER, validators_hash=b""), "hash of the validators"),
    "short hash": (replaced(HEADER, data_hash=b"x" * 31), "hash of 32 bytes"),
    "short application hash": (replaced(HEADER, app_hash=b"x"), "hash of 32 bytes"),
    "short hash of the last block": (replaced(HEADER, last_block_id=BlockID(b"x")), "hash of 32 bytes"),
    "short hash of its parts": (
        replaced(HEADER, last_block_id=BlockID(b"x" * 32, PartSetHeader(1, b"x"))),
        "hash of 32 bytes",
    ),
    "short address": (replaced(HEADER, proposer_address=b"x" * 19), "address of 20 bytes"),
    "no address": (replaced(HEADER, proposer_address=b""), "address of 20 bytes"),
}


@pytest.mark.parametrize("name", HEADER_RULES)
def test_a_header_keeps_its_rules(name: str) -> None:
    header, words = HEADER_RULES[name]
    with pytest.raises(EncodingInvalid, match=words):
        decode_header(encode_header(header))


@pytest.mark.parametrize(
    "name",
    [
        "last_commit_hash",
        "data_hash",
        "next_validators_hash",
        "consensus_hash",
        "app_hash",
        "last_results_hash",
        "evidence_hash",
    ],
)
def test_every_hash_of_a_header_is_measured(name: str) -> None:
    with pytest.raises(EncodingInvalid, match="hash of 32 bytes"):
        decode_header(encode_header(replaced(HEADER, **{name: b"x" * 20})))


HEADER_BYTES: dict[str, tuple[bytes, str]] = {
    "cut off": (ENCODED[:-1], "cut off"),
    "a byte more": (ENCODED + b"\x00", "unknown field 0"),
    "unknown field": (ENCODED + wire.integer(15, 1), "unknown field 15"),
    "another wire type": (ENCODED.replace(TAG_OF_HEIGHT, b"\x19" + bytes(8), 1), "unknown field 3 of wire type 1"),
    "field twice": (ENCODED + wire.text(2, "again"), "field 2 once"),
    "zero written out": (encode_header(replaced(HEADER, height=0)) + b"\x18\x00", "re-encode to others"),
    "fields in another order": (wire.integer(3, 7) + ENCODED.replace(TAG_OF_HEIGHT, b"", 1), "re-encode to others"),
    "long varint": (ENCODED.replace(TAG_OF_HEIGHT, b"\x18\x87\x00", 1), "re-encode to others"),
    "varint of eleven bytes": (ENCODED.replace(TAG_OF_HEIGHT, b"\x18" + b"\x80" * 10 + b"\x00", 1), "too long"),
    "varint above 64 bits": (ENCODED.replace(TAG_OF_HEIGHT, b"\x18" + b"\xff" * 9 + b"\x02", 1), "64 bits"),
    "varint cut off": (b"\x18\x80", "cut off"),
    "time left out": (ENCODED.replace(wire.message(4, encode_time(HEADER.time_ns)), b""), "re-encode to others"),
    "chain id not UTF-8": (ENCODED.replace(b"salus-demo", b"salus-dem\xff", 1), "not UTF-8"),
    "chain id too long": (encode_header(replaced(HEADER, chain_id="x" * 51)), "at most 50 bytes"),
    "hash too long": (encode_header(replaced(HEADER, data_hash=b"x" * 33)), "at most 32 bytes"),
    "part count above 32 bits": (
        encode_header(replaced(HEADER, last_block_id=BlockID(b"x" * 32, PartSetHeader(1 << 32, b"x" * 32)))),
        "number of parts",
    ),
    "nanoseconds of a second": (
        wire.message(1, b"\x08\x0b") + wire.message(4, wire.integer(2, 10**9)),
        "between the years",
    ),
    "after the year 9999": (wire.message(4, wire.integer(1, 253_402_300_800)), "between the years"),
    "before the year 1": (wire.message(4, wire.integer(1, -62_135_596_801)), "between the years"),
    "above the limit": (bytes(HEADER_SIZE_MAX_BYTES + 1), "at most 1024 bytes"),
    "nothing": (b"", "re-encode to others"),
}


@pytest.mark.parametrize("name", HEADER_BYTES)
def test_other_bytes_are_not_a_header(name: str) -> None:
    data, words = HEADER_BYTES[name]
    with pytest.raises(EncodingInvalid, match=words):
        decode_header(data)


def with_signature(**fields: Any) -> Commit:
    return replaced(COMMIT, signatures=(replaced(COMMIT.signatures[0], **fields), *COMMIT.signatures[1:]))


COMMIT_RULES = {
    "height zero": (replaced(COMMIT, height=0), "height and a round"),
    "round negative": (replaced(COMMIT, round=-1), "height and a round"),
    "round above 31 bits": (replaced(COMMIT, round=1 << 31), "height and a round"),
    "for no block": (replaced(COMMIT, block_id=BlockID()), "commit for a block"),
    "short hash of the parts": (
        replaced(COMMIT, block_id=BlockID(b"x" * 32, PartSetHeader(1, b"x"))),
        "hash of 32 bytes",
    ),
    "no signatures": (replaced(COMMIT, signatures=()), "1 to 10000 signatures"),
    "unknown flag": (with_signature(flag=4), "unknown flag 4"),
    "no flag": (with_signature(flag=0), "unknown flag 0"),
    "absent with a signature": (with_signature(flag=ABSENT), "nothing but the flag"),
    "vote for none without signature": (with_signature(flag=NIL, signature=b""), "signature of 64 bytes"),
    "short signature": (with_signature(signature=b"x" * 63), "signature of 64 bytes"),
    "long signature": (with_signature(signature=b"x" * 65), "at most 64 bytes"),
    "short address": (with_signature(validator_address=b"x" * 19), "address of 20 bytes"),
    "long address": (with_signature(validator_address=b"x" * 21), "at most 20 bytes"),
}


@pytest.mark.parametrize("name", COMMIT_RULES)
def test_a_commit_keeps_its_rules(name: str) -> None:
    commit, words = COMMIT_RULES[name]
    with pytest.raises(EncodingInvalid, match=words):
        decode_commit(encode_commit(commit))


def test_too_many_signatures() -> None:
    most = replaced(COMMIT, signatures=(CommitSig(),) * 10_000)
    assert decode_commit(encode_commit(most)) == most
    many = replaced(COMMIT, signatures=(CommitSig(),) * 10_001)
    with pytest.raises(EncodingInvalid, match="at most 10000 times"):
        decode_commit(encode_commit(many))
    with pytest.raises(EncodingInvalid, match=f"at most {COMMIT_SIZE_MAX_BYTES} bytes"):
        decode_commit(bytes(COMMIT_SIZE_MAX_BYTES + 1))


def block_bytes(**changes: bytes) -> bytes:
    parts = {"header": ENCODED, "data": b"", "evidence": b"", "commit": encode_commit(COMMIT)} | changes
    return b"".join(wire.message(number, part) for number, part in enumerate(parts.values(), start=1))


BLOCK_BYTES: dict[str, tuple[bytes, str]] = {
    "above 2 MiB": (bytes(BLOCK_SIZE_MAX_BYTES + 1), "at most 2097152 bytes"),
    "no header": (block_bytes(header=b""), "re-encode to others"),
    "a field more": (block_bytes() + b"\x2a\x00", "unknown field 5"),
    "data left out": (block_bytes().replace(b"\x12\x00\x1a\x00\x22", b"\x1a\x00\x22", 1), "re-encode to others"),
    "unknown field in data": (block_bytes(data=b"\x10\x01"), "unknown field 2"),
    "commit for no block": (block_bytes(commit=b"\x08\x07\x1a\x02\x12\x00"), "commit for a block"),
}


@pytest.mark.parametrize("name", BLOCK_BYTES)
def test_other_bytes_are_not_a_block(name: str) -> None:
    data, words = BLOCK_BYTES[name]
    with pytest.raises(EncodingInvalid, match=words):
        decode_block(data)


def test_the_block_that_those_were_made_from_is_one() -> None:
    assert encode_block(decode_block(block_bytes())) == block_bytes()


@pytest.mark.parametrize("evidence", [b"", b"\x0a\x00\x12\x00", b"\x1a\x00"])
def test_evidence_is_of_one_known_kind(evidence: bytes) -> None:
    with pytest.raises(EncodingInvalid):
        evidence_hash([evidence])


KEY = b"k" * 32
SETS: dict[str, tuple[list[Validator], str]] = {
    "nobody": ([], "1 to 10000 validators"),
    "too many": ([Validator(number.to_bytes(32, "big"), 1) for number in range(10_001)], "1 to 10000 validators"),
    "short key": ([Validator(b"k", 1)], "keys of 32 bytes"),
    "one twice": ([Validator(KEY, 1), Validator(KEY, 2)], "each validator once"),
    "no power": ([Validator(KEY, 0)], "powers of at least 1"),
    "negative power": ([Validator(KEY, 5), Validator(b"l" * 32, -1)], "powers of at least 1"),
    "too much power": ([Validator(KEY, TOTAL_POWER_MAX), Validator(b"l" * 32, 1)], "powers of at least 1"),
}


@pytest.mark.parametrize("name", SETS)
def test_a_validator_set_keeps_its_rules(name: str) -> None:
    validators, words = SETS[name]
    with pytest.raises(EncodingInvalid, match=words):
        check_validators(validators)


# Whatever the bytes: accepted ones re-encode to themselves, all others raise EncodingInvalid and nothing else.

CODECS: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes], bytes]] = {
    "header": (decode_header, encode_header, ENCODED),
    "commit": (decode_commit, encode_commit, encode_commit(COMMIT)),
    "signed header": (decode_signed_header, encode_signed_header, encode_signed_header(SignedHeader(HEADER, COMMIT))),
    "block": (decode_block, encode_block, block_bytes(data=wire.message(1, b"transaction"))),
}


@pytest.mark.parametrize("name", CODECS)
def test_every_single_bit_is_refused_or_means_something_else(name: str) -> None:
    decode, encode, good = CODECS[name]
    value = decode(good)
    for bit in range(8 * len(good)):
        changed = bytearray(good)
        changed[bit >> 3] ^= 1 << (bit & 7)
        try:
            other = decode(bytes(changed))
        except EncodingInvalid:
            continue
        assert other != value
        assert encode(other) == changed


@pytest.mark.parametrize("name", CODECS)
@given(data=st.binary(max_size=200))
@example(data=b"")
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_refused_in_one_way(name: str, data: bytes) -> None:
    decode, encode, _ = CODECS[name]
    try:
        value = decode(data)
    except EncodingInvalid:
        return
    assert encode(value) == data


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_integers_come_back(value: int) -> None:
    assert Fields(wire.integer(1, value), {1: VARINT}).integer(1) == value
    assert Fields(wire.sfixed64(1, value), {1: wire.FIXED64}).integer(1) == value


def test_a_fixed_field_cut_off() -> None:
    with pytest.raises(EncodingInvalid, match="fixed field is cut off"):
        Fields(b"\x09" + bytes(7), {1: wire.FIXED64})


def test_the_empty_commit_stands_below_the_first_block() -> None:
    assert decode_commit(b"\x1a\x02\x12\x00") == Commit()
    assert Fields(encode_commit(Commit()), {3: LENGTH}).blob(3, size_max_bytes=2) == b"\x12\x00"
