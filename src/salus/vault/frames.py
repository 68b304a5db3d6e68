"""Backup files: a line that says what it is, length-prefixed frames, and a digest at the end.

Promises: a file that was cut short or changed anywhere is refused before its first frame is used.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from salus.vault import durable
from salus.vault.errors import BackupBroken

_LENGTH_SIZE_BYTES: Final = 4
_DIGEST_SIZE_BYTES: Final = 32
FRAME_SIZE_MAX_BYTES: Final = 1 << 26


def write_frames(path: Path, magic: bytes, frames: Iterable[bytes]) -> None:
    """Write a backup file durably, whole or not at all, readable by the owner only."""
    durable.write(path, _encoded(magic, frames))


def read_frames(path: Path, magic: bytes) -> Iterator[bytes]:
    """The frames of a backup file, after its digest was checked.

    Raises:
        BackupBroken: at once, when it is another kind of file, cut short or changed.
    """
    with durable.world_failures(path), path.open("rb") as file:
        _check(path, file, magic)
    return _frames(path, magic)


def _encoded(magic: bytes, frames: Iterable[bytes]) -> Iterator[bytes]:
    digest = hashlib.sha256(magic)
    yield magic
    for frame in frames:
        assert 0 < len(frame) <= FRAME_SIZE_MAX_BYTES, "a frame has 1 byte to 64 MiB"
        piece = len(frame).to_bytes(_LENGTH_SIZE_BYTES, "big") + frame
        digest.update(piece)
        yield piece
    end = bytes(_LENGTH_SIZE_BYTES)
    digest.update(end)
    yield end + digest.digest()


def _check(path: Path, file: BinaryIO, magic: bytes) -> None:
    if file.read(len(magic)) != magic:
        raise BackupBroken(f"{path} does not begin with {magic.decode().strip()!r}: give the right file")
    digest = hashlib.sha256(magic)
    while length := _length(file, digest):
        frame = file.read(min(length, FRAME_SIZE_MAX_BYTES))
        digest.update(frame)
        if len(frame) != length:
            break
    if file.read(_DIGEST_SIZE_BYTES + 1) != digest.digest():
        raise BackupBroken(f"{path} was cut short or changed: take another backup")


def _length(file: BinaryIO, digest: "hashlib._Hash") -> int:
    prefix = file.read(_LENGTH_SIZE_BYTES)
    digest.update(prefix)
    return int.from_bytes(prefix, "big")


def _frames(path: Path, magic: bytes) -> Iterator[bytes]:
    with durable.world_failures(path), path.open("rb") as file:
        file.seek(len(magic))
        while length := int.from_bytes(file.read(_LENGTH_SIZE_BYTES), "big"):
            yield file.read(length)
