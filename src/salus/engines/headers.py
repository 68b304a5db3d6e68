"""What an engine stores beside the machine's rows: signed headers, block bodies, and what kind of engine wrote them.

Both engines, their clients and `fsck` read these rows; only the engine that makes the blocks writes them.
"""

import threading
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from salus.engines.base import SealedHeight, Snapshot, StartRefused, Status
from salus.engines.store import BLOCKS, ENGINE, EVIDENCE, HEADERS, height_key
from salus.ledger.comet.commit import decode_signed_header, encode_signed_header
from salus.ledger.comet.types import Block, Commit, SignedHeader, Validator
from salus.ledger.contract import Misbehaviour
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.machine import read_meta
from salus.ledger.state import Reader
from salus.ledger.transactions import transaction_hash

FORMAT = 1
EMBEDDED = "embedded"
COMETBFT = "cometbft"
MILLISECOND_NS = 1_000_000
_ABOUT_KEY = b"about"
_SEALED_KEY = b"sealed"
HEADERS_BEHIND_MAX = 16
NO_COMMIT = Commit()
"""Stands below the first block."""


class About(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Which engine wrote the store, in which format."""

    format: int
    engine: str


class HeaderRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """CometBFT's `SignedHeader` message and the validators that signed it, in their order."""

    signed: bytes
    validators: tuple[Validator, ...]


class _Stamp(msgspec.Struct, frozen=True, array_like=True):
    format: int  # what follows depends on it


_ABOUT = decoder(About)
_STAMP = msgspec.msgpack.Decoder(_Stamp)
_HEADER_ROW = decoder(HeaderRow)
_BODY = decoder(tuple[bytes, ...])
_HEIGHT = decoder(int)
_EVIDENCE = decoder(tuple[tuple[bytes, int, int], ...])


def about_rows(engine: str) -> dict[bytes, bytes | None]:
    """Return the rows that say what wrote the store."""
    return {_ABOUT_KEY: encode(About(FORMAT, engine))}


def read_about(reader: Reader) -> About | None:
    """Return what wrote the store; None before genesis.

    Raises:
        StartRefused: a newer format than this software knows, or a damaged row.
    """
    row = reader.get(ENGINE, _ABOUT_KEY)
    if row is None:
        return None
    try:
        stored_format = _STAMP.decode(row).format
        if stored_format != FORMAT:
            raise StartRefused(f"expected store format {FORMAT}, came {stored_format}: run the release that wrote it")
        about: About = _ABOUT.decode(row)
    except (msgspec.DecodeError, EncodingInvalid) as error:
        raise StartRefused(f"expected the store's own row, it is damaged: restore a backup. {error}") from error
    return about


def sealed_rows(height: int) -> dict[bytes, bytes | None]:
    """Return the rows that end a ledger at this height for good."""
    return {_SEALED_KEY: encode(height)}


def sealed_height(reader: Reader) -> int:
    """Return the height at which a ledger was sealed; 0 for one that goes on."""
    row = reader.get(ENGINE, _SEALED_KEY)
    return 0 if row is None else int(_HEIGHT.decode(row))


def header_row(signed: SignedHeader, validators: tuple[Validator, ...]) -> bytes:
    """Return the row of a signed header."""
    return encode(HeaderRow(encode_signed_header(signed), validators))


@lru_cache(maxsize=16)  # the newest header is asked for at every release, and its bytes are its key
def decode_header_row(row: bytes) -> SealedHeight:
    """Parse a header's row. Raises EncodingInvalid."""
    stored: HeaderRow = _HEADER_ROW.decode(row)
    return SealedHeight(signed=decode_signed_header(stored.signed), validators=stored.validators)


def read_header(reader: Reader, height: int) -> SealedHeight | None:
    """Return the signed header of a height; None when it is not there yet, or was pruned."""
    row = reader.get(HEADERS, height_key(height))
    return None if row is None else decode_header_row(row)


def newest_header(reader: Reader, height: int) -> SealedHeight | None:
    """Return the newest signed header at or a few heights below the state's; None when there is none there.

    With CometBFT a block is executed a moment before its signatures are here.
    """
    heights = range(height, max(0, height - HEADERS_BEHIND_MAX), -1)
    return next((sealed for each in heights if (sealed := read_header(reader, each)) is not None), None)


def evidence_row(evidence: Sequence[Misbehaviour]) -> bytes:
    """Return the row of a block's evidence."""
    return encode(tuple((each.address, each.height, each.time_s) for each in evidence))


def read_evidence(reader: Reader, height: int) -> tuple[Misbehaviour, ...]:
    """Return a block's evidence, none for most blocks."""
    row = reader.get(EVIDENCE, height_key(height))
    return () if row is None else tuple(Misbehaviour(*each) for each in _EVIDENCE.decode(row))


def body_row(raws: Sequence[bytes]) -> bytes:
    """Return the row of a block's transactions."""
    return encode(tuple(raws))


def decode_body_row(row: bytes) -> tuple[bytes, ...]:
    """Parse a block's transactions. Raises EncodingInvalid."""
    raws: tuple[bytes, ...] = _BODY.decode(row)
    return raws


def read_block(reader: Reader, height: int) -> Block | None:
    """Return a block in CometBFT's form, put together again; None when it is not there yet, or was pruned."""
    stored, before = read_header(reader, height), read_header(reader, height - 1)
    if stored is None or (before is None and height > 1):
        return None
    row = reader.get(BLOCKS, height_key(height))
    return Block(
        header=stored.signed.header,
        transactions=() if row is None else decode_body_row(row),
        evidence=(),
        last_commit=before.signed.commit if before else NO_COMMIT,
    )


def read_transaction(reader: Reader, height: int, transaction: bytes) -> bytes:
    """Return the bytes of a block's transaction by its hash; empty when the block's body was pruned."""
    row = reader.get(BLOCKS, height_key(height))
    raws = () if row is None else decode_body_row(row)
    return next((raw for raw in raws if transaction_hash(raw) == transaction), b"")


def read_status(snapshot: Snapshot, *, wall_ns: int) -> Status | None:
    """Return where the ledger stands; None before genesis.

    Args:
        wall_ns: now, nanoseconds since 1970, from which the newest header's age follows.
    """
    meta, about = read_meta(snapshot), read_about(snapshot)
    if meta is None or about is None:
        return None
    newest = newest_header(snapshot, meta.height)
    time_ms = newest.signed.header.time_ns // MILLISECOND_NS if newest else 0
    return Status(
        chain=meta.chain,
        height=meta.height,
        log_size=meta.log_size,
        app_hash=meta.app_hash,
        header_time_ms=time_ms,
        header_age_ms=max(0, wall_ns // MILLISECOND_NS - time_ms),
        engine=about.engine,
    )


class Received:
    """Since when the newest header is here, by a clock that never jumps: a wall clock set back makes no state younger.

    For any thread. A process that has just started counts from its first look.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest_ms = -1
        self._at_ns = 0

    def aged(self, status: Status, *, monotonic_ns: int) -> Status:
        """Return the status with the greater of its age by the wall clock and the time since the header came (R3)."""
        with self._lock:
            if status.header_time_ms > self._newest_ms:
                self._newest_ms, self._at_ns = status.header_time_ms, monotonic_ns
            since_ms = (monotonic_ns - self._at_ns) // MILLISECOND_NS
        return msgspec.structs.replace(status, header_age_ms=max(status.header_age_ms, since_ms))
