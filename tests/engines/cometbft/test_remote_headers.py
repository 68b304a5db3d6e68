"""Headers from a member's header service: what it says is read or refused, and never ends in a fault."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from salus.engines.cometbft.remote_headers import RemoteHeaders
from salus.engines.cometbft.rpc import NodeAway

pytestmark = pytest.mark.services
KEY = "5NhYVkqa1BMmDNFvVnTlhiBBSWwGnxM5tZCVGfEsGbE="
HASH = "00" * 32
BLOCK_ID = {"hash": HASH, "parts": {"total": 1, "hash": HASH}}
HEADER = {
    "version": {"block": "11"},
    "chain_id": "north",
    "height": "7",
    "time": "2026-11-28T12:00:00.123456789Z",
    "last_block_id": BLOCK_ID,
    "proposer_address": "00" * 20,
    **{
        f"{name}_hash": HASH
        for name in (
            *("last_commit", "data", "validators", "next_validators", "consensus", "app", "last_results", "evidence"),
        )
    },
}
COMMIT = {
    "signed_header": {
        "header": HEADER,
        "commit": {"height": "7", "round": 0, "block_id": BLOCK_ID, "signatures": []},
    },
    "canonical": True,
}
VALIDATORS = {"validators": [{"pub_key": {"value": KEY}, "voting_power": "10"}]}


class Member(ThreadingHTTPServer):
    """Says of each method what a test has put here."""

    daemon_threads = True

    def __init__(self) -> None:
        self.says: dict[str, Any] = {"commit": COMMIT, "validators": VALIDATORS}
        self.body: bytes | None = None
        member = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                said = {"jsonrpc": "2.0", "id": call["id"], "result": member.says[call["method"]]}
                body = json.dumps(said).encode() if member.body is None else member.body
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Answer)


@pytest.fixture
def member() -> Iterator[Member]:
    server = Member()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def headers(member: Member) -> Iterator[RemoteHeaders]:
    opened = RemoteHeaders(f"http://127.0.0.1:{member.server_address[1]}", timeout_s=5)
    yield opened
    opened.close()


def test_what_a_member_says_is_read(headers: RemoteHeaders) -> None:
    assert headers.newest_height() == 7
    [signed] = headers.signed_headers([7])
    assert signed is not None
    assert signed.header.chain_id == "north"
    assert [each.power for each in headers.validators(7)] == [10]
    assert headers.sealed_headers([7], {}) == [], "validators that are not the header's are not passed on"


def without(facts: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in facts.items() if each != name}


def header_with(**changes: object) -> dict[str, Any]:
    signed = {**COMMIT["signed_header"], "header": {**HEADER, **changes}}  # type: ignore[dict-item]
    return {**COMMIT, "signed_header": signed}


COMMITS = [
    None,
    [],
    without(COMMIT, "signed_header"),
    header_with(height="seven"),
    header_with(time="yesterday"),
    header_with(time="9999-99-99T00:00:00Z"),
    header_with(app_hash="no hexadecimal"),
    header_with(last_block_id=7),
]


@pytest.mark.promise("L3")
@pytest.mark.parametrize("said", COMMITS)
def test_what_is_no_header_is_refused(member: Member, headers: RemoteHeaders, said: object) -> None:
    member.says["commit"] = said
    with pytest.raises(NodeAway, match="in no way that this release knows"):
        headers.newest_height()


def one(**changes: object) -> dict[str, Any]:
    return {"validators": [{"pub_key": {"value": KEY}, "voting_power": "10", **changes}]}


SETS = [
    (one(voting_power="much"), "in no way"),
    (one(voting_power="-1"), "names no validators"),
    (one(voting_power="0"), "names no validators"),
    (one(voting_power=str(1 << 70)), "names no validators"),
    (one(pub_key={"value": "AAAA"}), "names no validators"),
    (one(pub_key={"value": "A"}), "in no way"),
    (one(pub_key={"value": "é"}), "in no way"),
    ({"validators": 2 * VALIDATORS["validators"]}, "names no validators"),
]


@pytest.mark.promise("L3")
@pytest.mark.parametrize(("said", "words"), SETS)
def test_who_can_be_no_validators_is_refused(
    member: Member, headers: RemoteHeaders, said: dict[str, Any], words: str
) -> None:
    member.says["validators"] = said
    with pytest.raises(NodeAway, match=words):
        headers.validators(7)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"id": 99}', b'{"id": "1", "result": null}'])
def test_what_is_no_answer_is_refused(member: Member, headers: RemoteHeaders, body: bytes) -> None:
    member.body = body
    with pytest.raises(NodeAway):
        headers.newest_height()


@pytest.mark.parametrize("url", ["https://a:1", "http://a", "a:1", "http://a:1/path", "unix:///a"])
def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected http://host:port"):
        RemoteHeaders(url)
