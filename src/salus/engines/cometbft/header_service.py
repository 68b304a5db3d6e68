"""Hands signed headers to members that join: three read-only calls of our node's RPC, and none of its others.

The RPC itself stays on a Unix socket. What is handed out is public to every member and checked by whoever gets it:
headers, validator sets, consensus parameters. Requests are small, of one call, few at a time, and soon over.
"""

import http.client
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from salus.engines.base import Unavailable
from salus.engines.cometbft.rpc import UnixConnection

REQUEST_BYTES_MAX: Final = 4_096
ANSWER_BYTES_MAX: Final = 4 << 20
AT_ONCE_MAX: Final = 16
TIMEOUT_S: Final = 10.0


class _Call(msgspec.Struct, frozen=True):
    jsonrpc: Literal["2.0"]
    id: int | str
    method: Literal["commit", "validators", "consensus_params"]
    params: msgspec.Raw


class HeaderService:
    """Listens from when it is made until `close`.

    Args:
        rpc_socket: of our own CometBFT node.

    Raises:
        Unavailable: the address cannot be bound.
    """

    def __init__(self, host: str, port: int, rpc_socket: Path) -> None:
        try:
            self._server = _Server((host, port), rpc_socket)
        except OSError as error:
            words = f"expected to listen on {host}:{port} for members that join: {error.strerror}"
            raise Unavailable(f"{words}: correct headers_port in ledger.toml") from error
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="ledger-headers-out", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 4 * AT_ONCE_MAX

    def __init__(self, address: tuple[str, int], rpc_socket: Path) -> None:
        super().__init__(address, _Handler)
        self.rpc_socket = rpc_socket
        self._free = threading.BoundedSemaphore(AT_ONCE_MAX)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a thread of its own, or hang up when there are many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked went away, or sent no HTTP: nothing to say."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = TIMEOUT_S
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer one call."""
        self.close_connection = True  # a caller that stays would keep a place from others
        body = self._body()
        if body is None:
            self._answer(HTTPStatus.BAD_REQUEST, b"")
        else:
            self._pass_on(body)

    def log_message(self, *_: object) -> None:
        """Keep no record of who asked."""

    def _body(self) -> bytes | None:
        """The request's bytes; None unless they are one permitted call."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > REQUEST_BYTES_MAX:
            return None
        try:
            # Written anew: parsers differ on which of two fields of one name they take.
            return msgspec.json.encode(msgspec.json.decode(self.rfile.read(int(length)), type=_Call))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _pass_on(self, body: bytes) -> None:
        connection = UnixConnection(self.server.rpc_socket, TIMEOUT_S)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = connection.getresponse().read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException):
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"")
        else:
            self._answer(HTTPStatus.OK, answer)
        finally:
            connection.close()

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
