"""The asking end: what is not the asked node's own answer to this very request is *not now*, whatever it says."""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import httpx2
import pytest

from salus.contracts.membership import KeyUse
from salus.crypto.signing import SigningKey
from salus.engines.base import Unavailable
from salus.ledger.identifiers import OrganisationId, PermitId
from salus.node import http_peers, sealed_streams
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Ask, PartAccept, StreamAsk
from salus.node.http_peers import HttpPeers
from salus.node.members import LedgerDirectory, Member
from salus.testing.world import HOSPITAL, PRACTICE
from tests.api.attacker import ASK
from tests.api.exchange_world import STRANGER, SUSPENDED, Served

pytestmark = pytest.mark.services

Heard = list[tuple[str, Ask]]
STREAM = StreamAsk(PermitId(bytes(16)), 1, 0)
SEGMENTS = [bytes((number,)) * 5000 for number in range(4)]


@dataclass(frozen=True)
class Raw:
    """A response as it is on its way."""

    status: int
    fields: list[tuple[bytes, bytes]]
    content: bytes

    def but(self, **changes: object) -> "Raw":
        return replace(self, **changes)

    def without(self, *names: bytes) -> "Raw":
        return self.but(fields=[(name, value) for name, value in self.fields if name.lower() not in names])

    def with_field(self, name: bytes, value: bytes) -> "Raw":
        return self.but(fields=[*self.fields, (name, value)])


Alter = Callable[[Raw], Raw]


class Between(httpx2.BaseTransport):
    """Somebody in the middle, who sees and changes what they like."""

    def __init__(self, alter: Alter = lambda came: came) -> None:
        self.alter = alter
        self.requests: list[httpx2.Request] = []
        self._real = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        response = self._real.handle_request(request)
        came = self.alter(Raw(response.status_code, response.headers.raw, response.read()))
        return httpx2.Response(came.status, headers=came.fields, stream=httpx2.ByteStream(came.content))

    def close(self) -> None:
        self._real.close()


@pytest.fixture
def between() -> Iterator[Between]:
    made = Between()
    yield made
    made.close()


@pytest.fixture
def peers(served: Served, between: Between) -> HttpPeers:
    return served.peers(PRACTICE, transport=between)


REFUSAL = json.dumps({"refusal": Refusal.PERMIT_DEAD, "words": "the permit has ended"}).encode()
ELSEWHERE = b"http://127.0.0.1:1/exchange/1/ask"
ALTERED: dict[str, Alter] = {
    "not signed": lambda came: came.without(b"signature", b"signature-input"),
    "no digest": lambda came: came.without(b"content-digest"),
    "another status": lambda came: came.but(status=203),
    "a byte changed": lambda came: came.but(content=came.content[:-1] + b"\x00"),
    "cut": lambda came: came.but(content=came.content[:-1]),
    "empty": lambda came: came.but(content=b""),
    "a refusal of somebody in between": lambda came: came.but(status=403, content=REFUSAL),
    "an unsigned refusal": lambda _: Raw(403, [], REFUSAL),
    "a gateway's own words": lambda _: Raw(502, [], b"<h1>Bad gateway</h1>"),
    "a redirect": lambda _: Raw(307, [(b"location", ELSEWHERE)], b""),
    "compressed on its way": lambda came: came.with_field(b"content-encoding", b"gzip").but(
        content=gzip.compress(came.content)
    ),
    "an answer without content": lambda _: Raw(204, [], b""),
}


@pytest.mark.promise("R1")
@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_answer_altered(alter: Alter, peers: HttpPeers, between: Between) -> None:
    with pytest.raises(Refused):
        peers.ask(HOSPITAL, ASK)
    between.alter = alter
    with pytest.raises(NotNow):
        peers.ask(HOSPITAL, ASK)


def test_answers_swapped_between_two_requests(peers: HttpPeers, between: Between) -> None:
    kept: list[Raw] = []

    def swap(came: Raw) -> Raw:
        kept.append(came)
        return kept[0]

    between.alter = swap
    with pytest.raises(Refused):
        peers.ask(HOSPITAL, ASK)
    with pytest.raises(NotNow, match="not RVJ's answer"):
        peers.ask(HOSPITAL, ASK)


def test_another_member_at_the_same_address(served: Served) -> None:
    practice = served.world.practice
    ledger = LedgerDirectory(practice.chain, practice.engine, practice.clock)

    class Hijacked:
        chain = practice.chain

        def look_up(self, organisation: OrganisationId) -> tuple[Member, int]:
            member, now_s = ledger.look_up(organisation)
            other = f"http://127.0.0.1:{served.ports[PRACTICE]}"
            return Member(member.organisation, other, member.http_key, member.hpke_key, 0), now_s

    peers = HttpPeers(Hijacked(), sender=HOSPITAL, key=served.world.keys[HOSPITAL].signing(KeyUse.HTTP))
    with pytest.raises(NotNow, match="not RVJ's answer"):
        peers.ask(HOSPITAL, ASK)
    peers.close()


def test_an_authentic_refusal_before_opening_is_a_refusal(served: Served) -> None:
    suspended = served.peers(SUSPENDED)
    for attempt in (lambda: suspended.ask(HOSPITAL, ASK), lambda: list(suspended.stream(HOSPITAL, STREAM))):
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.refusal is Refusal.SENDER_UNKNOWN
    suspended.close()


def test_an_endless_answer_is_given_up(peers: HttpPeers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_peers, "ANSWER_BYTES_MAX", 100)
    with pytest.raises(NotNow, match="at most 100 bytes"):
        peers.ask(HOSPITAL, ASK)


NOBODY_TO_ASK = {
    "no member": (OrganisationId("ZZ99"), "expected a member"),
    "a member without an endpoint": (STRANGER, "no endpoint"),
}


@pytest.mark.parametrize(("organisation", "words"), NOBODY_TO_ASK.values(), ids=NOBODY_TO_ASK)
def test_nobody_to_ask(organisation: OrganisationId, words: str, peers: HttpPeers, between: Between) -> None:
    with pytest.raises(Refused, match=words) as refused:
        peers.ask(organisation, ASK)
    assert refused.value.refusal is Refusal.SENDER_UNKNOWN
    assert between.requests == []


def test_not_now_when_the_own_ledger_is_away(
    peers: HttpPeers, served: Served, between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None:
        raise Unavailable("no ledger")

    monkeypatch.setattr(served.world.engine, "snapshot", gone)
    with pytest.raises(NotNow):
        peers.ask(HOSPITAL, ASK)
    assert between.requests == []


# Repetition


def test_a_lost_answer_is_asked_for_again_in_a_new_envelope(peers: HttpPeers, between: Between, heard: Heard) -> None:
    def lose_the_first(came: Raw) -> Raw:
        if len(between.requests) == 1:
            raise httpx2.ReadError("the connection was reset")
        return came

    between.alter = lose_the_first
    with pytest.raises(Refused) as refused:
        peers.ask(HOSPITAL, ASK)
    assert refused.value.refusal is Refusal.PERMIT_DEAD
    assert [ask for _, ask in heard] == [ASK, ASK]
    first, second = between.requests
    assert first.headers["signature-input"] != second.headers["signature-input"]
    assert first.content != second.content


def test_a_node_that_stays_away_is_not_now_after_a_few_attempts(
    peers: HttpPeers, between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(_came: Raw) -> Raw:
        raise httpx2.ReadTimeout("nothing came")

    monkeypatch.setattr(http_peers, "PAUSES_S", (0.0, 0.0))
    between.alter = lose
    with pytest.raises(NotNow, match="RVJ does not answer"):
        peers.ask(HOSPITAL, ASK)
    assert len(between.requests) == 3


def test_asks_share_a_connection(served: Served) -> None:
    peers = served.peers(PRACTICE)
    for _ in range(5):
        with pytest.raises(Refused):
            peers.ask(HOSPITAL, ASK)
    with pytest.raises(Refused):
        list(peers.stream(HOSPITAL, STREAM))
    assert len(peers._client._transport._pool.connections) == 1
    peers.close()


def test_a_proxy_in_the_environment_is_not_used(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    peers = served.peers(PRACTICE)
    with pytest.raises(Refused):
        peers.ask(HOSPITAL, ASK)
    peers.close()


def test_a_node_behind_a_gateway_with_a_path_of_its_own(served: Served) -> None:
    class Gateway(Between):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            assert request.url.path.startswith("/north/a81001/exchange/1/")
            fields = [*request.headers.raw, (b"X-Forwarded-Prefix", b"/north/a81001"), (b"Via", b"1.1 gateway")]
            inside = request.url.copy_with(path=request.url.path.removeprefix("/north/a81001"))
            return super().handle_request(httpx2.Request("POST", inside, headers=fields, content=request.content))

    gateway = Gateway()
    peers = served.peers(HOSPITAL, transport=gateway)
    with pytest.raises(Refused) as refused:
        peers.ask(PRACTICE, ASK)
    assert refused.value.refusal is Refusal.PERMIT_DEAD
    gateway.close()


# Streams


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_streams, "answer_stream", lambda _node, _sender, ask: iter(SEGMENTS[ask.place :]))


STREAM_ALTERED: dict[str, Alter] = {
    "cut after a frame": lambda came: came.but(content=came.content[: 2 * 5005]),
    "cut within a frame": lambda came: came.but(content=came.content[: 2 * 5005 + 100]),
    "a frame left out": lambda came: came.but(content=came.content[5005:]),
    "a byte changed": lambda came: came.but(content=came.content[:9] + b"!" + came.content[10:]),
    "no end": lambda came: came.but(content=came.content[: 4 * 5005]),
    "empty": lambda came: came.but(content=b""),
    "an unsigned refusal": lambda _: Raw(403, [], REFUSAL),
    "a gateway's own words": lambda _: Raw(200, [], b"<h1>Maintenance</h1>"),
}


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("alter", STREAM_ALTERED.values(), ids=STREAM_ALTERED)
def test_stream_altered(alter: Alter, peers: HttpPeers, between: Between) -> None:
    assert list(peers.stream(HOSPITAL, STREAM)) == SEGMENTS
    between.alter = alter
    with pytest.raises(NotNow):
        list(peers.stream(HOSPITAL, STREAM))


@pytest.mark.usefixtures("streaming")
def test_streams_of_two_parts_swapped(peers: HttpPeers, between: Between) -> None:
    kept: list[Raw] = []

    def swap(came: Raw) -> Raw:
        kept.append(came)
        return kept[0]

    between.alter = swap
    assert list(peers.stream(HOSPITAL, STREAM)) == SEGMENTS
    with pytest.raises(NotNow):
        list(peers.stream(HOSPITAL, StreamAsk(PermitId(bytes(16)), 1, 2)))


@pytest.mark.usefixtures("streaming")
def test_a_stream_that_drips_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_peers, "PACE_S", 0.0)
    peers = served.peers(PRACTICE)
    with pytest.raises(NotNow, match="bytes of the stream within"):
        list(peers.stream(HOSPITAL, STREAM))
    peers.close()


def test_a_devices_request_names_no_organisation(served: Served, between: Between) -> None:
    practice = served.world.practice
    directory = LedgerDirectory(practice.chain, practice.engine, practice.clock)
    device = HttpPeers(directory, sender=OrganisationId(""), key=SigningKey.generate(), transport=between)
    with pytest.raises(Refused) as refused:
        device.ask(HOSPITAL, PartAccept(PermitId(bytes(16)), 1, bytes(64)))
    assert refused.value.refusal is Refusal.SENDER_UNKNOWN
    assert between.requests[0].headers["salus-sender"] == "device"
    assert PRACTICE not in str(between.requests[0].headers)
