"""Snapshots: the same bytes on every node, refused when a peer altered them, and a store that goes on from one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from salus.crypto.hashing import sha256
from salus.engines.cometbft import messages
from salus.engines.cometbft.snapshots import Snapshots
from salus.engines.state_chunks import Chunk, Offer
from salus.ledger.comet.types import Validator
from salus.ledger.encoding import decoder, encode
from salus.ledger.state import SPACES
from salus.testing.abci_application import AbciApplication
from salus.testing.abci_node import AbciNode, Block, Offered
from salus.testing.clock import FakeClock
from tests.engines import toy

NOW_S = 1_800_000_000
VALIDATORS = (Validator(toy.CONSENSUS_KEY.public, 10),)
SMALL_CHUNK_BYTES = 600
EVERY = 5
OFFERS, CHUNKS = decoder(Offer), decoder(Chunk)


class Node:
    """An application with its node."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(NOW_S)
        folder.mkdir()
        self.application = AbciApplication(
            folder / "ledger",
            folder / "s",
            toy.founding(validators=VALIDATORS),
            self.clock,
            lambda _reader, _transaction: None,
            snapshots=lambda chain: Snapshots(chain, every_blocks=EVERY, chunk_bytes=SMALL_CHUNK_BYTES),
        )
        self.node = AbciNode(folder / "s", toy.CHAIN, VALIDATORS)
        self.node.start()

    def follow(self, blocks: list[Block]) -> None:
        for block in blocks:
            self.node.decide(block)
            self.application.application.snapshots.wait()

    def rows(self) -> dict[str, dict[bytes, bytes]]:
        with self.application.chain.store.snapshot() as snapshot:
            return {space: dict(snapshot.items(space)) for space in SPACES}

    def close(self) -> None:
        self.node.stop()
        self.application.close()


BLOCKS = [
    Block(
        (NOW_S + height) * 10**9,
        (
            toy.notes(*range(20 * height, 20 * height + 9), time_s=NOW_S, nonce=bytes([height]) * 16),
            toy.visits(bytes(16), height, time_s=NOW_S),
        ),
    )
    for height in range(1, 13)
]


@pytest.fixture
def open_node(short_path: Path) -> Iterator[Callable[[str], Node]]:
    opened: list[Node] = []

    def open_one(name: str) -> Node:
        opened.append(Node(short_path / name))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def source(open_node: Callable[[str], Node]) -> Node:
    made = open_node("source")
    made.follow(BLOCKS)
    return made


def app_hash_of(snapshot: Offered, open_node: Callable[[str], Node]) -> bytes:
    """What a light client would have verified: the app hash after that height."""
    witness = open_node("witness")
    witness.follow(BLOCKS[: snapshot.height])
    return witness.application.chain.meta.app_hash


@pytest.mark.promise("L1")
def test_every_node_makes_the_same_bytes(source: Node, open_node: Callable[[str], Node]) -> None:
    other = open_node("other")
    other.follow(BLOCKS)
    assert [each.height for each in source.node.snapshots()] == [10, 5]
    assert other.node.snapshots() == source.node.snapshots()
    for snapshot in source.node.snapshots():
        assert snapshot.chunks > 3
        chunks = [source.node.chunk(snapshot, index) for index in range(snapshot.chunks)]
        assert [other.node.chunk(snapshot, index) for index in range(snapshot.chunks)] == chunks
        assert [sha256(each) for each in chunks] == list(OFFERS.decode(snapshot.metadata).chunks)


def test_only_the_newest_are_kept(source: Node) -> None:
    source.follow([Block((NOW_S + 20 + height) * 10**9, ()) for height in range(3)])
    assert [each.height for each in source.node.snapshots()] == [15, 10]
    assert source.node.chunk(Offered(5, 1, 0, b"", b""), 0) == b""


@pytest.mark.promise("L1", "L5")
def test_a_node_goes_on_from_a_snapshot(source: Node, open_node: Callable[[str], Node]) -> None:
    snapshot = source.node.snapshots()[0]
    joins = open_node("joins")
    assert joins.node.offer(snapshot, app_hash_of(snapshot, open_node)) == messages.SNAPSHOT_ACCEPT
    for index in range(snapshot.chunks):
        assert joins.node.apply(index, source.node.chunk(snapshot, index))[0] == messages.CHUNK_ACCEPT
    assert joins.application.chain.meta.height == snapshot.height
    joins.node.blocks = BLOCKS[: snapshot.height]
    joins.node.stop()
    assert joins.node.start() == snapshot.height
    joins.follow(BLOCKS[snapshot.height :])
    assert joins.rows() == source.rows()
    assert joins.application.chain.meta == source.application.chain.meta


def test_a_wrong_chunk_is_asked_for_again(source: Node, open_node: Callable[[str], Node]) -> None:
    snapshot = source.node.snapshots()[0]
    joins = open_node("joins")
    joins.node.offer(snapshot, app_hash_of(snapshot, open_node))
    chunk = source.node.chunk(snapshot, 1)
    assert joins.node.apply(1, chunk[:-1] + bytes([chunk[-1] ^ 1])) == (messages.CHUNK_RETRY, b"\x01")
    assert joins.node.apply(0, chunk) == (messages.CHUNK_RETRY, b"\x00")
    assert joins.node.apply(1, chunk)[0] == messages.CHUNK_ACCEPT


def altered(snapshot: Offered, offer: Offer, **changes: object) -> Offered:
    """The snapshot that a peer would offer instead, its hash put right."""
    metadata = encode(offer)
    return msgspec.structs.replace(
        _Alterable(snapshot.height, snapshot.format, snapshot.chunks, sha256(metadata), metadata), **changes
    ).offered()


class _Alterable(msgspec.Struct):
    height: int
    format: int
    chunks: int
    hash: bytes
    metadata: bytes

    def offered(self) -> Offered:
        return Offered(self.height, self.format, self.chunks, self.hash, self.metadata)


OFFERED_WRONG = [
    pytest.param({"format": 2}, messages.SNAPSHOT_REJECT_FORMAT, id="format"),
    pytest.param({"hash": bytes(32)}, messages.SNAPSHOT_REJECT, id="hash"),
    pytest.param({"height": 9}, messages.SNAPSHOT_REJECT, id="height"),
    pytest.param({"chunks": 1}, messages.SNAPSHOT_REJECT, id="count"),
    pytest.param({"metadata": b"\xc1", "hash": sha256(b"\xc1")}, messages.SNAPSHOT_REJECT, id="no offer"),
]


@pytest.mark.promise("L3")
@pytest.mark.parametrize(("changes", "result"), OFFERED_WRONG)
def test_a_wrong_offer_is_refused(
    source: Node, open_node: Callable[[str], Node], changes: dict[str, object], result: int
) -> None:
    snapshot = source.node.snapshots()[0]
    offered = altered(snapshot, OFFERS.decode(snapshot.metadata), **changes)
    assert open_node("joins").node.offer(offered, source.application.chain.meta.app_hash) == result


@pytest.mark.promise("L3")
def test_another_app_hash_than_the_verified_one_is_refused(source: Node, open_node: Callable[[str], Node]) -> None:
    snapshot = source.node.snapshots()[0]
    assert open_node("joins").node.offer(snapshot, bytes(32)) == messages.SNAPSHOT_REJECT


def test_a_ledger_that_has_begun_takes_no_snapshot(source: Node) -> None:
    snapshot = source.node.snapshots()[0]
    assert source.node.offer(snapshot, bytes(32)) == messages.SNAPSHOT_ABORT
    assert source.node.apply(0, b"")[0] == messages.CHUNK_ABORT


def without_last_row(chunk: Chunk) -> Chunk:
    return Chunk(chunk.rows[:-1], chunk.leaves)


def without_last_leaf(chunk: Chunk) -> Chunk:
    return Chunk(chunk.rows, chunk.leaves[:-1])


@pytest.mark.promise("L3")
@pytest.mark.parametrize(("place", "alter"), [(0, without_last_row), (-1, without_last_leaf)])
def test_chunks_that_do_not_give_the_roots_are_refused(
    source: Node, open_node: Callable[[str], Node], place: int, alter: Callable[[Chunk], Chunk]
) -> None:
    snapshot = source.node.snapshots()[0]
    chunks = [source.node.chunk(snapshot, index) for index in range(snapshot.chunks)]
    chunks[place] = encode(alter(CHUNKS.decode(chunks[place])))
    offer = Offer(OFFERS.decode(snapshot.metadata).meta, tuple(sha256(each) for each in chunks))  # type: ignore[arg-type]
    joins = open_node("joins")
    assert joins.node.offer(altered(snapshot, offer), app_hash_of(snapshot, open_node)) == messages.SNAPSHOT_ACCEPT
    results = [joins.node.apply(index, chunk)[0] for index, chunk in enumerate(chunks)]
    assert results == [messages.CHUNK_ACCEPT] * (snapshot.chunks - 1) + [messages.CHUNK_REJECT_SNAPSHOT]
    assert joins.application.chain.meta.height == 0
