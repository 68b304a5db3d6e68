"""Rendering: templates whole on the server, and the headers that keep others out of a page (U4).

Every page is made of NHS.UK frontend's components and asks nobody else for anything: the policy allows no other origin
and no script that is not a file of ours.
"""

import dataclasses
from pathlib import Path
from typing import Any, Final

from jinja2 import ChainableUndefined, ChoiceLoader, Environment, FileSystemLoader, PackageLoader, UndefinedError
from starlette.responses import RedirectResponse, Response

from salus.portal.assets import assets

HERE: Final = Path(__file__).parent
POLICY: Final = (
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
)
KEPT_OUT: Final = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), "
    "publickey-credentials-create=(self), publickey-credentials-get=(self)",
    "referrer-policy": "same-origin",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
HTML: Final = "text/html; charset=utf-8"


class _Undefined(ChainableUndefined):
    """What a template names and nobody gave: nothing in a component's options, a mistake of ours in a page's view."""

    def __init__(self, hint: str | None = None, obj: Any = None, name: str | None = None, exc: Any = UndefinedError):
        if dataclasses.is_dataclass(obj):
            raise UndefinedError(f"{type(obj).__name__} has no {name}")
        super().__init__(hint, obj, name, exc)


def _environment() -> Environment:
    loader = ChoiceLoader([FileSystemLoader(HERE), PackageLoader("nhsuk_frontend_jinja", "templates")])
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=_Undefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.globals["asset"] = lambda name: assets().url(name)
    return environment


_TEMPLATES: Final = _environment()


def rendered(template: str, known: dict[str, object], *, status: int = 200, goes_to: str = "") -> Response:
    """Render a page.

    Args:
        template: its file, from this folder.
        goes_to: other origins to which its forms may lead; browsers stop every other.
    """
    body = _TEMPLATES.get_template(template).render(known)
    policy = "; ".join((*POLICY, f"form-action 'self' {goes_to}".rstrip()))
    return Response(body, status, {**KEPT_OUT, "content-security-policy": policy}, media_type=HTML)


def go(location: str) -> Response:
    """Send a browser on, with GET."""
    return RedirectResponse(location, 303, KEPT_OUT)
