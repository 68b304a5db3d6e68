"""Hooks: which addresses are asked, and which never, in whatever form they come."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from salus.node.config import SettingsUnfit
from salus.node.hooks import HookAway, Hooks, HookUnfit, hooks_of, is_public

INSIDE = "10.1.2.0/24"
ADDRESSES = {
    "93.184.215.14": True,
    "2606:4700::1111": True,
    "64:ff9b::5db8:d70e": True,  # a public IPv4 address behind NAT64
    "2002:5db8:d70e::1": True,  # and behind 6to4
    "127.0.0.1": False,
    "127.1.2.3": False,
    "10.0.0.1": False,
    "172.16.0.1": False,
    "192.168.1.1": False,
    "169.254.169.254": False,  # where clouds keep credentials
    "100.64.0.1": False,
    "0.0.0.0": False,
    "224.0.0.1": False,
    "255.255.255.255": False,
    "192.0.2.1": False,
    "::1": False,
    "::": False,
    "fe80::1": False,
    "fe80::1%lo": False,
    "fc00::1": False,
    "fec0::1": False,
    "ff02::1": False,
    "::ffff:127.0.0.1": False,
    "::ffff:10.0.0.1": False,
    "::127.0.0.1": False,
    "::ffff:0:127.0.0.1": False,
    "64:ff9b::7f00:1": False,
    "64:ff9b:1::7f00:1": False,
    "2002:7f00:1::1": False,
    "2002:a9fe:a9fe::1": False,
    "2001:0:1:1::1": False,
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_which_addresses_are_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text)) is ADDRESSES[text]


URLS = {
    "https://hooks.example/path?x=1": ("hooks.example", 443, "/path?x=1", "hooks.example"),
    "https://hooks.example:8443": ("hooks.example", 8443, "/", "hooks.example:8443"),
    "https://[2606:4700::1111]/": ("2606:4700::1111", 443, "/", "[2606:4700::1111]"),
}


@pytest.mark.parametrize("url", URLS)
def test_what_an_address_says(url: str) -> None:
    hook = Hooks().parsed(url)
    assert (hook.host, hook.port, hook.target, hook.authority) == URLS[url]


UNFIT = [
    "http://hooks.example/", "ftp://hooks.example/", "file:///etc/passwd", "https:///x", "//hooks.example/", "",
    "https://a:b@hooks.example/", "https://hooks.example/#f", "https://hooks.example:99999/", "https://[::1/",
    "https://hooks.example/\r\nx", "https://hooks.example/ x", "https://hooks\\.example/", "https://höhle.example/",
    "https://hooks.example/" + "x" * 2_000,
]  # fmt: skip


@pytest.mark.parametrize("url", UNFIT)
def test_what_is_no_address_for_hooks(url: str) -> None:
    with pytest.raises(HookUnfit):
        Hooks().parsed(url)


def reachable(url: str, *found: str, networks: tuple[str, ...] = ()) -> str:
    allowed = tuple(ipaddress.ip_network(each) for each in networks)
    hooks = Hooks(allowed, resolve=lambda _name, _port: list(found))
    return hooks.require_reachable(hooks.parsed(url))


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://internal.example/", ["10.1.2.3"]),
        ("https://2130706433/", ["127.0.0.1"]),
        ("https://0x7f.1/", ["127.0.0.1"]),
        ("https://127.1/", ["127.0.0.1"]),
        ("https://localhost/", ["::1", "127.0.0.1"]),
        ("https://[::ffff:169.254.169.254]/", ["::ffff:169.254.169.254"]),
    ],
)
def test_a_name_of_nothing_public_is_refused(url: str, found: list[str]) -> None:
    with pytest.raises(HookUnfit):
        reachable(url, *found)


def test_of_several_addresses_only_a_public_one_is_asked() -> None:
    assert reachable("https://mixed.example/", "10.1.2.3", "93.184.215.14") == "93.184.215.14"


def test_a_network_that_the_operator_allows_may_be_asked_without_tls_too() -> None:
    assert reachable("http://inside.example/", "10.1.2.3", networks=(INSIDE,)) == "10.1.2.3"
    with pytest.raises(HookUnfit):
        reachable("http://inside.example/", "10.1.3.3", networks=(INSIDE,))
    with pytest.raises(HookUnfit):
        reachable("http://public.example/", "93.184.215.14", networks=(INSIDE,))


def test_a_name_without_an_address_is_tried_later() -> None:
    with pytest.raises(HookAway, match="resolving"):
        reachable("https://nowhere.example/")


@contextmanager
def listener(answer: bytes, *, drip_s: float = 0.0) -> Iterator[tuple[int, list[bytes]]]:
    """Answer every connection with bytes, one at a time where `drip_s` says so."""
    heard: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                connected, _ = server.accept()
            except TimeoutError:
                continue
            with connected:
                heard.append(connected.recv(65_536))
                try:
                    for place in range(len(answer) if drip_s else 1):
                        connected.sendall(answer[place : place + 1] if drip_s else answer)
                        stop.wait(drip_s)
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1], heard
    finally:
        stop.set()
        thread.join()
        server.close()


def send(port: int, *, timeout_s: float = 5.0, asked: list[str] | None = None) -> int:
    def resolve(name: str, _port: int) -> list[str]:
        if asked is not None:
            asked.append(name)
        return ["127.0.0.1"] if asked is None or len(asked) == 1 else ["10.9.9.9"]

    hooks = Hooks((ipaddress.ip_network("127.0.0.0/8"),), resolve=resolve)
    hook = hooks.parsed(f"http://hooks.example:{port}/x")
    with hooks.connected(hook, timeout_s=timeout_s) as connection:
        return connection.send("POST", hook.target, {"x-said": "1"}, b"{}")


def test_a_name_is_resolved_once_and_what_it_means_later_changes_nothing() -> None:
    asked: list[str] = []
    with listener(b"HTTP/1.1 204 No Content\r\n\r\n") as (port, heard):
        assert send(port, asked=asked) == 204
    assert asked == ["hooks.example"]
    assert heard[0].startswith(b"POST /x HTTP/1.1\r\nhost: hooks.example:%d\r\n" % port)


def test_a_redirect_is_an_answer_and_leads_nowhere() -> None:
    answer = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    with listener(answer) as (port, heard):
        assert send(port) == 307
    assert len(heard) == 1


def test_whoever_answers_slowly_is_cut_off() -> None:
    began_s = time.monotonic()
    with listener(b"HTTP/1.1 200 OK\r\n" * 10, drip_s=0.1) as (port, _), pytest.raises(HookAway, match="answering"):
        send(port, timeout_s=0.7)
    assert time.monotonic() - began_s < 10


def test_who_is_no_web_server_is_away() -> None:
    with listener(b"220 mail ready\r\n") as (port, _), pytest.raises(HookAway, match="answering"):
        send(port)


def test_who_has_no_certificate_for_the_name_is_not_told() -> None:
    hooks = Hooks((ipaddress.ip_network("127.0.0.0/8"),), ssl.create_default_context(), lambda *_: ["127.0.0.1"])
    with listener(b"x") as (port, heard):
        hook = hooks.parsed(f"https://hooks.example:{port}/")
        with pytest.raises(HookAway, match="tls"), hooks.connected(hook, timeout_s=5) as connection:
            connection.send("POST", "/", {}, b"secret")
    assert b"secret" not in b"".join(heard)


@pytest.mark.parametrize(("networks", "authorities"), [(("10.1.2.3/24",), ""), (("x",), ""), ((), "/nowhere.pem")])
def test_settings_that_are_unfit_stop_the_start(networks: tuple[str, ...], authorities: str) -> None:
    with pytest.raises(SettingsUnfit):
        hooks_of(networks, authorities)
