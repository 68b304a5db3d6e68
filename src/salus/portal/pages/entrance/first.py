"""The first page: whoever is signed in goes on to what they come for, everybody else to signing in."""

from starlette.responses import Response

from salus.portal.call import HOMES, Call, Page, Person


def show(call: Call) -> Response:
    """Send the browser on."""
    return call.go(HOMES.get(call.person, "/sign-in" if call.account is None else "/devices"))


PAGE = Page("/", Person.ANYBODY, show)
