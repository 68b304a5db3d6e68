"""The signer page's two calls: it fetches what it is asked to sign, and answers (docs/spec/signer.md, "The exchange").

Promises: the page's own origin is answered and no other; there is no cookie in it; an id is in no log. What comes of an
answer is decided where the person comes back to, by the session that asked.
"""

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from salus.node.answer import plainly
from salus.node.errors import NotNow, Refused
from salus.node.services import ledger_reads
from salus.node.services.signer_answers import ANSWER_BYTES_MAX
from salus.portal.uploads import read_body

if TYPE_CHECKING:
    from salus.portal.app import Portal

_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_PREFLIGHT: Final = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": "600",
}


def signing_routes(portal: "Portal") -> list[Route]:
    """Return where the signer page calls; nothing where there is none."""
    path, methods = "/signing/{id}", ["GET", "POST", "OPTIONS"]
    return [Route(path, _answering(portal), methods=methods)] if portal.settings.signer else []


def _answering(portal: "Portal") -> Callable[[Request], Awaitable[Response]]:
    headers = {
        "access-control-allow-origin": portal.settings.signer,
        "vary": "Origin",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }

    async def answer(http: Request) -> Response:
        if http.headers.get("origin") != portal.settings.signer:
            return Response(status_code=403, headers={"cache-control": "no-store", "vary": "Origin"})
        if http.method == "OPTIONS":
            return Response(status_code=204, headers=headers | _PREFLIGHT)
        name = http.path_params["id"]
        if not _ID.fullmatch(name) or http.method == "HEAD":
            return Response(status_code=404, headers=headers)
        try:
            if http.method == "GET":
                asked = await portal.threads.run(lambda: _fetched(portal, name))
                return _json(asked, headers)
            if http.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return Response(status_code=400, headers=headers)
            raw = await read_body(http, bytes_max=ANSWER_BYTES_MAX)
            is_kept = await portal.threads.run(lambda: _kept(portal, name, raw))
            return Response(status_code=204 if is_kept else 404, headers=headers)
        except Refused:
            return Response(status_code=400, headers=headers)
        except NotNow:
            return Response(status_code=503, headers=headers)

    return answer


def _fetched(portal: "Portal", name: str) -> bytes | None:
    with plainly():
        names = {each.organisation: each.name for each in ledger_reads.members(portal.node)}
        return portal.signings.fetch(name, names)


def _kept(portal: "Portal", name: str, raw: bytes) -> bool:
    with plainly():
        return portal.signings.answer(name, raw)


def _json(asked: bytes | None, headers: dict[str, str]) -> Response:
    if asked is None:
        return Response(status_code=404, headers=headers)
    return Response(asked, headers=headers, media_type="application/json")
