"""Sign out, here or everywhere."""

from typing import Final

from starlette.responses import Response

from salus.portal.call import Call, Page, Person
from salus.portal.rendering import go


def answer(call: Call) -> Response:
    """End this session, or every session of the account."""
    if call.form.get("everywhere"):
        call.portal.sessions.end_all(call.signed_in.account)
    response = go("/signed-out")
    call.portal.end(response, call.signed_in)
    return response


def show(call: Call) -> Response:
    """Say that it is done."""
    return call.page("pages/entrance/signed_out.html", title=call.words("You are signed out"))


PAGES: Final = (
    Page("/sign-out", Person.SIGNED_IN, None, answer),
    Page("/signed-out", Person.ANYBODY, show),
)
