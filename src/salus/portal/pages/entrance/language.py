"""The language of the pages, chosen by a link at their foot."""

from starlette.responses import Response

from salus.portal.call import Call, Page, Person
from salus.portal.words import LANGUAGES


def show(call: Call) -> Response:
    """Remember a language and go back to the page."""
    wanted = call.path["language"]
    assert call.session is not None, "anybody's page begins a session"
    if wanted in LANGUAGES:
        return call.go(call.query.get("from", "/"), language=wanted)
    return call.go("/")


PAGE = Page("/language/{language}", Person.ANYBODY, show)
