"""Bounds: of size, time and rate; who exceeds one is told so or cut off, and nobody else notices."""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from salus.api.exchange import desk, frames_response, http_protocol
from salus.contracts.residuals import CertifiedSession, Session
from salus.crypto.signing import SigningKey
from salus.engines.base import Busy as LedgerBusy
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, PublicKey
from salus.ledger.outcomes import TransactionResult
from salus.node import sealed_streams
from salus.node.errors import Busy, NotNow, Refusal, Refused
from salus.node.exchange import Done, MatchAnswer, MatchAsk, RefusedAnswer, SignedMatchAsk, StreamAsk
from salus.node.sealed_bodies import ASK_BODY_BYTES_MAX, ASK_PATH
from salus.testing.world import HOSPITAL, PRACTICE
from tests.api.attacker import ASK, Forged, post, raw, send
from tests.api.exchange_world import STRANGER, Served, eventually, served_world

pytestmark = pytest.mark.services

DEVICE = OrganisationId("")
MIB = bytes(1 << 20)
MATCH_STEP_S = 0.2
STEPS_MAX = 10
"""How often a machine that has much to do may answer at a later step before that says something of us."""


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A world with so little room that a test can use it up."""
    folder = tmp_path_factory.mktemp("tight")
    with served_world(
        folder,
        threads=1,
        waiting_max=0,
        streams_max=1,
        body_s=1.0,
        asks_per_minute=40,
        session_matches_per_minute=3,
        matches_per_minute=5,
        address_asks_per_minute=2,
        match_step_ms=int(MATCH_STEP_S * 1000),
    ) as made:
        yield made


def connect(served: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.ports[HOSPITAL]), timeout=60)


def head(served: Served, *, length: int, more: str = "") -> bytes:
    forged = Forged(served.world)
    body, _ = forged.sealed()
    fields = "".join(f"{name}: {value}\r\n" for name, value in forged.signed(body).fields().items())
    return f"POST {ASK_PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{fields}{more}\r\n".encode()


def first_line(connection: socket.socket) -> bytes:
    return connection.recv(65_536).split(b"\r\n")[0]


def is_ended(connection: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65_536):
            pass
    return True


# Size


def test_a_body_above_the_bound_is_not_read(served: Served) -> None:
    with connect(served) as connection:
        connection.sendall(head(served, length=ASK_BODY_BYTES_MAX + 1))
        assert first_line(connection).startswith(b"HTTP/1.1 413")
        assert is_ended(connection)


@pytest.mark.parametrize(
    ("length", "status"),
    [(str(ASK_BODY_BYTES_MAX + 1), 413), ("9" * 18, 413), ("0" * 30 + "1", 413)],
)
def test_a_length_above_the_bound(length: str, status: int, served: Served) -> None:
    came = raw(served, "POST", ASK_PATH, b"", {"content-length": length})
    assert (came.status, came.refusal) == (status, Refusal.MESSAGE_UNFIT)
    assert came.fields["connection"] == "close"


def test_a_body_of_a_size_that_is_not_said(served: Served) -> None:
    with connect(served) as connection:
        connection.sendall(f"POST {ASK_PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        assert first_line(connection).startswith(b"HTTP/1.1 411")
        assert is_ended(connection)


def test_two_lengths_are_no_http(served: Served) -> None:
    with connect(served) as connection:
        lengths = "content-length: 1\r\ntransfer-encoding: chunked\r\n"
        connection.sendall(f"POST {ASK_PATH} HTTP/1.1\r\nhost: x\r\n{lengths}\r\n1\r\nx\r\n0\r\n\r\n".encode())
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.split(b"\r\n\r\n")[1])["refusal"] == Refusal.MESSAGE_UNFIT


def test_the_largest_body_is_heard(served: Served) -> None:
    forged = Forged(served.world)
    body = bytes(ASK_BODY_BYTES_MAX)
    assert post(served, forged.signed(body), body, forged).refusal == Refusal.MESSAGE_UNFIT


def test_an_endless_head_is_cut_off(served: Served) -> None:
    sent = 0
    with connect(served) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(f"POST {ASK_PATH} HTTP/1.1\r\nx: ".encode())
        while sent < 512:
            connection.sendall(b"y" * 65_536)
            sent += 1
    assert sent < 256  # what the sockets themselves hold is less than half of that


# Time


def test_a_slow_body_is_given_up(tight: Served) -> None:
    with connect(tight) as connection:
        connection.sendall(head(tight, length=1000) + b"x" * 500)
        assert first_line(connection).startswith(b"HTTP/1.1 408")
        assert is_ended(connection)


def test_a_slow_head_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_S", 0.2)
    for sent in (b"", b"POST /exchange/1/ask HTTP/1.1\r\nhost:"):
        with connect(served) as connection:
            connection.sendall(sent)
            assert connection.recv(1) == b""


def test_a_slow_second_head_is_cut_off_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_S", 0.3)
    with connect(served) as connection:
        connection.sendall(b"GET /exchange/1/status HTTP/1.1\r\nhost: x\r\n\r\n")
        assert first_line(connection) == b"HTTP/1.1 200 OK"
        time.sleep(0.5)
        connection.sendall(b"GET /exchange/1/status HTTP/1.1\r\n")
        assert connection.recv(1) == b""


def test_who_leaves_a_stream_unread_is_cut_off_and_frees_its_place(
    tight: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def endless(*_: object) -> Iterator[bytes]:
        while True:
            made.append(1)
            yield MIB

    monkeypatch.setattr(http_protocol, "STALL_S", 0.3)
    monkeypatch.setattr(sealed_streams, "answer_stream", endless)
    places = tight.exchanges[HOSPITAL]._streams
    peers = tight.peers(PRACTICE)
    stream = peers.stream(HOSPITAL, StreamAsk(PermitId(bytes(16)), 1, 0))
    next(stream)
    assert places._room == 0
    assert eventually(lambda: places._room == 1)
    assert len(made) < 30
    with pytest.raises(NotNow):
        list(stream)
    peers.close()


def test_a_reader_who_is_gone_ends_the_stream(tight: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_streams, "answer_stream", lambda *_: iter(lambda: MIB, b""))
    places = tight.exchanges[HOSPITAL]._streams
    peers = tight.peers(PRACTICE)
    stream = peers.stream(HOSPITAL, StreamAsk(PermitId(bytes(16)), 1, 0))
    next(stream)
    stream.close()
    peers.close()
    assert eventually(lambda: places._room == 1)


def test_a_frame_that_nobody_takes_in_time_ends_the_stream(tight: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_response, "FRAME_S", 0.2)
    monkeypatch.setattr(sealed_streams, "answer_stream", lambda *_: iter(lambda: MIB, b""))
    places = tight.exchanges[HOSPITAL]._streams
    peers = tight.peers(PRACTICE)
    stream = peers.stream(HOSPITAL, StreamAsk(PermitId(bytes(16)), 1, 0))
    next(stream)
    assert eventually(lambda: places._room == 1)
    with pytest.raises(NotNow):
        list(stream)
    peers.close()


# Load


def test_what_cannot_be_taken_on_is_not_now_at_once(tight: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    working, may_end = threading.Event(), threading.Event()

    def slow(*_: object) -> Done:
        working.set()
        may_end.wait(60)
        return Done(7)

    monkeypatch.setattr(desk, "answer", slow)
    answers: list[object] = []
    peers = tight.peers(PRACTICE)
    first = threading.Thread(target=lambda: answers.append(peers.ask(HOSPITAL, ASK)))
    first.start()
    assert working.wait(60)
    with pytest.raises(NotNow, match="as much to do as it can"):
        peers.ask(HOSPITAL, ASK)
    may_end.set()
    first.join()
    assert answers == [Done(7)]
    assert peers.ask(HOSPITAL, ASK) == Done(7)
    peers.close()


NOT_NOW = [
    pytest.param(Busy("the ledger has too much to do"), 429, "1", id="a full queue"),
    pytest.param(NotNow("the disk is gone"), 503, "2", id="what is away"),
]


@pytest.mark.parametrize(("error", "status", "after_s"), NOT_NOW)
def test_a_full_queue_is_429_and_what_is_away_is_503(
    tight: Served, monkeypatch: pytest.MonkeyPatch, error: NotNow, status: int, after_s: str
) -> None:
    def full(*_: object) -> Done:
        raise error

    monkeypatch.setattr(desk, "answer", full)
    came = send(tight, Forged(tight.world))
    assert (came.status, came.fields["retry-after"]) == (status, after_s)
    assert json.loads(came.body) == {"refusal": 0, "words": str(error)}
    peers = tight.peers(PRACTICE)
    with pytest.raises(NotNow, match=str(error)):
        peers.ask(HOSPITAL, ASK)
    peers.close()


def test_answers_and_refusals_are_counted_by_name(tight: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = tight.exchanges[HOSPITAL]
    before = exchange.counts()
    monkeypatch.setattr(desk, "answer", lambda *_: RefusedAnswer(Refusal.PERMIT_DEAD, "it is over"))
    send(tight, Forged(tight.world))
    send(tight, Forged(tight.world, age_s=3600))
    after = exchange.counts()
    counted = {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}
    assert counted == {f"{type(ASK).__name__} RefusedAnswer": 1, "refused PERMIT_DEAD": 1, "refused SIGNATURE_UNFIT": 1}


def test_a_full_queue_of_the_ledger_is_busy(tight: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tight.world.nodes[HOSPITAL]

    def full(*_: object) -> TransactionResult:
        raise LedgerBusy("the queue is full")

    monkeypatch.setattr(node.engine, "submit", full)
    with pytest.raises(Busy, match="send the same again"):
        node.submit_raw(b"")


def test_a_stream_too_many_is_not_now(tight: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()

    def waiting(*_: object) -> Iterator[bytes]:
        yield b"first"
        may_end.wait(60)

    monkeypatch.setattr(sealed_streams, "answer_stream", waiting)
    peers = tight.peers(PRACTICE)
    ask = StreamAsk(PermitId(bytes(16)), 1, 0)
    first = peers.stream(HOSPITAL, ask)
    assert next(first) == b"first"
    with pytest.raises(NotNow, match="as much to do as it can"):
        next(peers.stream(HOSPITAL, ask))
    may_end.set()
    assert list(first) == []
    peers.close()


# Rate


def match_ask(session_key: bytes) -> SignedMatchAsk:
    session = CertifiedSession(Session(PublicKey(session_key), HOSPITAL, 0, 1), bytes(64))
    ask = MatchAsk("9990000018", "1980-02-29", session, CommittedFields(b"", ()))
    return SignedMatchAsk(ask, 0, bytes(16), bytes(64))


def outcome(peers: object, ask: object) -> str:
    try:
        return type(peers.ask(HOSPITAL, ask)).__name__
    except Refused as refused:
        return refused.refusal.name


@pytest.mark.promise("R1")
def test_matches_are_counted_by_session_and_by_member(tight: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "answer", lambda *_: MatchAnswer(b""))
    peers = tight.peers(PRACTICE)
    first, second = bytes(31) + b"\x01", bytes(31) + b"\x02"
    said = [outcome(peers, match_ask(key)) for key in (first, first, first, first, second, second, second)]
    assert said == [*["MatchAnswer"] * 3, "TOO_MANY", *["MatchAnswer"] * 2, "TOO_MANY"]
    peers.close()


@pytest.mark.promise("R1")
def test_a_match_is_answered_at_a_step_of_the_clock_whatever_was_found(
    tight: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.Desk, "_count", lambda *_: None)
    peers = tight.peers(STRANGER)
    for found, takes_s in ((MatchAnswer(b""), 0.0), (MatchAnswer(bytes(16)), MATCH_STEP_S / 2)):
        monkeypatch.setattr(desk, "answer", lambda *_, found=found, takes_s=takes_s: time.sleep(takes_s) or found)
        took_s = []
        while not took_s or (min(took_s) >= 2 * MATCH_STEP_S and len(took_s) < STEPS_MAX):
            began_s = time.monotonic()
            assert peers.ask(HOSPITAL, match_ask(bytes(32))) == found
            took_s.append(time.monotonic() - began_s)
        assert MATCH_STEP_S <= min(took_s) < 2 * MATCH_STEP_S
    peers.close()


def test_devices_are_counted_by_their_network(tight: Served) -> None:
    statuses = []
    for number in range(3):
        told = {"x-forwarded-for": f"203.0.113.{number}", "forwarded": f"for=203.0.113.{number}"}
        device = Forged(tight.world, sender=DEVICE, key=SigningKey.generate(), fields=told)
        statuses.append(send(tight, device).status)
    assert statuses == [200, 200, 429]


def test_asks_are_counted_by_member(tight: Served) -> None:
    statuses = [send(tight, Forged(tight.world, sender=STRANGER)).status for _ in range(45)]
    assert statuses.count(200) >= 35
    assert statuses[-1] == 429
    assert send(tight, Forged(tight.world, sender=HOSPITAL)).status == 200


# What everybody may know


@pytest.mark.promise("P4")
def test_the_status_says_four_things(served: Served) -> None:
    came = raw(served, "GET", "/exchange/1/status", b"", {})
    said = json.loads(came.body)
    assert (said["organisation"], said["chain"]) == (HOSPITAL, served.world.genesis.chain)
    assert set(said) == {"organisation", "chain", "height", "header_age_ms"}
    assert set(came.fields) == {"content-type", "content-length"}
    assert re.fullmatch(r"[0-9]+", str(said["height"]))
