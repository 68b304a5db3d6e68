"""Small sealed objects as rows, on a connection that is given: stored together with all else in its transaction."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from salus.vault.drivers.object_driver import Span, check_name
from salus.vault.errors import Damaged, Missing, TooLarge
from salus.vault.schema import objects

SMALL_SIZE_MAX_BYTES: Final = 1 << 16
_INSERT: Final = insert(objects)


class SqlRows:
    """The SQL driver within one transaction: durable when the caller's transaction commits."""

    size_max_bytes: int | None = SMALL_SIZE_MAX_BYTES

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        """See `ObjectDriver.put`."""
        sealed = _joined(name, pieces)
        self.delete(name)
        self.put_new([(name, sealed)])

    def put_new(self, named: Sequence[tuple[str, bytes]]) -> None:
        """Store many objects whose names were never used before, in one statement."""
        if named:
            rows = [{"name": check_name(name), "sealed": sealed} for name, sealed in named]
            self._connection.execute(_INSERT, rows)

    def read(self, name: str, spans: Iterable[Span]) -> Iterator[bytes]:
        """See `ObjectDriver.read`."""
        yield from pieces(name, self.read_whole(name), spans)

    def read_whole(self, name: str) -> bytes:
        """One whole object; raises `Missing`."""
        sealed = self._connection.scalar(select(objects.c.sealed).where(objects.c.name == check_name(name)))
        if sealed is None:
            raise Missing(f"object {name} is not in the database")
        return bytes(sealed)

    def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
        """Many whole objects in one statement; absent ones are left out."""
        statement = select(objects.c.name, objects.c.sealed).where(objects.c.name.in_(names))
        return {found.name: found.sealed for found in self._connection.execute(statement)}

    def size(self, name: str) -> int:
        """See `ObjectDriver.size`."""
        size_bytes = self._connection.scalar(
            select(func.length(objects.c.sealed)).where(objects.c.name == check_name(name))
        )
        if size_bytes is None:
            raise Missing(f"object {name} is not in the database")
        return int(size_bytes)

    def delete(self, name: str) -> None:
        """See `ObjectDriver.delete`."""
        self._connection.execute(delete(objects).where(objects.c.name == check_name(name)))

    def names(self) -> Iterator[str]:
        """See `ObjectDriver.names`; they come in order."""
        yield from self._connection.scalars(select(objects.c.name).order_by(objects.c.name))


def pieces(name: str, sealed: bytes, spans: Iterable[Span]) -> Iterator[bytes]:
    """Some pieces of a whole object; raises `Damaged` where it ends before one of them does."""
    for offset, size_bytes in spans:
        found = sealed[offset : offset + size_bytes]
        if len(found) != size_bytes:
            raise Damaged("object", f"{name} ends within the {size_bytes} bytes at {offset}")
        yield found


def _joined(name: str, pieces: Iterable[bytes]) -> bytes:
    sealed = bytearray()
    for piece in pieces:
        sealed += piece
        if len(sealed) > SMALL_SIZE_MAX_BYTES:
            raise TooLarge(f"object {name} has more than the {SMALL_SIZE_MAX_BYTES} bytes that a row takes")
    return bytes(sealed)
