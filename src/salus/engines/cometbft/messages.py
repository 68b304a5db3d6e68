"""ABCI 2.0 requests and responses as values, and their protobuf bytes (CometBFT proto/tendermint/abci/types.proto).

Only the fields that the ledger reads or says are here; others are passed over, so that a later release of CometBFT may
add some. Sizes are bounded before anything is copied.
"""

from collections.abc import Callable

import msgspec

from salus.ledger.comet import wire
from salus.ledger.comet.header import ADDRESS_SIZE_BYTES, CHAIN_ID_SIZE_MAX_BYTES, SIZE_MAX_BYTES, parse_time
from salus.ledger.comet.types import Validator
from salus.ledger.comet.wire import LENGTH, VARINT, Fields
from salus.ledger.encoding import EncodingInvalid

REQUEST_BYTES_MAX = 32 << 20
"""Of one request: a block of 2 MiB, or a chunk of a snapshot, with room."""
COUNT_MAX = 1 << 21
"""Of transactions in a block of 2 MiB."""
ACCEPT, REJECT = 1, 2
"""What is said of a proposal (`ProposalStatus`) and of a vote extension (`VerifyStatus`)."""
RECHECK = 1
SNAPSHOT_ACCEPT, SNAPSHOT_ABORT, SNAPSHOT_REJECT, SNAPSHOT_REJECT_FORMAT = 1, 2, 3, 4
CHUNK_ACCEPT, CHUNK_ABORT, CHUNK_RETRY, CHUNK_REJECT_SNAPSHOT = 1, 2, 3, 5


class Misbehaviour(msgspec.Struct, frozen=True):
    """What a validator did wrong, as CometBFT has verified it (`Misbehavior`).

    Args:
        kind: 1 duplicate vote, 2 light client attack.
        address: first 20 bytes of the SHA-256 of its key.
        height: at which it happened; `time_ns` likewise, nanoseconds since 1970.
    """

    kind: int
    address: bytes
    height: int
    time_ns: int


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot as peers offer it."""

    height: int
    format: int
    chunks: int
    hash: bytes
    metadata: bytes


class Echo(msgspec.Struct, frozen=True):
    """Says the same again."""

    message: str = ""


class Flush(msgspec.Struct, frozen=True):
    """Answered after all that came before it."""


class Info(msgspec.Struct, frozen=True):
    """Asks where the application stands: the first call of a handshake."""

    version: str = ""


class InitChain(msgspec.Struct, frozen=True):
    """Begins a chain. `app_state` is what the genesis document of CometBFT holds for us."""

    chain_id: str
    validators: tuple[Validator, ...]
    app_state: bytes
    initial_height: int


class Query(msgspec.Struct, frozen=True):
    """Asks for a row."""

    data: bytes
    path: str


class CheckTx(msgspec.Struct, frozen=True):
    """Asks whether bytes may wait for a block; `kind` is RECHECK when they wait already."""

    raw: bytes
    kind: int = 0


class Commit(msgspec.Struct, frozen=True):
    """Asks to make the finalised block durable."""


class ListSnapshots(msgspec.Struct, frozen=True):
    """Asks which snapshots there are."""


class OfferSnapshot(msgspec.Struct, frozen=True):
    """Offers a peer's snapshot. `app_hash` is that of its height, as a light client has verified it."""

    snapshot: Snapshot
    app_hash: bytes


class LoadSnapshotChunk(msgspec.Struct, frozen=True):
    """Asks for a part of a snapshot."""

    height: int
    format: int
    index: int


class ApplySnapshotChunk(msgspec.Struct, frozen=True):
    """Brings a part of the snapshot that was accepted."""

    index: int
    chunk: bytes
    sender: str


class PrepareProposal(msgspec.Struct, frozen=True):
    """Asks for a block. `size_bytes_max` counts what the transactions take in the block's encoding."""

    raws: tuple[bytes, ...]
    size_bytes_max: int
    height: int
    time_ns: int


class ProcessProposal(msgspec.Struct, frozen=True):
    """Asks whether a proposed block is one."""

    raws: tuple[bytes, ...]
    height: int
    time_ns: int


class ExtendVote(msgspec.Struct, frozen=True):
    """Not used: vote extensions are off."""


class VerifyVoteExtension(msgspec.Struct, frozen=True):
    """Not used: vote extensions are off."""


class FinalizeBlock(msgspec.Struct, frozen=True):
    """Brings a decided block."""

    raws: tuple[bytes, ...]
    misbehaviour: tuple[Misbehaviour, ...]
    height: int
    time_ns: int


Request = (
    Echo
    | Flush
    | Info
    | InitChain
    | Query
    | CheckTx
    | Commit
    | ListSnapshots
    | OfferSnapshot
    | LoadSnapshotChunk
    | ApplySnapshotChunk
    | PrepareProposal
    | ProcessProposal
    | ExtendVote
    | VerifyVoteExtension
    | FinalizeBlock
)


def decode_request(data: bytes) -> Request:
    """Parse a request. Raises EncodingInvalid: no request of ABCI 2.0, or one that this application does not serve."""
    fields = Fields(data, _ALL_KINDS, skip_unknown=True)
    found = [(number, each) for number in fields.numbers() for each in _values(fields, number)]
    if len(found) != 1:
        raise EncodingInvalid("expected one request of ABCI 2.0")
    number, value = found[0]
    return _PARSERS[number](value)


def _values(fields: Fields, number: int) -> list[bytes]:
    return fields.blobs(number, size_max_bytes=REQUEST_BYTES_MAX, count_max=1)


def _parse_echo(data: bytes) -> Echo:
    return Echo(Fields(data, {1: LENGTH}, skip_unknown=True).text(1, size_max_bytes=REQUEST_BYTES_MAX))


def _parse_info(data: bytes) -> Info:
    return Info(Fields(data, {1: LENGTH}, skip_unknown=True).text(1, size_max_bytes=SIZE_MAX_BYTES))


def _parse_init_chain(data: bytes) -> InitChain:
    fields = Fields(data, {2: LENGTH, 4: LENGTH, 5: LENGTH, 6: VARINT}, skip_unknown=True)
    return InitChain(
        chain_id=fields.text(2, size_max_bytes=CHAIN_ID_SIZE_MAX_BYTES),
        validators=tuple(
            _parse_update(each) for each in fields.blobs(4, size_max_bytes=SIZE_MAX_BYTES, count_max=COUNT_MAX)
        ),
        app_state=fields.blob(5, size_max_bytes=REQUEST_BYTES_MAX),
        initial_height=fields.integer(6),
    )


def _parse_update(data: bytes) -> Validator:
    fields = Fields(data, {1: LENGTH, 2: VARINT})
    key = Fields(fields.blob(1, size_max_bytes=SIZE_MAX_BYTES), {1: LENGTH}, skip_unknown=True)  # ed25519
    return Validator(key.blob(1, size_max_bytes=SIZE_MAX_BYTES), fields.integer(2))


def _parse_query(data: bytes) -> Query:
    fields = Fields(data, {1: LENGTH, 2: LENGTH}, skip_unknown=True)
    return Query(fields.blob(1, size_max_bytes=REQUEST_BYTES_MAX), fields.text(2, size_max_bytes=SIZE_MAX_BYTES))


def _parse_check_tx(data: bytes) -> CheckTx:
    fields = Fields(data, {1: LENGTH, 2: VARINT}, skip_unknown=True)
    return CheckTx(fields.blob(1, size_max_bytes=REQUEST_BYTES_MAX), fields.integer(2))


def _parse_offer(data: bytes) -> OfferSnapshot:
    fields = Fields(data, {1: LENGTH, 2: LENGTH}, skip_unknown=True)
    offered = Fields(
        fields.blob(1, size_max_bytes=REQUEST_BYTES_MAX),
        {1: VARINT, 2: VARINT, 3: VARINT, 4: LENGTH, 5: LENGTH},
        skip_unknown=True,
    )
    snapshot = Snapshot(
        height=offered.integer(1),
        format=offered.integer(2),
        chunks=offered.integer(3),
        hash=offered.blob(4, size_max_bytes=SIZE_MAX_BYTES),
        metadata=offered.blob(5, size_max_bytes=REQUEST_BYTES_MAX),
    )
    return OfferSnapshot(snapshot, fields.blob(2, size_max_bytes=SIZE_MAX_BYTES))


def _parse_load(data: bytes) -> LoadSnapshotChunk:
    fields = Fields(data, {1: VARINT, 2: VARINT, 3: VARINT}, skip_unknown=True)
    return LoadSnapshotChunk(fields.integer(1), fields.integer(2), fields.integer(3))


def _parse_apply(data: bytes) -> ApplySnapshotChunk:
    fields = Fields(data, {1: VARINT, 2: LENGTH, 3: LENGTH}, skip_unknown=True)
    return ApplySnapshotChunk(
        index=fields.integer(1),
        chunk=fields.blob(2, size_max_bytes=REQUEST_BYTES_MAX),
        sender=fields.text(3, size_max_bytes=SIZE_MAX_BYTES),
    )


def _parse_prepare(data: bytes) -> PrepareProposal:
    fields = Fields(data, {1: VARINT, 2: LENGTH, 5: VARINT, 6: LENGTH}, skip_unknown=True)
    return PrepareProposal(
        raws=_raws(fields, 2),
        size_bytes_max=fields.integer(1),
        height=fields.integer(5),
        time_ns=_time(fields, 6),
    )


def _parse_process(data: bytes) -> ProcessProposal:
    fields = Fields(data, {1: LENGTH, 5: VARINT, 6: LENGTH}, skip_unknown=True)
    return ProcessProposal(raws=_raws(fields, 1), height=fields.integer(5), time_ns=_time(fields, 6))


def _parse_finalize(data: bytes) -> FinalizeBlock:
    fields = Fields(data, {1: LENGTH, 3: LENGTH, 5: VARINT, 6: LENGTH}, skip_unknown=True)
    evidence = fields.blobs(3, size_max_bytes=REQUEST_BYTES_MAX, count_max=COUNT_MAX)
    return FinalizeBlock(
        raws=_raws(fields, 1),
        misbehaviour=tuple(_parse_misbehaviour(each) for each in evidence),
        height=fields.integer(5),
        time_ns=_time(fields, 6),
    )


def _parse_misbehaviour(data: bytes) -> Misbehaviour:
    fields = Fields(data, {1: VARINT, 2: LENGTH, 3: VARINT, 4: LENGTH}, skip_unknown=True)
    validator = Fields(fields.blob(2, size_max_bytes=SIZE_MAX_BYTES), {1: LENGTH}, skip_unknown=True)
    return Misbehaviour(
        kind=fields.integer(1),
        address=validator.blob(1, size_max_bytes=ADDRESS_SIZE_BYTES),
        height=fields.integer(3),
        time_ns=_time(fields, 4),
    )


def _raws(fields: Fields, number: int) -> tuple[bytes, ...]:
    return tuple(fields.blobs(number, size_max_bytes=REQUEST_BYTES_MAX, count_max=COUNT_MAX))


def _time(fields: Fields, number: int) -> int:
    return parse_time(fields.blob(number, size_max_bytes=SIZE_MAX_BYTES))


_PARSERS: dict[int, Callable[[bytes], Request]] = {
    1: _parse_echo,
    2: lambda _data: Flush(),
    3: _parse_info,
    5: _parse_init_chain,
    6: _parse_query,
    8: _parse_check_tx,
    11: lambda _data: Commit(),
    12: lambda _data: ListSnapshots(),
    13: _parse_offer,
    14: _parse_load,
    15: _parse_apply,
    16: _parse_prepare,
    17: _parse_process,
    18: lambda _data: ExtendVote(),
    19: lambda _data: VerifyVoteExtension(),
    20: _parse_finalize,
}
_ALL_KINDS = dict.fromkeys(_PARSERS, LENGTH)

# Responses: each function returns the bytes of one `Response`. Its field is the request's number plus one.


def exception(words: str) -> bytes:
    """Say that the application failed; the node stops."""
    return wire.message(1, wire.text(1, words))


def echo(message: str) -> bytes:
    """Answer Echo."""
    return wire.message(2, wire.text(1, message))


def flushed() -> bytes:
    """Answer Flush."""
    return wire.message(3, b"")


def info(*, data: str, version: str, app_version: int, height: int, app_hash: bytes) -> bytes:
    """Answer Info."""
    stands = wire.integer(4, height) + wire.blob(5, app_hash)
    return wire.message(4, wire.text(1, data) + wire.text(2, version) + wire.integer(3, app_version) + stands)


def chain_begun(*, validators: tuple[Validator, ...], app_version: int, app_hash: bytes) -> bytes:
    """Answer InitChain; the consensus parameters stay those of the genesis document, but for the application's."""
    updates = b"".join(wire.message(2, _update(each)) for each in validators)
    return wire.message(6, wire.message(1, _params(app_version)) + updates + wire.blob(3, app_hash))


def queried(*, code: int, words: str, key: bytes, value: bytes, proof: bytes, height: int) -> bytes:
    """Answer Query; `proof` is one operation of our own kind."""
    operation = wire.message(1, wire.text(1, PROOF_KIND) + wire.blob(2, key) + wire.blob(3, proof)) if proof else b""
    return wire.message(
        7,
        wire.integer(1, code)
        + wire.text(3, words)
        + wire.blob(6, key)
        + wire.blob(7, value)
        + wire.message(8, operation)
        + wire.integer(9, height),
    )


PROOF_KIND = "salus/row/1"


def checked(*, code: int, words: str) -> bytes:
    """Answer CheckTx."""
    return wire.message(9, wire.integer(1, code) + wire.text(3, words))


def committed(*, retain_height: int) -> bytes:
    """Answer Commit; the node may forget the blocks below `retain_height`."""
    return wire.message(12, wire.integer(3, retain_height))


def snapshots(offered: list[Snapshot]) -> bytes:
    """Answer ListSnapshots."""
    return wire.message(13, b"".join(wire.message(1, _snapshot(each)) for each in offered))


def offer_judged(result: int) -> bytes:
    """Answer OfferSnapshot."""
    return wire.message(14, wire.integer(1, result))


def chunk(data: bytes) -> bytes:
    """Answer LoadSnapshotChunk; no bytes when there is no such chunk."""
    return wire.message(15, wire.blob(1, data))


def chunk_judged(result: int, *, refetch: tuple[int, ...] = (), reject_senders: tuple[str, ...] = ()) -> bytes:
    """Answer ApplySnapshotChunk."""
    packed = b"".join(wire.varint(each) for each in refetch)
    rejected = b"".join(wire.text(3, each) for each in reject_senders)
    return wire.message(16, wire.integer(1, result) + wire.blob(2, packed) + rejected)


def prepared(raws: tuple[bytes, ...]) -> bytes:
    """Answer PrepareProposal."""
    return wire.message(17, b"".join([wire.message(1, raw) for raw in raws]))


def processed(status: int) -> bytes:
    """Answer ProcessProposal."""
    return wire.message(18, wire.integer(1, status))


def extended() -> bytes:
    """Answer ExtendVote with nothing."""
    return wire.message(19, b"")


def extension_verified(status: int) -> bytes:
    """Answer VerifyVoteExtension."""
    return wire.message(20, wire.integer(1, status))


def finalized(
    *, results: list[tuple[int, str]], validator_updates: tuple[Validator, ...], app_version: int, app_hash: bytes
) -> bytes:
    """Answer FinalizeBlock.

    Args:
        results: code and words of each transaction, in order; all validators agree on the codes alone.
        app_version: from the next block on; 0 leaves it as it is.
    """
    said = b"".join([wire.message(2, wire.integer(1, code) + wire.text(3, words)) for code, words in results])
    updates = b"".join(wire.message(3, _update(each)) for each in validator_updates)
    parameters = wire.message(4, _params(app_version)) if app_version else b""
    return wire.message(21, said + updates + parameters + wire.blob(5, app_hash))


def _update(validator: Validator) -> bytes:
    return wire.message(1, wire.message(1, validator.public_key)) + wire.integer(2, validator.power)


def _params(app_version: int) -> bytes:
    return wire.message(4, wire.integer(1, app_version))  # ConsensusParams.version


def _snapshot(snapshot: Snapshot) -> bytes:
    return (
        wire.integer(1, snapshot.height)
        + wire.integer(2, snapshot.format)
        + wire.integer(3, snapshot.chunks)
        + wire.blob(4, snapshot.hash)
        + wire.blob(5, snapshot.metadata)
    )
