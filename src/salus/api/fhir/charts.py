"""A patient's whole chart, page by page (`Patient/$everything`): what is stored, then what is made from the ledger.

What the chart refers to in the directory, organisations and people who treat, comes along.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from salus.api.fhir import searching
from salus.api.fhir.bundles import Link
from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue
from salus.api.fhir.reach import made_within, search_within
from salus.api.fhir.searching import (
    WHOLE_CHART,
    PageState,
    count_of,
    next_links,
    page_reply,
    page_state,
    parsed,
    require_seen,
)
from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.search import parse_query
from salus.clinical.fhir.search.normal import span_ms
from salus.clinical.fhir.search.queries import Query
from salus.node.services.derived import Derived
from salus.node.services.made import IN_CHARTS, is_met, with_charts
from salus.node.services.search import Page, Search

NO_LIMIT_MS: Final = 10**15


def everything(server: Server, call: Call) -> Reply:
    """Answer with a patient's whole chart. Raises Failure, FhirRejected."""
    found = require_seen(server, call)
    asked = dict(call.query)
    unknown = asked.keys() - {"_count", "_type", "_since", "start", "end", "_format", "_pretty"}
    if unknown:
        words = "expected start, end, _since, _type and _count, came others: leave them out"
        raise Failure(400, Issue("not-supported", "MSG_PARAM_UNKNOWN", words))
    query = _query(call)
    types = tuple(each for each in asked.get("_type", "").split(",") if each)
    search = search_within(server, call.access, "s", patient=found.pseudonym)
    care = _care(asked.get("start", ""), asked.get("end", ""))
    candidates = search.chart(found.pseudonym, types, query.filters, care)
    made = _made(server, call, query, found.pseudonym, types)
    count = count_of(server, query)
    page = search.page(query, candidates, count=count, is_first=True)
    page = _with_made(server, call, replace(page, total=_sum(page.total, made)), made, count)
    counted = tuple(each for each in call.query if each[0] == "_count")
    state = PageState(call.access.login.session.key.public, WHOLE_CHART, counted, (), found.pseudonym)
    self_link = Link("self", f"{server.settings.base}/Patient/{found.logical_id}/$everything")
    return _reply(server, query, search, page, state, self_link)


def next_page(server: Server, call: Call) -> Reply:
    """Answer a link to a page, of a chart or of a search of several types. Raises Failure: 404."""
    state, self_link = page_state(server, call)
    if state.kind != WHOLE_CHART:
        return searching.next_page(server, call)
    query = parsed(replace(call, query=state.pairs), "Patient", server.settings.base)
    search = search_within(server, call.access, "s", patient=state.patient)
    count = count_of(server, query)
    stored = [row for row in state.rows if row > 0]
    page = search.page(query, search.found_rows(stored), count=count, is_first=False)
    rest = {-row for row in state.rows if row < 0}
    made = (
        [each for each in _made(server, call, query, state.patient, IN_CHARTS) if each.number in rest] if rest else []
    )
    return _reply(server, query, search, _with_made(server, call, page, made, count), state, self_link)


def _query(call: Call) -> Query:
    named = {"_since": ("_lastUpdated", "ge"), "_count": ("_count", "")}
    pairs = [(named[name][0], named[name][1] + value) for name, value in call.query if name in named]
    return parse_query("Patient", pairs, is_strict=True)


def _made(server: Server, call: Call, query: Query, patient: bytes, types: Sequence[str]) -> list[Derived]:
    """What is made of a patient, comes along with these types, and may be seen."""
    made = made_within(server, call.access, "s")
    kinds = with_charts(call.access.login, types)
    return [each for kind in kinds for each in made.visible(kind, patient) if is_met(each, query.filters)]


def _with_made(server: Server, call: Call, page: Page, made: Sequence[Derived], count: int) -> Page:
    """Fill a page up with what is made, after all that is stored; a number below zero stands for what is left."""
    room = 0 if page.rest else count - len(page.hits)
    shown = [each.shown for each in made_within(server, call.access, "s").released(made[:room])]
    rest = tuple(-each.number for each in made[room:])
    return replace(page, hits=[*page.hits, *shown], rest=(*page.rest, *rest))


def _reply(server: Server, query: Query, search: Search, page: Page, state: PageState, self_link: Link) -> Reply:
    page = replace(page, included=search.directory_of(page.hits))
    return page_reply(server, query, page, [self_link, *next_links(server, state, page)])


def _sum(total: int | None, made: Sequence[Derived]) -> int | None:
    return None if total is None else total + len(made)


def _care(start: str, end: str) -> tuple[int, int] | None:
    """The time of care between two dates, in milliseconds, the last not included; None when neither is given."""
    spans = [span_ms(each) if each else (-NO_LIMIT_MS, NO_LIMIT_MS) for each in (start, end)]
    first, last = spans
    if first is None or last is None:
        hint = "give it as YYYY-MM-DD, or leave it out"
        raise FhirRejected(Fault.BAD_PARAMETER, expected="a date as start and as end", came="another", hint=hint)
    return (first[0], last[1]) if start or end else None
