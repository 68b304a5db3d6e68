"""What strangers, other clients, pages of other sites and floods try with sockets of subscriptions."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from websockets.exceptions import ConnectionClosed, InvalidStatus

from salus.api.fhir import socket_protocol, sockets
from salus.api.fhir.capability import WEBSOCKET
from salus.node import schema
from salus.node.bearers import BearerKind
from tests.api.fhir.fhir_world import FHIR_JSON
from tests.api.fhir.receiver import Receiver
from tests.api.fhir.served import served
from tests.api.fhir.socket_world import ORIGIN, Client, app_of_a_person, ended, nothing, opened, search, secured, token
from tests.api.fhir.test_subscriptions import Scene

pytestmark = pytest.mark.services
NOBODYS = "0" * 32
SOCKET = {"channel": {"type": "websocket"}}


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("sockets")
    with served(folder) as here:
        yield Scene(here, Receiver(""))


def test_a_stranger_binds_nothing(on: Scene) -> None:
    name = search(on, on.patient())
    used, over, access = token(on, f"/{name}"), token(on, f"/{name}"), on.here.token(on.here.clinical)
    with opened(on) as socket:
        socket.send(f"bind-with-token {used}")
        assert socket.recv() == f"bound {name}"
        columns = schema.bearers.c
        is_unused = (columns.kind == BearerKind.BINDING) & (columns.used == 0)
        with on.here.node.vault.database.writing() as connection:
            assert connection.execute(update(schema.bearers).where(is_unused).values(until_s=1)).rowcount
        tries: dict[str, tuple[str, str | bytes, int]] = {
            "no token": ("", f"bind {name}", 1008),
            "another login": ("feed", f"bind {name}", 1008),
            "what is not there": ("clinical", f"bind {NOBODYS}", 1008),
            "no name": ("clinical", "bind Subscription/1", 1008),
            "a token that was used": ("", f"bind-with-token {used}", 1008),
            "a token that is over": ("", f"bind-with-token {over}", 1008),
            "a token that never was": ("", f"bind-with-token {'x' * 43}", 1008),
            "an access token": ("", f"bind-with-token {access}", 1008),
            "no word of ours": ("clinical", "hello", 1008),
            "nothing": ("clinical", "", 1008),
            "JSON": ("clinical", '{"bind": 1}', 1008),
            "bytes": ("clinical", f"bind {name}".encode(), 1003),
            "no ASCII": ("clinical", "bind \u00e9", 1007),
            "too much": ("clinical", "bind " + "x" * 5_000, 1009),
        }
        assert {what: tried(on, who, said) for what, (who, said, _) in tries.items()} == {
            what: code for what, (_, _, code) in tries.items()
        }
        assert nothing(socket)  # whoever had it has it still


def tried(on: Scene, who: str, said: str | bytes) -> int:
    """Say something, and return how that ends."""
    with opened(on, who) as socket:
        socket.send(said)
        code, reason = ended(socket)
        assert code == 1009 or not reason, "a reason tells nothing"
        return code


def test_a_token_is_its_own_clients(on: Scene) -> None:
    name = search(on, on.patient())
    answers = [
        on.ask(method, f"/Subscription{path}", body, who)
        for method, path, body, who in (
            ("GET", f"/{name}/$get-ws-binding-token", None, "feed"),
            ("GET", f"/$get-ws-binding-token?id={name}", None, "feed"),
            ("GET", "/$get-ws-binding-token", None, "feed"),
            ("GET", f"/{NOBODYS}/$get-ws-binding-token", None, "clinical"),
            ("POST", "/$get-ws-binding-token", parameters(name, NOBODYS), "clinical"),
            ("POST", "/$get-ws-binding-token", parameters(name), "clinical"),
        )
    ]
    assert [each.status_code for each in answers] == [404, 404, 422, 404, 404, 200]
    said = {each["name"]: each for each in answers[-1].json()["parameter"]}
    assert said["subscription"]["valueString"] == name
    capabilities = on.ask("GET", "/metadata").json()["rest"][0]["extension"]
    assert capabilities == [{"url": WEBSOCKET, "valueUri": said["websocket-url"]["valueUrl"]}]
    assert answers[-1].headers["cache-control"] == "no-store"


def parameters(*names: str) -> dict:
    listed = [{"name": "id", "valueId": each} for each in names]
    return {"resourceType": "Parameters", "parameter": listed}


REQUESTS: dict[str, tuple[dict, int]] = {
    "a parameter": ({"path": "/websocket?token=x"}, 400),
    "a token that nobody gave": ({"bearer": "x" * 43}, 401),
    "a token from a page": ({"who": "clinical", "origin": "https://evil.example"}, 403),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_may_open_none(on: Scene, name: str) -> None:
    given, status = REQUESTS[name]
    with pytest.raises(InvalidStatus) as refused, opened(on, **given):
        pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body or b"")["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("path", ["", "/Patient", "/metadata", "/websocket/x"])
def test_no_other_address_opens_one(on: Scene, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(on, "clinical", path=path):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(("origin", "is_bound"), [(ORIGIN, True), ("https://evil.example", False), ("null", False)])
def test_a_page_binds_only_from_where_its_app_lives(on: Scene, origin: str, is_bound: bool) -> None:
    """Cross-site WebSocket hijacking (CWE-1385): a page of another site opens the socket with a token that leaked."""
    on.tokens["app"] = app_of_a_person(on)().access
    name = on.ask("POST", "/Subscription", on.search("Observation?code=x") | SOCKET, "app")
    assert name.status_code == 201, name.text
    with opened(on, origin=origin) as socket:
        socket.send(f"bind-with-token {token(on, '/' + name.json()['id'], 'app')}")
        if is_bound:
            assert socket.recv() == f"bound {name.json()['id']}"
        else:
            assert ended(socket) == (1008, "")


BOUNDS: dict[str, tuple[str, float, int]] = {
    "a flood of messages": ("MESSAGES_MAX", 3, 1008),
    "more sockets of one than may be": ("SOCKETS_OF_ONE_MAX", 0, 1013),
}


@pytest.mark.parametrize("what", BOUNDS)
def test_a_socket_has_bounds(on: Scene, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, value, code = BOUNDS[what]
    monkeypatch.setattr(sockets, name, value)
    subscription = search(on, on.patient())
    with opened(on, "clinical") as other, opened(on, "clinical") as socket:
        other.send(f"bind {subscription}")
        assert end_of(socket, f"bind {subscription}") == code


def end_of(socket: Client, said: str) -> int | None:
    """Say something four times; the code with which the socket ends, whatever came before."""
    try:
        for _ in range(4):
            socket.send(said)
        while True:
            socket.recv()
    except ConnectionClosed:
        return socket.close_code


def test_a_socket_is_one_clients(on: Scene) -> None:
    mine = search(on, on.patient())
    with opened(on) as socket:
        socket.send(f"bind-with-token {token(on, f'/{mine}')}")
        assert socket.recv() == f"bound {mine}"
        others = on.ask("POST", "/Subscription", on.search("Observation?code=x") | SOCKET, "feed").json()["id"]
        socket.send(f"bind-with-token {token(on, f'/{others}', 'feed')}")
        assert ended(socket) == (1008, "")
    on.ask("DELETE", f"/Subscription/{others}", who="feed")


HEADS: dict[str, list[str]] = {
    "no key": ["sec-websocket-version: 13"],
    "another version": ["sec-websocket-version: 7", f"sec-websocket-key: {'A' * 22}=="],
    "a crowd of fields": ["sec-websocket-version: 13", *(f"x-{number}: y" for number in range(300))],
}


@pytest.mark.parametrize("name", HEADS)
def test_a_request_that_is_no_handshake_is_cut_off(on: Scene, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_protocol, "HANDSHAKE_S", 0.5)
    with secured(on) as raw:
        head = ["GET /FHIR/R4/websocket HTTP/1.1", "host: x", "connection: Upgrade", "upgrade: websocket", *HEADS[name]]
        raw.sendall("\r\n".join([*head, "", ""]).encode())
        raw.settimeout(10)
        came = b"".join(iter(lambda: raw.recv(65_536), b""))
    assert came.partition(b"\r\n")[0] in (b"", b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 426 Upgrade Required")
    assert b"Traceback" not in came


@pytest.mark.parametrize("name", ["SOCKETS_MAX", "NAMELESS_MAX"])
def test_there_are_so_many_sockets_and_no_more(on: Scene, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, name, 1)
    with opened(on), pytest.raises(InvalidStatus) as refused, opened(on):
        pass
    assert refused.value.response.status_code == 503


def test_a_socket_to_which_nothing_is_bound_ends(on: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "IDLE_S", 0.5)
    monkeypatch.setattr(sockets, "LOOK_S", 0.1)
    name = search(on, on.patient())
    with opened(on) as idle, opened(on, "clinical") as busy:
        busy.send(f"bind {name}")
        assert busy.recv() == f"bound {name}"
        assert ended(idle) == (1008, "")
        assert nothing(busy)
        on.end(name)
        assert ended(busy) == (1008, "")


CHANNELS: dict[str, dict] = {
    "an endpoint": {"endpoint": "https://hooks.example/"},
    "a header": {"header": ["X: y"]},
    "a payload of a search": {"payload": FHIR_JSON},
}


@pytest.mark.parametrize("name", CHANNELS)
def test_what_no_socket_has_is_refused(on: Scene, name: str) -> None:
    body = on.search("Observation?code=x") | {"channel": {"type": "websocket", **CHANNELS[name]}}
    assert on.ask("POST", "/Subscription", body).status_code == 400
