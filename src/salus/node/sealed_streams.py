"""Streams of the exchange: a record's sealed segments in frames, and at their end a frame that says how it went.

Promises: a stream that was cut, changed, or taken from another request is never taken for a whole one: the last frame
is sealed under the ask's answer key, signed by the custodian, and names the request, the number of segments and their
RFC 9162 root. Segments travel as they are stored: they are sealed already. Byte formats: docs/spec/exchange.md.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from salus.crypto import sealing
from salus.crypto.sealing import SealBroken, SegmentRoot
from salus.crypto.signing import SignatureInvalid, SigningKey, verify_tagged
from salus.engines.base import Unavailable as LedgerUnavailable
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.identifiers import CountField, Digest, DigestField, SignatureField
from salus.node.answer import answer_stream
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refused
from salus.node.exchange import Done, NotNowAnswer, RefusedAnswer, StreamAsk
from salus.node.http_signatures import SignedRequest
from salus.node.local_peers import raised
from salus.node.sealed_bodies import Route, answer_bound, require_known
from salus.vault.errors import Damaged, NoSuchRecord, Unavailable

END_TAG: Final = "salus/stream-end/1"
SEGMENT: Final = 1
END: Final = 2
HEAD_BYTES: Final = 5
FRAME_BYTES_MAX: Final = (1 << 20) + 4096
"""A sealed segment has at most 1 MiB and 42 bytes."""

Verdict = Done | RefusedAnswer | NotNowAnswer
Frame = tuple[int, bytes]


class StreamEnd(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How a stream went: how much came before, and whether that is all."""

    segment_count: CountField
    root: DigestField
    verdict: Verdict


class SignedEnd(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The end, signed by the custodian's http key together with the request that it answers."""

    end: StreamEnd
    signature: SignatureField


@dataclass(frozen=True)
class StreamSeal:
    """What the last frame of one stream is bound to."""

    request: SignedRequest
    route: Route
    answer_key: bytes = field(repr=False)

    def bound(self) -> bytes:
        """Return the associated data of the last frame."""
        return answer_bound(self.route, self.request.head.digest)

    def signed(self, end: StreamEnd) -> bytes:
        """Return what is signed, after the tag."""
        return encode((self.route.chain, self.request.head.digest, self.request.signature, end))


_END = decoder(SignedEnd)


def answer_frames(node: Node, ask: StreamAsk, seal: StreamSeal, key: SigningKey) -> Generator[Frame, None, None]:
    """Yield a record's segments and the end, whatever ends it; see `salus.node.answer.answer_stream`."""
    root, count = SegmentRoot(), 0
    verdict: Verdict = Done(0)
    try:
        for segment in answer_stream(node, seal.route.sender, ask):
            root.add(segment)
            count += 1
            yield SEGMENT, segment
    except Refused as refused:
        verdict = RefusedAnswer(refused.refusal, refused.words)
    except (NotNow, LedgerUnavailable, Unavailable, Damaged, NoSuchRecord) as error:
        verdict = NotNowAnswer(str(error))
    yield END, seal_end(StreamEnd(count, Digest(root.root()), verdict), seal, key)


def read_segments(chunks: Iterable[bytes], seal: StreamSeal, key: bytes) -> Iterator[bytes]:
    """Yield the segments of a stream as they come.

    That the stream was whole is known only when this ends without an error.

    Args:
        chunks: the body, in pieces of any size.
        key: the custodian's registered http key.

    Raises:
        Refused: the custodian says no, also half way through.
        NotNow: the stream was cut or changed, or the custodian cannot go on.
    """
    root, count = SegmentRoot(), 0
    end: StreamEnd | None = None
    for kind, data in read_frames(chunks):
        if end is not None:
            raise NotNow("the stream goes on after its end: ask again")
        if kind == END:
            end = open_end(data, seal, key)
            continue
        root.add(data)
        count += 1
        yield data
    if end is None:
        raise NotNow(f"the stream was cut after {count} segments: ask again")
    raised(end.verdict)
    if (end.segment_count, end.root) != (count, root.root()):
        raise NotNow("the stream was changed on its way: ask again")


def seal_end(end: StreamEnd, seal: StreamSeal, key: SigningKey) -> bytes:
    """Sign and seal what the last frame holds."""
    signed = SignedEnd(end, key.sign_tagged(END_TAG, seal.signed(end)))
    return sealing.seal(seal.answer_key, encode(signed), seal.bound())


def open_end(data: bytes, seal: StreamSeal, key: bytes) -> StreamEnd:
    """Open the last frame and check that it is the custodian's, of this very stream. Raises NotNow."""
    try:
        signed: SignedEnd = _END.decode(sealing.open_sealed(seal.answer_key, data, seal.bound()))
        verify_tagged(key, END_TAG, seal.signed(signed.end), signed.signature)
    except (SealBroken, EncodingInvalid, SignatureInvalid) as error:
        raise NotNow("the stream ends with what is not its custodian's word: ask again") from error
    require_known(signed.end.verdict)
    return signed.end


def frame_head(frame: Frame) -> bytes:
    """Return what stands before a frame's bytes: its kind (1 byte) and its size (4)."""
    kind, data = frame
    assert len(data) <= FRAME_BYTES_MAX, f"a frame has at most {FRAME_BYTES_MAX} bytes, got {len(data)}"
    return bytes((kind,)) + len(data).to_bytes(4, "big")


def read_frames(chunks: Iterable[bytes]) -> Iterator[Frame]:
    """Yield whole frames out of a stream in pieces of any size. Raises NotNow for a frame that is none, or cut."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while (size_bytes := _frame_size(held)) and len(held) >= size_bytes:
            yield held[0], bytes(held[HEAD_BYTES:size_bytes])
            del held[:size_bytes]
    if held:
        raise NotNow("the stream was cut within a frame: ask again")


def _frame_size(held: bytearray) -> int:
    """The size of the first frame with its head; 0 while the head is not whole."""
    if len(held) < HEAD_BYTES:
        return 0
    size_bytes = int.from_bytes(held[1:HEAD_BYTES], "big")
    if held[0] not in (SEGMENT, END) or size_bytes > FRAME_BYTES_MAX:
        raise NotNow("the stream holds what is no frame: ask again")
    return HEAD_BYTES + size_bytes
