"""The release journal: an append-only file of one worker, where every release is written down before its slot leaves.

Order of a release (DESIGN §6): the intent, the receipt with both signatures, durably, and only then the slot. An intent
that is found open at start, with its receipt logged, was *possibly released*; one without was *not released*.
Holds ids, roots and signatures, and of a response of this node's own interfaces what its receipt says; of a part that
was offered to another node that is in the vault. Each line is sealed under the key of its relationship at this node,
whichever end this is: a line whose key an erasure destroyed is passed over (P4, P5).
"""

import fcntl
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from salus.crypto.sealing import SealBroken
from salus.node.errors import NotNow
from salus.node.line_keys import LineKey, LineKeys

_FRAME_BYTES = 8
_EMPTY = b""
_FILES = "*.journal"


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

_RANK = {
    State.INTENT: 0,
    State.NOT_RELEASED: 1,
    State.LOGGED: 2,
    State.POSSIBLY_RELEASED: 3,
    State.SLOT_MISSING: 3,
    State.SENT: 4,
    State.OPENED: 4,
}
"""What is known only grows: lines of several workers mean the same in whatever order they are read."""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One line: a part's new state; the receipt comes with LOGGED and stays. Times in seconds.

    Args:
        kept: what the receipt says, where that is kept here; it stays in the file, and is read when it is asked for.
    """

    permit: bytes
    part: int
    pseudonym: bytes
    state: State
    at_s: int
    receipt: bytes
    kept: bytes = b""


class SealedLine(msgspec.Struct, frozen=True, array_like=True):
    """A line as it is stored: the name of the key that it is under, and the line."""

    key_name: bytes
    sealed: bytes


class PartKey(NamedTuple):
    """Which part of which permit."""

    permit: bytes
    part: int


class Place(NamedTuple):
    """Where a line's body is, as it is stored."""

    path: Path
    start: int
    size_bytes: int


@dataclass(frozen=True)
class Lines:
    """What was read of one journal file.

    Args:
        places: of each line.
        erased_count: lines whose key was destroyed with their relationship.
        end: offset of the end of the last whole line.
    """

    lines: list[Line]
    places: list[Place]
    erased_count: int
    end: int


class JournalDamaged(Exception):
    """A line in the middle of the journal is not what was written; the message says where."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Line)
_SEALED_DECODER = msgspec.msgpack.Decoder(SealedLine)
_ARRAY_OF_TWO = b"\x92"
"""How a sealed line begins; one that was written before lines were sealed is an array of six."""


class Journal:
    """The journals of one end of a node: its own file, and those of its other workers to read.

    Every method may be called from any thread. What is not finished in a file without a living worker is settled by
    whoever adopts the file.
    """

    def __init__(self, folder: Path, keys: LineKeys, *, unfinished: State, now_s: int) -> None:
        """Adopt the first file without a living worker, drop a line torn at its end, and settle what was open.

        Args:
            unfinished: what a part is whose receipt was logged and which has no conclusion: POSSIBLY_RELEASED at the
                custodian's end, SLOT_MISSING at the requester's.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._keys = keys
        self._lock = threading.Lock()
        self._synced = threading.Condition()
        self._written = 0
        self._durable = 0
        self._is_syncing = False
        self._broken = ""
        self._unfinished = unfinished
        self._permits: dict[bytes, dict[int, Line]] = {}
        self._places: dict[PartKey, Place] = {}
        self._pseudonyms: dict[bytes, set[bytes]] = {}
        self._unfinished_parts: set[PartKey] = set()
        self._line_keys: dict[bytes, LineKey] = {}
        self._read_bytes: dict[Path, int] = {}
        self._path, self._file = _adopt(folder)
        self._size_bytes = self._read(self._path)
        os.ftruncate(self._file, self._size_bytes)
        own = [line for parts in self._permits.values() for line in parts.values()]
        self.refresh()
        self._settle(own, now_s)
        os.fsync(self._file)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._folder

    def intent(self, key: PartKey, *, pseudonym: bytes, at_s: int) -> None:
        """Note that a part is being offered; not yet durable, since nothing has left that anybody can open."""
        self._begin(Line(key.permit, key.part, pseudonym, State.INTENT, at_s, _EMPTY), durable=False)

    def log(self, key: PartKey, receipt: bytes, *, pseudonym: bytes, at_s: int, kept: bytes = b"") -> None:
        """Write the receipt down, durably: after this, and only after this, the slot may leave.

        A part that has its receipt already keeps it; then this waits until that one is durable.

        Args:
            kept: what the receipt says, for whoever asks for it later; empty where that is kept elsewhere.

        Raises:
            NotNow: the file cannot be written, or not be made durable; then the slot must not leave.
        """
        known = self.line(key)
        if known is not None and known.state in RELEASED_STATES:
            self._sync(self._written)
            return
        self._begin(Line(key.permit, key.part, pseudonym, State.LOGGED, at_s, receipt, kept), durable=True)

    def note(self, key: PartKey, state: State, *, at_s: int) -> None:
        """Note what became of a part; its receipt, if it has one, stays with it.

        Nothing is written of a relationship that has no line key: it was erased, or its lines are those of before.
        """
        line = msgspec.structs.replace(self._permits[key.permit][key.part], state=state, at_s=at_s)
        self._find_keys({line.pseudonym})
        self._append(line, durable=False)

    def line(self, key: PartKey) -> Line | None:
        """Return what is known of a part; None when it was never offered here."""
        return self._permits.get(key.permit, {}).get(key.part)

    def kept(self, key: PartKey) -> bytes:
        """Return what a part's receipt says; empty where that is not kept here, or its relationship was erased."""
        place = self._places.get(key)
        if place is None:
            return b""
        with place.path.open("rb") as file:
            file.seek(place.start)
            stored = _stored(file.read(place.size_bytes))
        if isinstance(stored, Line):
            return stored.kept
        line_key = self._keys.named([stored.key_name]).get(stored.key_name)
        return b"" if line_key is None else _opened(stored, line_key, f"{place.path.name}, byte {place.start}").kept

    def permit_lines(self, permit: bytes) -> list[Line]:
        """Return the last line of each part of a permit, in the order of the parts."""
        with self._lock:
            parts = dict(self._permits.get(permit, {}))
        return [parts[part] for part in sorted(parts)]

    def permits_of(self, pseudonym: bytes) -> list[bytes]:
        """Return the permits under which parts of a pseudonym's records were offered, in the order of their bytes."""
        return sorted(self._pseudonyms.get(pseudonym, ()))

    def close_stale_intents(self, *, before_s: int, at_s: int) -> int:
        """Close as *not released* the intents offered before a time and never signed for; return how many."""
        return self._settle(self._stale(State.INTENT, before_s), at_s)

    def conclude_unanswered(self, *, before_s: int, at_s: int) -> int:
        """Conclude the parts whose receipt was logged before a time and of which nothing came since; return how many.

        What comes later still counts: the slot may be sent until the permit ends, and *opened* follows *slot missing*.
        """
        return self._settle(self._stale(State.LOGGED, before_s), at_s)

    def conclude(self, permit: bytes, *, at_s: int) -> None:
        """Note what a permit's parts are whose receipt was logged, and of which nothing more will come."""
        self._settle(self.permit_lines(permit), at_s)

    def refresh(self) -> None:
        """Read what other workers have written since the last time."""
        for path in sorted(self._folder.glob(_FILES)):
            if path != self._path:
                self._read(path)

    def close(self) -> None:
        """Sync and close the file; another worker may adopt it."""
        os.fsync(self._file)
        os.close(self._file)

    def _read(self, path: Path) -> int:
        found = read_lines(path, self._keys, start=self._read_bytes.get(path, 0))
        for line, place in zip(found.lines, found.places, strict=True):
            self._take(line, place)
        self._read_bytes[path] = found.end
        return found.end

    def _stale(self, state: State, before_s: int) -> list[Line]:
        with self._lock:
            lines = [self._permits[key.permit][key.part] for key in self._unfinished_parts]
        return [line for line in lines if line.state is state and line.at_s < before_s]

    def _settle(self, lines: list[Line], at_s: int) -> int:
        self._find_keys({line.pseudonym for line in lines if line.state in (State.INTENT, State.LOGGED)})
        for line in lines:
            key = PartKey(line.permit, line.part)
            if line.state is State.LOGGED:
                self.note(key, self._unfinished, at_s=at_s)
            elif line.state is State.INTENT:
                self.note(key, State.NOT_RELEASED, at_s=at_s)
        return len(lines)

    def _find_keys(self, pseudonyms: set[bytes]) -> None:
        """Get keys that lines will be written under, in one look; as the lines, they are known until this worker ends.

        What is written under a key that was destroyed meanwhile can be read by nobody, as it should be.
        """
        missing = pseudonyms - self._line_keys.keys()
        if missing:
            self._line_keys |= self._keys.of(missing)

    def _begin(self, line: Line, *, durable: bool) -> None:
        self._find_keys({line.pseudonym})
        if line.pseudonym not in self._line_keys:
            self._line_keys[line.pseudonym] = self._keys.make(line.pseudonym)
        self._append(line, durable=durable)

    def _append(self, line: Line, *, durable: bool) -> None:
        key = self._line_keys.get(line.pseudonym)
        frame = b"" if key is None else encode_line(line, key)
        with self._lock:
            place = Place(self._path, self._size_bytes + _FRAME_BYTES, len(frame) - _FRAME_BYTES)
            self._write(frame)
            self._take(line, place)
            self._written += 1
            mine = self._written
        if durable:
            self._sync(mine)

    def _write(self, frame: bytes) -> None:
        """Write a whole line or nothing: what follows half a line could not be read any more."""
        if self._broken:
            raise NotNow(self._broken)
        try:
            written = os.write(self._file, frame)
        except OSError as error:
            raise NotNow(f"the release journal cannot be written ({error.strerror}): free the disk") from error
        if written != len(frame):
            os.ftruncate(self._file, self._size_bytes)
            raise NotNow("the release journal cannot be written, the disk is full: free some of it")
        self._size_bytes += written

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
                self._fsync()
                with self._synced:
                    self._durable = max(self._durable, reached)
            finally:
                with self._synced:
                    self._is_syncing = False
                    self._synced.notify_all()

    def _fsync(self) -> None:
        """Make the file durable. After a failure nobody knows what the disk has, and asking again would not tell."""
        try:
            if self._broken:
                raise NotNow(self._broken)
            os.fsync(self._file)
        except OSError as error:
            self._broken = f"the release journal could not be made durable ({error.strerror}): start the node again"
            raise NotNow(self._broken) from error

    def _take(self, line: Line, place: Place) -> None:
        key = PartKey(line.permit, line.part)
        if line.kept:
            self._places[key] = place
            line = msgspec.structs.replace(line, kept=_EMPTY)
        parts = self._permits.setdefault(line.permit, {})
        known = parts.get(line.part)
        if known is not None and _RANK[line.state] < _RANK[known.state]:
            return  # what another worker knew before
        parts[line.part] = line
        self._pseudonyms.setdefault(line.pseudonym, set()).add(line.permit)
        if line.state in (State.INTENT, State.LOGGED):
            self._unfinished_parts.add(key)
        else:
            self._unfinished_parts.discard(key)


def _adopt(folder: Path) -> tuple[Path, int]:
    """Open and lock the first journal file that no living worker holds."""
    number = 0
    while True:
        path = folder / f"{number}.journal"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            number += 1
            continue
        return path, file


def encode_line(line: Line, key: LineKey) -> bytes:
    """Return a line's frame: length and CRC-32, 4 bytes each, then the sealed line."""
    data = _ENCODER.encode(SealedLine(key.name, key.seal(_ENCODER.encode(line))))
    return len(data).to_bytes(4, "big") + zlib.crc32(data).to_bytes(4, "big") + data


def read_lines(path: Path, keys: LineKeys, *, start: int = 0) -> Lines:
    """Return the lines from an offset on; stops before a line torn at the end of the file.

    Raises:
        JournalDamaged: a line that is followed by others, or was sealed, is not what was written.
    """
    frames = list(_frames(path, start))
    end = frames[-1][1] if frames else start
    stored = [_stored(body) for body, _ in frames]
    known = keys.named(each.key_name for each in stored if isinstance(each, SealedLine))
    lines, places = [], []
    for each, (body, line_end) in zip(stored, frames, strict=True):
        if isinstance(each, Line):
            lines.append(each)
        elif each.key_name in known:
            lines.append(_opened(each, known[each.key_name], f"{path.name}: the line that ends at byte {line_end}"))
        else:
            continue
        places.append(Place(path, line_end - len(body), len(body)))
    return Lines(lines, places, len(stored) - len(lines), end)


def _stored(body: bytes) -> SealedLine | Line:
    return _SEALED_DECODER.decode(body) if body.startswith(_ARRAY_OF_TWO) else _DECODER.decode(body)


def _opened(stored: SealedLine, key: LineKey, where: str) -> Line:
    try:
        return _DECODER.decode(key.open(stored.sealed))
    except SealBroken as error:
        raise JournalDamaged(f"{where} was changed: restore the journal") from error


def _frames(path: Path, start: int) -> Iterator[tuple[bytes, int]]:
    """Yield (body, offset of its end) from an offset on."""
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    offset = 0
    while offset + _FRAME_BYTES <= len(data):
        end = offset + _FRAME_BYTES + int.from_bytes(data[offset : offset + 4], "big")
        body = data[offset + _FRAME_BYTES : end]
        if end > len(data):
            return
        if zlib.crc32(body) != int.from_bytes(data[offset + 4 : offset + 8], "big"):
            if end == len(data):
                return
            raise JournalDamaged(f"{path.name}: the line at byte {start + offset} was changed: restore the journal")
        yield body, start + end
        offset = end
