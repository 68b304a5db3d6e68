"""Bodies that are sent to fill the memory: how much of one is read, from whom, and of how many at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from salus.portal.sessions import COOKIE
from salus.portal.settings import BODY_BYTES_MAX
from salus.portal.uploads import FILES_AT_ONCE_MAX, FILES_EACH_MAX
from tests.portal.patient_charts import somebody_else
from tests.portal.portal_world import Hospital, portal

CHUNK = bytes(65_536)
WHOLE = 12_000_000
FORM = b"multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        somebody_else(made, folder, [])
        yield made


class Sender:
    """A client that sends a body and counts how much of it is read; without `goes_on` it stops and waits."""

    def __init__(self, cookie: str, *, goes_on: bool = True, kind: bytes = FORM) -> None:
        self.cookie, self.goes_on, self.kind = cookie, goes_on, kind
        self.read, self.status = 0, 0
        self.heads: dict[str, str] = {}
        self.stopped = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        """The next piece."""
        if self.read and not self.goes_on:
            self.stopped.set()
            await asyncio.Event().wait()
        self.read += len(CHUNK)
        return {"type": "http.request", "body": CHUNK, "more_body": self.read < WHOLE}

    async def send(self, message: dict[str, Any]) -> None:
        """What comes back."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.heads = {name.decode(): value.decode() for name, value in message["headers"]}

    async def post(self, app: Any, path: str) -> None:
        """Send it."""
        headers = [(b"content-type", self.kind), (b"cookie", f"{COOKIE}={self.cookie}".encode())]
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
        scope |= {"headers": headers, "scheme": "https", "server": ("portal.example", 443), "client": ("192.0.2.1", 1)}
        await app(scope | {"http_version": "1.1", "root_path": ""}, self.receive, self.send)


def cookie_of(here: Hospital, name: str) -> str:
    return here.signed_in(name).client.cookies[COOKIE]


def test_a_stranger_fills_no_memory(here: Hospital) -> None:
    """Who is not signed in is sent to sign in, before a file is read."""
    for cookie in ("", "made-up"):
        sender = Sender(cookie)
        asyncio.run(sender.post(here.portal.app(), "/add/file"))
        assert (sender.status, sender.heads["location"]) == (303, "/sign-in")
        assert sender.read == 0


@pytest.mark.parametrize("kind", [FORM, b"application/x-www-form-urlencoded", b"application/json"])
@pytest.mark.parametrize("path", ["/sign-in", "/sharing", "/link/x", "/nowhere"])
def test_what_takes_no_files_reads_a_form_and_no_more(here: Hospital, path: str, kind: bytes) -> None:
    sender = Sender(cookie_of(here, "eleanor"), kind=kind)
    asyncio.run(sender.post(here.portal.app(), path))
    assert 400 <= sender.status < 500
    assert sender.read <= BODY_BYTES_MAX + len(CHUNK)


async def waiting(app: Any, cookies: list[str]) -> tuple[list[Sender], list[asyncio.Task[None]]]:
    """Clients each of which has sent a piece, and sends no more."""
    senders = [Sender(each, goes_on=False) for each in cookies]
    tasks = [asyncio.create_task(each.post(app, "/add/file")) for each in senders]
    ended = asyncio.gather(
        *(
            asyncio.wait({task, asyncio.create_task(each.stopped.wait())}, return_when="FIRST_COMPLETED")
            for task, each in zip(tasks, senders, strict=True)
        )
    )
    await asyncio.wait_for(ended, 30)
    return senders, tasks


async def stop(tasks: list[asyncio.Task[None]]) -> None:
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_one_person_takes_the_room_of_few_files(here: Hospital) -> None:
    """And leaves it to others: who waits longest with an unfinished file is the one who is told to try later."""

    async def run() -> tuple[list[int], int, int]:
        app, eleanor, other = here.portal.app(), cookie_of(here, "eleanor"), cookie_of(here, "other")
        senders, tasks = await waiting(app, [eleanor] * (FILES_EACH_MAX + 3))
        one_more = Sender(other)
        await one_more.post(app, "/add/file")
        await stop(tasks)
        again = Sender(eleanor)
        await again.post(app, "/add/file")
        return sorted(each.status for each in senders), one_more.status, again.status

    refused, other, again = asyncio.run(run())
    assert refused == [0] * FILES_EACH_MAX + [503] * 3
    assert (other, again) == (400, 400), "too long, so it was read"


def test_all_together_take_the_room_of_so_many_files(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salus.portal.uploads.FILES_EACH_MAX", 100)

    async def run() -> list[Sender]:
        senders, tasks = await waiting(here.portal.app(), [cookie_of(here, "eleanor")] * (FILES_AT_ONCE_MAX + 4))
        await stop(tasks)
        return senders

    senders = asyncio.run(run())
    assert sorted(each.status for each in senders) == [0] * FILES_AT_ONCE_MAX + [503] * 4
    assert sum(each.read for each in senders) <= FILES_AT_ONCE_MAX * len(CHUNK)
