"""Files that survive a crash whole or not at all, and files that are destroyed before they are removed.

Promises: after `write` returns, the file is on disk under its name; a crash earlier leaves the old file, or none, and
at most a `.part` beside it. Disk full and other failures of the world raise `Unavailable` and leave nothing new.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from salus.vault.errors import Unavailable

PART_SUFFIX = ".part"
_BLOCK_SIZE_BYTES = 1 << 20


def write(path: Path, pieces: Iterable[bytes], *, mode: int = 0o600, part: Path | None = None) -> None:
    """Put a file in place: written beside its place, synced, renamed over it, the folder synced.

    Args:
        path: where the file will be; its folder must exist.
        pieces: the content.
        mode: permissions of the file.
        part: the file to write first, on the same file system; as a rule `path` with `.part` added.
    """
    part = part or part_of(path)
    with world_failures(path):
        try:
            _write_synced(part, pieces, mode)
            part.replace(path)
        except BaseException:  # an interrupted writer leaves nothing behind either; a killed one leaves its part
            part.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def part_of(path: Path) -> Path:
    """The name under which a file is written before it is whole."""
    return path.with_name(path.name + PART_SUFFIX)


def move(source: Path, target: Path) -> None:
    """Rename over whatever is at `target`, and sync the folder of the target."""
    with world_failures(target):
        source.replace(target)
        sync_folder(target.parent)


def overwrite(path: Path) -> None:
    """Replace the bytes of a file by random ones, in place, and sync them.

    Journals, snapshots and the spare blocks of flash may keep older copies: see docs/spec/vault.md.
    """
    with world_failures(path), path.open("r+b") as file:
        left_bytes = path.stat().st_size
        while left_bytes > 0:
            left_bytes -= file.write(os.urandom(min(left_bytes, _BLOCK_SIZE_BYTES)))
        file.flush()
        os.fsync(file.fileno())


def destroy(path: Path) -> None:
    """Overwrite a file, remove it and sync its folder; an absent file is no error."""
    if path.exists():
        overwrite(path)
        remove(path)


def remove(path: Path) -> None:
    """Remove a file and sync its folder; an absent file is no error."""
    with world_failures(path):
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, readable by the owner only, each synced into the one above."""
    if path.is_dir():
        return
    make_folder(path.parent)
    with world_failures(path):
        path.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def world_failures(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into `Unavailable`, with the place and the system's words."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror or error}: free or repair the disk, then try again") from error


def _write_synced(path: Path, pieces: Iterable[bytes], mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        for piece in pieces:
            _write_all(file.fileno(), piece)
        os.fsync(file.fileno())


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
