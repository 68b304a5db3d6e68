"""The release journal: an append-only file of one worker, where every release is written down before its slot leaves.

Order of a release (DESIGN §6): the intent, the receipt with both signatures, durably, and only then the slot. An intent
that is found open at start, with its receipt logged, was *possibly released*; one without was *not released*.
Holds ids, roots and signatures; what a receipt says is sealed in the vault (P4).
"""

import os
import threading
import zlib
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from salus.ledger.receipts import Receipt, decode_receipt

_FRAME_BYTES = 8
_EMPTY = b""


class State(IntEnum):
    """What is known of one part of a release."""

    INTENT = 1
    LOGGED = 2
    SENT = 3
    NOT_RELEASED = 4
    POSSIBLY_RELEASED = 5
    OPENED = 6
    SLOT_MISSING = 7


RELEASED_STATES = frozenset({State.LOGGED, State.SENT, State.POSSIBLY_RELEASED, State.OPENED, State.SLOT_MISSING})
"""States in which there is a receipt that both ends signed; it is anchored."""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One line: a part's new state; the receipt comes with LOGGED and stays. Times in seconds."""

    permit: bytes
    part: int
    pseudonym: bytes
    state: State
    at_s: int
    receipt: bytes


class PartKey(NamedTuple):
    """Which part of which permit."""

    permit: bytes
    part: int


class JournalDamaged(Exception):
    """A line in the middle of the journal is not what was written; the message says where."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Line)


class Journal:
    """One worker's journal, in memory as its last line for each part; every method may be called from any thread."""

    def __init__(self, path: Path, *, now_s: int) -> None:
        """Open or make the file, drop a line torn at its end, and settle what was open when the worker stopped."""
        self._path = path
        self._lock = threading.Lock()
        self._synced = threading.Condition()
        self._written = 0
        self._durable = 0
        self._is_syncing = False
        self.parts: dict[PartKey, Line] = {}
        sound_bytes = 0
        for line, end in read_lines(path):
            self._take(line)
            sound_bytes = end
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._file, sound_bytes)
        self._settle(now_s)

    def intent(self, key: PartKey, *, pseudonym: bytes, at_s: int) -> None:
        """Note that a part is being offered; not yet durable, since nothing has left that anybody can open."""
        self._append(Line(key.permit, key.part, pseudonym, State.INTENT, at_s, _EMPTY), durable=False)

    def log(self, key: PartKey, receipt: bytes, *, pseudonym: bytes, at_s: int) -> None:
        """Write the receipt down, durably: after this, and only after this, the slot may leave."""
        self._append(Line(key.permit, key.part, pseudonym, State.LOGGED, at_s, receipt), durable=True)

    def note(self, key: PartKey, state: State, *, at_s: int) -> None:
        """Note what became of a part; its receipt, if it has one, stays with it."""
        line = self.parts[key]
        self._append(msgspec.structs.replace(line, state=state, at_s=at_s), durable=False)

    def line(self, key: PartKey) -> Line | None:
        """Return what is known of a part; None when it was never offered here."""
        return self.parts.get(key)

    def receipts(self, permit: bytes) -> list[Receipt]:
        """Return a permit's receipts, in the order of the parts."""
        lines = sorted((key.part, line) for key, line in self.parts.items() if key.permit == permit and line.receipt)
        return [decode_receipt(line.receipt) for _, line in lines]

    def lines(self, pseudonym: bytes) -> list[Line]:
        """Return the last line of every part under a pseudonym, oldest first."""
        return sorted((line for line in self.parts.values() if line.pseudonym == pseudonym), key=_age)

    def close_stale_intents(self, *, before_s: int, at_s: int) -> int:
        """Close as *not released* the intents offered before a time and never signed for; return how many."""
        stale = [key for key, line in self.parts.items() if line.state is State.INTENT and line.at_s < before_s]
        for key in stale:
            self.note(key, State.NOT_RELEASED, at_s=at_s)
        return len(stale)

    def close(self) -> None:
        """Sync and close the file."""
        os.fsync(self._file)
        os.close(self._file)

    def _settle(self, now_s: int) -> None:
        for key, line in list(self.parts.items()):
            if line.state is State.LOGGED:
                self.note(key, State.POSSIBLY_RELEASED, at_s=now_s)
            elif line.state is State.INTENT:
                self.note(key, State.NOT_RELEASED, at_s=now_s)
        os.fsync(self._file)

    def _append(self, line: Line, *, durable: bool) -> None:
        frame = encode_line(line)
        with self._lock:
            os.write(self._file, frame)
            self._take(line)
            self._written += 1
            mine = self._written
        if durable:
            self._sync(mine)

    def _sync(self, wanted: int) -> None:
        """Wait until the file is durable up to a line; whoever comes first syncs for all that wait."""
        while True:
            with self._synced:
                if self._durable >= wanted:
                    return
                if self._is_syncing:
                    self._synced.wait()
                    continue
                self._is_syncing = True
            reached = self._written
            try:
                os.fsync(self._file)
            finally:
                with self._synced:
                    self._is_syncing = False
                    self._synced.notify_all()
            with self._synced:
                self._durable = max(self._durable, reached)

    def _take(self, line: Line) -> None:
        self.parts[PartKey(line.permit, line.part)] = line


def encode_line(line: Line) -> bytes:
    """Return a line's frame: length and CRC-32, 4 bytes each, then the line."""
    data = _ENCODER.encode(line)
    return len(data).to_bytes(4, "big") + zlib.crc32(data).to_bytes(4, "big") + data


def read_lines(path: Path) -> Iterator[tuple[Line, int]]:
    """Yield (line, offset of its end); stops before a line torn at the end of the file.

    Raises:
        JournalDamaged: a line that is followed by others is not what was written.
    """
    data = path.read_bytes() if path.exists() else b""
    offset = 0
    while offset < len(data):
        end = offset + _FRAME_BYTES + int.from_bytes(data[offset : offset + 4], "big")
        body = data[offset + _FRAME_BYTES : end]
        if end > len(data) or len(data) < offset + _FRAME_BYTES:
            return
        if zlib.crc32(body) != int.from_bytes(data[offset + 4 : offset + 8], "big"):
            if end == len(data):
                return
            raise JournalDamaged(f"{path.name}: the line at byte {offset} was changed: restore the journal")
        yield _DECODER.decode(body), end
        offset = end


def _age(line: Line) -> tuple[int, bytes, int]:
    return line.at_s, line.permit, line.part
