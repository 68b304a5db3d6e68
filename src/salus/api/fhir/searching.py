"""Search by type and within a compartment, page by page (FHIR R4 3.1.1).

A page's link is opaque, ends after an hour and belongs to the login that got it; what it leads to is decided anew. It
goes on in what the search came upon at first, however much was written since.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode
from uuid import uuid4

import msgspec

from salus.api.fhir import bundles
from salus.api.fhir.bundles import Hit, Link, full_url
from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, not_found, outcome
from salus.api.fhir.including import with_made
from salus.api.fhir.reach import search_within
from salus.api.fhir.reading import require_found, require_shown
from salus.api.fhir.rendering import rendered
from salus.clinical.fhir.search import parse_query
from salus.clinical.fhir.search.queries import Criterion, Query
from salus.clinical.fhir.summaries import summarised, with_elements
from salus.node.bearers import BearerKind
from salus.node.projections.resources import Found
from salus.node.services.search import Page
from salus.node.services.show import Shown, newest

PAGE_S: Final = 3600
PAGE: Final = "_page"
PEOPLE: Final = ("Patient", "Person", "RelatedPerson")
WHOLE_CHART: Final = "$everything"
"""Stands where a page's type would, for pages of a chart (`charts`)."""
ACROSS: Final = "*"
"""Stands there for pages of several types."""


class PageState(msgspec.Struct, frozen=True, array_like=True):
    """What a link to the next page stands for, sealed.

    Args:
        session: public key of the login that got the link.
        pairs: the search's parameters; rows: what it came upon and is still to be shown.
    """

    session: bytes
    kind: str
    pairs: tuple[tuple[str, str], ...]
    rows: tuple[int, ...]
    patient: bytes


def search_type(server: Server, call: Call) -> Reply:
    """Answer a search of one type, or a link to a page of one. Raises Failure, FhirRejected."""
    if any(name == PAGE for name, _ in call.query):
        return next_page(server, call)
    return _first_page(server, call, call.at["kind"], patient=call.access.patient)


def next_page(server: Server, call: Call) -> Reply:
    """Answer a link to a page. Raises Failure: 404, also for somebody else's and one that has ended.

    Whatever else stands in the address is passed over: some clients add a count of theirs to every link.
    """
    state, self_link = page_state(server, call)
    kind = "Patient" if state.kind == ACROSS else state.kind
    query = parsed(replace(call, query=state.pairs), kind, server.settings.base)
    search = search_within(server, call.access, "s", patient=state.patient or None)
    page = search.page(query, search.found_rows(state.rows), count=count_of(server, query), is_first=False)
    page = with_made(server, call.access, query.includes, page)
    return page_reply(server, query, page, [self_link, *next_links(server, state, page)])


def page_state(server: Server, call: Call) -> tuple[PageState, Link]:
    """Return what a link to a page stands for, and the link. Raises Failure: 404."""
    tokens = [value for name, value in call.query if name == PAGE]
    kept = server.bearers.find(BearerKind.PAGE, tokens[0], PageState) if len(tokens) == 1 else None
    if kept is None or kept.value.session != call.access.login.session.key.public:
        raise not_found()
    state = kept.value
    if call.at.get("kind", state.kind) != state.kind:
        raise not_found()
    return state, Link("self", _page_url(server, state, tokens[0]))


def require_seen(server: Server, call: Call) -> Found:
    """Return the resource of an address; one that may not be seen is as one that never was. Raises Failure: 404."""
    found = require_found(server, call)
    require_shown(server, call.access, newest(found))
    return found


def _first_page(server: Server, call: Call, kind: str, *, patient: bytes | None) -> Reply:
    if not call.access.may("s", kind):
        words = f"expected a scope that allows to search {kind}, came none: ask for it when you sign in"
        raise Failure(403, Issue("forbidden", "MSG_AUTH_REQUIRED", words))
    base = server.settings.base
    query = parsed(call, kind, base)
    search = search_within(server, call.access, "s", patient=patient)
    candidates = search.candidates(query)
    count = 0 if query.summary == "count" else count_of(server, query)
    page = search.page(query, candidates, count=count, is_first=True)
    page = with_made(server, call.access, query.includes, page)
    if query.summary == "count" or query.count == 0:
        page = replace(page, rest=())
    state = PageState(call.access.login.session.key.public, kind, call.query, (), patient or b"")
    self_link = Link("self", told_url(base, kind, query, call.query))
    return page_reply(server, query, page, [self_link, *next_links(server, state, page)])


def parsed(call: Call, kind: str, base: str) -> Query:
    is_strict = "handling=strict" in call.headers.get("prefer", "")
    return parse_query(kind, call.query, is_strict=is_strict, base=base)


def count_of(server: Server, query: Query) -> int:
    asked = server.settings.page_count if query.count is None else query.count
    return min(asked, server.settings.page_count_max)


def told_url(base: str, kind: str, query: Query, pairs: Sequence[tuple[str, str]]) -> str:
    """The address of a search as this server writes it: without what was passed over, or by which people are found."""
    read = [each for number, each in enumerate(pairs, start=1) if number not in query.ignored]
    told = urlencode([each for each in read if not names_people(kind, each)], safe=",")  # P4
    return f"{base}/{kind}" + (f"?{told}" if told else "")


def names_people(kind: str, pair: tuple[str, str]) -> bool:
    """Tell whether a parameter may be one by which a person is looked for."""
    if pair[0].startswith("_") and not pair[0].startswith("_has"):
        return False
    return kind in PEOPLE or not all(
        isinstance(each, Criterion) and each.kind != "string" and "identifier" not in (each.parameter, each.modifier)
        for each in parse_query(kind, [pair]).filters
    )


def next_links(server: Server, state: PageState, page: Page) -> list[Link]:
    if not page.rest:
        return []
    following = msgspec.structs.replace(state, rows=page.rest)
    until_s = server.node.clock() + PAGE_S
    token = server.bearers.issue(BearerKind.PAGE, following, until_s=until_s, pseudonym=state.patient)
    return [Link("next", _page_url(server, state, token))]


def _page_url(server: Server, state: PageState, token: str) -> str:
    """The address of a page, under the type that was searched: there are clients that keep its parameters only."""
    place = "" if state.kind in (WHOLE_CHART, ACROSS) else f"/{state.kind}"
    return f"{server.settings.base}{place}?{urlencode({PAGE: token})}"


def page_reply(server: Server, query: Query, page: Page, links: Sequence[Link]) -> Reply:
    base = server.settings.base
    hits = [Hit(full_url(base, each), _part(query, each)) for each in page.hits]
    hits += [Hit(full_url(base, each), rendered(each), "include") for each in page.included]
    if query.ignored:
        words = f"passed over {len(query.ignored)} parameters that this server does not know: see its metadata"
        issue = Issue("not-supported", "MSG_PARAM_UNKNOWN", words, severity="warning")
        hits.append(Hit(uuid4().urn, outcome(issue), "outcome"))
    return Reply(200, bundles.searchset(hits, links, total=page.total, at_s=server.node.clock()))


def _part(query: Query, shown: Shown) -> bytes:
    content = rendered(shown)
    if query.elements:
        return with_elements(content, shown.type, query.elements)
    return summarised(content, shown.type, query.summary or "false")
