"""The header service: three read-only calls go through, and nothing else does, however it is written."""

import http.client
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from salus.engines.base import Unavailable
from salus.engines.cometbft import header_service
from salus.engines.cometbft.header_service import AT_ONCE_MAX, REQUEST_BYTES_MAX, HeaderService
from tests.engines.cometbft.network import wait_until

pytestmark = pytest.mark.services


class Rpc(socketserver.ThreadingUnixStreamServer):
    """Answers every call with its own body, and remembers it."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.heard: list[dict[str, object]] = []
        self.raws: list[bytes] = []
        rpc = self

        class Answer(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += self.rfile.read(1)
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = self.rfile.read(length)
                rpc.heard.append(json.loads(body))
                rpc.raws.append(body)
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        super().__init__(str(path), Answer)


@pytest.fixture
def rpc(short_path: Path) -> Iterator[Rpc]:
    server = Rpc(short_path / "rpc.sock")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def service(short_path: Path) -> Iterator[HeaderService]:
    opened = HeaderService("127.0.0.1", 0, short_path / "rpc.sock")
    yield opened
    opened.close()


def ask(service: HeaderService, body: str, *, verb: str = "POST") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    try:
        connection.request(verb, "/", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def call(method: str, **params: str) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


@pytest.mark.parametrize("method", ["commit", "validators", "consensus_params"])
def test_what_a_light_client_asks_goes_through(rpc: Rpc, service: HeaderService, method: str) -> None:
    status, answer = ask(service, call(method, height="5"))
    assert (status, json.loads(answer)["params"]) == (200, {"height": "5"})
    assert rpc.heard == [json.loads(call(method, height="5"))]


REFUSED = {
    "a transaction": call("broadcast_tx_sync", tx="AA=="),
    "evidence": call("broadcast_evidence"),
    "its peers": call("net_info"),
    "a question to the application": call("abci_query"),
    "several": f"[{call('commit')}]",
    "another way of writing": call("commit").replace('"method"', '"Method"'),
    "no method": '{"jsonrpc":"2.0","id":1,"params":{}}',
    "no JSON": "commit",
    "no text": "\udcff",
    "much": call("commit", height="1" * REQUEST_BYTES_MAX),
}


@pytest.mark.promise("L3")
@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_nothing_else_does(rpc: Rpc, service: HeaderService, body: str) -> None:
    assert ask(service, body.encode("utf-8", "surrogateescape").decode("latin-1"))[0] == 400
    assert rpc.heard == []


SECOND = [
    ('"method":"broadcast_tx_sync"', 400),
    ('"meth\\u006fd":"broadcast_tx_sync"', 400),
    ('"Method":"broadcast_tx_sync"', 200),  # which Go's parser would take
]


@pytest.mark.promise("L3")
@pytest.mark.parametrize(("second", "status"), SECOND)
def test_a_call_that_says_two_things_is_never_passed_on_so(
    rpc: Rpc, service: HeaderService, second: str, status: int
) -> None:
    for body in (call("commit")[:-1] + f",{second}}}", "{" + second + "," + call("commit")[1:]):
        assert ask(service, body)[0] == status
    assert [raw for raw in rpc.raws if b"broadcast" in raw] == []


@pytest.mark.parametrize("verb", ["GET", "PUT", "OPTIONS"])
def test_only_post_is_answered(service: HeaderService, verb: str) -> None:
    assert ask(service, "", verb=verb)[0] == 501


def test_without_a_node_one_asks_later(service: HeaderService) -> None:
    assert ask(service, call("commit"))[0] == 503


def test_who_stays_silent_keeps_no_place(rpc: Rpc, short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_service._Handler, "timeout", 2.0)
    service = HeaderService("127.0.0.1", 0, short_path / "rpc.sock")
    silent = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(AT_ONCE_MAX)]
    try:
        wait_until(lambda: threads("process_request_thread") == AT_ONCE_MAX, "all places are taken")
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            ask(service, call("commit"))
        wait_until(lambda: threads("process_request_thread") == 0, "they are free again")
        assert ask(service, call("commit"))[0] == 200
    finally:
        for each in silent:
            each.close()
        service.close()
    assert len(rpc.heard) == 1


def threads(of: str) -> int:
    return sum(1 for each in threading.enumerate() if of in each.name)


def test_a_port_that_is_taken_is_named(service: HeaderService, short_path: Path) -> None:
    with pytest.raises(Unavailable, match="correct headers_port"):
        HeaderService("127.0.0.1", service.port, short_path / "rpc.sock")
