"""Plans: what to send and how to read what comes, without sending anything: the one core of both clients."""

import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from salus.sdk.client.errors import Rejected, Unavailable

FHIR_JSON: Final = "application/fhir+json"
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Ask:
    """A request. `url` is whole, or begins with a slash below the FHIR base, or with `//` below the server's root."""

    method: str
    url: str
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Came:
    """An answer; names of header fields in lower case."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Return the body's value. Raises Unavailable where it is no JSON: it is not this server that answers."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unavailable(f"expected JSON with status {self.status}: something else answered, try later") from error


T = TypeVar("T")
Plan = Generator[Ask, Came, T]


class _Native(msgspec.Struct, frozen=True):
    refusal: int
    words: str


class _Details(msgspec.Struct, frozen=True):
    text: str = ""


class _Issue(msgspec.Struct, frozen=True):
    code: str
    diagnostics: str = ""
    details: _Details = _Details()


class _Outcome(msgspec.Struct, tag_field="resourceType", tag="OperationOutcome"):
    issue: list[_Issue]


class _OAuth(msgspec.Struct, frozen=True):
    error: str
    error_description: str = ""


def asked(ask: Ask, *expected: int) -> Plan[Came]:
    """Send something and return the answer, if it has one of the expected statuses.

    Raises:
        Rejected: the server's rules say no.
        Unavailable: the server says *not now*, or answers in what this release does not know.
    """
    came = yield ask
    if came.status not in expected:
        raise failure_of(came)
    return came


def failure_of(came: Came) -> Rejected | Unavailable:
    """Return what an answer that was not expected says."""
    retry_after = came.headers.get("retry-after", "")
    retry_after_s = int(retry_after) if retry_after.isdecimal() else 0
    if came.status in (408, 429) or came.status >= 500:
        words = f"the server says not now (status {came.status}): try later"
        return Unavailable(words, retry_after_s=retry_after_s)
    if came.status < 400:
        return Unavailable(f"the server answers with status {came.status}, which this release does not expect")
    return _rejected(came)


def written(resource: Mapping[str, Any] | bytes) -> bytes:
    """Return a resource as it goes out; decimals as they are."""
    return resource if isinstance(resource, bytes) else _ENCODER.encode(resource)


def writing(method: str, url: str, body: bytes, **headers: str) -> Ask:
    """Return a write, with a request id of its own (NHS API standard)."""
    sent = {"content-type": FHIR_JSON} if body else {}
    named = {name.replace("_", "-"): value for name, value in headers.items() if value}
    return Ask(method, url, body, {"accept": FHIR_JSON, "x-request-id": str(uuid.uuid4()), **sent, **named})


def resolved(base: str, url: str) -> str:
    """Return a whole address; a token never goes to another server than the one that it is for.

    Raises:
        Unavailable: the address is of another server.
    """
    parts = urlsplit(base)
    root = f"{parts.scheme}://{parts.netloc}"
    if url.startswith("//"):
        return root + url[1:]
    whole = base + url if url.startswith("/") else url
    if not whole.startswith(root + "/"):
        raise Unavailable("expected a link of this server, came one of another: nothing was sent there")
    return whole


def _rejected(came: Came) -> Rejected:
    for kind in (_Outcome, _Native, _OAuth):
        try:
            said: Any = msgspec.json.decode(came.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if isinstance(said, _Native):
            return Rejected(came.status, said.words, number=said.refusal)
        if isinstance(said, _OAuth):
            return Rejected(came.status, said.error_description, code=said.error)
        if said.issue:
            words = said.issue[0].details.text or said.issue[0].diagnostics
            return Rejected(came.status, words, code=said.issue[0].code)
    return Rejected(came.status, "the server gives no reason")


_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
