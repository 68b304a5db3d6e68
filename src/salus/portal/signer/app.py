"""Serves the signer page on its own origin: files, GET and HEAD, no cookie, nothing kept of who came."""

from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from salus.crypto.hashing import sha256
from salus.portal.signer import PageFile, Signer

_HEADERS: Final = {
    "cache-control": "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "publickey-credentials-create=(self), publickey-credentials-get=(self)",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def signer_app(signer: Signer) -> Starlette:
    """Return the application of the page. Whoever serves it turns access logs off."""
    manifest = PageFile("manifest.txt", "text/plain; charset=utf-8", signer.manifest().encode())
    pages = {f"/{each.path}": each for each in (*signer.files, manifest)}
    pages["/"] = pages["/index.html"]
    headers = _HEADERS | {"content-security-policy": signer.policy}
    return Starlette(routes=[_route(path, each, headers) for path, each in pages.items()])


def _route(path: str, file: PageFile, headers: dict[str, str]) -> Route:
    tag = f'"{sha256(file.content).hex()}"'  # a browser asks each time, and fetches only what is new to it
    whole = headers | {"content-type": file.content_type, "etag": tag}

    async def serve(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers | {"etag": tag})
        return Response(file.content, headers=whole)

    return Route(path, serve, methods=["GET"])
