"""The embedded engine: group commit, stored outcomes, proof blocks, bounds, and how it stops."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.engines.base import Busy, Unavailable
from salus.engines.embedded import EmbeddedEngine
from salus.engines.intake import Bounds, Submission
from salus.engines.store import BLOCKS
from salus.engines.verifier import ProcessVerifier
from salus.ledger.comet.light import verify_signed_header
from salus.ledger.machine import HISTORY, SEEN, stored_result
from salus.ledger.outcomes import DENIED, NOT_A_TRANSACTION, decode_leaf
from salus.ledger.state import Changes, Reader
from salus.ledger.transactions import Transaction, transaction_hash
from salus.ledger.tree_proof import verify_absent, verify_present
from salus.testing.clock import FakeClock
from tests.engines import toy

NOW_S = 1_800_000_000
SOON_S = 60.0
Start = Callable[..., EmbeddedEngine]
PSEUDONYM = bytes(range(16))


def until(fact: Callable[[], bool]) -> None:
    """Wait for another thread."""
    until_s = time.monotonic() + SOON_S
    while not fact():
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.005)


@pytest.mark.promise("L2")
def test_an_outcome_is_stored_when_it_is_answered(engine: EmbeddedEngine) -> None:
    raw = toy.notes(1, 2, time_s=NOW_S)
    result = engine.submit(raw)
    with engine.snapshot() as snapshot:
        assert stored_result(snapshot, transaction_hash(raw)) == result
    assert [decode_leaf(leaf).code for leaf in result.leaves] == [0, 0]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(toy.notes(1, time_s=NOW_S), 0, id="done"),
        pytest.param(toy.visits(PSEUDONYM, 7, time_s=NOW_S), DENIED, id="denied"),
        pytest.param(toy.notes(1, 13, time_s=NOW_S), toy.UNLUCKY, id="rejected"),
        pytest.param(toy.notes(1, time_s=NOW_S)[:-1] + b"!", NOT_A_TRANSACTION, id="signature of another message"),
        pytest.param(toy.notes(1, time_s=NOW_S - 301), NOT_A_TRANSACTION, id="expired"),
        pytest.param(toy.notes(1, time_s=NOW_S + 301), NOT_A_TRANSACTION, id="expiry too far ahead"),
        pytest.param(b"garbage", NOT_A_TRANSACTION, id="no transaction"),
        pytest.param(bytes(70_000), NOT_A_TRANSACTION, id="too long"),
        pytest.param(b"", NOT_A_TRANSACTION, id="nothing"),
    ],
)
def test_what_is_answered(engine: EmbeddedEngine, raw: bytes, code: int) -> None:
    assert engine.submit(raw).code == code


@pytest.mark.promise("L4")
def test_what_is_no_transaction_leaves_nothing(engine: EmbeddedEngine) -> None:
    before = engine.status()
    engine.submit_many([toy.notes(1, time_s=NOW_S)[:-1] + b"!", b"garbage", toy.notes(1, time_s=NOW_S - 400)])
    assert engine.status().log_size == before.log_size
    with engine.snapshot() as snapshot:
        assert list(snapshot.items(BLOCKS)) == []


@pytest.mark.promise("L2")
def test_the_same_bytes_again_give_the_stored_outcome(engine: EmbeddedEngine, clock: FakeClock) -> None:
    raw = toy.visits(PSEUDONYM, 1, 7, time_s=NOW_S)
    first = engine.submit(raw)
    assert engine.submit(raw) == first
    clock.advance(4000)  # long expired
    assert engine.submit(raw) == first
    with engine.snapshot() as snapshot:
        history = HISTORY.get(snapshot, PSEUDONYM)
    assert history is not None
    assert history.count == 2


def test_the_same_transaction_twice_in_one_submission_is_executed_once(engine: EmbeddedEngine) -> None:
    raw = toy.visits(PSEUDONYM, 1, time_s=NOW_S)
    first, second = engine.submit_many([raw, raw])
    assert first == second
    assert engine.status().log_size == 1


def test_a_submission_is_executed_in_its_order(engine: EmbeddedEngine) -> None:
    results = engine.submit_many([toy.visits(PSEUDONYM, number, time_s=NOW_S) for number in range(300)])
    assert [result.first_leaf for result in results] == list(range(300))


def test_many_submitters_are_each_answered(engine: EmbeddedEngine) -> None:
    def submit(number: int) -> int:
        raw = toy.visits(sha256(b"%d" % number)[:16], number, time_s=NOW_S)
        leaf = decode_leaf(engine.submit(raw).leaves[0])
        return int(leaf.transaction == transaction_hash(raw))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(submit, range(200))) == 200


class Gate:
    """Holds the store's writes back until it is opened."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self.blocks = 0
        store = engine._chain.store
        write = store.write

        def write_later(changes: Changes) -> None:
            self.reached.set()
            assert self.opened.wait(SOON_S)
            self.blocks += 1
            write(changes)

        store.write = write_later  # type: ignore[method-assign]


@pytest.mark.promise("L2")
def test_nobody_is_answered_before_the_block_is_durable_and_the_next_block_takes_all_that_came(
    engine: EmbeddedEngine,
) -> None:
    gate = Gate(engine)
    answered: list[Submission] = []
    engine.offer([toy.notes(1, time_s=NOW_S)], answered.append)
    assert gate.reached.wait(SOON_S)
    for number in range(50):
        engine.offer([toy.notes(number + 100, time_s=NOW_S)], answered.append)
    time.sleep(0.1)
    assert answered == []
    gate.opened.set()
    until(lambda: len(answered) == 51)
    assert gate.blocks == 2


@pytest.mark.promise("R3")
def test_a_header_signs_each_change_soon(engine: EmbeddedEngine, clock: FakeClock) -> None:
    until(lambda: engine.status().height == 0)
    result = engine.submit(toy.notes(1, time_s=NOW_S))
    height = decode_leaf(result.leaves[0]).height
    app_hash = engine.status().app_hash
    assert engine.signed_header(height + 1) is None
    clock.advance(0.1)
    assert engine.wait_for(height + 1) == height + 1
    sealed = engine.signed_header(height + 1)
    assert sealed is not None
    assert sealed.signed.header.app_hash == app_hash
    verify_signed_header(chain_id=toy.CHAIN, signed=sealed.signed, validators=sealed.validators)


@pytest.mark.promise("R3")
def test_an_idle_ledger_makes_a_block_every_two_seconds_and_no_more(engine: EmbeddedEngine, clock: FakeClock) -> None:
    clock.advance(0.1)
    height = engine.wait_for(1)
    for second in range(10):
        clock.advance(1.0)
        engine.wait_for(height + (second + 1) // 2)
        time.sleep(0.02)
    assert engine.status().height == height + 5


def test_the_status_says_how_old_the_newest_header_is(engine: EmbeddedEngine, clock: FakeClock) -> None:
    clock.advance(0.1)
    height = engine.wait_for(1)
    gate = Gate(engine)  # no further block
    clock.advance(7.5)
    assert gate.reached.wait(SOON_S)
    status = engine.status()
    assert (status.height, status.engine, status.chain) == (height, "embedded", toy.CHAIN)
    assert status.header_age_ms == 7500
    gate.opened.set()


@pytest.mark.promise("L5")
def test_a_row_and_its_absence_are_proved(engine: EmbeddedEngine) -> None:
    raw = toy.notes(1, time_s=NOW_S)
    engine.submit(raw)
    for number, verify in ((1, verify_present), (2, verify_absent)):
        key = toy.NOTES.key((toy.KEY.public, number))
        proved = engine.prove_row(key)
        assert proved.meta.app_hash == engine.status().app_hash
        arguments = {"value": proved.row} if proved.row else {}
        verify(proved.proof, root=proved.meta.tree_root, key=key, **arguments)


def test_waiting_for_a_height_ends_in_time(engine: EmbeddedEngine) -> None:
    with pytest.raises(Unavailable, match="height 9 did not come in time"):
        engine.wait_for(9, timeout_s=0.05)
    with pytest.raises(Unavailable, match="ask when it is nearer"):
        engine.wait_for(10**9)
    assert engine.wait_for(0) >= 0


def test_a_submission_that_takes_too_long_can_be_sent_again(engine: EmbeddedEngine) -> None:
    gate = Gate(engine)
    raw = toy.notes(1, time_s=NOW_S)
    with pytest.raises(Unavailable, match="send the same bytes again"):
        engine.submit(raw, timeout_s=0.05)
    gate.opened.set()
    assert engine.submit(raw).code == 0
    assert engine.status().log_size == 1


# Bounds


@pytest.mark.parametrize(
    "bounds", [pytest.param(Bounds(transactions=3), id="count"), pytest.param(Bounds(size_bytes=700), id="bytes")]
)
def test_a_full_queue_says_busy_and_has_room_again_later(start: Start, bounds: Bounds) -> None:
    engine = start(bounds=bounds)
    gate = Gate(engine)
    raws = [toy.notes(number, time_s=NOW_S) for number in range(1, 5)]
    with pytest.raises(Busy, match="queue is full, try later"):
        engine.submit_many(raws)
    answered: list[Submission] = []
    engine.offer(raws[:3], answered.append)
    with pytest.raises(Busy, match="queue is full, try later"):
        engine.submit(raws[3])
    gate.opened.set()
    until(lambda: len(answered) == 1)
    assert engine.submit(raws[3]).code == 0


def payer(_reader: Reader, transaction: Transaction) -> str | None:
    """The toy's members are its keys; one key is nobody's."""
    signer = transaction.body.signers[0]
    return None if signer == FREE.public else signer.hex()


FREE = SigningKey.from_seed(sha256(b"free"))
GREEDY = SigningKey.from_seed(sha256(b"greedy"))


def test_a_member_with_too_much_queued_is_told_to_wait_and_others_are_not(start: Start) -> None:
    engine = start(bounds=Bounds(payer_transactions=2), payer=payer)
    gate = Gate(engine)
    answered: list[Submission] = []
    engine.offer([toy.notes(1, time_s=NOW_S)], answered.append)
    assert gate.reached.wait(SOON_S)
    offered = [*(toy.notes(number, time_s=NOW_S, key=GREEDY) for number in range(4)), toy.notes(2, time_s=NOW_S)]
    for raw in offered:
        engine.offer([raw], answered.append)
    for number in range(4):
        engine.offer([toy.notes(number, time_s=NOW_S, key=FREE)], answered.append)
    gate.opened.set()
    until(lambda: len(answered) == 10)
    assert [submission.is_busy for submission in answered].count(True) == 2
    busy = [submission.unavailable for submission in answered if submission.unavailable]
    assert busy == ["busy: this member has too much queued, try later"] * 2
    assert engine.submit(toy.notes(9, time_s=NOW_S, key=GREEDY)).code == 0


def test_what_follows_a_busy_transaction_in_its_submission_is_not_executed(start: Start) -> None:
    engine = start(bounds=Bounds(payer_transactions=2), payer=payer)
    raws = [
        *(toy.notes(number, time_s=NOW_S, key=GREEDY) for number in range(3)),
        toy.notes(5, time_s=NOW_S, key=FREE),
    ]
    with pytest.raises(Unavailable, match="busy"):
        engine.submit_many(raws)
    with engine.snapshot() as snapshot:
        executed = [SEEN.get(snapshot, transaction_hash(raw)) is not None for raw in raws]
    assert executed == [True, True, False, False]


def test_invalid_signatures_use_nobodys_quota(start: Start) -> None:
    engine = start(bounds=Bounds(payer_transactions=2), payer=payer)
    forged = [toy.notes(number, time_s=NOW_S, key=GREEDY)[:-1] + b"!" for number in range(5)]
    codes = [result.code for result in engine.submit_many([*forged, toy.notes(1, time_s=NOW_S, key=GREEDY)])]
    assert codes == [NOT_A_TRANSACTION] * 5 + [0]


# Stopping


def test_after_closing_everything_is_unavailable(start: Start) -> None:
    engine = start()
    engine.close()
    assert not engine.alive
    with pytest.raises(Unavailable, match="is stopping: try later"):
        engine.submit(toy.notes(1, time_s=NOW_S))
    with pytest.raises(Unavailable, match="store is closed"):
        engine.status()


@pytest.mark.promise("L2")
def test_closing_signs_the_newest_state_and_a_new_start_goes_on(start: Start) -> None:
    engine = start()
    raw = toy.notes(1, time_s=NOW_S)
    result = engine.submit(raw)
    app_hash = engine.status().app_hash
    engine.close()
    again = start()
    assert again.submit(raw) == result
    sealed = again.signed_header(decode_leaf(result.leaves[0]).height + 1)
    assert sealed is not None
    assert sealed.signed.header.app_hash == app_hash


@pytest.mark.parametrize("seconds", [600, -600])
def test_a_clock_that_jumps_ten_minutes_stops_the_ledger_and_says_so(
    engine: EmbeddedEngine, clock: FakeClock, seconds: int
) -> None:
    engine.submit(toy.notes(1, time_s=NOW_S))
    clock.jump(seconds)
    with pytest.raises(Unavailable, match="start the ledger again"):
        engine.submit(toy.notes(2, time_s=NOW_S))
    until(lambda: not engine.alive)
    with pytest.raises(Unavailable, match="start the ledger again"):
        engine.submit(toy.notes(2, time_s=NOW_S))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.promise("L2")
def test_a_store_that_fails_stops_the_ledger_and_nobody_is_told_done(engine: EmbeddedEngine) -> None:
    def write(_changes: Changes) -> None:
        raise OSError("the disk is gone")

    engine._chain.store.write = write  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="the ledger failed"):
        engine.submit(toy.notes(1, time_s=NOW_S))
    until(lambda: not engine.alive)


@pytest.mark.services
@pytest.mark.promise("L2", "L4")
def test_a_full_disk_is_unavailable_and_passes(start: Start, small_disk: Path) -> None:
    engine = start(small_disk / "ledger")
    done = 0
    words = ""
    while not words:
        try:
            engine.submit(toy.notes(*range(100, 300), time_s=NOW_S))
            done += 1
        except Unavailable as error:
            words = str(error)
    assert "it is full: free some" in words
    assert engine.alive
    assert engine.status().log_size == 200 * done
    engine.close()


@pytest.fixture
def with_processes(tmp_path: Path, clock: FakeClock) -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine(tmp_path / "ledger", toy.founding(), toy.CONSENSUS_KEY, clock, verifiers=2)
    yield engine
    engine.close()


@pytest.mark.services
def test_processes_check_signatures_as_threads_do(with_processes: EmbeddedEngine) -> None:
    raws = [toy.notes(number, time_s=NOW_S) for number in range(100, 700)]
    raws[5] = raws[5][:-1] + b"!"
    raws[400] = raws[400][:-1] + b"!"
    codes = [result.code for result in with_processes.submit_many(raws)]
    assert [place for place, code in enumerate(codes) if code == NOT_A_TRANSACTION] == [5, 400]
    assert codes.count(0) == 598


@pytest.mark.services
def test_a_checking_process_that_dies_stops_the_ledger(with_processes: EmbeddedEngine) -> None:
    with_processes.submit(toy.notes(1, time_s=NOW_S))
    for verifier in with_processes._verifiers:
        assert isinstance(verifier, ProcessVerifier)
        verifier._process.kill()
    with pytest.raises(Unavailable, match="a checking process died"):
        with_processes.submit(toy.notes(2, time_s=NOW_S))
    until(lambda: not with_processes.alive)
