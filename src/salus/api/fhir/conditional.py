"""Interactions with what a search finds (FHIR R4 http.html 3.1.0.8.1, .4.3, .6.2, .7.1).

Only what whoever asks may see can match: whether something withheld meets the search is told by nothing.
"""

from collections.abc import Sequence
from uuid import uuid4

from salus.api.fhir import writing
from salus.api.fhir.call import Access, Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, not_found
from salus.api.fhir.reach import search_within
from salus.api.fhir.rendering import place_of, version_tag
from salus.api.fhir.routing import parameters
from salus.clinical.fhir.search import parse_query
from salus.clinical.fhir.strict_json import read_object
from salus.node.services.show import Shown
from salus.node.services.store import Deletion, Write, store

MATCHES_MAX = 100
"""How many candidates a condition may come upon: it is meant to find one."""


def create(server: Server, call: Call) -> Reply:
    """Store a new resource; with `If-None-Exist` only where the search finds none. Raises Failure: 412 for several."""
    condition = call.headers.get("if-none-exist")
    found = existing(server, call.access, call.at["kind"], condition) if condition else None
    if found is None:
        return writing.create(server, call)
    writing.require_scope(call.access, "c", call.at["kind"])
    headers = {"etag": version_tag(found.version), "location": place_of(server.settings.base, found)}
    return Reply(200, writing.preferred(call, found), headers)


def update(server: Server, call: Call) -> Reply:
    """Update the one that the search finds, or create one where it finds none. Raises Failure: 412 for several."""
    return writing.stored(server, call, replacement(server, call))


def patch(server: Server, call: Call) -> Reply:
    """Patch the one that the search finds. Raises Failure: 404 for none, 412 for several."""
    return writing.stored(server, call, change(server, call))


def delete(server: Server, call: Call) -> Reply:
    """Delete the one that the search finds; nothing where it finds none. Raises Failure: 412 for several."""
    write = deletion(server, call)
    if write is None:
        return Reply(204)
    (stored,) = store(server.node, [write], only=call.access.patient, depositor=server.depositor)
    return Reply(204, headers={"etag": version_tag(stored.found.version)})


def replacement(server: Server, call: Call) -> Write:
    """Return what a conditional update stores. Raises Failure, FhirRejected."""
    kind = call.at["kind"]
    found = the_match(server, call.access, kind, call.query)
    came = read_object(call.body).get("id")
    if found is None and came is None:
        return writing.creation(server, call, str(uuid4()))
    logical_id = found.logical_id if found is not None else str(came)
    if came not in (None, logical_id):
        words = "expected the id of the resource that the search finds, or none, came another: leave it out"
        raise Failure(400, Issue("invalid", "MSG_RESOURCE_ID_MISMATCH", words, expression=f"{kind}.id"))
    return writing.replacement(server, _at(call, kind, logical_id), may_lack_id=True)


def change(server: Server, call: Call) -> Write:
    """Return what a conditional patch stores. Raises Failure: 404 for none, 412 for several; FhirRejected."""
    kind = call.at["kind"]
    found = the_match(server, call.access, kind, call.query)
    if found is None:
        raise not_found()
    return writing.change(server, _at(call, kind, found.logical_id))


def deletion(server: Server, call: Call) -> Deletion | None:
    """Return what a conditional deletion stores; None where nothing is found. Raises Failure."""
    kind = call.at["kind"]
    found = the_match(server, call.access, kind, call.query)
    return None if found is None else writing.deletion(server, _at(call, kind, found.logical_id))


def existing(server: Server, access: Access, kind: str, condition: str) -> Shown | None:
    """Return what a conditional create finds instead of creating; None for nothing. Raises Failure, FhirRejected."""
    return the_match(server, access, kind, parameters(condition.partition("?")[2] or condition))


def the_match(server: Server, access: Access, kind: str, query: Sequence[tuple[str, str]]) -> Shown | None:
    """Return the one resource that may be seen and meets a search; None for none.

    Raises:
        Failure: 412 when several do, or when nothing is asked.
        FhirRejected: the search cannot be done.
    """
    if not query:
        words = "expected a search that finds one resource, came none: say by what it is found"
        raise Failure(412, Issue("required", "MSG_NO_MATCH", words))
    asked = parse_query(kind, query, is_strict=True, base=server.settings.base)
    search = search_within(server, access, "s", patient=access.patient)
    candidates = search.candidates(asked)
    if len(candidates) > MATCHES_MAX:
        raise _several()
    hits = search.page(asked, candidates, count=2, is_first=False).hits
    if len(hits) > 1:
        raise _several()
    return hits[0] if hits else None


def _several() -> Failure:
    words = "expected a search that finds one resource, it finds several: say more of it"
    return Failure(412, Issue("multiple-matches", "MSG_PARAM_MODIFIER_INVALID", words))


def _at(call: Call, kind: str, logical_id: str) -> Call:
    return Call(call.access, {"kind": kind, "id": logical_id}, (), call.headers, call.body)
