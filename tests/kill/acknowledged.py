"""What a process said was done, before it was killed: one line per fact, in a file that outlives it.

A line is written with one `write` before the step's caller goes on, so a line that is there was acknowledged. A line
that the kill cut off is not read.
"""

import os
import threading
from pathlib import Path
from typing import TypeVar

import msgspec


class Line(msgspec.Struct, frozen=True, tag_field="fact"):
    """Something that was acknowledged."""


class Committed(Line, frozen=True, tag="committed"):
    """The ledger answered a transaction, named by its hash; `leaves` is the SHA-256 of the leaves in its answer."""

    transaction: bytes
    code: int
    leaves: bytes


class Deposited(Line, frozen=True, tag="deposited"):
    """The hospital answered a deposit; `content` is the SHA-256 of the record's bytes."""

    pseudonym: bytes
    record: bytes
    version: int
    content: bytes


class Offered(Line, frozen=True, tag="offered"):
    """Sealed bytes of a part left the custodian."""

    permit: bytes
    part: int


class SlotsSent(Line, frozen=True, tag="slots"):
    """The slots of a part left the custodian: from here on the requester can open it."""

    permit: bytes
    part: int


class Opened(Line, frozen=True, tag="opened"):
    """The requester opened a record; `content` is the SHA-256 of what it read."""

    record: bytes
    version: int
    content: bytes


class Failed(Line, frozen=True, tag="failed"):
    """Something happened that no kill explains."""

    words: str


Fact = Committed | Deposited | Offered | SlotsSent | Opened | Failed
F = TypeVar("F", bound=Line)
_DECODER: "msgspec.json.Decoder[Fact]" = msgspec.json.Decoder(Fact)


class Writer:
    """Appends facts; any thread may."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()

    def __call__(self, fact: Fact) -> None:
        """Write one line."""
        with self._lock:
            os.write(self._file, msgspec.json.encode(fact) + b"\n")


class Facts:
    """All facts in a file; `refresh` reads what was added."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._facts: list[Fact] = []

    def refresh(self) -> None:
        """Read the lines that are whole."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            whole, newline, _torn = file.read().rpartition(b"\n")
        self._facts += [_DECODER.decode(line) for line in whole.split(b"\n") if line]
        self._read_bytes += len(whole) + len(newline)

    def drop_torn(self) -> None:
        """Cut off a line that a kill left unfinished, before another process appends; call it when none writes."""
        if self._path.exists():
            os.truncate(self._path, self._read_bytes)

    @property
    def count(self) -> int:
        """How many facts were read."""
        return len(self._facts)

    def of(self, kind: type[F]) -> list[F]:
        """Return the facts of one kind, the oldest first."""
        return [fact for fact in self._facts if isinstance(fact, kind)]
