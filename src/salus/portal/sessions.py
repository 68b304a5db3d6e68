"""Sessions: what is known of a person's browser between one page and the next, under a cookie that only names it.

Promises: signing in gives a new cookie, so that one that was planted before is worth nothing; every form carries a
token of this session; half an hour without a page, or twelve hours, end it; so do signing out here, signing out
everywhere, and the end of whatever the person acts by (R3). Nothing of it is in an address.
"""

import hmac
import secrets
from dataclasses import dataclass
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from salus.node.assemble import Node
from salus.node.bearers import Bearer, BearerKind, Bearers
from salus.node.errors import Refusal, Refused
from salus.node.people import HeldSession
from salus.node.services.accounts import AccountId
from salus.node.services.launches import LaunchedPatient
from salus.node.services.outside_sign_in import Begun
from salus.node.services.sign_in_ends import sign_out_everywhere
from salus.portal.open_patients import OpenPatient

COOKIE: Final = "__Host-salus-portal"
SIGNED_IN_S: Final = 12 * 3600
IDLE_S: Final = 1_800
STRANGER_S: Final = 3_600
"""How long a browser that nobody has signed in with is remembered."""
SEEN_EVERY_S: Final = 60
"""How exactly it is known when a page was last asked for."""


class Helping(msgspec.Struct, frozen=True, array_like=True):
    """That somebody acts for a patient: in which account, and the sessions that are their own meanwhile."""

    account: bytes
    own: tuple[HeldSession, ...]

    def __repr__(self) -> str:
        """Hide all of it."""
        return "Helping(…)"


class PortalState(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a browser. Times in Unix seconds.

    Args:
        form: what every form of it carries.
        language: in which it is spoken to.
        account: who is signed in, or empty; way: by what; level: as an outside provider said it.
        agent: what the browser says that it is, for the list of devices.
        signed_in_s: when; seen_s: when it last asked for a page.
        held: the sessions in which the person asks: the first is with this organisation. None while a patient's own
            device has not certified them.
        begun: a sign-in that has begun elsewhere: one, or none; launching: the same of a launch from another system.
        launched: whom a clinician had open there, until they have said why here: one, or none.
        challenge: of a passkey that was asked for, or empty.
        next: the page to go to after signing in; a path of ours.
        notice, not_done: what the next page says at its top, once: what was done, or what was not.
        answers: what was answered so far on the pages of one question each.
        patient: whom a clinician has open: one, or none; found: whom they may open, in the order shown.
        collected, histories, choices: what a patient's other custodians were asked; empty where nobody was.
        helping: the patient for whom somebody acts: one, or none; `held` is then the delegate's session alone.
        passkey: by which the person signed in here, or which they added here; empty for none.
    """

    form: str
    language: str = "en"
    account: bytes = b""
    way: str = ""
    level: str = ""
    agent: str = ""
    signed_in_s: int = 0
    seen_s: int = 0
    held: tuple[HeldSession, ...] = ()
    begun: tuple[Begun, ...] = ()
    challenge: bytes = b""
    next: str = ""
    notice: str = ""
    answers: tuple[tuple[str, str], ...] = ()
    patient: tuple[OpenPatient, ...] = ()
    found: tuple[OpenPatient, ...] = ()
    collected: bytes = b""
    histories: bytes = b""
    helping: tuple[Helping, ...] = ()
    launching: tuple[Begun, ...] = ()
    launched: tuple[LaunchedPatient, ...] = ()
    choices: bytes = b""
    not_done: str = ""
    passkey: bytes = b""

    def __repr__(self) -> str:
        """Hide all of it."""
        return "PortalState(…)"


@dataclass(frozen=True)
class PortalSession:
    """A browser that was here before."""

    bearer: Bearer[PortalState]

    @property
    def state(self) -> PortalState:
        """What is known of it."""
        return self.bearer.value

    @property
    def account(self) -> AccountId:
        """Who is signed in; empty for nobody."""
        return AccountId(self.state.account)

    @property
    def own(self) -> tuple[HeldSession, ...]:
        """The sessions of whoever is signed in, also while they act for somebody else."""
        return self.state.helping[0].own if self.state.helping else self.state.held


class Sessions:
    """The sessions of one portal."""

    def __init__(self, node: Node, bearers: Bearers, *, origin: str) -> None:
        self._node = node
        self._bearers = bearers
        self._origin = origin

    def find(self, http: Request) -> PortalSession | None:
        """Return the session that a request is of; None for a browser that is new here, or was away for too long."""
        found = self._bearers.find(BearerKind.PORTAL, http.cookies.get(COOKIE, ""), PortalState)
        if found is None:
            return None
        now_s, state = self._node.clock(), found.value
        if state.account and now_s - state.seen_s > IDLE_S:
            self._bearers.drop(found.lookup)
            return None
        session = PortalSession(found)
        return session if now_s - state.seen_s < SEEN_EVERY_S else self.change(session, seen_s=now_s)

    def begin(
        self, response: Response, old: PortalSession | None, known: PortalState, *, pseudonym: bytes = b""
    ) -> PortalSession:
        """Give a browser a new cookie and a new form token, and forget the one that it had; return what it has then.

        Args:
            pseudonym: of the patient who is signed in, whose erasure ends it; else empty.
        """
        now_s = self._node.clock()
        state = msgspec.structs.replace(known, form=secrets.token_urlsafe(16), seen_s=now_s)
        if old is not None:
            self._bearers.drop(old.bearer.lookup)
        until_s = now_s + (SIGNED_IN_S if state.account else STRANGER_S)
        token = self._bearers.issue(BearerKind.PORTAL, state, until_s=until_s, grant=state.account, pseudonym=pseudonym)
        response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")
        found = self._bearers.find(BearerKind.PORTAL, token, PortalState)
        assert found is not None, "what was just made"
        return PortalSession(found)

    def drop(self, session: PortalSession) -> None:
        """Forget a session."""
        self._bearers.drop(session.bearer.lookup)

    def change(self, session: PortalSession, **known: object) -> PortalSession:
        """Remember something more, beside what other requests of the same browser have changed meanwhile.

        Returns:
            The session as it is then; as it was, of one that has ended.
        """
        changed = self._bearers.change(session.bearer, PortalState, lambda now: msgspec.structs.replace(now, **known))
        return session if changed is None else PortalSession(changed)

    def stands(self, session: PortalSession) -> bool:
        """Tell whether a session has not ended; whoever is just ending it is waited for."""
        return self._bearers.change(session.bearer, PortalState, lambda now: now) is not None

    def end(self, response: Response, session: PortalSession) -> None:
        """Forget a browser; it is told to forget what it kept of our pages as well."""
        self._bearers.drop(session.bearer.lookup)
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        response.headers["clear-site-data"] = '"cache", "storage"'

    def all_of(self, session: PortalSession) -> list[PortalSession]:
        """Return every session of the same account, this one included, the latest first."""
        found = [PortalSession(each) for each in self._bearers.of(BearerKind.PORTAL, session.account, PortalState)]
        return sorted(found, key=lambda each: (-each.state.signed_in_s, each.bearer.lookup))

    def end_other(self, session: PortalSession, name: str) -> None:
        """End one of the same account's sessions by its name; another's, or none, is left as it is."""
        for each in self.all_of(session):
            if hmac.compare_digest(self.name_of(each), name):
                self._bearers.drop(each.bearer.lookup)

    def end_by_passkey(self, session: PortalSession, passkey: bytes) -> None:
        """End the same account's other sessions of the device whose passkey this is."""
        for each in self.all_of(session):
            if each.state.passkey == passkey and each.bearer.lookup != session.bearer.lookup:
                self._bearers.drop(each.bearer.lookup)

    def end_all(self, account: AccountId) -> None:
        """End every session of an account, here and for apps, and every app that it let in."""
        with self._node.vault.database.writing() as connection:
            sign_out_everywhere(connection, account)

    def name_of(self, session: PortalSession) -> str:
        """Return how a form names a session of the same account: not what its cookie says."""
        return session.bearer.lookup.hex()[:16]

    def require_form(self, http: Request, session: PortalSession | None, form: dict[str, str]) -> PortalSession:
        """Return the session whose own form this is. Raises Refused: anybody else made it (CSRF)."""
        given = form.get("form", "").encode()
        is_own = session is not None and hmac.compare_digest(given, session.state.form.encode())
        comes_from = http.headers.get("origin", self._origin)
        is_here = comes_from == self._origin and http.headers.get("sec-fetch-site", "same-origin") == "same-origin"
        if session is None or not is_own or not is_here:
            raise Refused(Refusal.FORM_UNFIT, "this form is not from this page, or it is too old: open it again")
        return session
