"""Seal a ledger of one key, and read the file with which a network goes on: tables, log, and the last signed header.

A sealed ledger makes no block any more. Whoever restores the file believes it for nothing but the two roots that the
founders signed for; see `state_chunks`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.engines.base import Adopted, Founding, StartRefused, Unavailable
from salus.engines.chain import EmbeddedChain
from salus.engines.clock import Clock
from salus.engines.headers import read_header, sealed_height, sealed_rows
from salus.engines.rebuilding import MadeStore
from salus.engines.state_chunks import (
    Chunk,
    Offer,
    Spaces,
    StateWrong,
    chunks_of,
    decode_chunk,
    expect,
    instead,
    meta_of,
    rows_of,
    state_items,
)
from salus.engines.store import ENGINE, LmdbReader, LmdbSnapshot, LmdbStore
from salus.ledger.comet.commit import encode_signed_header
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.identifiers import Digest
from salus.ledger.machine import Meta
from salus.ledger.proofs import AppState, SignedState
from salus.ledger.state import META

FORMAT: Final = 1
MAGIC: Final = b"salus sealed ledger 1\n"
FRAME_BYTES_MAX: Final = 64 << 20
_LENGTH_BYTES: Final = 4


class Head(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The first frame of a sealed file; each other one is a chunk.

    Args:
        genesis: the bytes of the document that the ledger began with.
        last: its state and the header that carries its hash, signed by its key.
        offer: the machine's own rows, and the SHA-256 of each chunk.
    """

    format: int
    genesis: bytes
    last: SignedState
    offer: Offer


_HEADS = decoder(Head)


@dataclass(frozen=True)
class Sealed:
    """A sealed file: what it says, and its chunks, each with the hash that the head names."""

    head: Head
    chunks: tuple[Chunk, ...]

    def meta(self, chain: str) -> Meta:
        """Return where the ledger stood. Raises StateWrong."""
        return meta_of(self.head.offer, chain=chain)

    def rows(self, founding: Founding) -> Spaces:
        """Return every row of the ledger's machine. Raises StateWrong."""
        try:
            return rows_of(self.head.offer, self.chunks, founding)
        except (EncodingInvalid, msgspec.DecodeError) as error:
            raise StateWrong(f"expected rows and leaves of this release: {error}") from error


def seal(folder: Path, founding: Founding, key: SigningKey, clock: Clock) -> int:
    """End a ledger for good with a block that signs its newest state; return that height.

    Args:
        folder: of its store.
        key: consensus key of its only validator.

    Raises:
        StartRefused: its process runs, it is sealed already, or it cannot be opened.
    """
    chain = EmbeddedChain(folder, founding, key, clock)
    try:
        if chain.unsigned:
            chain.append([], time_ns=chain.next_time_ns())
        chain.store.write({ENGINE: sealed_rows(chain.meta.height)})
        return chain.meta.height
    finally:
        chain.close()


def sealed_at(folder: Path) -> int:
    """Return the height at which the ledger in a folder was sealed; 0 for one that goes on, or is not there yet."""
    try:
        reader = LmdbReader(folder)
    except Unavailable:  # never begun, or killed before it had: whoever opens it to write says more
        return 0
    try:
        with reader.snapshot() as snapshot:
            return sealed_height(snapshot)
    finally:
        reader.close()


def write_sealed(folder: Path, genesis: bytes, path: Path) -> Head:
    """Write the file of a sealed ledger; return its head.

    Args:
        folder: of its store.
        genesis: the bytes of the document that it began with.
        path: of a new file.

    Raises:
        FileExistsError: there is such a file.
    """
    part = path.with_name(path.name + ".part")
    reader = LmdbReader(folder)
    try:
        with reader.snapshot() as snapshot, part.open("wb") as file:
            head = _head(snapshot, genesis)
            file.write(MAGIC + _frame(encode(head)))
            for chunk in chunks_of(state_items(snapshot)):
                file.write(_frame(encode(chunk)))
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # never in the place of another
    finally:
        reader.close()
        part.unlink(missing_ok=True)
    return head


def read_sealed(path: Path) -> Sealed:
    """Read a sealed file, each chunk against its hash. Raises StateWrong."""
    with path.open("rb") as file:
        data = file.read()
    frames = _frames(data)
    try:
        head: Head = _HEADS.decode(next(frames, b""))
        expect(head.format == FORMAT, f"a sealed ledger of format {FORMAT}")
        raws = list(frames)
        expect([sha256(raw) for raw in raws] == list(head.offer.chunks), "chunks with the hashes that the head names")
        return Sealed(head, tuple(map(decode_chunk, raws)))
    except EncodingInvalid as error:
        raise StateWrong(f"expected a sealed ledger, the file is damaged: {error}") from error


def read_adopted(adopted: Adopted, chain: str) -> Sealed:
    """Read the sealed file of the ledger that a network goes on with. Raises StartRefused: it is not that one."""
    if adopted.sealed is None:
        raise StartRefused("expected the sealed ledger that this network goes on with: begin with a snapshot, or adopt")
    try:
        found = read_sealed(adopted.sealed)
        meta = found.meta(chain)
        stands = (meta.height, meta.tree_root, meta.log_size, meta.log_root)
        wanted = (adopted.height, adopted.tree_root, adopted.log_size, adopted.log_root)
        expect(stands == wanted, "the height and the two roots that the founders signed for")
    except (StateWrong, OSError) as error:
        raise StartRefused(f"{adopted.sealed} is not the sealed ledger that was adopted: {error}") from error
    return found


def restore(store: LmdbStore, founding: Founding) -> None:
    """Make a store without blocks into the adopted ledger's, with what the founders changed, in one durable step.

    Raises:
        StartRefused: the sealed file is another one, or the founders cannot go on with it.
    """
    assert founding.adopted is not None
    try:
        rows = read_adopted(founding.adopted, founding.chain).rows(founding)
    except StateWrong as error:
        raise StartRefused(f"{founding.adopted.sealed} is not the sealed ledger that was adopted: {error}") from error
    below, changes = MadeStore(rows), instead(store, rows)
    executed = founding.machine(below).genesis(time_s=founding.time_s, rows=founding.adopted.rows(below), adopts=True)
    for space, changed in executed.changes.items():
        changes[space].update(changed)
    store.write(changes)


def _head(snapshot: LmdbSnapshot, genesis: bytes) -> Head:
    height = sealed_height(snapshot)
    sealed = read_header(snapshot, height)
    assert sealed is not None, "state and header are stored together"
    offer = Offer(
        tuple(snapshot.items(META)),
        tuple(Digest(sha256(encode(chunk))) for chunk in chunks_of(state_items(snapshot))),
    )
    meta = meta_of(offer, chain=sealed.signed.header.chain_id)
    assert sealed.signed.header.app_hash == meta.app_hash, "the last block signs the newest state"
    state = AppState(meta.tree_root, meta.log_size, meta.log_root)
    return Head(FORMAT, genesis, SignedState(state, encode_signed_header(sealed.signed), sealed.validators), offer)


def _frame(data: bytes) -> bytes:
    assert len(data) <= FRAME_BYTES_MAX, "a chunk and the hashes of all are smaller"
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


def _frames(data: bytes) -> Iterator[bytes]:
    expect(data.startswith(MAGIC), "a sealed ledger, the file is something else")
    place = len(MAGIC)
    while place < len(data):
        size = int.from_bytes(data[place : place + _LENGTH_BYTES], "big")
        place += _LENGTH_BYTES
        expect(place + size <= len(data), "a whole file, this one was cut short")
        yield data[place : place + size]
        place += size
