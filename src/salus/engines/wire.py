"""Frames of the ledger's socket: what nodes ask, what the ledger process answers (docs/spec/ledger-process.md).

A frame is four bytes of length, big-endian, and one MessagePack array. Requests carry a number that the answer repeats,
so many can be in flight. Frames are bounded; bytes that are no frame end the connection, because nothing after them
can be trusted to be one.
"""

from typing import Annotated, Protocol, TypeVar

import msgspec
from msgspec import Meta

from salus.engines.base import ProvedRow
from salus.ledger.outcomes import TransactionResult
from salus.ledger.proofs import PROVED_KEYS_MAX, ProvedRows

FORMAT = 1
FRAME_BYTES_MAX = 4 << 20
"""Of a request. An answer may be larger: outcomes can be longer than what asked for them."""
ANSWER_BYTES_MAX = 16 << 20
LENGTH_SIZE_BYTES = 4
TRANSACTIONS_PER_FRAME_MAX = 4096

UNAVAILABLE = 1
"""Try later; for submissions, send the same bytes again."""
MALFORMED = 2
"""The bytes were no request; the connection ends."""
BUSY = 3
"""A queue is full: like unavailable, and a moment is enough."""

_Number = Annotated[int, Meta(ge=0, lt=1 << 53)]
_Key = Annotated[bytes, Meta(min_length=1, max_length=511)]


class FrameInvalid(Exception):
    """The bytes are no frame of this protocol; says what was expected."""


class Hello(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """First on every connection: which protocol the client speaks."""

    format: int


class Submit(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """Execute these transactions in this order; answered when the last is durable."""

    raws: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=TRANSACTIONS_PER_FRAME_MAX)]


class WaitFor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """Answer when the state has this height."""

    height: _Number


class Prove(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """Prove this key of the proved tables, or its absence, at the newest height."""

    key: _Key


class ProveMany(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """Prove these keys of the proved tables, or their absence, all at the newest height."""

    keys: Annotated[tuple[_Key, ...], Meta(max_length=PROVED_KEYS_MAX)]


Asked = Hello | Submit | WaitFor | Prove | ProveMany


class Welcome(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Answers Hello."""

    format: int
    chain: str


class Results(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """Answers Submit: one result per transaction, in order."""

    results: tuple[TransactionResult, ...]


class Reached(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """Answers WaitFor: the height that the state has."""

    height: _Number


class Proved(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """Answers Prove."""

    row: ProvedRow


class ProvedMany(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """Answers ProveMany: the rows in the order of the keys."""

    rows: ProvedRows


class Failed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=9):
    """Answers any request that got no answer of its own kind."""

    kind: int
    words: str


Answered = Welcome | Results | Reached | Proved | ProvedMany | Failed


class Request(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a client sends."""

    number: _Number
    asked: Asked


class Answer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the ledger process sends; number 0 answers bytes that were no request."""

    number: _Number
    answered: Answered


_encode = msgspec.msgpack.Encoder().encode
_REQUEST = msgspec.msgpack.Decoder(Request)
_ANSWER = msgspec.msgpack.Decoder(Answer)


def request_frame(request: Request) -> bytes:
    """Return a request's bytes. Raises FrameInvalid when they would be too long."""
    return _frame(_encode(request), FRAME_BYTES_MAX)


def answer_frame(answer: Answer) -> bytes:
    """Return an answer's bytes; one that would be too long is replaced by what the client can do instead."""
    try:
        return _frame(_encode(answer), ANSWER_BYTES_MAX)
    except FrameInvalid:
        words = "the answer is too long for one frame: send the same transactions again in smaller frames"
        return answer_frame(Answer(answer.number, Failed(UNAVAILABLE, words)))


class Stream(Protocol):
    """Where frames are read from: a buffered reader of a socket."""

    def read(self, size: int, /) -> bytes:
        """Return this many bytes, fewer only at the end."""


def read_request(stream: Stream) -> Request | None:
    """Read the next request; None when the other end closed between frames. Raises FrameInvalid."""
    payload = _read(stream, FRAME_BYTES_MAX)
    return None if payload is None else _decode(_REQUEST, payload)


def read_answer(stream: Stream) -> Answer | None:
    """Read the next answer; None when the other end closed between frames. Raises FrameInvalid."""
    payload = _read(stream, ANSWER_BYTES_MAX)
    return None if payload is None else _decode(_ANSWER, payload)


T = TypeVar("T")


def _decode(decoder: "msgspec.msgpack.Decoder[T]", payload: bytes) -> T:
    try:
        return decoder.decode(payload)
    except msgspec.DecodeError as error:
        raise FrameInvalid(f"expected a message of the ledger's socket, format {FORMAT}: {error}") from error


def _frame(payload: bytes, size_bytes_max: int) -> bytes:
    if len(payload) > size_bytes_max:
        raise FrameInvalid(
            f"expected at most {size_bytes_max} bytes in a frame, came {len(payload)}: send less at once"
        )
    return len(payload).to_bytes(LENGTH_SIZE_BYTES, "big") + payload


def _read(stream: Stream, size_bytes_max: int) -> bytes | None:
    head = stream.read(LENGTH_SIZE_BYTES)
    if not head:
        return None
    size_bytes = int.from_bytes(head, "big")
    if len(head) < LENGTH_SIZE_BYTES or size_bytes > size_bytes_max:
        raise FrameInvalid(f"expected a length of at most {size_bytes_max} bytes, came {size_bytes}")
    payload = stream.read(size_bytes)
    if len(payload) < size_bytes:
        raise FrameInvalid(f"expected {size_bytes} bytes, the connection ended after {len(payload)}")
    return payload
