"""The history of a resource, a type and the whole server, page by page (FHIR R4 http.html 3.1.0.10)."""

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from salus.api.fhir import bundles
from salus.api.fhir.bundles import Link
from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, not_found
from salus.api.fhir.reach import search_within
from salus.api.fhir.reading import require_found
from salus.api.fhir.searching import PAGE, PAGE_S
from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.search.normal import span_ms
from salus.node.bearers import BearerKind
from salus.node.projections.resources import Found
from salus.node.services.histories import Asked, Histories, Place

KNOWN = ("_since", "_at", "_count")
NOT_OURS = ("_format", "_pretty", PAGE)


class HistoryState(msgspec.Struct, frozen=True, array_like=True):
    """What a link to a history's next page stands for, sealed.

    Args:
        session: public key of the login that got the link; path: whose history it is, below the base.
        pairs: the parameters of the first page.
        at_s, record, version: the place in the history after which to go on.
    """

    session: bytes
    path: str
    pairs: tuple[tuple[str, str], ...]
    at_s: int
    record: bytes
    version: int


def history_instance(server: Server, call: Call) -> Reply:
    """Answer with the versions of a resource that may be shown. Raises Failure: 404, FhirRejected."""
    found = require_found(server, call)
    path = f"{found.type}/{found.logical_id}/_history"
    return _page(server, call, path, [found.type], only=found)


def history_type(server: Server, call: Call) -> Reply:
    """Answer with the versions of a type that may be shown. Raises Failure: 403, FhirRejected."""
    return _page(server, call, f"{call.at['kind']}/_history", _searchable(call, [call.at["kind"]]))


def history_system(server: Server, call: Call) -> Reply:
    """Answer with all versions that may be shown. Raises Failure: 403, FhirRejected."""
    return _page(server, call, "_history", _searchable(call, r4().resource_types))


def _page(server: Server, call: Call, path: str, types: Sequence[str], *, only: Found | None = None) -> Reply:
    state = _state(server, call, path)
    pairs = call.query if state is None else state.pairs
    asked, count = _asked(call, pairs, types, only), _count(server, pairs)
    search = search_within(server, call.access, "s" if only is None else "r", patient=call.access.patient)
    histories = Histories(server.node, server.responder, call.access.login, search)
    after = None if state is None else Place(state.at_s, state.record, state.version)
    page = histories.page(asked, count=count, after=after)
    if only is not None and not page.versions and not histories.has_any(Asked(types, only)):
        raise not_found()
    url = f"{server.settings.base}/{path}"
    links = [Link("self", _url(url, [each for each in pairs if each[0] in KNOWN]))]
    if page.last is not None and count:
        links.append(Link("next", _url(url, [(PAGE, _issue(server, call, path, pairs, page.last))])))
    at_s = server.node.clock()
    return Reply(200, bundles.history(server.settings.base, page.versions, links, total=page.total, at_s=at_s))


def _searchable(call: Call, kinds: Sequence[str]) -> list[str]:
    found = [each for each in kinds if call.access.may("s", each)]
    if not found:
        words = "expected a scope that allows to search this type, came none: ask for it when you sign in"
        raise Failure(403, Issue("forbidden", "MSG_AUTH_REQUIRED", words))
    return found


def _state(server: Server, call: Call, path: str) -> HistoryState | None:
    """What a link stands for; None for a first page. Raises Failure: 404, also for somebody else's link."""
    tokens = [value for name, value in call.query if name == PAGE]
    if not tokens:
        return None
    kept = server.bearers.find(BearerKind.HISTORY_PAGE, tokens[0], HistoryState)
    if kept is None or (kept.value.session, kept.value.path) != (call.access.login.session.key.public, path):
        raise not_found()
    return kept.value


def _issue(server: Server, call: Call, path: str, pairs: tuple[tuple[str, str], ...], last: Place) -> str:
    session = call.access.login.session.key.public
    state = HistoryState(session, path, pairs, last.at_s, last.record, last.version)
    until_s = server.node.clock() + PAGE_S
    return server.bearers.issue(BearerKind.HISTORY_PAGE, state, until_s=until_s, pseudonym=call.access.patient or b"")


def _asked(call: Call, pairs: Sequence[tuple[str, str]], types: Sequence[str], only: Found | None) -> Asked:
    is_strict = "handling=strict" in call.headers.get("prefer", "")
    if is_strict and any(name not in (*KNOWN, *NOT_OURS) for name, _ in pairs):
        raise _bad(Fault.UNKNOWN_PARAMETER, "_since, _at and _count")
    since, at = _span(pairs, "_since"), _span(pairs, "_at")
    return Asked(types, only, None if since is None else since[0], at)


def _span(pairs: Sequence[tuple[str, str]], name: str) -> tuple[int, int] | None:
    """A time of the parameters in whole seconds, the last not included; None when it is not asked."""
    text = _once(pairs, name)
    if text is None:
        return None
    found = span_ms(text.replace(" ", "+"))  # a plus that came unencoded
    if found is None:
        raise _bad(Fault.BAD_PARAMETER, f"a date or time as {name}")
    return found[0] // 1000, -(-found[1] // 1000)


def _count(server: Server, pairs: Sequence[tuple[str, str]]) -> int:
    text = _once(pairs, "_count")
    if text is None:
        return server.settings.page_count
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise _bad(Fault.BAD_PARAMETER, "a whole number as _count")
    return min(int(text), server.settings.page_count_max)


def _once(pairs: Sequence[tuple[str, str]], name: str) -> str | None:
    values = [value for each, value in pairs if each == name]
    if len(values) > 1:
        raise _bad(Fault.BAD_PARAMETER, f"{name} once")
    return values[0] if values else None


def _bad(fault: Fault, expected: str) -> FhirRejected:
    return FhirRejected(fault, expected=expected, came="another", hint="see the CapabilityStatement")


def _url(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f"{url}?{urlencode(pairs)}" if pairs else url
