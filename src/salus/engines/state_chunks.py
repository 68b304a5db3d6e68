"""A state in chunks: its proved rows and its leaves, and the store that is made of them again.

Every node makes the same bytes of the same state. What comes from elsewhere is believed for nothing: all chunks
together must give the two roots of the machine's row. Tree, log, indexes and expiry entries are made again from them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

import msgspec

from salus.crypto.hashing import leaf_hash
from salus.engines.base import Founding, Snapshot
from salus.engines.rebuilding import all_tables, expiry_of, index_rows, log_over, tree_over
from salus.engines.store import LmdbStore
from salus.ledger.encoding import decoder
from salus.ledger.identifiers import DigestField
from salus.ledger.machine import ChainMismatch, Meta, app_hash, leaf_key, read_meta
from salus.ledger.state import EXPIRY, INDEXES, LEAVES, LOG, META, SPACES, STATE, TREE, Changes

CHUNK_BYTES = 4 << 20
CHUNKS_MAX = 100_000

Spaces = dict[str, dict[bytes, bytes]]
"""space → key → row."""


class Offer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What describes a state: the machine's own rows, and the SHA-256 of each chunk."""

    meta: tuple[tuple[bytes, bytes], ...]
    chunks: Annotated[tuple[DigestField, ...], msgspec.Meta(max_length=CHUNKS_MAX)]


class Chunk(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Proved rows in the order of their keys, then leaves in the order of the log."""

    rows: tuple[tuple[bytes, bytes], ...]
    leaves: tuple[bytes, ...]


_CHUNKS = decoder(Chunk)


class StateWrong(Exception):
    """What was put together is not the state that was promised."""


def decode_chunk(data: bytes) -> Chunk:
    """Parse a chunk. Raises EncodingInvalid."""
    chunk: Chunk = _CHUNKS.decode(data)
    return chunk


def state_items(snapshot: Snapshot) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (space, key, row) of everything that chunks hold, in their order."""
    for space in (STATE, LEAVES):
        for key, row in snapshot.items(space):
            yield space, key, row


def chunks_of(items: Iterable[tuple[str, bytes, bytes]], *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Cut the items of a state into chunks.

    Args:
        chunk_bytes: about how large a chunk is.
    """
    rows: list[tuple[bytes, bytes]] = []
    leaves: list[bytes] = []
    size_bytes = 0
    for space, key, row in items:
        if space == STATE:
            rows.append((key, row))
            size_bytes += len(key)
        else:
            leaves.append(row)
        size_bytes += len(row)
        if size_bytes >= chunk_bytes:
            yield Chunk(tuple(rows), tuple(leaves))
            rows, leaves, size_bytes = [], [], 0
    yield Chunk(tuple(rows), tuple(leaves))


def meta_of(offer: Offer, *, chain: str) -> Meta:
    """Return the machine's row of an offer, whose app hash follows from its two roots. Raises StateWrong."""
    try:
        meta = read_meta(_MetaRows(dict(offer.meta)))
    except ChainMismatch as error:
        raise StateWrong(str(error)) from error
    if meta is None:
        raise StateWrong("expected the machine's own row")
    expect(meta.chain == chain, f"a state of {chain}")
    stated = app_hash(tree_root=meta.tree_root, log_size=meta.log_size, log_root=meta.log_root)
    expect(meta.app_hash == stated, "an app hash that follows from the two roots")
    return meta


def rows_of(offer: Offer, chunks: Sequence[Chunk], founding: Founding) -> Spaces:
    """Return every row of a state's machine.

    Raises:
        StateWrong, EncodingInvalid, msgspec.DecodeError: the chunks do not give the roots of the machine's row.
    """
    meta = meta_of(offer, chain=founding.chain)
    rows = dict(row for chunk in chunks for row in chunk.rows)
    leaves = [leaf for chunk in chunks for leaf in chunk.leaves]
    tree_root, tree_rows = tree_over(rows)
    log_root, log_rows = log_over([leaf_hash(leaf) for leaf in leaves])
    expect(tree_root == meta.tree_root, "rows that give the tree's root")
    expect((len(leaves), log_root) == (meta.log_size, meta.log_root), "leaves that give the log's root")
    return {
        STATE: rows,
        LEAVES: {leaf_key(index): leaf for index, leaf in enumerate(leaves)},
        TREE: tree_rows,
        LOG: log_rows,
        INDEXES: index_rows(founding, enumerate(leaves)),
        EXPIRY: _expiry_rows(founding, rows),
        META: dict(offer.meta),
    }


def instead(store: LmdbStore, rows: Spaces) -> Changes:
    """Return what makes a store that has only genesis into one of these rows."""
    return {space: {**dict.fromkeys(dict(store.items(space))), **rows[space]} for space in SPACES}


def expect(fact: bool, words: str) -> None:
    """Raise StateWrong, with what was expected, unless it is so."""
    if not fact:
        raise StateWrong(f"expected {words}")


def _expiry_rows(founding: Founding, rows: dict[bytes, bytes]) -> dict[bytes, bytes]:
    tables = all_tables(founding)
    found: dict[bytes, bytes] = {}
    for key, row in rows.items():
        table = tables.get(key.partition(b"\x00")[0].decode(errors="replace"))
        if table is None:
            raise StateWrong("expected rows of tables that this release knows")
        found.update(expiry_of(table, key, row))
    return found


class _MetaRows:
    def __init__(self, rows: dict[bytes, bytes]) -> None:
        self._rows = rows

    def get(self, _space: str, key: bytes, /) -> bytes | None:
        return self._rows.get(key)
