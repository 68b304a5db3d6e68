"""Sealed objects in a bucket of an S3 server, through obstore (extra `s3`).

A put is one request or one multipart upload, either of which the server shows whole or not at all. A writer that is
killed leaves an unfinished upload that no listing shows: the bucket needs the life-cycle rule that aborts them.
"""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from obstore.exceptions import BaseError
from obstore.store import S3Store

from salus.vault.drivers.object_driver import Span, check_name
from salus.vault.errors import Damaged, Missing, Unavailable

# S3 takes parts of at least 5 MiB; two are on their way while a third fills.
_PART_SIZE_BYTES: Final = 5 << 20
_PARTS_AT_ONCE: Final = 2
_SPANS_AT_ONCE: Final = 8


class Bucket:
    """The S3 driver."""

    size_max_bytes: int | None = None

    def __init__(self, store: S3Store) -> None:
        """Use a store that is configured already; `connect` configures one."""
        self._store = store

    @classmethod
    def connect(
        cls, bucket: str, *, endpoint: str, access_key: str, secret_key: str, region: str, patience_s: int = 20
    ) -> "Bucket":
        """Prepare to use a bucket; nothing is asked of the server yet.

        Args:
            endpoint: URL of the server; plain http only for one on this machine.
            patience_s: how long failing requests are repeated before the place counts as unavailable.
        """
        local = endpoint.startswith(("http://127.0.0.1:", "http://localhost:", "http://[::1]:"))
        return cls(
            S3Store(
                bucket,
                endpoint=endpoint,
                access_key_id=access_key,
                secret_access_key=secret_key,
                region=region,
                client_options={"allow_http": local, "timeout": timedelta(seconds=patience_s)},
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=patience_s)},
            )
        )

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        """See `ObjectDriver.put`."""
        source = iter(pieces)
        first, second = next(source, b""), next(source, None)
        with _world_failures(name):
            if second is None:
                self._store.put(check_name(name), first, use_multipart=False)
                return
            whole = itertools.chain((first, second), source)
            self._store.put(check_name(name), whole, chunk_size=_PART_SIZE_BYTES, max_concurrency=_PARTS_AT_ONCE)

    def read(self, name: str, spans: Iterable[Span]) -> Iterator[bytes]:
        """See `ObjectDriver.read`; eight spans are asked for at a time."""
        check_name(name)
        source, size_bytes = iter(spans), self.size(name)
        while some := list(itertools.islice(source, _SPANS_AT_ONCE)):
            for offset, span_size_bytes in some:
                if offset + span_size_bytes > size_bytes:
                    raise Damaged("object", f"{name} ends within the {span_size_bytes} bytes at {offset}")
            yield from self._ranges(name, some)

    def size(self, name: str) -> int:
        """See `ObjectDriver.size`."""
        with _world_failures(name):
            return self._store.head(check_name(name))["size"]

    def delete(self, name: str) -> None:
        """See `ObjectDriver.delete`."""
        with _world_failures(name):
            try:
                self._store.delete(check_name(name))
            except FileNotFoundError:
                return

    def names(self) -> Iterator[str]:
        """See `ObjectDriver.names`."""
        with _world_failures("list"):
            for page in self._store.list():
                yield from (found["path"] for found in page)

    def _ranges(self, name: str, spans: list[Span]) -> list[bytes]:
        with _world_failures(name):
            starts, lengths = [offset for offset, _ in spans], [size_bytes for _, size_bytes in spans]
            return [bytes(found) for found in self._store.get_ranges(name, starts=starts, lengths=lengths)]


@contextmanager
def _world_failures(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise Missing(f"object {name} is not in the bucket") from error
    except BaseError as error:
        first_line = str(error).partition("\n")[0]
        raise Unavailable(f"object store: {first_line}: see to it, then try again") from error
