"""The ledger's socket: frames that are refused, many requests in flight, clients that misbehave."""

import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from salus.engines import wire
from salus.engines.base import Busy, Unavailable
from salus.engines.client import LedgerClient
from salus.engines.embedded import EmbeddedEngine
from salus.engines.process import CONNECTIONS_MAX, IN_FLIGHT_MAX, LedgerServer
from salus.engines.wire import (
    MALFORMED,
    UNAVAILABLE,
    Answer,
    Answered,
    Asked,
    Failed,
    Hello,
    Prove,
    Proved,
    Reached,
    Request,
    Results,
    Submit,
    WaitFor,
    Welcome,
)
from salus.ledger.outcomes import NOT_A_TRANSACTION
from salus.ledger.tree_proof import verify_present
from salus.testing.clock import FakeClock
from tests.engines import toy

NOW_S = 1_800_000_000
TIMEOUT_S = 60.0
FIRST_ROW = toy.NOTES.key((toy.KEY.public, 0))


class Client:
    """A bare socket, for saying what `LedgerClient` never says."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def ask(self, number: int, asked: Asked) -> None:
        self.send(wire.request_frame(Request(number, asked)))

    def answer(self) -> Answer | None:
        """The next answer; None when the server closed."""
        try:
            return wire.read_answer(self._stream)
        except ConnectionResetError:  # closed before it had read what we sent
            return None

    def answers(self, count: int) -> dict[int, Answered]:
        found = [self.answer() for _ in range(count)]
        return {answer.number: answer.answered for answer in found if answer is not None}

    def greet(self) -> "Client":
        self.ask(1, Hello(wire.FORMAT))
        assert self.answer() == Answer(1, Welcome(wire.FORMAT, toy.CHAIN))
        return self

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


@pytest.fixture
def server(engine: EmbeddedEngine, path: Path) -> Iterator[LedgerServer]:
    serving = LedgerServer(engine, path)
    yield serving
    serving.close()


@pytest.fixture
def connect(server: LedgerServer, path: Path) -> Iterator[Callable[[], Client]]:
    clients: list[Client] = []

    def connect_one() -> Client:
        clients.append(Client(path))
        return clients[-1]

    yield connect_one
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[[], Client]) -> Client:
    return connect().greet()


def test_the_socket_is_its_owners_alone(server: LedgerServer, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_socket_left_by_a_killed_process_is_replaced(engine: EmbeddedEngine, path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    LedgerServer(engine, path).close()
    assert not path.exists()


def test_a_path_that_is_too_long_is_refused(engine: EmbeddedEngine, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="use a shorter one"):
        LedgerServer(engine, tmp_path / ("x" * 120))


FULL = [
    pytest.param(Busy("the queue is full"), wire.BUSY, id="full"),
    pytest.param(Unavailable("the disk is gone"), UNAVAILABLE, id="away"),
]


@pytest.mark.parametrize(("error", "kind"), FULL)
def test_a_full_queue_is_told_from_what_is_away(
    client: Client,
    engine: EmbeddedEngine,
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Unavailable,
    kind: int,
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(engine, "offer", full)
    client.ask(7, Submit((toy.notes(1, time_s=NOW_S),)))
    assert client.answer() == Answer(7, Failed(kind, str(error)))
    other = LedgerClient(path, tmp_path, chain=toy.CHAIN)
    with pytest.raises(Unavailable) as caught:
        other.submit(toy.notes(1, time_s=NOW_S))
    assert type(caught.value) is type(error)
    other.close()


@pytest.mark.promise("L2")
def test_a_batch_is_answered_in_its_order(client: Client) -> None:
    raws = [toy.notes(1, time_s=NOW_S), b"garbage", toy.notes(13, time_s=NOW_S), toy.visits(bytes(16), 7, time_s=NOW_S)]
    client.ask(7, Submit(tuple(raws)))
    answer = client.answer()
    assert answer is not None
    assert answer.number == 7
    assert isinstance(answer.answered, Results)
    assert [result.code for result in answer.answered.results] == [0, NOT_A_TRANSACTION, toy.UNLUCKY, 1]


def test_many_requests_are_in_flight_and_one_that_waits_delays_no_other(
    client: Client, engine: EmbeddedEngine, clock: FakeClock
) -> None:
    client.ask(100, WaitFor(60))
    for number in range(1, 50):
        client.ask(number, Submit((toy.notes(number + 200, time_s=NOW_S),)))
    client.ask(101, Prove(FIRST_ROW))
    answers = client.answers(50)
    assert sorted(answers) == [*range(1, 50), 101]
    assert all(isinstance(answers[number], Results) for number in range(1, 50))
    proved = answers[101]
    assert isinstance(proved, Proved)
    row = proved.row
    verify_present(row.proof, root=row.meta.tree_root, key=FIRST_ROW, value=row.row)
    while (height := engine.status().height) < 60:
        clock.advance(2)
        engine.wait_for(height + 1)
    assert client.answer() == Answer(100, Reached(60))


def test_more_requests_than_may_be_in_flight_are_all_answered_in_the_end(client: Client) -> None:
    for number in range(1, IN_FLIGHT_MAX + 100):
        client.ask(number, WaitFor(0))
    assert sorted(client.answers(IN_FLIGHT_MAX + 99)) == list(range(1, IN_FLIGHT_MAX + 100))


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


encode = msgspec.msgpack.encode


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(framed(b"\xc1"), "expected a message", id="no MessagePack"),
        pytest.param(framed(encode([1, [3, "one"]])), "expected a message", id="a field of another type"),
        pytest.param(framed(encode([1, [77, 1]])), "expected a message", id="an unknown request"),
        pytest.param(framed(encode([1, [3, 1, 1]])), "expected a message", id="a field too many"),
        pytest.param(framed(encode([1, [2, []]])), "expected a message", id="no transactions"),
        pytest.param(framed(encode([1, [2, [b""] * 4097]])), "expected a message", id="too many transactions"),
        pytest.param(framed(encode([-1, [3, 1]])), "expected a message", id="a negative number"),
        pytest.param(framed(encode([2, [1, 1]])), "one Hello, at the beginning", id="a second hello"),
        pytest.param((4 << 20 | 1).to_bytes(4, "big"), "expected a length of at most 4194304", id="too long"),
        pytest.param(b"\xff\xff\xff\xff", "expected a length of at most 4194304", id="far too long"),
    ],
)
def test_what_is_no_request_is_told_and_ends_the_connection(
    client: Client, connect: Callable[[], Client], data: bytes, words: str
) -> None:
    client.send(data)
    answer = client.answer()
    assert answer is not None
    assert answer.number == 0
    assert isinstance(answer.answered, Failed)
    assert answer.answered.kind == MALFORMED
    assert words in answer.answered.words
    assert client.answer() is None
    other = connect().greet()
    other.ask(2, WaitFor(0))
    assert other.answers(1)


@pytest.mark.parametrize(
    "asked", [pytest.param(Hello(99), id="another format"), pytest.param(WaitFor(0), id="no hello first")]
)
def test_a_client_that_does_not_greet_is_told(connect: Callable[[], Client], asked: Asked) -> None:
    client = connect()
    client.ask(1, asked)
    answer = client.answer()
    assert answer is not None
    assert isinstance(answer.answered, Failed)
    assert "use the same release on both ends" in answer.answered.words
    assert client.answer() is None


def test_a_frame_that_is_cut_off_executes_nothing(client: Client, engine: EmbeddedEngine) -> None:
    frame = wire.request_frame(Request(2, Submit((toy.notes(1, time_s=NOW_S),))))
    client.send(frame[:-5])
    client.close()
    assert engine.submit(toy.notes(2, time_s=NOW_S)).code == 0
    assert engine.status().log_size == 1


@pytest.mark.promise("L2")
def test_a_client_that_leaves_at_once_is_executed_all_the_same(
    client: Client, engine: EmbeddedEngine, connect: Callable[[], Client]
) -> None:
    raw = toy.notes(1, time_s=NOW_S)
    client.ask(2, Submit((raw,)))
    client.close()
    other = connect().greet()
    other.ask(2, Submit((raw,)))
    answer = other.answer()
    assert answer is not None
    assert isinstance(answer.answered, Results)
    assert answer.answered.results[0].code == 0
    assert engine.status().log_size == 1


def test_a_client_that_reads_nothing_delays_nobody(
    client: Client, connect: Callable[[], Client], engine: EmbeddedEngine
) -> None:
    raws = tuple(toy.notes(*range(100, 300), time_s=NOW_S) for _ in range(20))
    for number in range(2, 40):
        client.ask(number, Submit(raws))  # answers of 400 kB each, more than a socket holds
    other = connect().greet()
    other.ask(2, Submit((toy.notes(1, time_s=NOW_S),)))
    assert isinstance(other.answers(1)[2], Results)
    assert len(client.answers(38)) == 38


def test_a_ledger_that_stops_is_unavailable(client: Client, engine: EmbeddedEngine) -> None:
    engine.close()
    client.ask(2, Submit((toy.notes(1, time_s=NOW_S),)))
    assert client.answers(1) == {2: Failed(UNAVAILABLE, "the ledger is stopping: try later")}


def test_one_connection_too_many_is_closed_and_room_comes_back(connect: Callable[[], Client]) -> None:
    clients = [connect().greet() for _ in range(CONNECTIONS_MAX)]
    extra = connect()
    assert extra.answer() is None
    clients[0].close()
    until_s = time.monotonic() + TIMEOUT_S
    while not is_served(connect()):
        assert time.monotonic() < until_s, "no room came back"
        time.sleep(0.02)


def is_served(client: Client) -> bool:
    try:
        client.ask(1, Hello(wire.FORMAT))
    except BrokenPipeError:  # closed before we could speak
        return False
    return client.answer() is not None


def test_an_answer_that_is_too_long_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ANSWER_BYTES_MAX", 200)
    frame = wire.answer_frame(Answer(5, Welcome(1, "x" * 300)))
    answer = msgspec.msgpack.decode(frame[4:], type=Answer)
    assert answer.number == 5
    assert isinstance(answer.answered, Failed)
    assert "in smaller frames" in answer.answered.words
