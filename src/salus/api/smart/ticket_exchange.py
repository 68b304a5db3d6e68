"""Tokens for tickets: a backend service shows a patient's ticket and is given a token about that patient (RFC 8693).

The ticket never replaces the service's own authentication. What is granted is what was asked for, within what the
ticket and the service's registration let through; what of it is then let go, rules and choices decide for each record.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from joserfc.jwk import KeySet

from salus.api.smart import scopes
from salus.api.smart.answers import OAuthFailure
from salus.api.smart.scopes import ANY, INTERACTIONS, Context, Narrowing, Scope, ScopeUnfit
from salus.api.smart.settings import SmartSettings
from salus.node.assemble import Node
from salus.node.services.apps import App, AppKind
from salus.node.services.grants import Grants, Issued
from salus.node.services.tickets import ShownTicket, accept_shown

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
SUBJECT_TOKEN_TYPE: Final = "https://smarthealthit.org/token-type/permission-ticket"  # noqa: S105 -- a name
ISSUED_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 -- a name
_LETTERS: Final = {"read": "r", "search": "s"}


def exchange(node: Node, settings: SmartSettings, grants: Grants, app: App, form: dict[str, str]) -> Issued:
    """Return a token for a ticket.

    Raises:
        OAuthFailure: unauthorized_client, invalid_request, invalid_scope.
        Refused: GRANT_UNFIT; the ticket is not good here, now, for this service.
    """
    if app.kind is not AppKind.BACKEND or "client_assertion" not in form:
        raise OAuthFailure("unauthorized_client", "expected a backend service with an assertion of its own")
    if form.get("subject_token_type") != SUBJECT_TOKEN_TYPE or "actor_token" in form:
        raise OAuthFailure("invalid_request", f"expected one subject_token of the type {SUBJECT_TOKEN_TYPE}")
    if form.get("requested_token_type", ISSUED_TOKEN_TYPE) != ISSUED_TOKEN_TYPE:
        raise OAuthFailure("invalid_request", "expected an access token to be wanted")
    audiences = (settings.base, settings.issuer, *settings.aliases)
    ticket = accept_shown(node, form.get("subject_token", ""), audiences=audiences, thumbprints=_thumbprints(app))
    granted = _within(_wanted(form), _of_ticket(ticket))
    if app.scopes:
        granted = _within(granted, scopes.resources(app.scopes))
    if not granted:
        raise OAuthFailure("invalid_scope", "expected scopes that the ticket and this service's registration allow")
    return grants.for_ticket(app, ticket, tuple(dict.fromkeys(map(str, granted))))


def _thumbprints(app: App) -> tuple[str, ...]:
    """Of the keys by which a service shows itself; it has just shown that it has one of them."""
    return tuple(each.thumbprint() for each in KeySet.import_key_set(msgspec.json.decode(app.jwks)))


def _wanted(form: dict[str, str]) -> list[Scope]:
    try:
        asked = scopes.resources(scopes.read(form["scope"])) if "scope" in form else None
    except ScopeUnfit as error:
        raise OAuthFailure("invalid_scope", str(error)) from error
    if asked is None:  # RFC 6749 3.3: whatever may be had
        return [Scope(Context.PATIENT, ANY, INTERACTIONS)]
    return [each for each in asked if each.context is Context.PATIENT]


def _of_ticket(ticket: ShownTicket) -> list[Scope]:
    """The scopes that a ticket projects to: it reads and searches, about one patient."""
    found = []
    for each in ticket.resources:
        letters = "".join(sorted(_LETTERS[name] for name in set(each.interactions)))
        narrowing = tuple(
            (name, f"{code.system}|{code.code}" if code.system else code.code)
            for name, code in (("category", each.category), ("code", each.code))
            if code is not None
        )
        found.append(Scope(Context.PATIENT, each.type, letters, narrowing))
    return found


def _within(wanted: Iterable[Scope], allowed: Iterable[Scope]) -> list[Scope]:
    """What of some scopes is within others: of each pair the type that both have, what both let do, both narrowings."""
    limits = list(allowed)
    met = [_both(one, other) for one in wanted for other in limits]
    return [each for each in met if each is not None]


def _both(one: Scope, other: Scope) -> Scope | None:
    if one.type != other.type and ANY not in (one.type, other.type):
        return None
    letters = "".join(each for each in INTERACTIONS if each in one.interactions and each in other.interactions)
    kind = other.type if one.type == ANY else one.type
    narrowing: Narrowing = tuple(dict.fromkeys((*one.narrowing, *other.narrowing)))
    return Scope(Context.PATIENT, kind, letters, narrowing) if letters else None
