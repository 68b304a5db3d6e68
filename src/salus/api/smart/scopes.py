"""Scopes of SMART App Launch 2: what an app may do with which resources, and what they let through.

    patient/Observation.rs?category=laboratory      context / type . interactions ? search parameters

Those of version 1 (`.read`, `.write`, `.*`) are taken and written as version 2 has them. A scope that narrows by search
parameters lets a resource through only if a search by them would find it; where several scopes fit, any is enough.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, quote

SCOPES_BYTES_MAX: Final = 4096
SCOPES_MAX: Final = 128
INTERACTIONS: Final = "cruds"
"""Create, read, update, delete, search, in the order in which SMART wants them."""
ANY: Final = "*"
IDENTITY: Final = ("openid", "fhirUser", "profile")
LAUNCH: Final = "launch"
LAUNCH_PATIENT: Final = "launch/patient"
ONLINE: Final = "online_access"
OFFLINE: Final = "offline_access"
HISTORY: Final = "salus/history"
TICKETS: Final = "salus/tickets"
LEDGER: Final = "salus/ledger"
NATIVE: Final = (HISTORY, TICKETS, LEDGER)
"""Of the native API, which FHIR has no word for (docs/native.md)."""
_OTHERS: Final = frozenset({*IDENTITY, LAUNCH, LAUNCH_PATIENT, ONLINE, OFFLINE, *NATIVE})
_V1: Final = {"read": "rs", "write": "cud", ANY: INTERACTIONS}
_SCOPE: Final = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.(c?r?u?d?s?|read|write|\*)(?:\?(.+))?")
_PARAMETER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")

Narrowing = tuple[tuple[str, str], ...]
"""Search parameters, all of which a resource has to meet; empty lets every one through."""


class ScopeUnfit(Exception):
    """A scope that this server does not know."""


class Context(StrEnum):
    """Whose records a scope is about: the patient in context, all that the user may see, all that a service may see."""

    PATIENT = "patient"
    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True)
class Scope:
    """A scope for resources; `interactions` are letters of `cruds`."""

    context: Context
    type: str
    interactions: str
    narrowing: Narrowing = ()

    def __str__(self) -> str:
        """As SMART 2 writes it."""
        query = "&".join(f"{name}={quote(value, safe='|:/,')}" for name, value in self.narrowing)
        return f"{self.context}/{self.type}.{self.interactions}" + (f"?{query}" if query else "")

    @property
    def is_about_one(self) -> bool:
        """Whether it is about the patient in context, and about nobody where there is none."""
        return self.context is Context.PATIENT

    def is_within(self, other: "Scope") -> bool:
        """Tell whether another scope lets through whatever this one does."""
        is_narrower = not other.narrowing or other.narrowing == self.narrowing
        is_of_it = self.context is other.context and other.type in (ANY, self.type) and is_narrower
        return is_of_it and set(self.interactions) <= set(other.interactions)

    def covers(self, interaction: str, resource_type: str) -> bool:
        """Tell whether it is about an interaction with a type."""
        return self.type in (ANY, resource_type) and interaction in self.interactions


def parse(text: str) -> Scope:
    """Read a scope for resources, of version 2 or 1. Raises ScopeUnfit."""
    found = _SCOPE.fullmatch(text)
    if found is None or not found[3]:
        raise ScopeUnfit("expected patient/Type.cruds, user/Type.cruds or system/Type.cruds")
    pairs = parse_qsl(found[4] or "", keep_blank_values=True, max_num_fields=8)
    if found[4] and (not pairs or not all(_PARAMETER.fullmatch(name) and value for name, value in pairs)):
        raise ScopeUnfit("expected search parameters with values after the question mark")
    return Scope(Context(found[1]), found[2], _V1.get(found[3], found[3]), tuple(pairs))


def read(text: str) -> tuple[str, ...]:
    """Return the scopes of a request that this server knows, in order, once each, as version 2 writes them.

    What it does not know is left out, as RFC 6749 3.3 lets a server do; the answer says what was granted.

    Raises:
        ScopeUnfit: there are none, or too many.
    """
    words = text.split(" ") if text.isascii() else []
    if not 0 < len(text) <= SCOPES_BYTES_MAX or len(words) > SCOPES_MAX:
        raise ScopeUnfit(f"expected 1 to {SCOPES_MAX} scopes")
    known: dict[str, None] = {}
    for word in words:
        if word in _OTHERS:
            known[word] = None
            continue
        try:
            known[str(parse(word))] = None
        except ScopeUnfit:
            continue
    return tuple(known)


def bounded(wanted: Sequence[str], most: Sequence[str]) -> tuple[str, ...]:
    """Return which of the scopes that were read are within those that an operator gave at most; all where none were.

    `system/Patient.rs` is within `system/*.cruds`.
    """
    if not most:
        return tuple(wanted)
    given = read(" ".join(most))
    whole = resources(given)
    return tuple(
        each
        for each in wanted
        if each in given or (each not in _OTHERS and any(parse(each).is_within(of) for of in whole))
    )


@lru_cache(4096)
def resources(scopes: tuple[str, ...]) -> tuple[Scope, ...]:
    """Return those scopes that are for resources; all were read before."""
    return tuple(parse(each) for each in scopes if each not in _OTHERS)


def narrowings(scopes: Sequence[Scope], interaction: str, resource_type: str) -> tuple[Narrowing, ...]:
    """Return by what an interaction with a type is narrowed: any one of these; none at all means that it may not be.

    Args:
        interaction: a letter of `cruds`.
    """
    return tuple(each.narrowing for each in scopes if each.covers(interaction, resource_type))
