"""Sign in at an outside provider, such as CIS2 or NHS login, and come back."""

from typing import Final

from starlette.responses import Response

from salus.portal.call import Call, Page, Person
from salus.portal.pages.entrance.sign_in import signed_in
from salus.portal.rendering import go


def begin(call: Call) -> Response:
    """Send the browser to the provider."""
    begun, location = call.portal.outside.begin(call.path["provider"])
    assert call.session is not None, "a form's token was this session's"
    call.portal.sessions.change(call.session, begun=(begun,))
    return go(location)


def finish(call: Call) -> Response:
    """The browser comes back; what it was asked counts once. Raises Refused: SIGN_IN_UNFIT, TOO_MANY."""
    begun = call.session.state.begun if call.session else ()
    if call.session is not None:
        call.portal.sessions.change(call.session, begun=())
    with call.portal.accounts.tried_from(call.address):
        who = call.portal.outside.finish(call.path["provider"], begun, dict(call.query))
        account = call.portal.accounts.sign_in_linked(issuer=who.issuer, subject=who.subject)
    return signed_in(call, account, way=call.path["provider"], level=who.level)


PAGES: Final = (
    Page("/sign-in/with/{provider}", Person.ANYBODY, None, begin),
    Page("/sign-in/with/{provider}/back", Person.ANYBODY, finish),
)
