"""Serves the verifier page: four files, to anybody, with nothing kept of who came and nothing taken in."""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from salus.portal.verifier.build import FILE_NAME, POLICY, PageFile, served_files

_HEADERS: Final = {
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def verifier_routes(prefix: str, trust: Callable[[], bytes] = bytes) -> list[Route]:
    """Return the routes of the page.

    Args:
        prefix: the path under which it is, with a slash at its end.
        trust: returns the trust file with which the page begins; empty for none.
    """
    paths = {"index.html": prefix}
    return [
        Route(paths.get(each.name, f"{prefix}{each.name}"), _serving(each.name, trust), methods=["GET"])
        for each in served_files()
    ]


def _serving(name: str, trust: Callable[[], bytes]) -> Callable[[Request], Response]:
    def serve(_: Request) -> Response:
        file: PageFile = next(each for each in served_files(trust()) if each.name == name)
        headers = _HEADERS | {"content-type": file.content_type}
        if name == FILE_NAME:
            headers["content-disposition"] = f'attachment; filename="{name}"'
        return Response(file.content, headers=headers)

    return serve
