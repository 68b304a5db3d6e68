"""A web server of an app's, which subscriptions tell: what came, and what it answers next."""

import json
import queue
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WAIT_S = 60


@dataclass(frozen=True)
class Told:
    """A request that came."""

    method: str
    path: str
    fields: dict[str, str]
    body: bytes

    @property
    def bundle(self) -> dict:
        return json.loads(self.body)

    @property
    def status(self) -> dict[str, object]:
        """What the first entry says, by name; events as a list of their parts by name."""
        said: dict[str, object] = {}
        for each in self.bundle["entry"][0]["resource"]["parameter"]:
            (value,) = (item for name, item in each.items() if name != "name")
            if each["name"] == "notification-event":
                parts = {part["name"]: next(item for name, item in part.items() if name != "name") for part in value}
                said.setdefault("events", []).append(parts)  # type: ignore[attr-defined]
            else:
                said[each["name"]] = value
        return said

    @property
    def kind(self) -> object:
        return self.status["type"]

    @property
    def numbers(self) -> list[int]:
        return [int(each["event-number"]) for each in self.status.get("events", [])]  # type: ignore[attr-defined]

    @property
    def focuses(self) -> list[str]:
        """Ids of the resources that it names."""
        return [each["focus"]["reference"].rpartition("/")[2] for each in self.status.get("events", [])]  # type: ignore[attr-defined]


@dataclass
class Receiver:
    """Where it is, what came, the statuses that it answers next before 200 again, and whether it answers already."""

    url: str
    came: "queue.Queue[Told]" = field(default_factory=queue.Queue)
    answers: "queue.Queue[int]" = field(default_factory=queue.Queue)
    connections: int = 0
    answering: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answering.set()

    @contextmanager
    def thinking(self) -> Iterator[None]:
        """Answer what comes in the block only once it has ended."""
        self.answering.clear()
        try:
            yield
        finally:
            self.answering.set()

    def next(self) -> Told:
        """Wait for the next request."""
        return self.came.get(timeout=WAIT_S)

    def nothing(self, within_s: float = 1.0) -> bool:
        """Tell whether nothing comes for a while."""
        try:
            self.came.get(timeout=within_s)
        except queue.Empty:
            return True
        return False


@contextmanager
def receiver(certificate: Path, key: Path) -> Iterator[Receiver]:
    """Listen over TLS on loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            fields = {name.lower(): value for name, value in self.headers.items()}
            here.came.put(Told(self.command, self.path, fields, body))
            here.answering.wait(WAIT_S)
            self.send_response(here.answers.get() if not here.answers.empty() else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        do_POST = do_PUT = _take

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple:
            here.connections += 1
            return super().get_request()

        def handle_error(self, *_: object) -> None:
            """Say nothing of whoever goes away."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    here = Receiver(f"https://127.0.0.1:{server.server_address[1]}/hook")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
