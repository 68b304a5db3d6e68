"""An app's request to be let in, read and bounded before anybody is asked anything (RFC 6749 4.1.1, SMART 2.1).

Whatever is wrong before app and redirect URI are known is told to the person, and nobody is sent anywhere.
"""

import re
from typing import Final
from urllib.parse import urlencode

import msgspec

from salus.api.smart import scopes
from salus.api.smart.answers import OAuthFailure
from salus.api.smart.scopes import Context, ScopeUnfit
from salus.api.smart.settings import SmartSettings
from salus.node.acting import Patient
from salus.node.services.accounts import Account
from salus.node.services.apps import App, AppKind, Apps

CHALLENGE: Final = re.compile(r"[A-Za-z0-9\-_]{43}")
VISIBLE: Final = re.compile(r"[\x20-\x7e]{1,1024}")


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """What an app asked for. `launch` is the token of an EHR launch, or empty."""

    app: str
    redirect_uri: str
    state: str
    challenge: str
    nonce: str
    launch: str
    scopes: tuple[str, ...]


class SentBack(Exception):
    """A request that is refused at the app's own redirect URI."""

    def __init__(self, location: str) -> None:
        super().__init__("sent back")
        self.location = location


def read(fields: dict[str, str], apps: Apps, settings: SmartSettings) -> Asked:
    """Return what an app asks for.

    Raises:
        OAuthFailure: app or redirect URI are not as registered: tell the person.
        SentBack: anything else is wrong: tell the app.
    """
    app = apps.find(fields.get("client_id", ""))
    redirect_uri = fields.get("redirect_uri", "")
    if app is None or app.kind is AppKind.BACKEND or redirect_uri not in app.redirect_uris:  # RFC 9700 2.1: whole
        raise OAuthFailure("invalid_request", "this app is not registered here in this form: tell whoever made it")
    state = fields.get("state", "")
    if state and not VISIBLE.fullmatch(state):
        raise OAuthFailure("invalid_request", "expected a state of visible ASCII characters")
    try:
        wanted = _wanted(fields, settings)
    except OAuthFailure as failure:
        raise SentBack(refusal(settings, redirect_uri, state, failure)) from failure
    return Asked(
        app=app.id,
        redirect_uri=redirect_uri,
        state=state,
        challenge=fields["code_challenge"],
        nonce=fields.get("nonce", ""),
        launch=fields.get("launch", ""),
        scopes=wanted,
    )


def _wanted(fields: dict[str, str], settings: SmartSettings) -> tuple[str, ...]:
    """Return the scopes of a request that is otherwise fit. Raises OAuthFailure."""
    if fields.get("response_type") != "code":
        raise OAuthFailure("unsupported_response_type", "expected response_type code")
    if fields.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(fields.get("code_challenge", "")):
        raise OAuthFailure("invalid_request", "expected an S256 code_challenge (RFC 7636)")
    if not fields.get("state"):
        raise OAuthFailure("invalid_request", "expected a state, as SMART requires it")
    if fields.get("aud", "").rstrip("/") not in (settings.base, *settings.aliases):
        raise OAuthFailure("invalid_request", "expected aud: the address of this FHIR server")
    if not VISIBLE.fullmatch(fields.get("nonce", "-")) or "request" in fields or "request_uri" in fields:
        raise OAuthFailure("invalid_request", "expected plain parameters")
    try:
        wanted = scopes.read(fields.get("scope", ""))
    except ScopeUnfit as error:
        raise OAuthFailure("invalid_scope", str(error)) from error
    if scopes.LAUNCH in wanted and not fields.get("launch"):
        raise OAuthFailure("invalid_request", "expected the launch parameter that the EHR gave")
    return wanted


def possible(asked: Asked, app: App, account: Account) -> tuple[str, ...]:
    """Return the scopes that an account can give an app: a patient its own records, staff what it sees, others none."""
    if not account.asks:
        return ()
    own = isinstance(account.acts_as, Patient)
    contexts = {Context.PATIENT} if own else {Context.PATIENT, Context.USER}
    of_resources = {str(each) for each in scopes.resources(asked.scopes) if each.context in contexts}
    others = set(asked.scopes) - {str(each) for each in scopes.resources(asked.scopes)}
    others.discard(scopes.LEDGER if own else scopes.HISTORY)  # which only staff, and only patients, can give
    return tuple(each for each in scopes.bounded(asked.scopes, app.scopes) if each in of_resources | others)


def needs_patient(wanted: tuple[str, ...]) -> bool:
    """Tell whether scopes make sense only with a patient in context."""
    is_about_one = any(each.context is Context.PATIENT for each in scopes.resources(wanted))
    return is_about_one or bool({scopes.LAUNCH_PATIENT, scopes.TICKETS} & set(wanted))


def accepted(settings: SmartSettings, asked: Asked, code: str) -> str:
    """Return where the person goes with a code; `iss` names us, so that no app mixes us up (RFC 9207)."""
    return _with(asked.redirect_uri, {"code": code, "state": asked.state, "iss": settings.issuer})


def refusal(settings: SmartSettings, redirect_uri: str, state: str, failure: OAuthFailure) -> str:
    """Return where the person goes with an error (RFC 6749 4.1.2.1)."""
    said = {"error": failure.error, "error_description": failure.words, "iss": settings.issuer}
    return _with(redirect_uri, said | ({"state": state} if state else {}))


def _with(uri: str, fields: dict[str, str]) -> str:
    return uri + ("&" if "?" in uri else "?") + urlencode(fields)
