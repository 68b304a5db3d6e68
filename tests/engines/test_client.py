"""A node's end: another process's ledger, killed, started again, away for good, and read after a fork."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from salus.engines.base import Unavailable
from salus.engines.client import LedgerClient
from salus.engines.embedded import EmbeddedEngine
from salus.engines.fsck import check, fsck
from salus.engines.store import LmdbStore
from salus.ledger.comet.light import verify_signed_header
from salus.ledger.machine import stored_result
from salus.ledger.outcomes import NOT_A_TRANSACTION, decode_leaf
from salus.ledger.transactions import transaction_hash
from salus.ledger.tree_proof import verify_present
from salus.testing.clock import FakeClock
from tests.engines import toy
from tests.engines.child import START_S, LedgerProcess, now_s

pytestmark = pytest.mark.services


@pytest.fixture
def client(process: LedgerProcess) -> Iterator[LedgerClient]:
    opened = process.client()
    yield opened
    opened.close()


@pytest.mark.promise("L2")
def test_an_outcome_can_be_read_at_once(client: LedgerClient) -> None:
    raw = toy.notes(1, time_s=now_s())
    result = client.submit(raw)
    with client.snapshot() as snapshot:
        assert stored_result(snapshot, transaction_hash(raw)) == result


def test_a_long_list_travels_in_several_frames_and_comes_back_in_order(client: LedgerClient) -> None:
    raws = [toy.visits(bytes(16), *[number] * 20, time_s=now_s()) for number in range(1500)]
    assert sum(map(len, raws)) > 1 << 20
    results = client.submit_many(raws)
    assert [result.first_leaf for result in results] == [20 * place for place in range(1500)]


@pytest.mark.promise("R3")
def test_a_wall_clock_that_is_set_back_makes_no_state_younger(process: LedgerProcess) -> None:
    clock = FakeClock(now_s())
    with closing(process.client(clock=clock)) as client:
        client.submit(toy.notes(1, time_s=now_s()))
        process.kill()
        height, young_ms = client.status().height, client.status().header_age_ms
        assert young_ms < 5_000
        clock.jump(-3600)
        assert client.status().header_age_ms == 0
        clock.advance(10.5)
        assert (client.status().height, client.status().header_age_ms) == (height, 10_500)
        clock.jump(+7200)
        assert client.status().header_age_ms >= 3_600_000


def test_what_is_far_too_long_is_no_transaction(client: LedgerClient) -> None:
    results = client.submit_many([bytes(5 << 20), toy.notes(1, time_s=now_s())])
    assert [result.code for result in results] == [NOT_A_TRANSACTION, 0]


def test_threads_share_one_connection(client: LedgerClient) -> None:
    codes: list[int] = []

    def submit(number: int) -> None:
        codes.append(client.submit(toy.notes(number, time_s=now_s())).code)

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(100, 140)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 40


@pytest.mark.promise("R3", "L5")
def test_status_headers_and_proofs(client: LedgerClient) -> None:
    height = decode_leaf(client.submit(toy.notes(1, time_s=now_s())).leaves[0]).height
    key = toy.NOTES.key((toy.KEY.public, 1))
    proved = client.prove_row(key)
    verify_present(proved.proof, root=proved.meta.tree_root, key=key, value=proved.row)
    client.wait_for(height + 1, timeout_s=START_S)
    sealed = client.signed_header(height + 1)
    assert sealed is not None
    assert sealed.signed.header.app_hash == proved.meta.app_hash
    verify_signed_header(chain_id=toy.CHAIN, signed=sealed.signed, validators=sealed.validators)
    status = client.status()
    assert (status.chain, status.engine) == (toy.CHAIN, "embedded")
    assert 0 <= status.header_age_ms < START_S * 1000


@pytest.mark.promise("L2")
def test_the_same_bytes_after_a_kill_give_the_stored_outcome(process: LedgerProcess, client: LedgerClient) -> None:
    raw = toy.visits(bytes(16), 1, time_s=now_s())
    before = client.submit(raw)
    process.kill()
    process.start()
    assert client.submit(raw) == before
    assert fsck(process.folder, toy.founding()) == []


def test_a_submission_waits_for_a_ledger_that_is_starting_again(process: LedgerProcess) -> None:
    client = process.client(reconnect_s=START_S)
    client.submit(toy.notes(1, time_s=now_s()))
    process.kill()
    results: list[int] = []
    waiting = threading.Thread(target=lambda: results.append(client.submit(toy.notes(2, time_s=now_s())).code))
    waiting.start()
    process.start()
    waiting.join(START_S)
    assert results == [0]
    client.close()


@pytest.mark.promise("R3")
def test_a_ledger_that_stays_away_is_unavailable_and_its_age_shows(process: LedgerProcess) -> None:
    client = process.client(reconnect_s=0.1)
    client.submit(toy.notes(1, time_s=now_s()))
    process.kill()
    with pytest.raises(Unavailable, match="no ledger process answers"):
        client.submit(toy.notes(2, time_s=now_s()))
    with pytest.raises(Unavailable, match="no ledger process answers"):
        client.wait_for(1)
    first = client.status()
    threading.Event().wait(0.05)
    assert client.status().header_age_ms > first.header_age_ms
    client.close()


def test_no_ledger_at_all_is_unavailable(tmp_path: Path) -> None:
    client = LedgerClient(tmp_path / "socket", tmp_path / "ledger", chain=toy.CHAIN, reconnect_s=0.0)
    with pytest.raises(Unavailable, match="no ledger process answers"):
        client.submit(b"")
    with pytest.raises(Unavailable, match="start the ledger process first"):
        client.status()
    client.close()


def test_the_ledger_of_another_chain_is_refused(process: LedgerProcess) -> None:
    client = LedgerClient(process.socket, process.folder, chain="other-chain")
    with pytest.raises(Unavailable, match="expected the ledger of other-chain, this socket serves toy-1"):
        client.submit(b"")
    client.close()


def test_a_map_that_grows_is_read_on(client: LedgerClient, process: LedgerProcess) -> None:
    raws = [toy.notes(*range(100 * number, 100 * number + 100), time_s=now_s()) for number in range(1, 200)]
    client.submit_many(raws[:1])
    with client.snapshot() as before:
        client.submit_many(raws[1:])
        assert before.get("leaves", (100).to_bytes(8, "big")) is None
    assert (process.folder / "data.mdb").stat().st_size > 1 << 20  # the child's map began with this
    assert client.status().log_size == 100 * 199


def test_a_forked_worker_opens_its_own(client: LedgerClient) -> None:
    client.submit(toy.notes(1, time_s=now_s()))
    client.status()
    child = os.fork()
    if child == 0:
        answered = client.submit(toy.notes(2, time_s=now_s())).code == 0 and client.status().log_size == 2
        os._exit(0 if answered else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.submit(toy.notes(3, time_s=now_s())).code == 0
    assert client.status().log_size == 3


def test_a_worker_killed_in_a_snapshot_disturbs_nobody(client: LedgerClient) -> None:
    child = os.fork()
    if child == 0:
        with client.snapshot():
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    for number in range(100, 200):
        client.submit(toy.notes(number, time_s=now_s()))
    assert client.status().log_size == 100


@pytest.mark.promise("L2")
def test_sigterm_ends_the_process_cleanly(process: LedgerProcess) -> None:
    client = process.client(reconnect_s=0.1)
    height = decode_leaf(client.submit(toy.notes(1, time_s=now_s())).leaves[0]).height
    assert process.stop() == 0
    assert not process.socket.exists()
    assert client.signed_header(height + 1) is not None
    with client.snapshot() as snapshot:
        assert check(snapshot, toy.founding()) == []
    client.close()


def test_two_ledger_processes_on_one_folder_are_refused(
    process: LedgerProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    second = LedgerProcess(process.folder.parent)
    second.socket = process.folder.parent / "second"
    assert second.run_and_fail() != 0
    assert "another one runs: stop it first" in capfd.readouterr().err


def test_a_store_without_genesis_is_no_ledger_yet(tmp_path: Path) -> None:
    # Found by the kill harness over two nodes: a ledger process killed between making its spaces and writing genesis.
    LmdbStore(tmp_path / "ledger").close()
    client = LedgerClient(tmp_path / "socket", tmp_path / "ledger", chain=toy.CHAIN)
    with pytest.raises(Unavailable, match="it has not begun"), client.snapshot():
        pass
    with closing(EmbeddedEngine(tmp_path / "ledger", toy.founding(), toy.CONSENSUS_KEY)):
        pass
    assert client.status().chain == toy.CHAIN
    client.close()
