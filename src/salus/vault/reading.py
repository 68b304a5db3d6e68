"""Sealed segments as they lie in the database or the object store, each checked against its leaf hash before use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from salus.crypto.hashing import leaf_hash
from salus.crypto.sealing import segment_span
from salus.vault import rows
from salus.vault.database import Database
from salus.vault.drivers.object_driver import ObjectDriver, Span
from salus.vault.drivers.sql import SqlRows, pieces
from salus.vault.errors import Damaged, Missing, NoSuchRecord
from salus.vault.rows import Place, RecordRow


@dataclass(frozen=True, slots=True)
class Reading:
    """Where sealed objects are read from."""

    database: Database
    objects: ObjectDriver

    def segments(
        self, row: RecordRow, indexes: Sequence[int] | None = None, *, sealed: bytes | None = None
    ) -> Iterator[bytes]:
        """Some sealed segments of a record (None means all), in order, holding a few at a time.

        Args:
            sealed: the whole sealed object, when it was found beside its row; None fetches it.

        Raises:
            Damaged: names the segment that is not the one that was stored.
            NoSuchRecord: the record was erased meanwhile.
        """
        wanted = range(row.segment_count) if indexes is None else indexes
        spans = [segment_span(row.size_bytes, index) for index in wanted]
        try:
            for index, segment in zip(wanted, self._pieces(row, spans, sealed), strict=True):
                check_segment(row, index, segment)
                yield segment
        except Missing as error:
            raise self._gone(row) from error
        except Damaged as error:
            raise error.of_record(*row.key) from error

    def size(self, row: RecordRow) -> int:
        """The size in bytes of the sealed object as it lies there; raises `Damaged` when it is missing."""
        try:
            if row.place == Place.OBJECT:
                return self.objects.size(row.object_name)
            with self.database.reading() as connection:
                return SqlRows(connection).size(row.object_name)
        except Missing as error:
            raise self._gone(row) from error

    def _pieces(self, row: RecordRow, spans: Sequence[Span], sealed: bytes | None) -> Iterator[bytes]:
        if row.place == Place.OBJECT:
            yield from self.objects.read(row.object_name, spans)
            return
        if sealed is None:
            with self.database.reading() as connection:
                sealed = SqlRows(connection).read_whole(row.object_name)
        yield from pieces(row.object_name, sealed, spans)

    def _gone(self, row: RecordRow) -> Damaged | NoSuchRecord:
        with self.database.reading() as connection:
            is_stored = rows.is_stored(connection, *row.key)
        if not is_stored:
            return NoSuchRecord(f"record {row.record_id.hex()} version {row.version} was erased meanwhile")
        return Damaged("object", "missing").of_record(*row.key)


def check_segment(row: RecordRow, index: int, segment: bytes) -> None:
    """Compare a sealed segment with its leaf hash; raises `Damaged`."""
    leaves = row.leaf_hashes
    if index >= len(leaves) or leaf_hash(segment) != leaves[index]:
        part = f"segment {index} of {row.segment_count}"
        raise Damaged(part, "is not the one that was stored").of_record(*row.key)
