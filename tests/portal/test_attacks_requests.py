"""Requests as no browser sends them, byte for byte, to the portal as it is served: what is answered, with what head."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from salus.api.exchange.serve import listen, uvicorn_config
from salus.api.fhir.serve import running
from salus.portal.rendering import KEPT_OUT
from salus.portal.sessions import COOKIE
from tests.portal.portal_world import Hospital, portal

FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
POST = f"POST /sign-in HTTP/1.1\r\nHost: a\r\n{FORM}"
INNER = "GET /sign-in HTTP/1.1\r\nHost: a\r\n\r\n"
FIRST_S, MORE_S = 30, 1


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hospital, int]]:
    """The portal, and its port."""
    with ExitStack() as stack:
        made = stack.enter_context(portal(tmp_path_factory.mktemp("portal")))
        listener = stack.enter_context(listen("127.0.0.1", 0))
        config = uvicorn_config(made.portal.app(), date_header=True)
        stack.enter_context(running(config, listener, name="portal"))
        yield made, listener.getsockname()[1]


def answers(port: int, sent: str) -> bytes:
    """Send bytes, and return all that comes until the connection is closed, or nothing more comes for a second."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(FIRST_S)
        connection.sendall(sent.encode("latin-1"))
        came = bytearray()
        try:
            while piece := connection.recv(65_536):
                came += piece
                connection.settimeout(MORE_S)
        except (TimeoutError, ConnectionResetError):
            pass
        return bytes(came)


def cookie_of(here: tuple[Hospital, int]) -> str:
    return f"{COOKIE}={here[0].signed_in('eleanor').client.cookies[COOKIE]}"


def asked(here: tuple[Hospital, int], line: str, cookie: str) -> tuple[int, dict[str, str], str]:
    """The answer to one request of a browser: status, head and body."""
    more = "X-HTTP-Method-Override: POST\r\nConnection: close\r\n"
    head = f"{line} HTTP/1.1\r\nHost: portal.example\r\nCookie: {cookie}\r\n{more}\r\n"
    first, _, text = answers(here[1], head).decode().partition("\r\n\r\n")
    status, *fields = first.split("\r\n")
    return int(status.split(" ")[1]), {n.lower(): v for n, _, v in (each.partition(": ") for each in fields)}, text


LINES = (
    *("OPTIONS /record", "TRACE /record", "PUT /record", "DELETE /devices", "PATCH /", "POST /record", "GET /leave"),
    *("POST /nowhere", "PROPFIND /record", "OPTIONS *", "GET *", "HEAD /nowhere", "GET /sign-out?_method=POST"),
    *("GET //record", "GET /record/", "GET /../record", "GET /%2e%2e/record", "GET /record;a", "GET /record%00"),
    *("GET /assets/a/..%2f..%2fapp.py", "GET /nowhere.php?a=%ff", "PUT /record?a=%ff&a=b", f"GET /{'a' * 9_000}"),
)


@pytest.mark.parametrize("line", LINES, ids=lambda each: each[:30])
def test_what_is_not_there_is_a_page_of_ours_with_our_head(here: tuple[Hospital, int], line: str) -> None:
    status, head, text = asked(here, line, cookie_of(here))
    assert status in (404, 405)
    if not line.startswith("GET /assets/"):
        assert {name: head.get(name) for name in KEPT_OUT} == KEPT_OUT
        assert "default-src 'none'" in head["content-security-policy"]
        assert line.startswith("HEAD") or "Page not found" in text
    assert "Eleanor" not in text.replace("Eleanor Moss", "")
    assert line not in text, "TRACE gives nothing back"


def test_a_fault_of_ours_says_nothing_but_that_there_is_one(
    here: tuple[Hospital, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = cookie_of(here)

    def broken(*_: object) -> None:
        raise ValueError("Eleanor Moss 999 000 0018")

    monkeypatch.setattr(here[0].portal.accounts, "find", broken)
    status, head, text = asked(here, "GET /record", cookie)
    assert (status, "no-store" in head["cache-control"]) == (500, True)
    assert "Sorry, there is a problem" in text
    assert "Eleanor" not in text + caplog.text


SMUGGLED = {
    "a length and chunks": f"{POST}Content-Length: 4\r\n{CHUNKED}\r\n0\r\n\r\n{INNER}",
    "chunks and a length": f"{POST}{CHUNKED}Content-Length: 4\r\n\r\n0\r\n\r\n{INNER}",
    "two lengths": f"{POST}Content-Length: 0\r\nContent-Length: 9\r\n\r\n{INNER}",
    "a length with a sign": f"{POST}Content-Length: +0\r\n\r\n{INNER}",
    "a length in two": f"{POST}Content-Length: 0, 0\r\n\r\n{INNER}",
    "another coding": f"{POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{INNER}",
    "a coding behind a blank": f"{POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{INNER}",
    "a folded field": f"{POST}A: b\r\n {CHUNKED}\r\n0\r\n\r\n{INNER}",
    "a NUL in a field": f"GET /sign-in HTTP/1.1\r\nHost: a\r\nA: b\0\r\n\r\n{INNER}",
    "lines that end with LF": f"GET /sign-in HTTP/1.1\nHost: a\n\n{INNER}",
}


@pytest.mark.parametrize("sent", SMUGGLED.values(), ids=SMUGGLED)
def test_of_a_request_that_two_read_in_two_ways_no_second_one_is_answered(
    here: tuple[Hospital, int], sent: str
) -> None:
    """What stands between may have read another end of it, and would give the second answer to somebody else."""
    came = answers(here[1], sent)
    assert len(re.findall(rb"HTTP/1\.1 \d", came)) <= 1
    assert b"<title>Sign in" not in came
