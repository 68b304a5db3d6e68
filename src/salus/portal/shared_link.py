"""A link that a patient gave out, as programs ask for it: its manifest and its files (SMART Health Links).

Anybody may ask, from any page and without a cookie: what lets them in is the link's address and its passcode, and what
they get is encrypted under a key that no address has. Promises: a link that never was, has ended or was used up has one
answer; a passcode is in no address, and nothing of a request in a log.
"""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from salus.node.answer import plainly
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.services.link_openings import CONTENT_TYPE, Ask, Opened, PasscodeWrong
from salus.portal.uploads import read_body

if TYPE_CHECKING:
    from salus.portal.app import Portal

VIEWER: Final = "/link"
PREFIX: Final = "shlink:/"
BODY_BYTES_MAX: Final = 4_096
EMBEDDED_MAX: Final = 16_000_000
"""Characters of a document that stands in the manifest, however much the asker would take."""
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_HEADERS: Final = {
    "access-control-allow-origin": "*",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
_PREFLIGHT: Final = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": "600",
}
_STATUS: Final = {Refusal.NOT_YOURS: 404, Refusal.TOO_MANY: 429}

log = structlog.get_logger("salus.portal.links")


class ManifestAsk(msgspec.Struct, frozen=True, rename={"embedded_length_max": "embeddedLengthMax"}):
    """A request for a manifest; what else stands in it is passed over."""

    recipient: str
    passcode: str = ""
    embedded_length_max: int | None = None

    def __repr__(self) -> str:
        """Hide who asks."""
        return "ManifestAsk(…)"


class File(msgspec.Struct, frozen=True, omit_defaults=True, rename={"content_type": "contentType"}):
    """A file: where it is fetched, or all of it."""

    content_type: str
    location: str = ""
    embedded: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What a link gives out."""

    files: tuple[File, ...]
    status: str = "finalized"


def encoded(secret: bytes) -> str:
    """Return bytes as they stand in addresses and links (RFC 4648 5, without padding)."""
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


def link_text(*, url: str, key: bytes, label: str, until_s: int) -> str:
    """Return a link as it is given out (SMART Health Links, payload): it needs a passcode, and says so."""
    payload = {"url": url, "key": encoded(key), "exp": until_s, "flag": "P", "label": label, "v": 1}
    return PREFIX + encoded(msgspec.json.encode(payload))


def shared_link_routes(portal: "Portal") -> list[Route]:
    """Return where programs ask for what a link gives out."""
    methods = ["GET", "POST", "OPTIONS"]
    return [
        Route(f"{VIEWER}/file/{{token}}", _answering(portal, "GET", _file), methods=methods),
        Route(f"{VIEWER}/{{secret}}", _answering(portal, "POST", _manifest), methods=methods),
    ]


Handler = Callable[["Portal", Request, bytes], Awaitable[Response]]
T = TypeVar("T")


def _answering(portal: "Portal", method: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(http: Request) -> Response:
        if http.method == "OPTIONS":
            return Response(status_code=204, headers=_HEADERS | _PREFLIGHT)
        if http.method != method:
            return Response(status_code=405, headers=_HEADERS | {"allow": f"{method}, OPTIONS"})
        try:
            body = await read_body(http, bytes_max=BODY_BYTES_MAX)
            return await handler(portal, http, body)
        except PasscodeWrong as wrong:
            return _json({"remainingAttempts": wrong.tries_left}, status=401)
        except Refused as refused:
            log.info("portal.link_refused", refusal=refused.refusal)
            return _json({"error": refused.words}, status=_STATUS.get(refused.refusal, 400))
        except NotNow:
            return Response(status_code=503, headers=_HEADERS | {"retry-after": "2"})

    return answer


async def _run(portal: "Portal", work: Callable[[], T]) -> T:
    """Do some work in one of the portal's threads; nobody is waited for in one."""

    def done() -> T:
        with plainly():
            return work()

    return await portal.threads.run(done)


async def _manifest(portal: "Portal", http: Request, body: bytes) -> Response:
    """Open a link, and say where its one file is; the file itself where that is wanted and fits."""
    ask, embedded_max = _read(http, body)
    opened = await _run(portal, lambda: portal.openings.open(_secret(http.path_params["secret"]), ask))
    if embedded_max is not None:
        await portal.openings.settle(opened)
    file = await _run(portal, lambda: _wanted(portal, opened, embedded_max))
    return _json(msgspec.to_builtins(Manifest((file,))), status=200)


def _read(http: Request, body: bytes) -> tuple[Ask, int | None]:
    """Return who asks, and how much of a file they would take in the manifest. Raises Refused: MESSAGE_UNFIT."""
    try:
        ask = msgspec.json.decode(body, type=ManifestAsk)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Refusal.MESSAGE_UNFIT, "expected recipient and passcode as JSON") from error
    if not ask.passcode:
        raise Refused(Refusal.MESSAGE_UNFIT, "expected a passcode: this link has one")
    address = http.client.host if http.client is not None else ""
    return Ask(ask.recipient, ask.passcode, address), ask.embedded_length_max


def _wanted(portal: "Portal", opened: Opened, embedded_max: int | None) -> File:
    if embedded_max is not None:
        content = portal.openings.file(opened)
        if len(content) <= min(embedded_max, EMBEDDED_MAX):
            return File(CONTENT_TYPE, embedded=content)
    token = portal.openings.address_of(opened)
    return File(CONTENT_TYPE, location=f"{portal.settings.origin}{VIEWER}/file/{token}")


async def _file(portal: "Portal", http: Request, _body: bytes) -> Response:
    opened = await _run(portal, lambda: portal.openings.at(http.path_params["token"]))
    await portal.openings.settle(opened)
    content = await _run(portal, lambda: portal.openings.file(opened))
    return Response(content, headers=_HEADERS, media_type="application/jose")


def _secret(text: str) -> bytes:
    """Return the secret of an address; of what is none, bytes that no link has."""
    try:
        return base64.urlsafe_b64decode(text + "=") if _SECRET.fullmatch(text) else b""
    except binascii.Error:
        return b""


def _json(said: object, *, status: int) -> Response:
    return Response(msgspec.json.encode(said), status, _HEADERS, media_type="application/json")
