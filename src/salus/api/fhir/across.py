"""Search across types, and within a compartment (FHIR R4 http.html 3.1.0.9, search.html 3.1.1.1.1)."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

import msgspec

from salus.api.fhir import charts
from salus.api.fhir.bundles import Link
from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue
from salus.api.fhir.including import with_made
from salus.api.fhir.reach import search_within
from salus.api.fhir.searching import (
    ACROSS,
    PAGE,
    PageState,
    count_of,
    names_people,
    next_links,
    page_reply,
    parsed,
    require_seen,
)
from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.search import Query
from salus.node.projections.resources import Found
from salus.node.services.search import CANDIDATES_MAX, too_large

EVERY_TYPE = "*"
ORDERS = ("_lastUpdated", "_id")
"""By what resources of several types have one order."""
SHOWN_BY = ("_count", "_total", "_summary", "_elements", "_include", "_revinclude")
"""Parameters that say how hits are shown, whatever their type."""


def search_system(server: Server, call: Call) -> Reply:
    """Answer a search of the types in `_type`, or of all; or a link to a page. Raises Failure, FhirRejected."""
    if any(name == PAGE for name, _ in call.query):
        return charts.next_page(server, call)
    return _first_page(server, call, _kinds(call), "", patient=call.access.patient)


def search_compartment(server: Server, call: Call) -> Reply:
    """Answer a search of one type, or of all (`*`), within a compartment. Raises Failure, FhirRejected."""
    kind, within = call.at["kind"], call.at["within"]
    if kind not in r4().compartments:
        words = "expected the compartment of a Patient, Encounter, Practitioner, RelatedPerson or Device, came another"
        raise Failure(404, Issue("not-supported", "MSG_OP_NOT_ALLOWED", words))
    if within not in (EVERY_TYPE, *r4().resource_types):
        words = "expected a type of FHIR R4 or * within a compartment, such as Patient/1/Observation"
        raise Failure(404, Issue("not-supported", "MSG_UNKNOWN_TYPE", words))
    found = require_seen(server, call)
    patient = found.pseudonym if kind == "Patient" else call.access.patient
    kinds = _kinds(call) if within == EVERY_TYPE else [within]
    return _first_page(server, call, kinds, f"/{kind}/{found.logical_id}/{within}", patient=patient, focus=found)


def _kinds(call: Call) -> list[str]:
    """The types that are searched. Raises FhirRejected: BAD_PARAMETER."""
    named = [each for name, value in call.query if name == "_type" for each in value.split(",") if each]
    if not set(named) <= set(r4().resource_types):
        raise FhirRejected(
            Fault.BAD_PARAMETER,
            expected="types of FHIR R4 as _type",
            came="another",
            hint="see the CapabilityStatement",
        )
    return list(dict.fromkeys(named)) or list(r4().resource_types)


def _first_page(
    server: Server, call: Call, kinds: Sequence[str], path: str, *, patient: bytes | None, focus: Found | None = None
) -> Reply:
    reached = [each for each in kinds if call.access.may("s", each)]
    if not reached:
        words = "expected a scope that allows to search these types, came none: ask for it when you sign in"
        raise Failure(403, Issue("forbidden", "MSG_AUTH_REQUIRED", words))
    search = search_within(server, call.access, "s", patient=patient)
    queries, ignored = _queries(server, call, reached)
    candidates = [row for each in queries for row in search.candidates(each, focus)]
    if len(candidates) > CANDIDATES_MAX:
        raise too_large(f"a search that comes upon at most {CANDIDATES_MAX:,} resources")
    if len(queries) > 1:
        candidates = _ordered(candidates, queries[0])
    pairs = tuple(_shown_by(each) for each in call.query if each[0].partition(":")[0] in SHOWN_BY)
    query = msgspec.structs.replace(parsed(replace(call, query=pairs), "Patient", ""), ignored=ignored)
    count = 0 if query.summary == "count" else count_of(server, query)
    page = search.page(query, candidates, count=count, is_first=True)
    page = with_made(server, call.access, query.includes, page)
    if not count:
        page = replace(page, rest=())
    state = PageState(call.access.login.session.key.public, ACROSS, pairs, (), patient or b"")
    self_link = Link("self", _told_url(server.settings.base + path, kinds, ignored, call.query))
    return page_reply(server, query, page, [self_link, *next_links(server, state, page)])


def _queries(server: Server, call: Call, kinds: Sequence[str]) -> tuple[list[Query], tuple[int, ...]]:
    """The search of each type; what one of the types does not know is passed over in all. Raises FhirRejected."""
    numbered = [(number, _shown_by(each)) for number, each in enumerate(call.query, start=1) if each[0] != "_type"]
    asked = replace(call, query=tuple(each for _, each in numbered))
    queries = [parsed(asked, each, server.settings.base) for each in kinds]
    passed_over = {numbered[place - 1][0] for each in queries for place in each.ignored}
    if passed_over:
        known = tuple(each for number, each in numbered if number not in passed_over)
        queries = [parsed(replace(call, query=known), each, server.settings.base) for each in kinds]
    if len(queries) > 1 and any(each.parameter not in ORDERS for each in queries[0].sort):
        expected, hint = " or ".join(ORDERS), "search one type, to have its own order"
        raise FhirRejected(
            Fault.BAD_PARAMETER, expected=f"{expected} to sort several types by", came="another", hint=hint
        )
    return queries, tuple(sorted(passed_over))


def _ordered(candidates: Sequence[Found], query: Query) -> list[Found]:
    """Candidates of several types in one order; the newest first unless another is asked."""
    ordered = sorted(candidates, key=lambda each: (each.updated_s, each.row), reverse=True)
    for rule in reversed(query.sort):
        by_id = rule.parameter == "_id"
        ordered.sort(key=lambda each: each.logical_id if by_id else each.updated_s, reverse=rule.is_descending)
    return ordered


def _shown_by(pair: tuple[str, str]) -> tuple[str, str]:
    """A parameter without the types that may stand before its elements."""
    name, value = pair
    return (name, ",".join(each.rpartition(".")[2] for each in value.split(","))) if name == "_elements" else pair


def _told_url(url: str, kinds: Sequence[str], ignored: Sequence[int], pairs: Sequence[tuple[str, str]]) -> str:
    """The address of a search as this server writes it: nothing by which people are found stands in it (P4)."""
    read = [each for number, each in enumerate(pairs, start=1) if number not in ignored]
    told = [each for each in read if each[0] == "_type" or not any(names_people(kind, each) for kind in kinds)]
    return f"{url}?{urlencode(told, safe=',')}" if told else url
