"""The gate of the FHIR server: who holds an access token, what it is good for, and as whom one then acts.

Asked at each request: the token, its grant, app and account, the certificate or the relationship, and the session are
looked up as they are at this moment (R3). Nothing of a token is believed because it was believed a moment ago.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from salus.api.fhir.failures import Failure, Issue
from salus.api.smart import scopes
from salus.api.smart.scopes import Narrowing, Scope
from salus.node.answer import plainly
from salus.node.errors import Refused
from salus.node.services.grants import Grants, Live
from salus.node.services.respond import Login
from salus.node.services.subscriptions import NO_TENURE, Tenure

BEARER: Final = re.compile(r"[Bb]earer +([A-Za-z0-9\-_]{20,64})")
CHALLENGE: Final = 'Bearer realm="salus"'


@dataclass(frozen=True)
class Access:
    """What the bearer of a token may do.

    Args:
        patient: the pseudonym of the only patient whose records may be touched, as soon as one scope is about the
            patient in context; None where any may.
        client: the id of the app; person: of the account, in hexadecimal.
        about: the pseudonym of the patient in context, whatever the scopes; empty where there is none.
        others: the scopes that are for no resources.
        tenure: on what something rests that outlives the token.
        origins: from where the app's own pages come: those of its redirect URIs (RFC 6454).
    """

    login: Login = field(repr=False)
    scopes: tuple[Scope, ...]
    patient: bytes | None
    client: str
    person: str
    about: bytes = b""
    others: frozenset[str] = frozenset()
    tenure: Tenure = NO_TENURE
    origins: frozenset[str] = frozenset()

    def may(self, interaction: str, resource_type: str) -> bool:
        """Tell whether an interaction (`c`, `r`, `u`, `d`, `s`) with a type is within the scopes."""
        return bool(self.narrowings(interaction, resource_type))

    def narrowings(self, interaction: str, resource_type: str) -> tuple[Narrowing, ...]:
        """Return by what it is narrowed: a resource has to be found by any one of these searches; () lets none through.

        Where one of them is empty, nothing is narrowed.
        """
        return scopes.narrowings(self.scopes, interaction, resource_type)


class Gate:
    """Reads the Authorization field of a request."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    def access(self, headers: Mapping[str, str]) -> Access:
        """Return what the bearer of these header fields may do.

        Args:
            headers: names in lower case.

        Raises:
            Failure: 401, with WWW-Authenticate (RFC 6750 3).
            NotNow: the database or the ledger is away.
        """
        said = headers.get("authorization", "")
        if not said:
            raise _refused("expected an access token: ask the authorisation server for one", CHALLENGE)
        found = BEARER.fullmatch(said)
        challenge = f'{CHALLENGE}, error="invalid_token"'
        if found is None:
            raise _refused("expected one access token as a bearer", challenge)
        try:
            with plainly():
                live, granted = self._grants.look(found[1])
        except Refused as refused:
            raise _refused("the access token has ended, or what it rests on: ask for a new one", challenge) from refused
        return _access(live, granted)

    def again(self, tenure: Tenure) -> Access:
        """Return what a grant still lets its holder do, with the scopes that a token of it had. Raises Refused."""
        return _access(self._grants.carried_on(tenure.grant), tenure.scopes)


def _access(live: Live, granted: Sequence[str]) -> Access:
    of_resources = scopes.resources(granted)
    patient = live.terms.patient
    usable = of_resources if patient else tuple(each for each in of_resources if not each.is_about_one)
    return Access(
        login=live.login,
        scopes=usable,
        patient=patient if any(each.is_about_one for each in usable) else None,
        client=live.app.id,
        person=live.terms.account.hex(),
        about=patient,
        tenure=Tenure(live.grant, tuple(granted)),
        origins=_origins(live.app.redirect_uris),
        others=frozenset(granted) - {str(each) for each in of_resources},
    )


@lru_cache(maxsize=256)
def _origins(uris: tuple[str, ...]) -> frozenset[str]:
    parts = [urlsplit(each) for each in uris]
    return frozenset(f"{each.scheme}://{each.netloc}".lower() for each in parts if each.scheme in ("https", "http"))


def _refused(words: str, challenge: str) -> Failure:
    return Failure(401, Issue("login", "MSG_AUTH_REQUIRED", words), headers={"www-authenticate": challenge})
