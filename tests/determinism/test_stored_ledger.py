"""A stored ledger is executed again, for ever: the same blocks, the same roots, the same rows (L1)."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from salus.contracts.genesis import decode_genesis
from salus.ledger.state import LEAVES
from salus.testing.auditor import Auditor
from salus.testing.auditor.ledger import HANDLERS
from salus.testing.memory_store import MemoryStore
from salus.testing.simulator.in_memory import count_leaves
from salus.testing.simulator.recording import (
    NEWER_MARKS,
    ChainRunner,
    InMemoryRunner,
    Recording,
    execute,
    founding_of,
    read,
    record,
)
from tests.determinism.write_vectors import SEED, VECTORS

pytestmark = pytest.mark.promise("L1", "L5")

STORED = sorted(VECTORS.glob("ledger-*.json"))
ACCESS_DENIED = 605
RECOVERY = {207, 208, 209, 210, 211}
CAME_LATER = {"ledger-1": {105, 106, 107, 108} | RECOVERY, "ledger-2": RECOVERY}
"""Messages that were added after a ledger was stored."""


@pytest.fixture(params=STORED, ids=lambda path: path.stem)
def recording(request: pytest.FixtureRequest) -> Recording:
    return read(request.param)


def test_there_is_one() -> None:
    assert [path.name for path in STORED] == ["ledger-1.json", "ledger-2.json", "ledger-3.json"]


def test_in_memory(recording: Recording) -> None:
    roots = execute(recording, InMemoryRunner(founding_of(decode_genesis(recording.genesis))))
    assert (roots.app_hashes, roots.rows) == (tuple(block.app_hash for block in recording.blocks), recording.rows)


def test_through_the_embedded_chain(recording: Recording, tmp_path: Path) -> None:
    chain = ChainRunner(founding_of(decode_genesis(recording.genesis)), tmp_path / "ledger")
    roots = execute(recording, chain)
    chain.close()
    assert (roots.app_hashes, roots.rows) == (tuple(block.app_hash for block in recording.blocks), recording.rows)


def test_by_the_auditor(recording: Recording) -> None:
    auditor = Auditor(recording.genesis)
    for height, block in enumerate(recording.blocks, start=1):
        auditor.block(height, block.time_s, block.transactions)
        assert auditor.app_hash() == block.app_hash, height


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_it_has_every_outcome(path: Path) -> None:
    recording = read(path)
    runner = InMemoryRunner(founding_of(decode_genesis(recording.genesis)))
    execute(recording, runner)
    seen = outcomes(runner.store)
    assert {tag for tag, code, _ in seen if code < 2} == {*HANDLERS, ACCESS_DENIED} - CAME_LATER.get(path.stem, set())
    assert len({code for _, code, _ in seen if code > 1}) > 20


def test_it_has_text_that_newer_tables_order_otherwise(recording: Recording) -> None:
    text = "".join(NEWER_MARKS).encode()
    assert all(mark.encode() in recording.genesis for mark in NEWER_MARKS)
    assert unicodedata.ucd_3_2_0.normalize("NFC", text.decode()) == text.decode()


def test_recording_is_reproducible() -> None:
    assert record(SEED, 20) == record(SEED, 20)


def outcomes(store: MemoryStore) -> Counter[tuple[int, int, int]]:
    """What the leaves of a store came to."""
    seen: Counter[tuple[int, int, int]] = Counter()
    count_leaves(seen, [leaf for _, leaf in store.items(LEAVES)])
    return seen
