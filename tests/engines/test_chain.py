"""The chain: headers that follow, state that survives a start, folders that are refused."""

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salus.crypto.hashing import EMPTY_ROOT, sha256
from salus.crypto.signing import SigningKey
from salus.engines.base import SealedHeight, StartRefused
from salus.engines.chain import EmbeddedChain
from salus.engines.clock import SECOND_NS
from salus.engines.headers import about_rows, read_block, read_header, read_status
from salus.engines.store import BLOCKS, ENGINE, HEADERS, DiskFull, LmdbStore, height_key
from salus.ledger.comet.block import block_id
from salus.ledger.comet.light import verify_adjacent, verify_signed_header
from salus.ledger.encoding import encode
from salus.ledger.machine import Meta
from salus.ledger.outcomes import DENIED
from salus.ledger.state import EXPIRY, META, Changes
from salus.ledger.transactions import Transaction
from salus.testing.clock import FakeClock
from tests.engines import toy

NOW_S = 1_800_000_000
HOUR_NS = 3600 * SECOND_NS
Open = Callable[..., EmbeddedChain]


@pytest.fixture
def open_chain(tmp_path: Path, clock: FakeClock) -> Iterator[Open]:
    opened: list[EmbeddedChain] = []

    def open_one(**settings: object) -> EmbeddedChain:
        given = {"founding": toy.founding(), "key": toy.CONSENSUS_KEY, "clock": clock} | settings
        chain = EmbeddedChain(tmp_path / "ledger", **given)  # type: ignore[arg-type]
        opened.append(chain)
        return chain

    yield open_one
    for chain in opened:
        chain.close()


@pytest.fixture
def chain(open_chain: Open) -> EmbeddedChain:
    return open_chain()


def admit(chain: EmbeddedChain, raw: bytes) -> Transaction:
    return chain.machine.admit(raw, time_s=NOW_S)


def append(chain: EmbeddedChain, *raws: bytes) -> list[int]:
    executed = chain.append([admit(chain, raw) for raw in raws], time_ns=chain.next_time_ns())
    return [result.code for result in executed.results]


def header(chain: EmbeddedChain, height: int) -> SealedHeight:
    stored = read_header(chain.store, height)
    assert stored is not None
    return stored


def test_outcomes_come_back_in_order(chain: EmbeddedChain) -> None:
    raws = [toy.notes(1, 2, time_s=NOW_S), toy.notes(13, time_s=NOW_S), toy.visits(bytes(16), 7, time_s=NOW_S)]
    assert append(chain, *raws) == [0, toy.UNLUCKY, DENIED]


@pytest.mark.promise("L5")
def test_each_header_verifies_after_the_one_before(chain: EmbeddedChain) -> None:
    append(chain, toy.notes(1, time_s=NOW_S))
    append(chain)
    append(chain, toy.notes(2, time_s=NOW_S), toy.notes(3, time_s=NOW_S))
    first = header(chain, 1)
    verify_signed_header(chain_id=toy.CHAIN, signed=first.signed, validators=chain.validators)
    for height in (2, 3):
        verify_adjacent(
            trusted=header(chain, height - 1).signed.header,
            untrusted=header(chain, height).signed,
            validators=chain.validators,
            trusting_period_ns=HOUR_NS,
            now_ns=NOW_S * SECOND_NS + SECOND_NS,
            clock_drift_ns=SECOND_NS,
        )


def test_a_header_says_what_was_before_it(chain: EmbeddedChain) -> None:
    genesis = chain.meta.app_hash
    append(chain, toy.notes(1, time_s=NOW_S))
    after_first = chain.meta.app_hash
    append(chain)
    first, second = header(chain, 1).signed.header, header(chain, 2).signed.header
    assert (first.app_hash, second.app_hash) == (genesis, after_first)
    assert (first.last_results_hash, first.last_commit_hash) == (EMPTY_ROOT, EMPTY_ROOT)
    assert second.last_results_hash == sha256(b"\x00")  # one result, of code 0: a leaf without bytes
    assert second.last_block_id == header(chain, 1).signed.commit.block_id


def test_a_stored_block_has_the_identity_that_was_signed(chain: EmbeddedChain) -> None:
    raw = toy.notes(1, time_s=NOW_S)
    append(chain)
    append(chain, raw)
    block = read_block(chain.store, 2)
    assert block is not None
    assert block.transactions == (raw,)
    assert block_id(block) == header(chain, 2).signed.commit.block_id


@pytest.mark.promise("L1")
def test_an_empty_block_changes_nothing(chain: EmbeddedChain) -> None:
    append(chain, toy.notes(1, time_s=NOW_S, expires_at_s=NOW_S + 1))
    chain.machine.store = chain.store
    before = chain.meta
    executed = chain.append([], time_ns=chain.next_time_ns() + HOUR_NS)
    assert set(executed.changes) == {META}
    assert executed.meta.app_hash == before.app_hash


def test_the_next_block_is_due_until_the_state_is_signed(chain: EmbeddedChain) -> None:
    assert chain.unsigned
    append(chain)
    assert not chain.unsigned
    append(chain, toy.notes(1, time_s=NOW_S))
    assert chain.unsigned
    append(chain)
    assert not chain.unsigned


def test_expired_rows_go_with_later_transactions_oldest_first_and_not_all_at_once(chain: EmbeddedChain) -> None:
    for number in range(30):
        append(chain, toy.notes(100 + number, time_s=NOW_S, expires_at_s=NOW_S + 10 + number))
    later_ns = (NOW_S + 100) * SECOND_NS
    chain.append([admit(chain, toy.notes(1, time_s=NOW_S))], time_ns=later_ns)
    left = [int.from_bytes(key[:8], "big") - NOW_S for key, _ in chain.store.items(EXPIRY)][:-2]
    assert left == list(range(28, 40)), "two for the transaction, sixteen beside"


@pytest.mark.promise("L2", "L1")
def test_a_start_goes_on_as_if_there_had_been_none(open_chain: Open, chain: EmbeddedChain) -> None:
    append(chain, toy.notes(1, time_s=NOW_S), toy.notes(13, time_s=NOW_S))
    meta, due = chain.meta, chain.unsigned
    chain.close()
    again = open_chain()
    assert (again.meta, again.unsigned) == (meta, due)
    append(again)
    append(again, toy.notes(2, time_s=NOW_S))
    second = header(again, 2)
    assert second.signed.header.last_results_hash != EMPTY_ROOT
    verify_adjacent(
        trusted=header(again, 1).signed.header,
        untrusted=second.signed,
        validators=again.validators,
        trusting_period_ns=HOUR_NS,
        now_ns=NOW_S * SECOND_NS + SECOND_NS,
        clock_drift_ns=SECOND_NS,
    )


@pytest.mark.promise("L1")
def test_results_of_the_last_block_are_found_again_at_start(open_chain: Open, tmp_path: Path) -> None:
    def headers(*, restart: bool) -> bytes:
        chain = open_chain(clock=FakeClock())
        append(chain, *fixed)
        if restart:
            chain.close()
            chain = open_chain(clock=FakeClock())
        append(chain)
        row = chain.store.get(HEADERS, height_key(2))
        assert row is not None
        chain.close()
        for file in (tmp_path / "ledger").iterdir():
            file.unlink()
        return row

    fixed = [
        toy.notes(1, time_s=NOW_S, nonce=bytes(16)),
        toy.notes(13, time_s=NOW_S, nonce=bytes(16)),
        toy.notes(1, time_s=NOW_S, nonce=bytes(16)),  # a repeat within the block
    ]
    assert headers(restart=True) == headers(restart=False)


def test_old_bodies_go_with_their_headers_and_the_newest_stay(open_chain: Open, clock: FakeClock) -> None:
    chain = open_chain(bodies_kept_s=60)
    for number in range(6):
        append(chain, toy.notes(number, time_s=NOW_S))
        clock.advance(1)
    clock.advance(3600)
    for _ in range(4):
        append(chain)
    for space in (HEADERS, BLOCKS):
        assert chain.store.get(space, height_key(6)) is None
    kept = [int.from_bytes(key, "big") for key, _ in chain.store.items(HEADERS)]
    assert kept == [7, 8, 9, 10]
    chain.close()
    again = open_chain(bodies_kept_s=60)
    append(again)
    assert again.meta.height == 11


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"founding": toy.founding("other-chain")}, "expected chain other-chain", id="another chain"),
        pytest.param({"key": SigningKey.from_seed(bytes(32))}, "consensus key that signed", id="another key"),
        pytest.param({"clock": FakeClock(NOW_S - 600)}, "600 s behind", id="clock ten minutes behind"),
    ],
)
def test_a_start_is_refused(open_chain: Open, chain: EmbeddedChain, settings: dict[str, object], words: str) -> None:
    append(chain)
    chain.close()
    with pytest.raises(StartRefused, match=words):
        open_chain(**settings)
    open_chain().close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param(
            {META: {b"machine": encode([2, "later"])}}, "expected state format 1, the store has 2", id="state"
        ),
        pytest.param({META: {b"machine": b"\xc1"}}, "damaged: restore a backup", id="state damaged"),
        pytest.param({ENGINE: {b"about": encode([2, "x", 3])}}, "expected store format 1, came 2", id="store"),
        pytest.param({ENGINE: {b"about": b"\xc1"}}, "damaged: restore a backup", id="store damaged"),
        pytest.param({ENGINE: about_rows("cometbft")}, "came one of cometbft", id="another engine"),
    ],
)
def test_a_store_newer_than_the_software_is_refused(
    open_chain: Open, chain: EmbeddedChain, changes: Changes, words: str
) -> None:
    folder = chain.store.folder
    chain.close()
    store = LmdbStore(folder)
    store.write(changes)
    store.close()
    with pytest.raises(StartRefused, match=words):
        open_chain()


def test_two_ledgers_on_one_folder_are_refused(open_chain: Open, chain: EmbeddedChain) -> None:
    with pytest.raises(StartRefused, match="another one runs: stop it first"):
        open_chain()
    assert append(chain) == []


@pytest.mark.services
@pytest.mark.promise("L2", "L4")
def test_a_full_disk_leaves_the_chain_where_it_was(small_disk: Path, clock: FakeClock) -> None:
    chain = EmbeddedChain(small_disk / "ledger", toy.founding(), toy.CONSENSUS_KEY, clock)
    append(chain, toy.notes(1, time_s=NOW_S))
    filler = small_disk / "filler"
    fill(filler)
    stood_at, error = append_until_refused(chain)
    assert "free some" in str(error)
    assert chain.meta == stood_at
    with chain.store.snapshot() as snapshot:
        status = read_status(snapshot, wall_ns=clock.wall_ns())
    assert status is not None
    assert status.height == stood_at.height
    filler.unlink()
    assert append(chain, toy.notes(5, time_s=NOW_S)) == [0]
    chain.close()


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def append_until_refused(chain: EmbeddedChain) -> tuple[Meta, DiskFull]:
    while True:
        before = chain.meta
        try:
            append(chain, *(toy.notes(*range(100, 300), time_s=NOW_S) for _ in range(10)))
        except DiskFull as error:
            return before, error


def test_a_python_without_assertions_is_refused() -> None:
    code = "from salus.engines.beginning import check_libraries; check_libraries()"
    ran = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "StartRefused: expected a Python that runs assertions" in ran.stderr
