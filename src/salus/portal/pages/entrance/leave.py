"""Leave: out of these pages at once, signed out, to a page that says nothing of anybody."""

from typing import Final

from starlette.responses import Response

from salus.portal.call import Call, Page, Person
from salus.portal.rendering import go, rendered

WEATHER: Final = "https://www.bbc.co.uk/weather"
"""Where GOV.UK's own button leads (Exit this page)."""


def answer(call: Call) -> Response:
    """Sign out, and send the browser away."""
    response = go("/left")
    call.portal.end(response, call.signed_in)
    return response


def show(call: Call) -> Response:
    """A page without a word of ours, which leads away by itself."""
    response = rendered("pages/entrance/left.html", {"language": call.words.language, "leave_to": WEATHER})
    response.headers["refresh"] = f"0; url={WEATHER}"
    return response


PAGES: Final = (
    Page("/leave", Person.ANYBODY, None, answer),
    Page("/left", Person.ANYBODY, show),
)
