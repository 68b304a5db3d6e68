"""Snapshots: the proved rows and the leaves of one height, in chunks, for a member that joins (state sync).

Every node makes the same bytes at the same heights. What peers say of a snapshot is believed for nothing: a chunk must
have the hash that the offer names, and all of them together must give the two roots behind the app hash that a light
client has verified. Tree, log, indexes and expiry entries are made again from them.
"""

import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from salus.crypto.hashing import sha256
from salus.engines.base import Founding
from salus.engines.cometbft import messages
from salus.engines.cometbft.chain import CometChain
from salus.engines.state_chunks import (
    CHUNK_BYTES,
    Chunk,
    Offer,
    StateWrong,
    chunks_of,
    decode_chunk,
    expect,
    instead,
    meta_of,
    rows_of,
    state_items,
)
from salus.engines.store import LmdbSnapshot, LmdbStore
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.identifiers import Digest
from salus.ledger.state import META, Changes

FORMAT = 1
EVERY_BLOCKS = 1_000
KEPT = 2
FOLDER = "snapshots"
_OFFER = "offer"
_CHECK_ROWS = 1_000

log = logging.getLogger("salus.engines")


_OFFERS = decoder(Offer)


class _GivenUp(Exception):
    """The store needs its map for something else."""


class Snapshots:
    """Makes, serves and restores snapshots of one chain.

    Args:
        every_blocks: a snapshot is made at each height that this divides; 0 for never.
        chunk_bytes: about how large a chunk is; the same on every node.
    """

    def __init__(self, chain: CometChain, *, every_blocks: int = EVERY_BLOCKS, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._chain = chain
        self._every_blocks = every_blocks
        self._chunk_bytes = chunk_bytes
        self._folder = chain.store.folder / FOLDER
        self._making: threading.Thread | None = None
        self._restoring: _Restoring | None = None

    # Make and serve

    def committed(self) -> None:
        """Begin a snapshot when one is due, on a thread of its own; under the application's lock."""
        height = self._chain.meta.height
        if not self._every_blocks or height % self._every_blocks or (self._making and self._making.is_alive()):
            return
        with ExitStack() as stack:  # opened here, so that it is of this height whatever comes next
            snapshot = stack.enter_context(self._chain.store.snapshot())
            kept_open = stack.pop_all()
        self._making = threading.Thread(target=self._make, args=(height, snapshot, kept_open), daemon=True)
        self._making.start()

    def wait(self) -> None:
        """Wait for the one that is being made."""
        if self._making is not None:
            self._making.join()

    def offered(self) -> list[messages.Snapshot]:
        """Return what there is, newest first."""
        return [
            messages.Snapshot(height, FORMAT, len(_decode_offer(offer).chunks), sha256(offer), offer)
            for height in reversed(self._heights())
            if (offer := _read(self._folder / str(height) / _OFFER))
        ]

    def chunk(self, height: int, form: int, index: int) -> bytes:
        """Return a chunk's bytes; none when it is not there (any more)."""
        return _read(self._folder / str(height) / str(index)) if form == FORMAT else b""

    # Restore

    def offer(self, snapshot: messages.Snapshot, verified_app_hash: bytes) -> int:
        """Judge a peer's snapshot before any chunk is fetched."""
        if snapshot.format != FORMAT:
            return messages.SNAPSHOT_REJECT_FORMAT
        if self._chain.meta.height != 0:
            return messages.SNAPSHOT_ABORT
        try:
            self._restoring = _Restoring(snapshot, verified_app_hash, self._chain.founding)
        except StateWrong as error:
            log.warning("ledger.snapshot_refused height=%d reason=%s", snapshot.height, error)
            return messages.SNAPSHOT_REJECT
        return messages.SNAPSHOT_ACCEPT

    def apply(self, index: int, data: bytes, sender: str) -> bytes:
        """Take a chunk; with the last one the store becomes the snapshot's."""
        restoring = self._restoring
        if restoring is None:
            return messages.chunk_judged(messages.CHUNK_ABORT)
        if not restoring.take(index, data):
            log.warning("ledger.chunk_refused index=%d sender=%s", index, sender)
            return messages.chunk_judged(messages.CHUNK_RETRY, refetch=(index,), reject_senders=(sender,))
        if not restoring.is_complete:
            return messages.chunk_judged(messages.CHUNK_ACCEPT)
        self._restoring = None
        try:
            changes = restoring.changes(self._chain.store)
        except (StateWrong, EncodingInvalid, msgspec.DecodeError) as error:
            log.warning("ledger.snapshot_refused reason=%s", error)
            return messages.chunk_judged(messages.CHUNK_REJECT_SNAPSHOT)
        self._chain.store.write(changes)
        self._chain.load()
        return messages.chunk_judged(messages.CHUNK_ACCEPT)

    # The making thread

    def _make(self, height: int, snapshot: LmdbSnapshot, kept_open: ExitStack) -> None:
        part = self._folder / f"{height}.part"
        for left in self._folder.glob("*.part"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir(parents=True, mode=0o700)
        try:
            with kept_open:
                hashes = [self._write_chunk(part, index, chunk) for index, chunk in enumerate(self._chunks(snapshot))]
                meta = tuple(snapshot.items(META))
            (part / _OFFER).write_bytes(encode(Offer(meta, tuple(hashes))))
            part.rename(self._folder / str(height))
        except (_GivenUp, OSError) as error:
            log.warning("ledger.snapshot_given_up height=%d reason=%s", height, error)
            shutil.rmtree(part, ignore_errors=True)
        for old in self._heights()[:-KEPT]:
            shutil.rmtree(self._folder / str(old), ignore_errors=True)

    def _write_chunk(self, part: Path, index: int, chunk: Chunk) -> Digest:
        data = encode(chunk)
        (part / str(index)).write_bytes(data)
        return Digest(sha256(data))

    def _chunks(self, snapshot: LmdbSnapshot) -> Iterator[Chunk]:
        return chunks_of(self._watched(state_items(snapshot)), chunk_bytes=self._chunk_bytes)

    def _watched(self, items: Iterator[tuple[str, bytes, bytes]]) -> Iterator[tuple[str, bytes, bytes]]:
        for count, item in enumerate(items, start=1):
            if count % _CHECK_ROWS == 0 and self._chain.store.is_growing:
                raise _GivenUp("the store grows")
            yield item

    def _heights(self) -> list[int]:
        with suppress(FileNotFoundError):
            return sorted(int(each.name) for each in self._folder.iterdir() if each.name.isdigit())
        return []


class _Restoring:
    """One snapshot that is being put together."""

    def __init__(self, snapshot: messages.Snapshot, verified_app_hash: bytes, founding: Founding) -> None:
        expect(sha256(snapshot.metadata) == snapshot.hash, "an offer with the hash that names it")
        self._offer = _decode_offer(snapshot.metadata)
        self._founding = founding
        meta = meta_of(self._offer, chain=founding.chain)
        expect(len(self._offer.chunks) == snapshot.chunks, "as many hashes as chunks")
        expect(meta.height == snapshot.height, "the height that the offer names")
        expect(meta.app_hash == verified_app_hash, "the app hash that the validators signed")
        self._chunks: dict[int, Chunk] = {}

    @property
    def is_complete(self) -> bool:
        return len(self._chunks) == len(self._offer.chunks)

    def take(self, index: int, data: bytes) -> bool:
        """Keep a chunk; tell whether it is the one that was offered."""
        if not 0 <= index < len(self._offer.chunks) or sha256(data) != self._offer.chunks[index]:
            return False
        try:
            self._chunks[index] = decode_chunk(data)
        except EncodingInvalid:
            return False
        return True

    def changes(self, store: LmdbStore) -> Changes:
        """Return what makes a store that has only genesis into the snapshot's. Raises like `rows_of`."""
        chunks = [self._chunks[index] for index in range(len(self._offer.chunks))]
        return instead(store, rows_of(self._offer, chunks, self._founding))


def _decode_offer(data: bytes) -> Offer:
    try:
        offer: Offer = _OFFERS.decode(data)
    except EncodingInvalid as error:
        raise StateWrong(f"expected an offer of format {FORMAT}: {error}") from error
    return offer


def _read(path: Path) -> bytes:
    with suppress(FileNotFoundError):
        return path.read_bytes()
    return b""
