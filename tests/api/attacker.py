"""An attacker's tools: requests as a node makes them, with anything in them changed, on a bare connection."""

import http.client
import json
from dataclasses import dataclass, field, replace

from salus.contracts.membership import KeyUse
from salus.crypto.hashing import sha256
from salus.crypto.hpke import seal_to
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId, PermitId
from salus.node.exchange import Ask, PartAccept
from salus.node.http_signatures import RequestHead, SignedRequest, sign_request
from salus.node.sealed_bodies import ASK_PATH, Route, ask_info, open_answer, seal_ask
from salus.testing.world import HOSPITAL, PRACTICE, World
from tests.api.exchange_world import Served

ASK = PartAccept(PermitId(bytes(16)), 1, bytes(64))
"""What an honest custodian answers with PERMIT_DEAD, sealed: proof that a request was heard."""


@dataclass(frozen=True)
class Came:
    """What came back."""

    status: int
    fields: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def refusal(self) -> int:
        """The number in a plain answer."""
        return json.loads(self.body)["refusal"]


@dataclass(frozen=True)
class Forged:
    """A request about to be sent; every part can be replaced."""

    world: World
    ask: Ask = ASK
    sender: OrganisationId = PRACTICE
    recipient: OrganisationId = HOSPITAL
    path: str = ASK_PATH
    signed_path: str = ASK_PATH
    chain: str = ""
    key: SigningKey | None = None
    age_s: int = 0
    nonce: bytes = b""
    plain: bytes | None = None
    body: bytes | None = None
    fields: dict[str, str | None] = field(default_factory=dict)
    method: str = "POST"

    def but(self, **changes: object) -> "Forged":
        """The same with other parts."""
        return replace(self, **changes)

    def route(self) -> Route:
        """Between whom the body is sealed."""
        return Route(self.chain or self.world.genesis.chain, self.sender, self.recipient, self.signed_path)

    def sealed(self) -> tuple[bytes, bytes]:
        """The body and its answer key."""
        to = self.world.keys[self.recipient].hpke().public
        if self.plain is not None:
            return seal_to(to, self.plain, info=ask_info(self.route())), bytes(32)
        return seal_ask(self.ask, to=to, route=self.route())

    def signed(self, body: bytes) -> SignedRequest:
        """The request's signature."""
        head = RequestHead(self.signed_path, self.sender, self.recipient, sha256(body))
        key = self.key or self.world.keys[self.sender].signing(KeyUse.HTTP)
        created_s = self.world.nodes[HOSPITAL].clock() - self.age_s
        return sign_request(head, key, created_s=created_s, nonce=self.nonce or SigningKey.generate().seed[:16])


def plain_ask(ask: object, *, answer_key: bytes = bytes(32)) -> bytes:
    """The inside of a body, not padded."""
    return encode((answer_key, ask, b""))


def send(served: Served, forged: Forged, *, to: OrganisationId = HOSPITAL) -> Came:
    """Send a request over a connection of its own."""
    body, _ = forged.sealed()
    request = forged.signed(body)
    return post(served, request, body if forged.body is None else forged.body, forged, to=to)


def post(served: Served, request: SignedRequest, body: bytes, forged: Forged, *, to: OrganisationId = HOSPITAL) -> Came:
    """Send a signed request with this body and the fields that are to be changed."""
    fields = {name: value for name, value in (request.fields() | forged.fields).items() if value is not None}
    return raw(served, forged.method, forged.path, body, fields, to=to)


def raw(
    served: Served, method: str, path: str, body: bytes, fields: dict[str, str], *, to: OrganisationId = HOSPITAL
) -> Came:
    """Send anything."""
    connection = http.client.HTTPConnection("127.0.0.1", served.ports[to], timeout=60)
    try:
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        return Came(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def answer_in(came: Came, forged: Forged, body: bytes, answer_key: bytes) -> object:
    """Open a sealed answer."""
    return open_answer(came.body, answer_key=answer_key, route=forged.route(), ask_digest=sha256(body))
