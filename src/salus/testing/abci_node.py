"""A node that speaks ABCI 2.0 as CometBFT does, with nothing behind it: tests decide the blocks.

Four connections over the real socket, each call followed by Flush, blocks kept as CometBFT keeps them: before the
application executes them. So a handshake sends whatever the application has lost.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from salus.ledger.comet import wire
from salus.ledger.comet.header import encode_time
from salus.ledger.comet.types import Validator
from salus.ledger.comet.wire import LENGTH, VARINT, Fields

ANSWER_BYTES_MAX: Final = 64 << 20
COUNT_MAX: Final = 1 << 20
SECOND_NS: Final = 10**9
FLUSH, INFO, INIT_CHAIN, QUERY, CHECK_TX, COMMIT, PREPARE, PROCESS, FINALIZE = 2, 3, 5, 6, 8, 11, 16, 17, 20
LIST_SNAPSHOTS, OFFER_SNAPSHOT, LOAD_CHUNK, APPLY_CHUNK = 12, 13, 14, 15
ACCEPT: Final = 1
BLOCK_BYTES_MAX: Final = 2 << 20


class Refused(Exception):
    """The application ended the connection, or answered with an exception."""


@dataclass(frozen=True)
class Block:
    """A decided block. Evidence: address, height, time in seconds."""

    time_ns: int
    raws: tuple[bytes, ...]
    evidence: tuple[tuple[bytes, int, int], ...] = ()


@dataclass(frozen=True)
class Finalized:
    """What the application said of a block."""

    codes: tuple[int, ...]
    updates: tuple[tuple[bytes, int], ...]
    app_version: int
    app_hash: bytes


@dataclass(frozen=True)
class Offered:
    """A snapshot as an application lists it."""

    height: int
    format: int
    chunks: int
    hash: bytes
    metadata: bytes


@dataclass
class AbciNode:
    """One node. `calls` counts what it asked; `first_height` is that of its first block."""

    socket_path: Path
    chain: str
    validators: tuple[Validator, ...] = ()
    blocks: list[Block] = field(default_factory=list)
    calls: int = 0
    first_height: int = 1

    @property
    def height(self) -> int:
        """The height of its newest block."""
        return self.first_height + len(self.blocks) - 1

    def start(self) -> int:
        """Connect and shake hands as after a start; return the height that the application had."""
        self._open = [AbciConnection(self.socket_path) for _ in range(4)]
        self._consensus, self._mempool, self._query, _ = self._open
        stands = _fields(self._ask(self._query, INFO, b""), {4: VARINT, 5: LENGTH})
        height = stands.integer(4)
        if height == 0:
            said = _fields(self._ask(self._consensus, INIT_CHAIN, self._init_chain()), {3: LENGTH})
            self.app_hash = said.blob(3, size_max_bytes=32)
        else:
            self.app_hash = stands.blob(5, size_max_bytes=32)
        for missing in range(max(height + 1, self.first_height), self.height + 1):
            self.finalize(missing)
            self.commit()
        return height

    def stop(self) -> None:
        """End all connections, at whatever step they are."""
        for each in self._open:
            each.close()

    def check(self, raws: Sequence[bytes], *, recheck: bool = False) -> list[int]:
        """Ask about bytes for the mempool; return the codes."""
        self.calls += len(raws)
        bodies = [wire.blob(1, raw) + wire.integer(2, int(recheck)) for raw in raws]
        answers = self._mempool.ask_all([(CHECK_TX, body) for body in bodies])
        return [_fields(answer, {1: VARINT}).integer(1) for answer in answers]

    def prepare(self, raws: Sequence[bytes], *, time_ns: int, size_bytes_max: int = BLOCK_BYTES_MAX) -> list[bytes]:
        """Have a block proposed from what waits."""
        body = wire.integer(1, size_bytes_max) + _raws(2, raws) + self._next(time_ns)
        return _list(self._ask(self._consensus, PREPARE, body), 1)

    def process(self, raws: Sequence[bytes], *, time_ns: int) -> bool:
        """Have a proposed block judged."""
        answer = self._ask(self._consensus, PROCESS, _raws(1, raws) + self._next(time_ns))
        return _fields(answer, {1: VARINT}).integer(1) == ACCEPT

    def decide(self, block: Block) -> Finalized:
        """Keep a decided block, have it executed and stored."""
        self.blocks.append(block)
        finalized = self.finalize(self.height)
        self.commit()
        return finalized

    def finalize(self, height: int) -> Finalized:
        """Have a kept block executed."""
        block = self.blocks[height - self.first_height]
        evidence = b"".join(wire.message(3, _misbehaviour(*each)) for each in block.evidence)
        body = _raws(1, block.raws) + evidence + wire.integer(5, height) + wire.message(6, encode_time(block.time_ns))
        answer = _fields(self._ask(self._consensus, FINALIZE, body), {2: LENGTH, 3: LENGTH, 4: LENGTH, 5: LENGTH})
        codes = [_fields(each, {1: VARINT}).integer(1) for each in _values(answer, 2)]
        version = _fields(answer.blob(4, size_max_bytes=ANSWER_BYTES_MAX), {4: LENGTH}).blob(4, size_max_bytes=32)
        self.app_hash = answer.blob(5, size_max_bytes=32)
        updates = tuple(_update(each) for each in _values(answer, 3))
        return Finalized(tuple(codes), updates, _fields(version, {1: VARINT}).integer(1), self.app_hash)

    def commit(self) -> None:
        """Have the executed block stored."""
        self._ask(self._consensus, COMMIT, b"")

    def row(self, key: bytes) -> bytes:
        """Ask for a proved row."""
        answer = self._ask(self._query, QUERY, wire.blob(1, key) + wire.text(2, "/row"))
        return _fields(answer, {7: LENGTH}).blob(7, size_max_bytes=ANSWER_BYTES_MAX)

    def snapshots(self) -> list[Offered]:
        """Ask which snapshots there are."""
        kinds = {1: VARINT, 2: VARINT, 3: VARINT, 4: LENGTH, 5: LENGTH}
        found = [_fields(each, kinds) for each in _list(self._ask(self._query, LIST_SNAPSHOTS, b""), 1)]
        return [
            Offered(
                height=each.integer(1),
                format=each.integer(2),
                chunks=each.integer(3),
                hash=each.blob(4, size_max_bytes=ANSWER_BYTES_MAX),
                metadata=each.blob(5, size_max_bytes=ANSWER_BYTES_MAX),
            )
            for each in found
        ]

    def chunk(self, snapshot: Offered, index: int) -> bytes:
        """Ask for a chunk."""
        body = wire.integer(1, snapshot.height) + wire.integer(2, snapshot.format) + wire.integer(3, index)
        answer = self._ask(self._query, LOAD_CHUNK, body)
        return _fields(answer, {1: LENGTH}).blob(1, size_max_bytes=ANSWER_BYTES_MAX)

    def offer(self, snapshot: Offered, app_hash: bytes) -> int:
        """Offer a peer's snapshot; return what the application makes of it."""
        numbers = (snapshot.height, snapshot.format, snapshot.chunks)
        described = b"".join(wire.integer(place, each) for place, each in enumerate(numbers, start=1))
        described += wire.blob(4, snapshot.hash) + wire.blob(5, snapshot.metadata)
        answer = self._ask(self._query, OFFER_SNAPSHOT, wire.message(1, described) + wire.blob(2, app_hash))
        return _fields(answer, {1: VARINT}).integer(1)

    def apply(self, index: int, chunk: bytes) -> tuple[int, bytes]:
        """Bring a chunk; return what the application makes of it, and which chunks it wants again."""
        answer = self._ask(
            self._query, APPLY_CHUNK, wire.integer(1, index) + wire.blob(2, chunk) + wire.text(3, "peer")
        )
        fields = _fields(answer, {1: VARINT, 2: LENGTH})
        return fields.integer(1), fields.blob(2, size_max_bytes=ANSWER_BYTES_MAX)

    def _ask(self, connection: "AbciConnection", number: int, body: bytes) -> bytes:
        self.calls += 1
        return connection.ask_all([(number, body)])[0]

    def _next(self, time_ns: int) -> bytes:
        return wire.integer(5, self.height + 1) + wire.message(6, encode_time(time_ns))

    def _init_chain(self) -> bytes:
        updates = b"".join(
            wire.message(4, wire.message(1, wire.message(1, each.public_key)) + wire.integer(2, each.power))
            for each in self.validators
        )
        begins = wire.message(1, encode_time(SECOND_NS)) + wire.text(2, self.chain)
        return begins + updates + wire.integer(6, self.first_height)


class AbciConnection:
    """One connection to an application."""

    def __init__(self, path: Path, *, timeout_s: float = 30.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")

    def ask_all(self, calls: Sequence[tuple[int, bytes]]) -> list[bytes]:
        """Ask, then flush; return the bodies of the answers, which come in order. Raises Refused."""
        frames = [wire.delimited(wire.message(number, body)) for number, body in (*calls, (FLUSH, b""))]
        try:
            self.send(b"".join(frames))
            return [self._answer(number) for number, _ in (*calls, (FLUSH, b""))][:-1]
        except ConnectionError as error:
            raise Refused("the connection ended") from error

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def is_ended(self) -> bool:
        """Wait for what comes next; tell whether that is the end."""
        try:
            return self._stream.read(1) == b""
        except ConnectionError:
            return True

    def finish(self) -> None:
        """Say no more, hear the rest, and end it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._stream.read()
        self.close()

    def close(self) -> None:
        """End it."""
        self._stream.close()
        self._socket.close()

    def _answer(self, number: int) -> bytes:
        size_bytes = shift = 0
        while True:
            byte = self._stream.read(1)
            if not byte:
                raise Refused("the connection ended")
            size_bytes |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                break
        answer = _fields(self._stream.read(size_bytes), {number + 1: LENGTH})
        [body] = answer.blobs(number + 1, size_max_bytes=ANSWER_BYTES_MAX, count_max=1)
        return body


def _fields(data: bytes, kinds: dict[int, int]) -> Fields:
    return Fields(data, kinds, skip_unknown=True)


def _values(fields: Fields, number: int) -> list[bytes]:
    return fields.blobs(number, size_max_bytes=ANSWER_BYTES_MAX, count_max=COUNT_MAX)


def _list(data: bytes, number: int) -> list[bytes]:
    return _values(_fields(data, {number: LENGTH}), number)


def _raws(number: int, raws: Sequence[bytes]) -> bytes:
    return b"".join([wire.message(number, raw) for raw in raws])


def _update(data: bytes) -> tuple[bytes, int]:
    fields = _fields(data, {1: LENGTH, 2: VARINT})
    key = _fields(fields.blob(1, size_max_bytes=64), {1: LENGTH}).blob(1, size_max_bytes=32)
    return key, fields.integer(2)


def _misbehaviour(address: bytes, height: int, time_s: int) -> bytes:
    return (
        wire.integer(1, 1)
        + wire.message(2, wire.blob(1, address) + wire.integer(3, 1))
        + wire.integer(3, height)
        + wire.message(4, encode_time(time_s * SECOND_NS))
    )
