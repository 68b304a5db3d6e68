"""Streams: cut, changed, mixed up or refused half way, none is taken for a whole one."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.crypto.hashing import sha256
from salus.crypto.sealing import SegmentRoot, new_key
from salus.crypto.signing import SigningKey
from salus.engines.base import Unavailable as LedgerUnavailable
from salus.ledger.identifiers import Digest, OrganisationId, PermitId
from salus.node import sealed_streams
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Done, NotNowAnswer, StreamAsk
from salus.node.http_signatures import RequestHead, sign_request
from salus.node.sealed_bodies import STREAM_PATH, Route
from salus.node.sealed_streams import (
    END,
    SEGMENT,
    Frame,
    StreamEnd,
    StreamSeal,
    answer_frames,
    frame_head,
    read_segments,
    seal_end,
)
from salus.vault.errors import Damaged, Unavailable

REQUESTER, CUSTODIAN = SigningKey.from_seed(bytes(32)), SigningKey.from_seed(bytes(31) + b"\x01")
ROUTE = Route("salus-test", OrganisationId("A81001"), OrganisationId("RVJ"), STREAM_PATH)
HEAD = RequestHead(STREAM_PATH, ROUTE.sender, ROUTE.recipient, sha256(b"an ask"))
ASK = StreamAsk(PermitId(bytes(16)), 1, 0)
SEGMENTS = [b"segment 0", b"segment 1", b"segment 2"]


def seal_of(number: int) -> StreamSeal:
    request = sign_request(HEAD, REQUESTER, created_s=1_800_000_000, nonce=number.to_bytes(16, "big"))
    return StreamSeal(request, ROUTE, new_key())


SEAL = seal_of(0)
SAME_KEY = replace(seal_of(1), answer_key=SEAL.answer_key)


def root_of(segments: list[bytes]) -> Digest:
    running = SegmentRoot()
    for segment in segments:
        running.add(segment)
    return Digest(running.root())


def end_of(segments: list[bytes], verdict: object = Done(0), *, seal: StreamSeal = SEAL, key: SigningKey = CUSTODIAN):
    return END, seal_end(StreamEnd(len(segments), root_of(segments), verdict), seal, key)


def written(frames: list[Frame]) -> bytes:
    return b"".join(frame_head(frame) + frame[1] for frame in frames)


def segment_frames(segments: list[bytes] = SEGMENTS) -> list[Frame]:
    return [(SEGMENT, each) for each in segments]


WHOLE = written([*segment_frames(), end_of(SEGMENTS)])


def read(stream: bytes, *, seal: StreamSeal = SEAL) -> list[bytes]:
    return list(read_segments([stream], seal, CUSTODIAN.public))


@given(st.lists(st.integers(1, len(WHOLE)), max_size=30))
def test_pieces_of_any_size_are_the_same_stream(cuts: list[int]) -> None:
    marks = sorted({0, *cuts, len(WHOLE)})
    pieces = [WHOLE[start:stop] for start, stop in itertools.pairwise(marks)]
    assert list(read_segments(pieces, SEAL, CUSTODIAN.public)) == SEGMENTS


def test_a_stream_cut_anywhere_is_none() -> None:
    for length in range(len(WHOLE)):
        with pytest.raises(NotNow):
            read(WHOLE[:length])


def test_a_stream_with_any_byte_changed_is_none() -> None:
    for place in range(len(WHOLE)):
        with pytest.raises(NotNow):
            read(WHOLE[:place] + bytes((WHOLE[place] ^ 1,)) + WHOLE[place + 1 :])


CHANGED = {
    "a segment missing": [*segment_frames(SEGMENTS[:2]), end_of(SEGMENTS)],
    "a segment twice": [*segment_frames([*SEGMENTS, SEGMENTS[2]]), end_of(SEGMENTS)],
    "segments in another order": [*segment_frames(SEGMENTS[::-1]), end_of(SEGMENTS)],
    "segments after the end": [end_of([]), *segment_frames()],
    "two ends": [*segment_frames(), end_of(SEGMENTS), end_of(SEGMENTS)],
    "no end": segment_frames(),
    "another's signature": [*segment_frames(), end_of(SEGMENTS, key=REQUESTER)],
    "the end of another stream, same request": [*segment_frames(), end_of(SEGMENTS, seal=seal_of(0))],
    "the end of another stream, same key": [*segment_frames(), end_of(SEGMENTS, seal=SAME_KEY)],
    "an unsealed end": [*segment_frames(), (END, b"done")],
    "an unknown frame": [*segment_frames(), (3, b""), end_of(SEGMENTS)],
    "an empty stream": [],
}  # fmt: skip


@pytest.mark.parametrize("frames", CHANGED.values(), ids=CHANGED)
def test_changed(frames: list[Frame]) -> None:
    assert read(WHOLE) == SEGMENTS
    with pytest.raises(NotNow):
        read(written(frames))


def test_a_frame_of_any_claimed_size_costs_no_memory() -> None:
    with pytest.raises(NotNow, match="no frame"):
        read(bytes((SEGMENT,)) + b"\xff\xff\xff\xff")


def from_service(*parts: bytes | Exception) -> Iterator[bytes]:
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part


ENDINGS = {
    "refused at once": ([], Refused(Refusal.NOT_THE_REQUESTER, "the permit is for another")),
    "withdrawn half way": (SEGMENTS[:1], Refused(Refusal.PERMIT_DEAD, "the permit has ended")),
    "ledger out of date half way": (SEGMENTS[:2], NotNow("newest block is 11 s old")),
    "ledger away": (SEGMENTS[:2], LedgerUnavailable("no ledger process answers")),
    "vault away": (SEGMENTS[:2], Unavailable("the database is away")),
    "bytes damaged": (SEGMENTS[:2], Damaged("segment", "these are not the bytes that were stored")),
}


@pytest.mark.promise("R3")
@pytest.mark.parametrize(("segments", "error"), ENDINGS.values(), ids=ENDINGS)
def test_ending(segments: list[bytes], error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_streams, "answer_stream", lambda *_: from_service(*segments, error))
    frames = answer_frames(None, ASK, SEAL, CUSTODIAN)
    came: list[bytes] = []
    with pytest.raises((Refused, NotNow)) as ended:
        take(came, (written([frame]) for frame in frames))
    assert came == segments
    assert str(ended.value) == str(error)
    if isinstance(error, Refused):
        assert ended.value.refusal is error.refusal
    else:
        assert type(ended.value) is NotNow


def take(came: list[bytes], chunks: Iterable[bytes]) -> None:
    for segment in read_segments(chunks, SEAL, CUSTODIAN.public):
        came.append(segment)


def test_a_whole_stream_from_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_streams, "answer_stream", lambda *_: from_service(*SEGMENTS))
    assert read(written(list(answer_frames(None, ASK, SEAL, CUSTODIAN)))) == SEGMENTS


def test_the_end_shows_nothing_to_who_ends_tls() -> None:
    _, data = end_of([], NotNowAnswer("words"))
    assert b"words" not in data
