"""Serves the signer page on its own origin: files, GET and HEAD, no cookie, nothing kept of who came."""

from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

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
    async def serve(_: Request) -> Response:
        return Response(file.content, headers=headers | {"content-type": file.content_type})

    return Route(path, serve, methods=["GET"])
