"""Sealed objects as files of a folder, spread over 256 folders by the first two digits of their names.

A file is written in `incoming/` and renamed into place, so a name in its place is always a whole object.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from salus.vault import durable
from salus.vault.drivers.object_driver import Span, check_name
from salus.vault.errors import Damaged, Missing

INCOMING = "incoming"


class Folder:
    """The folder driver; made when absent, readable by the owner only."""

    size_max_bytes: int | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        durable.make_folder(path / INCOMING)

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        """See `ObjectDriver.put`: temporary file, fsync, rename, fsync of the folder."""
        place = self._place(name)
        durable.make_folder(place.parent)
        durable.write(place, pieces, part=self._part(name))

    def read(self, name: str, spans: Iterable[Span]) -> Iterator[bytes]:
        """See `ObjectDriver.read`."""
        place = self._place(name)
        with durable.world_failures(place):
            try:
                descriptor = os.open(place, os.O_RDONLY)
            except FileNotFoundError:
                raise Missing(f"object {name} is not in the folder") from None
            try:
                for offset, size_bytes in spans:
                    yield _read_span(descriptor, name, offset, size_bytes)
            finally:
                os.close(descriptor)

    def size(self, name: str) -> int:
        """See `ObjectDriver.size`."""
        place = self._place(name)
        with durable.world_failures(place):
            try:
                return place.stat().st_size
            except FileNotFoundError:
                raise Missing(f"object {name} is not in the folder") from None

    def delete(self, name: str) -> None:
        """See `ObjectDriver.delete`."""
        for path in (self._part(name), self._place(name)):
            if path.exists():
                durable.remove(path)

    def names(self) -> Iterator[str]:
        """See `ObjectDriver.names`; they come in order."""
        with durable.world_failures(self.path):
            for folder in sorted(self.path.glob("[0-9a-f][0-9a-f]")):
                yield from sorted(entry.name for entry in os.scandir(folder))

    def _place(self, name: str) -> Path:
        return self.path / check_name(name)[:2] / name

    def _part(self, name: str) -> Path:
        return self.path / INCOMING / check_name(name)


def _read_span(descriptor: int, name: str, offset: int, size_bytes: int) -> bytes:
    found = os.pread(descriptor, size_bytes, offset)
    if len(found) != size_bytes:
        raise Damaged("object", f"{name} ends within the {size_bytes} bytes at {offset}")
    return found
