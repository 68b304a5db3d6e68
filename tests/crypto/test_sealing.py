"""Sealed objects: every size and segment boundary, every kind of damage by name, and the memory of a stream."""

import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.crypto.hashing import Bytes, leaf_hash
from salus.crypto.merkle import ProofInvalid, root, verify_inclusion
from salus.crypto.seal_format import FIRST_SEGMENT_PLAIN_BYTES, HEAD_SIZE_BYTES, SEGMENT_PLAIN_BYTES
from salus.crypto.sealing import (
    LengthWrong,
    Opener,
    SealBroken,
    SegmentRoot,
    key_commitment,
    new_key,
    one_shot_key,
    open_sealed,
    open_stream,
    seal,
    seal_stream,
    sealed_root,
    sealed_size,
    segment_count,
    segment_span,
    segments,
    stream_key,
)

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
ASSOCIATED = b"chain" + b"record" + b"version"
MIB = 1 << 20
TWO_FULL = FIRST_SEGMENT_PLAIN_BYTES + SEGMENT_PLAIN_BYTES

# plaintext size -> number of segments
SIZES = {
    0: 1,
    1: 1,
    10_000: 1,
    FIRST_SEGMENT_PLAIN_BYTES: 1,
    MIB - 1: 1,
    MIB: 1,
    MIB + 1: 2,
    TWO_FULL - 1: 2,
    TWO_FULL: 2,
    TWO_FULL + 1: 3,
    TWO_FULL + SEGMENT_PLAIN_BYTES: 3,
    TWO_FULL + SEGMENT_PLAIN_BYTES + 1: 4,
}


def plaintext(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_opens(size: int) -> None:
    sealed = seal(KEY, plaintext(size), ASSOCIATED)
    assert open_sealed(KEY, sealed, ASSOCIATED) == plaintext(size)
    assert (len(sealed), segment_count(size)) == (sealed_size(size), SIZES[size])


@pytest.mark.parametrize("size", SIZES)
def test_segments_tile_the_object(size: int) -> None:
    spans = [segment_span(size, index) for index in range(segment_count(size))]
    ends = [start + length for start, length in spans]
    assert [start for start, _ in spans] == [0, *ends[:-1]]
    assert ends[-1] == sealed_size(size)
    if len(spans) > 1:
        assert spans[0][1] == 42 + MIB
        assert {length for _, length in spans[1:-1]} <= {MIB}
        assert 16 < spans[-1][1] <= MIB


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([0, 1, 5000, MIB, MIB + 1, TWO_FULL, TWO_FULL + 1]), st.data())
def test_chunks_of_any_size_make_the_same_object(size: int, data: st.DataObject) -> None:
    step = data.draw(st.sampled_from([1009, 65536, MIB - 1, MIB, MIB + 7, 5 * MIB]))
    text = memoryview(plaintext(size))
    chunks: list[Bytes] = [b"", *(text[at : at + step] for at in range(0, size, step)), bytearray()]
    pieces = list(seal_stream(KEY, chunks, size, ASSOCIATED))
    assert [len(piece) for piece in pieces] == [segment_span(size, index)[1] for index in range(segment_count(size))]
    assert b"".join(open_stream(KEY, pieces, ASSOCIATED)) == text


@settings(max_examples=40)
@given(st.binary(max_size=300), st.binary(max_size=40), st.data())
def test_any_changed_bit_of_a_small_object_is_refused(text: bytes, associated: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, text, associated))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        open_sealed(KEY, sealed, associated)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, sealed_size(TWO_FULL + 1) * 8 - 1))
def test_any_changed_bit_of_a_stream_is_refused(bit: int) -> None:
    sealed = bytearray(STREAM)
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        open_sealed(KEY, sealed, ASSOCIATED)


STREAM = seal(KEY, plaintext(TWO_FULL + 1), ASSOCIATED)
SMALL = seal(KEY, b"a letter", ASSOCIATED)
OTHER_STREAM = seal(KEY, plaintext(TWO_FULL + 1), ASSOCIATED)


def parts(sealed: bytes) -> list[bytes]:
    return [bytes(segment) for segment in segments(sealed)]


def with_byte(sealed: bytes, at: int, value: int) -> bytes:
    return sealed[:at] + bytes((value,)) + sealed[at + 1 :]


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "42 bytes of header, got 0"),
    "part of a header": (lambda: SMALL[:41], "42 bytes of header, got 41"),
    "header only": (lambda: SMALL[:42], "should have 78 bytes, got 42"),
    "other format": (lambda: with_byte(SMALL, 0, 2), "expected sealed format 1, got 2"),
    "unknown suite": (lambda: with_byte(SMALL, 1, 3), "suite 3 is not the one"),
    "stream suite on a small object": (lambda: with_byte(SMALL, 1, 2), "suite 2 is not the one"),
    "small suite on a stream": (lambda: with_byte(STREAM, 1, 1), "suite 1 is not the one"),
    "size beyond the format": (lambda: with_byte(STREAM, 34, 0xFF), "is not the one"),
    "size of terabytes (found by hypothesis: room was made before the check)": (
        lambda: with_byte(STREAM, 35, 1),
        "should have 281479273840699 bytes",
    ),
    "commitment changed": (lambda: with_byte(SMALL, 2, SMALL[2] ^ 1), "not the one that the header commits to"),
    "size one less": (lambda: with_byte(SMALL, 41, 7), "should have 77 bytes, got 78"),
    "one byte missing": (lambda: SMALL[:-1], "should have 78 bytes, got 77"),
    "one byte more": (lambda: SMALL + b"\0", "should have 78 bytes, got 79"),
    "nonce changed": (lambda: with_byte(SMALL, 42, SMALL[42] ^ 1), "segment 0 of 1 was changed"),
    "ciphertext changed": (lambda: with_byte(SMALL, 54, SMALL[54] ^ 1), "segment 0 of 1 was changed"),
    "tag changed": (lambda: with_byte(SMALL, 77, SMALL[77] ^ 1), "segment 0 of 1 was changed"),
    "stream header length": (lambda: with_byte(STREAM, 42, 41), "begin with that number"),
    "stream salt": (lambda: with_byte(STREAM, 43, STREAM[43] ^ 1), "segment 0 of 3 was changed"),
    "stream nonce prefix": (lambda: with_byte(STREAM, 75, STREAM[75] ^ 1), "segment 0 of 3 was changed"),
    "byte in the middle segment": (lambda: with_byte(STREAM, 1_500_000, STREAM[1_500_000] ^ 1), "segment 1 of 3"),
    "byte in the last segment": (lambda: with_byte(STREAM, len(STREAM) - 1, STREAM[-1] ^ 1), "segment 2 of 3"),
}


@pytest.mark.promise("R6")
@pytest.mark.parametrize("name", BROKEN)
def test_broken_object_is_refused_by_name(name: str) -> None:
    build, words = BROKEN[name]
    with pytest.raises(SealBroken, match=words):
        open_sealed(KEY, build(), ASSOCIATED)


BROKEN_STREAMS: dict[str, tuple[Callable[[], list[bytes]], str]] = {
    "no segment": (list, "ends after 0 of 1"),
    "last segment missing": (lambda: parts(STREAM)[:2], "ends after 2 of 3"),
    "middle segment missing": (lambda: [parts(STREAM)[0], parts(STREAM)[2]], "segment 1 of 3 should have"),
    "segments swapped": (lambda: [parts(STREAM)[i] for i in (0, 2, 1)], "segment 1 of 3 should have"),
    "a segment twice": (lambda: [parts(STREAM)[i] for i in (0, 1, 1)], "segment 2 of 3 should have"),
    "one segment too many": (lambda: [*parts(STREAM), b"x"], "no segment 3 in an object of 3"),
    "segment of the same place in another object": (
        lambda: [parts(STREAM)[0], parts(OTHER_STREAM)[1], parts(STREAM)[2]],
        "segment 1 of 3 was changed, or belongs elsewhere",
    ),
    "cut off at a segment, shorter size in the header": (lambda: truncated_with_header(), "segment 0 of 2 was changed"),
    "small object twice": (lambda: [SMALL, SMALL], "no segment 1 in an object of 1"),
}


def truncated_with_header() -> list[bytes]:
    """The header is not only checked against the segments: it is bound into their key."""
    first, second, _ = parts(STREAM)
    return [first[:34] + TWO_FULL.to_bytes(8, "big") + first[42:], second]


@pytest.mark.promise("R6")
@pytest.mark.parametrize("name", BROKEN_STREAMS)
def test_broken_stream_is_refused_by_name(name: str) -> None:
    build, words = BROKEN_STREAMS[name]
    with pytest.raises(SealBroken, match=words):
        list(open_stream(KEY, build(), ASSOCIATED))


@pytest.mark.parametrize("sealed", [SMALL, STREAM], ids=["small", "stream"])
def test_other_key_or_other_associated_data_open_nothing(sealed: bytes) -> None:
    with pytest.raises(SealBroken, match="commits to"):
        open_sealed(OTHER_KEY, sealed, ASSOCIATED)
    with pytest.raises(SealBroken, match="segment 0"):
        open_sealed(KEY, sealed, ASSOCIATED + b"2")


def test_equal_segments_cannot_change_places() -> None:
    """Two segments of equal size: only the index in the nonce tells them apart."""
    sealed = parts(seal(KEY, bytes(4 * MIB), ASSOCIATED))
    with pytest.raises(SealBroken, match="segment 1 of 5 was changed"):
        list(open_stream(KEY, [sealed[i] for i in (0, 2, 1, 3, 4)], ASSOCIATED))


def test_a_single_frame_can_be_opened_from_the_head_alone() -> None:
    opener = Opener.of(KEY, STREAM[:HEAD_SIZE_BYTES], ASSOCIATED)
    start, size_bytes = segment_span(opener.header.size_bytes, 1)
    got = opener.open(1, STREAM[start : start + size_bytes])
    assert got == plaintext(TWO_FULL + 1)[FIRST_SEGMENT_PLAIN_BYTES:TWO_FULL]
    with pytest.raises(SealBroken, match="no segment -1"):
        opener.open(-1, STREAM[:100])


def test_pieces_before_the_damage_are_good_and_the_damaged_one_is_never_given() -> None:
    pieces = open_stream(KEY, segments(with_byte(STREAM, 1_500_000, STREAM[1_500_000] ^ 1)), ASSOCIATED)
    assert next(pieces) == plaintext(FIRST_SEGMENT_PLAIN_BYTES)
    with pytest.raises(SealBroken):
        next(pieces)


@pytest.mark.parametrize("announced", [0, 9, 11, MIB + 1, 2 * MIB])
def test_a_plaintext_of_another_length_is_refused(announced: int) -> None:
    with pytest.raises(LengthWrong):
        list(seal_stream(KEY, [b"0123456789"], announced, ASSOCIATED))
    with pytest.raises(LengthWrong):
        list(seal_stream(KEY, [bytes(MIB + 2)] * 2, announced, ASSOCIATED))


def test_no_nonce_or_salt_is_used_twice() -> None:
    assert len({seal(KEY, b"same", ASSOCIATED)[42:54] for _ in range(50)}) == 50
    assert STREAM[43:82] != OTHER_STREAM[43:82]


def test_no_two_uses_share_a_key() -> None:
    assert len({KEY, key_commitment(KEY), one_shot_key(KEY), stream_key(KEY)}) == 4


def test_new_keys_are_32_random_bytes() -> None:
    assert {len(new_key()) for _ in range(5)} == {32}
    assert new_key() != new_key()


@pytest.mark.promise("R6")
def test_sealed_root_is_the_tree_over_the_segments_and_proves_each() -> None:
    leaves = [leaf_hash(segment) for segment in parts(STREAM)]
    running = SegmentRoot(keep_leaves=True)
    for segment in segments(STREAM):
        running.add(segment)
    assert running.root() == sealed_root(segments(STREAM)) == root(leaves)
    for index, leaf in enumerate(leaves):
        verify_inclusion(leaf_hash=leaf, index=index, size=3, path=running.path(index), root=running.root())
    with pytest.raises(ProofInvalid):
        verify_inclusion(leaf_hash=leaves[0], index=1, size=3, path=running.path(1), root=running.root())


def test_the_root_covers_the_outer_header() -> None:
    assert sealed_root([SMALL]) == leaf_hash(SMALL)
    assert sealed_root([with_byte(SMALL, 41, 7)]) != sealed_root([SMALL])


def test_paths_need_kept_leaves() -> None:
    with pytest.raises(AssertionError, match="not kept"):
        SegmentRoot().path(0)


def test_a_stream_is_never_held_whole() -> None:
    """24 MiB go through sealing, root and opening in the memory of a few segments."""
    size = 24 * MIB
    chunk = bytes(256 * 1024)

    def chunks() -> Iterator[bytes]:
        for _ in range(size // len(chunk)):
            yield chunk

    running, opened = SegmentRoot(), 0

    def counted(pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            running.add(piece)
            yield piece

    tracemalloc.start()
    for piece in open_stream(KEY, counted(seal_stream(KEY, chunks(), size, b"")), b""):
        opened += len(piece)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert opened == size
    assert peak_bytes < 6 * MIB
