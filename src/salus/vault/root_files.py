"""The epoch root in its two key files: the one secret that opens the key table, and that no backup ever holds.

The two files lie in two folders (two disks, better) and must agree. A new root is first written beside both as
`.next`; which root counts is decided by the generation and check in the database alone, so a crash between any two
steps leaves exactly one root in force. Every change here happens while the caller holds the lock of the epoch row.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from salus.crypto.hashing import HASH_SIZE_BYTES, tagged
from salus.crypto.sealing import KEY_SIZE_BYTES, new_key
from salus.vault import durable
from salus.vault.errors import KeyFileExposed, KeyFilesDisagree, RootGone

MAGIC: Final = b"salus epoch root 1\n"
NEXT_SUFFIX: Final = ".next"
_GENERATION_SIZE_BYTES: Final = 8
_FILE_SIZE_BYTES: Final = len(MAGIC) + _GENERATION_SIZE_BYTES + KEY_SIZE_BYTES + HASH_SIZE_BYTES
_LOOKS: Final = 5
_PAUSE_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Root:
    """One epoch root; `check` may be seen by anybody and tells whether a root is the one meant."""

    generation: int
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls, generation: int) -> "Root":
        """A root from the operating system's random source."""
        return cls(generation, new_key())

    @property
    def check(self) -> bytes:
        """32 bytes that fit this root only and say nothing of it."""
        return tagged("salus/vault/root-check/1", self.generation.to_bytes(8, "big"), self.secret)

    def encode(self) -> bytes:
        """The content of a key file: magic ‖ generation (8 bytes, big-endian) ‖ root (32) ‖ check (32)."""
        return MAGIC + self.generation.to_bytes(_GENERATION_SIZE_BYTES, "big") + self.secret + self.check

    @classmethod
    def parse(cls, encoded: bytes) -> "Root | None":
        """Read a key file's content; None when it is not a whole and unchanged one."""
        if len(encoded) != _FILE_SIZE_BYTES or not encoded.startswith(MAGIC):
            return None
        start = len(MAGIC) + _GENERATION_SIZE_BYTES
        root = cls(int.from_bytes(encoded[len(MAGIC) : start], "big"), encoded[start : start + KEY_SIZE_BYTES])
        return root if encoded.endswith(root.check) else None


class RootFiles:
    """The two places of the root."""

    def __init__(self, first: Path, second: Path) -> None:
        """Name the two key files.

        Raises:
            KeyFilesDisagree: both in one folder, where one accident takes both.
        """
        if first.parent.resolve() == second.parent.resolve():
            raise KeyFilesDisagree(f"both key files are in {first.parent}: put the second on another disk")
        self.places = (first, second)

    def find(self, generation: int, check: bytes) -> Root:
        """The root that the database names, from either the files or their `.next`; changes nothing.

        Raises:
            KeyFilesDisagree: one place has it, the other does not; the message says which.
            RootGone: neither has it.
            KeyFileExposed: a file that others may read.
        """
        found = self._look(generation, check)
        if found[0] is not None and found[1] is not None:
            return found[0]
        if found == (None, None):
            raise RootGone(
                f"the key table is wrapped under root {generation}, the key files {self._names()} hold "
                f"{self._held()}: restore the newest key backup, or mount the right key files"
            )
        bad, good = self.places if found[0] is None else reversed(self.places)
        raise KeyFilesDisagree(
            f"{bad} does not hold root {generation}, {good} does: find out why, then copy the good file over it"
        )

    def exist(self) -> bool:
        """Whether any key file is there, apart from roots that never came into force."""
        return any(place.exists() for place in self.places)

    def settled(self) -> bool:
        """Whether no renewal is half done in the files."""
        return not any(path.exists() for place in self.places for path in (_next(place), _part(place)))

    def stage(self, root: Root) -> None:
        """Write a root beside both files, durably; it is not in force yet. Disk full leaves neither."""
        try:
            for place in self.places:
                durable.make_folder(place.parent)
                durable.write(_next(place), [root.encode()])
        except BaseException:
            self.unstage()
            raise

    def unstage(self) -> None:
        """Destroy roots that were staged and never came into force."""
        for place in self.places:
            durable.destroy(_next(place))
            durable.destroy(_part(place))

    def settle(self, generation: int, check: bytes) -> None:
        """Bring both places to the root in force: finish its renewal and destroy the one before it, or destroy a
        staged root that never came into force. Repeats harmlessly after a crash at any point."""
        for place in self.places:
            durable.destroy(_part(place))
            if _is(place, generation, check):
                durable.destroy(_next(place))
            elif _is(_next(place), generation, check):
                if place.exists():
                    durable.overwrite(place)
                durable.move(_next(place), place)

    def _look(self, generation: int, check: bytes) -> tuple[Root | None, Root | None]:
        first, second = self.places
        found = _find_at(first, generation, check), _find_at(second, generation, check)
        for _ in range(_LOOKS):
            if None not in found:
                break
            time.sleep(_PAUSE_S)  # another worker may have been renaming between our looks
            found = _find_at(first, generation, check), _find_at(second, generation, check)
        return found

    def _names(self) -> str:
        return " and ".join(str(place) for place in self.places)

    def _held(self) -> str:
        generations = sorted({root.generation for place in self.places for root in _roots_at(place)})
        return f"root {', '.join(map(str, generations))}" if generations else "no root"


def _find_at(place: Path, generation: int, check: bytes) -> Root | None:
    return next((root for root in _roots_at(place) if (root.generation, root.check) == (generation, check)), None)


def _roots_at(place: Path) -> Iterator[Root]:
    for path in (place, _next(place)):
        root = _read(path)
        if root is not None:
            yield root


def _is(path: Path, generation: int, check: bytes) -> bool:
    root = _read(path)
    return root is not None and (root.generation, root.check) == (generation, check)


def _read(path: Path) -> Root | None:
    with durable.world_failures(path):
        try:
            with path.open("rb") as file:
                exposed = path.stat().st_mode & 0o077
                encoded = file.read(_FILE_SIZE_BYTES + 1)
        except FileNotFoundError:
            return None
    if exposed:
        raise KeyFileExposed(f"{path} may be read or written by others: run chmod 600 on it")
    return Root.parse(encoded)


def _next(place: Path) -> Path:
    return place.with_name(place.name + NEXT_SUFFIX)


def _part(place: Path) -> Path:
    return durable.part_of(_next(place))
