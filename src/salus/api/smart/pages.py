"""Pages for people, rendered here and whole without JavaScript, and the headers that keep others out of them (U4)."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import RedirectResponse, Response

_HERE: Final = Path(__file__).parent / "templates"
_TEMPLATES: Final = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined)
STYLE: Final = (_HERE / "smart.css").read_bytes()
STYLE_PATH: Final = "/oauth/smart.css"
KEPT_OUT: Final = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
PROBLEM: Final = "There is a problem"


class Pages:
    """The pages of one organisation, whose name each of them bears."""

    def __init__(self, organisation: str) -> None:
        self._organisation = organisation

    def page(self, template: str, /, *, status: int = 200, goes_to: str = "", **words: object) -> Response:
        """Render a page.

        Args:
            goes_to: a URI outside to which its form may lead; browsers stop every other.
        """
        known = {"style": STYLE_PATH, "organisation": self._organisation}
        body = _TEMPLATES.get_template(f"{template}.html").render(known | words)
        policy = [
            "default-src 'none'",
            "style-src 'self'",
            f"form-action 'self' {_source(goes_to)}".rstrip(),
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
        headers = {**KEPT_OUT, "content-security-policy": "; ".join(policy)}
        return Response(body, status, headers, media_type="text/html; charset=utf-8")

    def message(self, words: str, *, heading: str = PROBLEM, status: int = 400) -> Response:
        """Render a page that says one thing."""
        return self.page("message", status=status, heading=heading, words=words, is_problem=status >= 400)


def go(location: str) -> Response:
    """Send a browser on, with GET."""
    return RedirectResponse(location, 303, KEPT_OUT)


def sentence(words: str) -> str:
    """What a refusal says, as people write it."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _source(uri: str) -> str:
    """The part of a URI that a policy names; one of an app's own scheme is that scheme."""
    parts = urlsplit(uri)
    if not uri:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


_TEMPLATES.filters["sentence"] = sentence
