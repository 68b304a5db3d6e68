"""Peers over HTTP: how one node, or a patient's device, asks another node (DESIGN §6, ADR 0001).

Promises: returns and raises what `LocalPeers` does; an answer counts only when the asked node signed it for this very
request; what did not arrive whole is *not now*. When a connection is lost the same ask is sent again in a new envelope:
asks are idempotent by permit and part. Never follows a redirect, never reads a proxy from the environment.
"""

import secrets
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeVar

import httpx2

from salus.contracts.membership import KeyUse
from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import OrganisationId
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, Ask, StreamAsk, TakeOverAsk
from salus.node.http_signatures import (
    NONCE_BYTES,
    MessageUnsigned,
    RequestHead,
    SignedRequest,
    gather,
    sign_request,
    verify_answer,
)
from salus.node.local_peers import raised
from salus.node.members import Directory, LedgerDirectory, Member
from salus.node.plain_answers import raise_plain
from salus.node.sealed_bodies import ASK_PATH, STREAM_PATH, Route, open_answer, seal_ask
from salus.node.sealed_streams import StreamSeal, read_segments

ASK_S: Final = 30.0
"""The whole of one ask, repetitions included: what the asked node itself may wait for its ledger, and no more."""
PERSON_S: Final = 6.0
"""The whole of an ask that changes nothing and for which somebody looks at an empty page: they try again."""
CONNECT_S: Final = 2.0
SILENCE_S: Final = 15.0
PAUSES_S: Final = (0.05, 0.25, 1.0)
"""Before the second attempt, the third, the fourth."""
PACE_BYTES: Final = 1 << 20
PACE_S: Final = 30.0
"""A stream that needs longer for so many bytes is given up."""
ANSWER_BYTES_MAX: Final = 256 << 20
PLAIN_BYTES_MAX: Final = 1 << 16
KEPT_ALIVE_S: Final = 30.0
CONNECTIONS_MAX: Final = 64

T = TypeVar("T")


@dataclass(frozen=True)
class _Envelope:
    """One ask, sealed and signed for one node."""

    member: Member
    route: Route
    request: SignedRequest
    body: bytes = field(repr=False)
    answer_key: bytes = field(repr=False)


class HttpPeers:
    """Other nodes by their registered endpoints and keys; may be used from any thread.

    Args:
        sender: who asks; empty for a patient's own device.
        key: the sender's registered http key; for a device the session key, or for a choice any fresh one.
        tls: how https endpoints are checked; None checks them as browsers do. Nothing but metadata rests on it.
        transport: what carries requests, instead of a pool of connections.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        sender: OrganisationId,
        key: SigningKey,
        tls: ssl.SSLContext | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._directory = directory
        self._sender = sender
        self._key = key
        self._client = httpx2.Client(
            trust_env=False,
            verify=tls or True,
            headers={"accept-encoding": "identity", "content-type": "application/octet-stream"},
            limits=httpx2.Limits(
                max_connections=CONNECTIONS_MAX,
                max_keepalive_connections=CONNECTIONS_MAX,
                keepalive_expiry=KEPT_ALIVE_S,
            ),
            transport=transport,
        )

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        """Ask another node. Raises Refused or NotNow as it answers, and NotNow when it does not."""
        until_s = time.monotonic() + (PERSON_S if isinstance(ask, TakeOverAsk) else ASK_S)
        return raised(_persistently(organisation, lambda: self._ask_once(organisation, ask, until_s), until_s=until_s))

    def stream(self, organisation: OrganisationId, ask: StreamAsk) -> Iterator[bytes]:
        """Receive sealed segments, each as it was stored. Raises like `ask`, also half way through."""
        until_s = time.monotonic() + ASK_S
        envelope, response = _persistently(
            organisation, lambda: self._send(organisation, STREAM_PATH, ask, until_s), until_s=until_s
        )
        try:
            if response.status_code != 200:
                _raise_unsealed(envelope, response, _read(response, PLAIN_BYTES_MAX, until_s))
            seal = StreamSeal(envelope.request, envelope.route, envelope.answer_key)
            yield from read_segments(_paced(response.iter_raw()), seal, envelope.member.http_key)
        except httpx2.TransportError as error:
            raise NotNow(f"the stream from {organisation} was cut ({type(error).__name__}): ask again") from error
        finally:
            response.close()

    def close(self) -> None:
        """End every connection."""
        self._client.close()

    def _ask_once(self, organisation: OrganisationId, ask: Ask, until_s: float) -> Answer:
        envelope, response = self._send(organisation, ASK_PATH, ask, until_s)
        try:
            body = _read(response, ANSWER_BYTES_MAX, until_s)
        finally:
            response.close()
        if response.status_code != 200:
            _raise_unsealed(envelope, response, body)
        _check(envelope, response, body)
        return open_answer(
            body, answer_key=envelope.answer_key, route=envelope.route, ask_digest=envelope.request.head.digest
        )

    def _send(
        self, organisation: OrganisationId, path: str, ask: Ask, until_s: float
    ) -> tuple[_Envelope, httpx2.Response]:
        envelope = self._envelope(organisation, path, ask)
        silence_s = max(0.001, min(ASK_S if path == ASK_PATH else SILENCE_S, until_s - time.monotonic()))
        try:
            request = self._client.build_request(
                "POST",
                envelope.member.endpoint + path,
                content=envelope.body,
                headers=envelope.request.fields(),
                timeout=httpx2.Timeout(silence_s, connect=CONNECT_S),
            )
        except httpx2.InvalidURL as error:
            raise NotNow(f"{organisation} has registered an endpoint that is no URL: it has to correct that") from error
        return envelope, self._client.send(request, stream=True)

    def _envelope(self, organisation: OrganisationId, path: str, ask: Ask) -> _Envelope:
        member, now_s = self._directory.look_up(organisation)
        if not member.endpoint:
            raise Refused(Refusal.SENDER_UNKNOWN, f"{organisation} has registered no endpoint: it cannot be asked")
        route = Route(self._directory.chain, self._sender, organisation, member.path(path))
        body, answer_key = seal_ask(ask, to=member.hpke_key, route=route)
        head = RequestHead(route.path, self._sender, organisation, sha256(body))
        request = sign_request(head, self._key, created_s=now_s, nonce=secrets.token_bytes(NONCE_BYTES))
        return _Envelope(member, route, request, body, answer_key)


def node_peers(node: Node, *, tls: ssl.SSLContext | None = None) -> HttpPeers:
    """Return what a node reaches the others by; see `HttpPeers`."""
    directory = LedgerDirectory(node.chain, node.engine, node.clock)
    return HttpPeers(directory, sender=node.organisation, key=node.signing(KeyUse.HTTP), tls=tls)


def device_peers(node: Node, key: SigningKey) -> HttpPeers:
    """Return what a patient's session reaches custodians by, from this node, as a device of theirs does."""
    directory = LedgerDirectory(node.chain, node.engine, node.clock)
    return HttpPeers(directory, sender=OrganisationId(""), key=key)


def _persistently(organisation: OrganisationId, attempt: Callable[[], T], *, until_s: float) -> T:
    """Try again when nothing, or only a part, came back."""
    for pause_s in (*PAUSES_S, None):
        try:
            return attempt()
        except httpx2.TransportError as error:
            if pause_s is None or time.monotonic() + pause_s > until_s:
                raise NotNow(f"{organisation} does not answer ({type(error).__name__}): try later") from error
            time.sleep(pause_s)
    raise AssertionError("the last attempt returns or raises")


def _read(response: httpx2.Response, size_bytes_max: int, until_s: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > size_bytes_max:
            raise NotNow(f"expected an answer of at most {size_bytes_max} bytes: more came")
        if time.monotonic() > until_s:
            raise NotNow("expected the whole answer sooner: try later")
    return bytes(body)


def _paced(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass a body on while it comes fast enough: who drips bytes must not hold a thread for ever."""
    passed_bytes, until_s = 0, time.monotonic() + PACE_S
    for chunk in chunks:
        passed_bytes += len(chunk)
        if passed_bytes >= PACE_BYTES:
            passed_bytes, until_s = 0, time.monotonic() + PACE_S
        elif time.monotonic() > until_s:
            raise NotNow(f"expected {PACE_BYTES} bytes of the stream within {PACE_S:.0f} s: try later")
        yield chunk


def _check(envelope: _Envelope, response: httpx2.Response, body: bytes) -> None:
    try:
        verify_answer(
            envelope.request,
            status=response.status_code,
            fields=gather(response.headers.raw),
            body=body,
            key=envelope.member.http_key,
        )
    except MessageUnsigned as error:
        raise NotNow(
            f"what came with status {response.status_code} is not {envelope.route.recipient}'s answer: {error}"
        ) from error


def _raise_unsealed(envelope: _Envelope, response: httpx2.Response, body: bytes) -> NoReturn:
    """Raise what an unsealed answer says, once it is known to be the asked node's."""
    _check(envelope, response, body)
    raise_plain(body)
