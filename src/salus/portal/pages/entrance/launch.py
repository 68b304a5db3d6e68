"""Launch: a clinician comes from another system, with a patient open there and no second sign-in (SMART EHR launch)."""

from typing import Final

from starlette.responses import Response

from salus.node.acting import Capacity
from salus.node.errors import Refusal, Refused
from salus.node.services.accounts import Account, AccountId
from salus.node.services.launches import LaunchedBy
from salus.portal.call import Call, Page, Person
from salus.portal.rendering import go


def begin(call: Call) -> Response:
    """Send the browser back to the other system, which says who it is."""
    try:
        begun, location = call.portal.launches.begin(call.query.get("iss", ""), call.query.get("launch", ""))
    except Refused:
        return _not_opened(call)
    assert call.session is not None, "anybody's page begins a session"
    call.portal.sessions.change(call.session, launching=(begun,))
    return go(location)


def finish(call: Call) -> Response:
    """The browser comes back.

    1. It is the launch that this browser began, which counts once.
    2. Somebody who treats patients here is linked to whoever signed in there.
    3. Read whom they had open; only then does anybody sign in, under a new cookie.
    """
    portal, name, begun = call.portal, call.path["system"], call.session.state.launching if call.session else ()
    if call.session is not None:
        portal.sessions.change(call.session, launching=())
    try:
        with portal.accounts.tried_from(call.address):
            came = portal.launches.finish(name, begun, dict(call.query))  # 1
    except Refused as refused:
        if refused.refusal is Refusal.TOO_MANY:
            raise
        return _not_opened(call)
    found = _clinician(call, came)  # 2
    if found is None:
        return _not_known(call, came)
    try:
        launched = portal.launches.patient_of(name, came)  # 3
    except Refused:
        return _not_opened(call)
    response = go("/launch/patient")
    account, known = found
    session = portal.sign_in(response, account, known, call.session, way=name, level=came.level, agent=call.agent)
    portal.sessions.change(session, launched=(launched,))
    return response


def _clinician(call: Call, came: LaunchedBy) -> tuple[AccountId, Account] | None:
    """Return the account of a clinician who is certified here; None where there is none for whoever came."""
    accounts = call.portal.accounts
    try:
        account = accounts.sign_in_linked(issuer=came.issuer, subject=came.user)
        known = accounts.find(account)
        if known is None or known.capacity is not Capacity.CLINICIAN:
            return None
        accounts.hold(known)
    except Refused as refused:
        if refused.refusal not in (Refusal.SIGN_IN_UNFIT, Refusal.PERSON_UNFIT):
            raise
        return None
    return account, known


def _not_opened(call: Call) -> Response:
    title = call.words("This record was not opened")
    return call.page("pages/entrance/not_launched.html", title=title, system="", status=403)


def _not_known(call: Call, came: LaunchedBy) -> Response:
    title = call.words("You cannot open records here yet")
    return call.page("pages/entrance/not_launched.html", title=title, system=came.system, status=403)


PAGES: Final = (
    Page("/launch", Person.ANYBODY, begin),
    Page("/launch/{system}/back", Person.ANYBODY, finish),
)
