"""Browsers: what is known of a person's browser between one page and the next, under a cookie that only names it.

Promises: signing in gives a new cookie, so that one that was planted before is worth nothing; every form carries a
token that is this browser's and this request's; nothing of it is in an address.
"""

import hmac
import secrets
from dataclasses import dataclass
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from salus.api.smart.answers import OAuthFailure
from salus.api.smart.authorization import Asked
from salus.node.assemble import Node
from salus.node.bearers import Bearer, BearerKind, Bearers
from salus.node.services.accounts import AccountId
from salus.node.services.outside_sign_in import Begun

COOKIE: Final = "__Host-salus"
BROWSER_S: Final = 3600


class BrowserState(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a browser.

    Args:
        account: who is signed in, or empty; level: as an outside provider said it.
        form: what every form of it carries.
        asked: what an app asks for: one, or none; patient: who is in context, or empty.
        outside: a sign-in that has begun elsewhere: one, or none.
    """

    form: str
    account: bytes = b""
    level: str = ""
    asked: tuple[Asked, ...] = ()
    patient: bytes = b""
    outside: tuple[Begun, ...] = ()

    def __repr__(self) -> str:
        """Hide all of it."""
        return "BrowserState(…)"


@dataclass(frozen=True)
class Browser:
    """A browser that was here before."""

    bearer: Bearer[BrowserState]

    @property
    def state(self) -> BrowserState:
        """What is known of it."""
        return self.bearer.value

    @property
    def account(self) -> AccountId:
        """Who is signed in; empty for nobody."""
        return AccountId(self.state.account)

    @property
    def asked(self) -> Asked:
        """What an app asks for. Raises OAuthFailure where none does."""
        if not self.state.asked:
            raise OAuthFailure("invalid_request", "nothing is asked for here: go back to the app and begin again")
        return self.state.asked[0]


class Browsers:
    """The browsers of one node."""

    def __init__(self, node: Node, bearers: Bearers, *, issuer: str) -> None:
        self._node = node
        self._bearers = bearers
        self._issuer = issuer

    def find(self, http: Request) -> Browser | None:
        """Return the browser that a request is from; None for one that is new here."""
        found = self._bearers.find(BearerKind.BROWSER, http.cookies.get(COOKIE, ""), BrowserState)
        return None if found is None else Browser(found)

    def require(self, http: Request) -> Browser:
        """Return the browser that a request is from. Raises OAuthFailure."""
        found = self.find(http)
        if found is None:
            raise OAuthFailure("invalid_request", "this page is too old: go back to the app and begin again")
        return found

    def require_form(self, http: Request, form: dict[str, str]) -> Browser:
        """Return the browser whose own form this is. Raises OAuthFailure: anybody else made it (CSRF)."""
        browser = self.require(http)
        origin = http.headers.get("origin", self._issuer)
        is_own = hmac.compare_digest(form.get("form", "").encode(), browser.state.form.encode())
        if origin != self._issuer or not is_own:
            raise OAuthFailure("access_denied", "this form is not from this page: go back and try again", status=403)
        return browser

    def begin(self, response: Response, old: Browser | None, **known: object) -> None:
        """Give a browser a new cookie and a new form token, and forget the one that it had."""
        state = msgspec.structs.replace(old.state if old else BrowserState(""), form=_random(), **known)
        if old is not None:
            self._bearers.drop(old.bearer.lookup)
        until_s = self._node.clock() + BROWSER_S
        token = self._bearers.issue(
            BearerKind.BROWSER, state, until_s=until_s, grant=state.account, pseudonym=state.patient
        )
        response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")

    def change(self, browser: Browser, **known: object) -> None:
        """Remember something more of a browser, beside what other requests of it have changed meanwhile."""
        self._bearers.change(browser.bearer, BrowserState, lambda now: msgspec.structs.replace(now, **known))

    def stands(self, browser: Browser) -> bool:
        """Tell whether a browser is still signed in; whoever is just signing it out is waited for."""
        return self._bearers.change(browser.bearer, BrowserState, lambda now: now) is not None

    def end(self, response: Response, browser: Browser) -> None:
        """Forget a browser."""
        self._bearers.drop(browser.bearer.lookup)
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def _random() -> str:
    return secrets.token_urlsafe(16)
