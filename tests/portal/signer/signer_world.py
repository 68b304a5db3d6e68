"""A stand-in for the portal, as docs/spec/signer.md has it, beside the signer page; both at names of localhost.

One server answers for three hosts: the portal, the signer, and somebody else who means harm. Everything that the portal
receives is kept, so that a test can look for what should not be there.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Host, Route

from salus.contracts import CONTRACTS
from salus.ledger import transactions
from salus.ledger.machine import message_decoder
from salus.portal.signer import signer_page
from salus.portal.signer.app import signer_app
from tests.contracts.network import CHAIN, Given, MemoryLedger, first_rows

NAMES = {"RX1": "Riverside Hospital", "A81001": "Elm Practice"}
START_TIMEOUT_S = 10
MESSAGES = message_decoder(CONTRACTS)


def text(data: bytes) -> str:
    """Bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def data(written: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))


@dataclass
class Device:
    """What the portal keeps of a device; in life, the share is in another table than the blob."""

    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    share: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    credential: bytes = b""
    blob: bytes = b""

    def shown(self) -> dict[str, str]:
        """As a request has it."""
        first = {"id": text(self.id), "share": text(self.share)}
        return first | ({"credential": text(self.credential), "blob": text(self.blob)} if self.blob else {})


@dataclass
class Portal:
    """One person's portal, its ledger, and what it was told."""

    ledger: MemoryLedger = field(default_factory=lambda: MemoryLedger(first_rows(Given())))
    account: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    asked: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    received: list[bytes] = field(default_factory=list)
    origin: str = ""
    signer: str = ""

    def request(self, kind: str, items: list[dict[str, Any]], *devices: Device, **other: Any) -> dict[str, Any]:
        """A signing request that fits, but for what is given otherwise."""
        whole = {
            "format": 1,
            "kind": kind,
            "chain": CHAIN,
            "language": "en",
            "account": text(self.account),
            "time_s": self.ledger.time_s,
            "expires_at_s": self.ledger.time_s + 600,
            "devices": [each.shown() for each in devices],
            "person": "Mary Green" if kind == "create" else "",
            "organisations": [{"code": code, "name": name} for code, name in NAMES.items()],
            "items": items,
        }
        return whole | other

    def ask(self, request: dict[str, Any] | bytes) -> str:
        """Lay a request out; return the address to which the tab is sent."""
        name = text(secrets.token_bytes(16))
        self.asked[name] = request if isinstance(request, bytes) else json.dumps(request).encode()
        return f"{self.signer}/#{name}"

    def answer_to(self, address: str) -> dict[str, Any]:
        """What the signer said to the request of an address."""
        return self.answers[address.partition("#")[2]]

    def submit(self, raw: bytes) -> int:
        """Put a transaction into a block of its own, as an engine does; return its code, 0 for done."""
        transactions.verify(transactions.decode(raw, chain=CHAIN, messages=MESSAGES))
        (result,) = self.ledger.submit([raw])
        return result.code

    async def signing(self, request: Request) -> Response:
        """Answer the signer, once and nobody else (docs/spec/signer.md, "The exchange")."""
        body = await request.body()
        self.received.append(request.url.path.encode() + b"\n" + repr(request.headers.items()).encode() + body)
        if request.headers.get("origin") != self.signer:
            return Response(status_code=403)
        headers = {"access-control-allow-origin": self.signer, "vary": "Origin", "cache-control": "no-store"}
        name = request.path_params["id"]
        if request.method == "OPTIONS":
            allowed = {"access-control-allow-methods": "GET, POST", "access-control-allow-headers": "content-type"}
            return Response(status_code=204, headers=headers | allowed)
        if request.method == "GET":
            asked = self.asked.pop(name, None)
            if asked is None:
                return Response(status_code=404, headers=headers)
            self.answers[name] = {}
            return Response(asked, headers=headers | {"content-type": "application/json"})
        if self.answers.get(name) != {}:
            return Response(status_code=404, headers=headers)
        self.answers[name] = json.loads(body)
        return Response(status_code=204, headers=headers)

    async def done(self, request: Request) -> Response:
        """Where the tab comes back to."""
        return HTMLResponse("<title>Done</title><h1>Done</h1>")


async def _home(request: Request) -> Response:
    return HTMLResponse("<title>Home</title><h1>Home</h1>")


async def _frames(request: Request) -> Response:
    """A page of somebody else that shows the signer inside its own."""
    return HTMLResponse(f'<title>Win</title><iframe src="{request.query_params["of"]}"></iframe>')


@contextmanager
def portal_and_signer() -> Iterator[Portal]:
    """Run both until the test is done."""
    portal = Portal()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    portal.origin, portal.signer = f"http://portal.localhost:{port}", f"http://signer.localhost:{port}"
    signing = [
        Route("/", _home),
        Route("/signing/{id}", portal.signing, methods=["GET", "POST", "OPTIONS"]),
        Route("/signing/{id}/done", portal.done),
    ]
    hosts = {
        "portal.localhost": Starlette(routes=signing),
        "signer.localhost": signer_app(signer_page(portal=portal.origin, chain=CHAIN)),
        "other.localhost": Starlette(routes=[Route("/", _frames)]),
    }
    app = Starlette(routes=[Host(name, each) for name, each in hosts.items()])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    until_s = time.monotonic() + START_TIMEOUT_S
    while not server.started and time.monotonic() < until_s:
        time.sleep(0.01)
    try:
        yield portal
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
