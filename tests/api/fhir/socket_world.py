"""Clients of subscriptions over websockets: one that nobody here wrote, and one that is deaf."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Row, func, select
from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode
from websockets.uri import parse_uri

from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.contracts.provisions import RoleClass
from salus.node import schema
from salus.node.people import certify_person
from salus.node.services.apps import AppKind, NewApp
from salus.node.services.grants import Issued, Wanted, challenge_of
from tests.api.fhir.receiver import Told
from tests.api.fhir.test_subscriptions import Scene

WAIT_S = 60
ORIGIN = "https://app.example"
VERIFIER = "v" * 64

T = TypeVar("T")


class Client:
    """A socket of a client that nobody here wrote, on a loop in a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: ClientConnection) -> None:
        self._loop = loop
        self._connection = connection

    def send(self, said: str | bytes) -> None:
        """Say something."""
        _done(self._loop, self._connection.send(said))

    def recv(self, within_s: float = WAIT_S) -> str:
        """The next message. Raises TimeoutError, ConnectionClosed."""
        return str(_done(self._loop, asyncio.wait_for(self._connection.recv(), within_s)))

    @property
    def close_code(self) -> int | None:
        """How it ended."""
        return self._connection.close_code


@contextmanager
def opened(
    on: Scene, who: str = "", *, bearer: str = "", origin: str = "", path: str = "/websocket", at: str = ""
) -> Iterator[Client]:
    """Open a socket, signed in to by the request as one of the backends, or by nobody; `at` is a worker's base."""
    bearer = bearer or (on.here.token(getattr(on.here, who)) if who else "")
    fields = {"authorization": f"Bearer {bearer}"} if bearer else {}
    url = f"ws{(at or on.here.base).removeprefix('http')}{path}"

    async def connecting() -> ClientConnection:
        given = {"additional_headers": fields, "origin": origin or None, "proxy": None}
        return await connect(url, ssl=on.here.trust, **given)  # type: ignore[arg-type]

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        connection = _done(loop, connecting())
        try:
            yield Client(loop, connection)
        finally:
            _done(loop, connection.close())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _done(loop: asyncio.AbstractEventLoop, doing: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(doing, loop).result(2 * WAIT_S)


def over_a_socket(on: Scene, of: str) -> dict:
    """A Subscription in R4's own form."""
    return on.search(f"Observation?patient=Patient/{of}") | {"channel": {"type": "websocket"}}


def search(on: Scene, of: str) -> str:
    """Subscribe in R4's own form."""
    return on.subscribe(over_a_socket(on, of))


def topic(on: Scene, of: str, content: str = "full-resource", **channel: object) -> str:
    """Subscribe as the backport has it."""
    body = on.topic(of, content=content, type="websocket", **channel)
    del body["channel"]["endpoint"]
    return on.subscribe(body)


def token(on: Scene, path: str, who: str = "clinical") -> str:
    """A binding token."""
    answer = on.ask("GET", f"/Subscription{path}/$get-ws-binding-token", who=who)
    assert answer.status_code == 200, answer.text
    return answer.json()["parameter"][0]["valueString"]


def told(at: Client) -> Told:
    """The next notification."""
    return Told("", "", {}, at.recv().encode())


def nothing(at: Client, within_s: float = 0.7) -> bool:
    """Tell whether nothing comes for a while, and the socket stays."""
    try:
        at.recv(within_s)
    except TimeoutError:
        return True
    return False


def ended(at: Client) -> tuple[int, str]:
    """How the server ends a socket, over which nothing comes."""
    with pytest.raises(ConnectionClosed) as closed:
        at.recv()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def bound_by_token(on: Scene, at: Client, name: str) -> None:
    """Bind a topic's subscription, and take the handshake."""
    at.send(f"bind-with-token {token(on, f'/{name}')}")
    assert told(at).kind == "handshake"


def app_of_a_person(on: Scene) -> Callable[[], Issued]:
    """An app that lives at ORIGIN; each call lets it in once more, for the same person and under a grant of its own."""
    node, role = on.here.node, RoleClass.CLINICAL
    smart = Smart(node, SmartSettings(on.here.base), lambda _pseudonym: "")
    person = certify_person(node, name="Nurse", role="Nurse", registration=f"N{time.monotonic_ns()}", role_class=role)
    account = smart.accounts.add_staff(person, role, name="nurse")
    back, scopes = f"{ORIGIN}/back", ("user/*.cruds",)
    app = smart.apps.add(NewApp(AppKind.PUBLIC, "Page", redirect_uris=(back,), scopes=scopes)).app
    smart.close()

    def let_in() -> Issued:
        code = smart.grants.begin(Wanted(app, account, scopes, b"", back, challenge_of(VERIFIER), ""))
        return smart.grants.redeem(app, code, redirect_uri=back, verifier=VERIFIER)

    return let_in


@contextmanager
def secured(on: Scene) -> Iterator[ssl.SSLSocket]:
    """A connection over TLS, over which nothing was said."""
    url = urlsplit(on.here.base)
    raw = socket.create_connection((url.hostname, url.port))
    with on.here.trust.wrap_socket(raw, server_hostname=url.hostname) as made:
        yield made


@contextmanager
def deaf(on: Scene, binding: str) -> Iterator[Callable[[], None]]:
    """A client that binds, and reads no more than it is told to: yields what answers one ping."""
    with secured(on) as raw:
        protocol = ClientProtocol(parse_uri(f"ws{on.here.base.removeprefix('http')}/websocket"))

        def hear(opcode: Opcode | None) -> None:
            """Read until that comes, or the answer to the handshake; answer pings that came."""
            while True:
                for data in protocol.data_to_send():
                    raw.sendall(data)
                came = raw.recv(65_536)
                assert came, "the server has cut it off"
                protocol.receive_data(came)
                if any(getattr(each, "opcode", None) is opcode for each in protocol.events_received()):
                    break
            for data in protocol.data_to_send():
                raw.sendall(data)

        protocol.send_request(protocol.connect())
        hear(None)
        protocol.send_text(f"bind-with-token {binding}".encode())
        hear(Opcode.TEXT)
        yield lambda: hear(Opcode.PING)


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end_s, "it never came to hold"
        time.sleep(0.05)


def is_bound(on: Scene, name: str) -> bool:
    """Tell whether a subscription is bound to a socket."""
    columns = schema.subscription_bindings.c
    with on.here.node.vault.database.reading() as connection:
        until_s = connection.scalar(select(columns.until_s).where(columns.subscription == bytes.fromhex(name)))
    return (until_s or 0) > on.here.node.clock()


def is_received(on: Scene, name: str, number: int) -> bool:
    """Tell whether the server knows that an event was received: only then does it not come again."""
    events = schema.subscription_events.c
    told_s = select(events.told_s).where(events.subscription == bytes.fromhex(name), events.number == number)
    with on.here.node.vault.database.reading() as connection:
        return (connection.scalar(told_s) or 0) > 0


def waiting(on: Scene, name: str) -> int:
    """How many events of a subscription were not received yet."""
    events = schema.subscription_events.c
    is_waiting = (events.subscription == bytes.fromhex(name)) & (events.told_s == 0)
    with on.here.node.vault.database.reading() as connection:
        return connection.scalar(select(func.count()).where(is_waiting)) or 0


def row(on: Scene, name: str) -> Row:
    """A subscription as it is kept."""
    this = select(schema.subscriptions).where(schema.subscriptions.c.subscription == bytes.fromhex(name))
    with on.here.node.vault.database.reading() as connection:
        return connection.execute(this).one()
