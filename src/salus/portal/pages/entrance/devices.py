"""Devices: where this account is signed in, its passkeys, and what ends either."""

import re
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from salus.node.services.passkeys import KeptPasskey
from salus.portal.call import Call, Page, Person
from salus.portal.sessions import PortalSession

_BROWSERS: Final = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class SessionRow:
    """A browser that is signed in."""

    name: str
    device: str
    since: str
    seen: str
    is_this: bool


@dataclass(frozen=True)
class PasskeyRow:
    """A passkey."""

    name: str
    device: str
    since: str


def show(call: Call) -> Response:
    """The page."""
    sessions = call.portal.sessions.all_of(call.signed_in)
    passkeys = call.portal.passkeys.of(call.signed_in.account)
    return call.page(
        "pages/entrance/devices.html",
        title=call.words("Your devices"),
        sessions=[_session(call, each) for each in sessions],
        passkeys=[_passkey(call, each) for each in passkeys],
    )


def answer(call: Call) -> Response:
    """Sign one browser out, or forget one passkey."""
    if other := call.form.get("session", ""):
        call.portal.sessions.end_other(call.signed_in, other)
        return call.go("/devices", notice=call.words("That device is signed out"))
    passkey = call.form.get("passkey", "")
    if re.fullmatch(r"[0-9a-f]{64}", passkey):
        call.portal.passkeys.remove(call.signed_in.account, bytes.fromhex(passkey))
        call.portal.sessions.end_by_passkey(call.signed_in, bytes.fromhex(passkey))
    return call.go("/devices", notice=call.words("That device can no longer sign in by itself"))


def _session(call: Call, session: PortalSession) -> SessionRow:
    state = session.state
    return SessionRow(
        call.portal.sessions.name_of(session),
        device_of(call, state.agent),
        call.words.moment(state.signed_in_s),
        call.words.moment(state.seen_s),
        session.bearer.lookup == call.signed_in.bearer.lookup,
    )


def _passkey(call: Call, kept: KeptPasskey) -> PasskeyRow:
    return PasskeyRow(kept.lookup.hex(), kept.passkey.name, call.words.day(kept.passkey.made_s))


def device_of(call: Call, agent: str) -> str:
    """What a browser says that it is, in words that people know."""
    browser = next((words for sign, words in _BROWSERS if sign in agent), call.words("A browser"))
    system = next((words for sign, words in _SYSTEMS if sign in agent), "")
    return call.words("%(browser)s on %(system)s") % {"browser": browser, "system": system} if system else browser


PAGES: Final = (Page("/devices", Person.SIGNED_IN, show, answer),)
