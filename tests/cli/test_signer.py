"""salus signer: the hash of the page is said, served and found again; a page that was altered on its way is not."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import uvicorn
from starlette.applications import Starlette

from salus.portal.signer import PageFile, Signer, signer_page
from salus.portal.signer.app import signer_app
from tests.cli.conftest import Run

pytestmark = pytest.mark.services

PORTAL, CHAIN = "https://records.example", "north"
START_TIMEOUT_S = 10


@contextmanager
def served(page: Signer, *, but: str = "", of: Signer | None = None) -> Iterator[str]:
    """A page on a port of its own, at one path of which there is what another page has."""
    instead = [each for each in signer_app(of).routes if each.path == but] if of else []  # type: ignore[attr-defined]
    app = Starlette(routes=[*instead, *signer_app(page).routes])
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    until_s = time.monotonic() + START_TIMEOUT_S
    while not server.started and time.monotonic() < until_s:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def page() -> Signer:
    return signer_page(portal=PORTAL, chain=CHAIN)


def test_the_hash_that_is_said_is_found_where_the_page_is_served(run: Run, page: Signer) -> None:
    said = run("signer", "hash", "--portal", PORTAL, "--chain", CHAIN, "--json").facts["hash"]
    assert said == page.hash().hex()
    with served(page) as url:
        checked = run("signer", "check", url, "--digest", said, "--json")
        assert (checked.status, checked.facts) == (0, {"hash": said, "is_same": True})
        assert run("signer", "check", url).out == f"{said}  served\n"


def altered(page: Signer, path: str) -> Signer:
    """The page with another content in one file."""
    files = tuple(replace(each, content=each.content + b" ") if each.path == path else each for each in page.files)
    return Signer(files, page.policy)


ALTERED: dict[str, Callable[[Signer], Signer]] = {
    "a script": lambda page: altered(page, "kinds.js"),
    "what people come to": lambda page: altered(page, "index.html"),
    "a looser policy": lambda page: Signer(page.files, page.policy.replace("'none'", "*", 1)),
    "a file left out": lambda page: Signer(page.files[1:], page.policy),
    "a file more": lambda page: Signer((*page.files, PageFile("z.js", "text/javascript", b"")), page.policy),
    "another portal": lambda page: signer_page(portal="https://other.example", chain=CHAIN),
}


@pytest.mark.parametrize("what", ALTERED)
def test_a_page_that_was_altered_has_another_hash(run: Run, page: Signer, what: str) -> None:
    with served(ALTERED[what](page)) as url:
        checked = run("signer", "check", url, "--digest", page.hash().hex())
    assert checked.status == 1
    assert "ANOTHER than on the ledger" in checked.out


@pytest.mark.parametrize(("path", "file"), [("/manifest.txt", "page.js"), ("/index.html", "index.html")])
def test_what_is_honest_beside_what_is_altered_does_not_help(run: Run, page: Signer, path: str, file: str) -> None:
    with served(altered(page, file), but=path, of=page) as url:
        assert run("signer", "check", url, "--digest", page.hash().hex()).status == 1


def huge(page: Signer) -> Signer:
    """The page with a file that nobody would wait for."""
    return Signer((replace(page.files[0], content=bytes(2 << 20)), *page.files[1:]), page.policy)


@pytest.mark.parametrize(("alter", "path"), [(lambda page: page, "/kinds.js"), (huge, "")], ids=["no page", "huge"])
def test_what_is_no_page_is_said_to_be_none(
    run: Run, page: Signer, alter: Callable[[Signer], Signer], path: str
) -> None:
    with served(alter(page)) as url:
        checked = run("signer", "check", f"{url}{path}")
    assert (checked.status, checked.out) == (1, "")
    assert checked.err.startswith("error: ")


def test_nobody_there(run: Run) -> None:
    assert run("signer", "check", "http://127.0.0.1:9").status == 3


def test_what_is_no_origin(run: Run) -> None:
    result = run("signer", "hash", "--portal", "records.example", "--chain", CHAIN)
    assert (result.status, result.out) == (2, "")
