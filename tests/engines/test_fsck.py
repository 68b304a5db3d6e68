"""The check of a whole store: clean ledgers, and one damaged row in each space, each named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from salus.crypto.hashing import sha256
from salus.engines.base import Unavailable
from salus.engines.chain import EmbeddedChain
from salus.engines.fsck import Finding, fsck
from salus.engines.store import BLOCKS, ENGINE, HEADERS, LmdbStore, height_key
from salus.ledger.state import EXPIRY, INDEXES, LEAVES, LOG, META, SPACES, STATE, TREE, Changes
from salus.ledger.transactions import Transaction
from salus.testing.clock import FakeClock
from tests.engines import toy

NOW_S = 1_800_000_000
HEIGHTS = 8


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with notes, visits, denials, rejections, repeats, expired rows and empty blocks."""
    folder = tmp_path_factory.mktemp("built") / "ledger"
    build(folder)
    return folder


def build(folder: Path, *, bodies_kept_s: int = 10**9) -> None:
    clock = FakeClock()
    chain = EmbeddedChain(folder, toy.founding(), toy.CONSENSUS_KEY, clock, bodies_kept_s=bodies_kept_s)
    repeated = toy.notes(1, time_s=NOW_S)
    for height in range(1, HEIGHTS + 1):
        pseudonym = sha256(b"%d" % (height % 3))[:16]
        raws = [
            toy.notes(*range(10 * height, 10 * height + 9), time_s=NOW_S, expires_at_s=NOW_S + 3 * height),
            toy.visits(pseudonym, height, 7, time_s=NOW_S),
            toy.notes(1, 13, time_s=NOW_S),
            repeated,
        ]
        append(chain, raws if height % 4 else [])
        clock.advance(2)
    chain.close()


def append(chain: EmbeddedChain, raws: list[bytes]) -> None:
    def admit(raw: bytes) -> Transaction:
        return chain.machine.admit(raw, time_s=NOW_S)

    chain.append([admit(raw) for raw in raws], time_ns=chain.next_time_ns())


@pytest.fixture
def damaged(built: Path, tmp_path: Path) -> Callable[[Changes], list[Finding]]:
    """Writes rows into a copy of the ledger, then checks it."""

    def damage(changes: Changes) -> list[Finding]:
        folder = tmp_path / "ledger"
        folder.mkdir()
        (folder / "data.mdb").write_bytes((built / "data.mdb").read_bytes())
        store = LmdbStore(folder)
        for space, rows in changes.items():
            rewrite(store, space, rows)
        store.close()
        return fsck(folder, toy.founding())

    return damage


def rewrite(store: LmdbStore, space: str, rows: dict[bytes, bytes | None]) -> None:
    """Write rows anywhere, even in spaces that only grow: the whole space is written again."""
    kept: dict[bytes, bytes | None] = dict(store.items(space))
    store.write({space: dict.fromkeys(kept, None)})
    store.write({space: kept | rows})


def test_a_ledger_that_is_well_has_no_findings(built: Path) -> None:
    heights: list[int] = []
    assert fsck(built, toy.founding(), progress=lambda height, _last: heights.append(height)) == []
    assert heights == list(range(1, HEIGHTS + 1))


def test_a_ledger_whose_bodies_were_pruned_has_no_findings(tmp_path: Path) -> None:
    build(tmp_path / "ledger", bodies_kept_s=4)
    assert fsck(tmp_path / "ledger", toy.founding()) == []


def test_no_ledger_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="start the ledger process first"):
        fsck(tmp_path / "nothing", toy.founding())


def test_a_ledger_of_another_chain_is_named(built: Path) -> None:
    assert [finding.space for finding in fsck(built, toy.founding("other-chain"))] == [META]


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def rows_of(built: Path, space: str) -> list[tuple[bytes, bytes]]:
    store = LmdbStore(built)
    rows = list(store.items(space))
    store.close()
    return rows


def test_the_ledger_has_rows_in_every_space(built: Path) -> None:
    empty = [space for space in (*SPACES, BLOCKS, HEADERS, ENGINE) if not rows_of(built, space)]
    assert empty == []


@pytest.mark.promise("L1", "L5")
@pytest.mark.parametrize("part", ["first byte", "middle byte", "last byte"])
@pytest.mark.parametrize("place", ["first row", "last row"])
@pytest.mark.parametrize("space", [STATE, INDEXES, LEAVES, TREE, LOG, META, BLOCKS, HEADERS, ENGINE])
def test_one_flipped_byte_of_a_row_is_named(
    built: Path, damaged: Callable[[Changes], list[Finding]], space: str, place: str, part: str
) -> None:
    key, row = rows_of(built, space)[0 if place == "first row" else -1]
    where = {"first byte": 0, "middle byte": len(row) // 2, "last byte": len(row) - 1}[part]
    findings = damaged({space: {key: flip(row, where)}})
    named = {(finding.space, finding.key) for finding in findings}
    single = space in (META, ENGINE)
    assert (space, b"" if single else key) in named or (space, key) in named


@pytest.mark.parametrize("space", [STATE, INDEXES, EXPIRY, LEAVES, TREE, LOG, BLOCKS, HEADERS])
def test_a_flipped_byte_of_a_key_is_named_twice(
    built: Path, damaged: Callable[[Changes], list[Finding]], space: str
) -> None:
    key, row = rows_of(built, space)[0]
    findings = damaged({space: {key: None, flip(key, len(key) - 1): row}})
    assert space in {finding.space for finding in findings}


@pytest.mark.parametrize("space", [STATE, INDEXES, EXPIRY, LEAVES, TREE, LOG, META, BLOCKS, HEADERS, ENGINE])
def test_a_row_that_is_gone_is_named(built: Path, damaged: Callable[[Changes], list[Finding]], space: str) -> None:
    key, _ = rows_of(built, space)[-1]
    findings = damaged({space: {key: None}})
    assert space in {finding.space for finding in findings}


@pytest.mark.parametrize("space", [STATE, INDEXES, EXPIRY, LEAVES, TREE, LOG, BLOCKS, HEADERS])
def test_a_row_too_many_is_named(built: Path, damaged: Callable[[Changes], list[Finding]], space: str) -> None:
    key = height_key(10**6)
    findings = damaged({space: {key: b"row"}})
    assert space in {finding.space for finding in findings}


def test_a_state_that_is_behind_its_headers_is_named(built: Path, damaged: Callable[[Changes], list[Finding]]) -> None:
    key, _ = rows_of(built, HEADERS)[-1]
    findings = damaged({HEADERS: {key: None}})
    assert Finding(HEADERS, b"", f"the newest header has height {HEIGHTS - 1}, the state {HEIGHTS}") in findings


def test_many_findings_are_told_as_a_few(built: Path, damaged: Callable[[Changes], list[Finding]]) -> None:
    gone: dict[bytes, bytes | None] = {key: None for key, _ in rows_of(built, INDEXES)}
    findings = [finding for finding in damaged({INDEXES: gone}) if finding.space == INDEXES]
    assert len(findings) < len(gone)
    assert findings[20].words == "and more"


def test_a_ledger_whose_bodies_were_pruned_is_checked_by_its_roots(tmp_path: Path) -> None:
    build(tmp_path / "ledger", bodies_kept_s=4)
    store = LmdbStore(tmp_path / "ledger")
    key, row = next(iter(store.items(STATE)))
    store.write({STATE: {key: flip(row, 1)}})
    store.close()
    findings = fsck(tmp_path / "ledger", toy.founding())
    assert {finding.space for finding in findings} >= {STATE, TREE}


@pytest.mark.parametrize("space", [STATE, INDEXES, LEAVES, TREE, LOG, BLOCKS, HEADERS])
def test_a_byte_flipped_in_the_file_is_named(built: Path, tmp_path: Path, space: str) -> None:
    key, row = rows_of(built, space)[-1]
    data = (built / "data.mdb").read_bytes()
    pair = key + row
    assert pair in data, "LMDB keeps key and row side by side"
    (tmp_path / "data.mdb").write_bytes(data.replace(pair, key + flip(row, len(row) // 2)))
    assert (space, key) in {(finding.space, finding.key) for finding in fsck(tmp_path, toy.founding())}


def test_a_finding_reads_as_one_line() -> None:
    assert str(Finding(STATE, b"\x01\x02", "a row is missing")) == "state 0102: a row is missing"
    assert str(Finding(STATE, b"", "the rows do not fit")) == "state -: the rows do not fit"
