"""Read and search what is made from the ledger: types of which nothing is stored (FHIR R4 http.html 3.1.0.2, 3.1.1).

Such a search is about one patient, whom it names or whose token it comes with; for whoever may not see it there is
nothing. A link to a page goes on in what was there at first, and who may see it is asked anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from msgspec import json

from salus.api.fhir.bundles import Link
from salus.api.fhir.call import Access, Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, not_found
from salus.api.fhir.reading import shown_as
from salus.api.fhir.rendering import rendered
from salus.api.fhir.searching import PAGE, PageState, count_of, next_links, page_reply, page_state, parsed, told_url
from salus.api.fhir.writing import require_scope
from salus.clinical.fhir.search import parse_query
from salus.clinical.fhir.search.index import index
from salus.clinical.fhir.search.matching import meets
from salus.clinical.fhir.search.parameters import Parameter, parameters_of
from salus.clinical.fhir.search.queries import Criterion, Query
from salus.clinical.fhir.search.sought import SoughtReference
from salus.node import derived_names
from salus.node.projections import resources
from salus.node.services import audit_events, consents
from salus.node.services.derived import Derived, Make, may_see
from salus.node.services.search import Page

_MADE_BY: Final[dict[str, Make]] = {
    "Consent": consents.consents_of,
    "AuditEvent": audit_events.audit_events_of,
}
_MATCHED: Final = ("token", "date", "reference", "string", "uri")
"""Kinds of parameters by which such a type is searched."""
NOBODY: Final = b""
"""Stands for a patient who is not here, or whom this token is not about."""


def parameters(kind: str) -> list[Parameter]:
    """Return the search parameters of a derived type that are understood here."""
    return [each for each in parameters_of(kind).values() if each.kind in _MATCHED]


def read(server: Server, call: Call) -> Reply:
    """Answer with a derived resource as it is now. Raises Failure: 404."""
    return shown_as(call, require(server, call.access, call.at["kind"], call.at["id"]).shown)


def search(server: Server, call: Call) -> Reply:
    """Answer a search of a derived type, or a link to a page of one. Raises Failure, FhirRejected."""
    if any(name == PAGE for name, _ in call.query):
        return _next_page(server, call)
    kind = call.at["kind"]
    require_scope(call.access, "s", kind)
    query = parsed(call, kind, server.settings.base)
    patient = _searched(server, call.access, query)
    return _answer(server, call, query, patient, _found(server, call.access, query, patient))


def search_compartment(kind: str) -> Callable[[Server, Call], Reply]:
    """Return what answers a search of a derived type within a patient's records."""

    def answer(server: Server, call: Call) -> Reply:
        require_scope(call.access, "s", kind)
        query = parsed(call, kind, server.settings.base)
        patient = patient_named(server, call.access, f"Patient/{call.at['id']}")
        return _answer(server, call, query, patient, _found(server, call.access, query, patient))

    return answer


def require(server: Server, access: Access, kind: str, logical_id: str) -> Derived:
    """Return a derived resource that may be seen. Raises Failure: 404."""
    found = derived_names.find(server.node, kind, logical_id)
    if found is not None and access.may("r", kind):
        for each in _visible(server, access, kind, found[0], "r"):
            if each.shown.logical_id == logical_id:
                return each
    raise not_found()


def patient_named(server: Server, access: Access, reference: str) -> bytes:
    """Return whose the Patient of a reference is; NOBODY for one who is not here, or whom this token is not about."""
    kind, _, logical_id = reference.rpartition("/")
    found = resources.find(server.node, "Patient", logical_id) if kind in ("", "Patient") else None
    if found is None or access.patient not in (None, found.pseudonym):
        return NOBODY
    return found.pseudonym


def _searched(server: Server, access: Access, query: Query) -> bytes:
    """Whose a search is about: the patient in context, else the one whom it names."""
    named = [
        sought.id
        for each in query.filters
        if isinstance(each, Criterion) and each.parameter == "patient" and not each.modifier
        for sought in each.values
        if isinstance(sought, SoughtReference) and sought.id and sought.type in (None, "Patient")
    ]
    if access.patient is not None and not named:
        return access.patient
    if len(named) != 1:
        words = f"expected one patient of whom {query.type} is searched: add patient=ID"
        raise Failure(400, Issue("too-costly", "MSG_PARAM_INVALID", words))
    return patient_named(server, access, named[0])


def _visible(server: Server, access: Access, kind: str, patient: bytes, interaction: str) -> list[Derived]:
    """Everything of a type and a patient that may be seen, the newest first."""
    if patient == NOBODY or access.patient not in (None, patient):
        return []
    if not may_see(server.node, server.responder, access.login, patient, kind):
        return []
    narrowings = access.narrowings(interaction, kind)
    of_patient = _MADE_BY[kind](server.node, patient)
    if any(not each for each in narrowings):
        return of_patient
    queries = [parse_query(kind, each, is_strict=True) for each in narrowings]
    return [each for each in of_patient if any(_meets(each, query) for query in queries)]


def _found(server: Server, access: Access, query: Query, patient: bytes) -> list[Derived]:
    if query.includes or any((each.parameter, each.is_descending) not in _ORDERS for each in query.sort):
        words = f"expected a search of {query.type} without includes, in the order -_lastUpdated: leave the others out"
        raise Failure(400, Issue("not-supported", "MSG_PARAM_INVALID", words))
    return [each for each in _visible(server, access, query.type, patient, "s") if _meets(each, query)]


_ORDERS: Final = (("_lastUpdated", True), ("date", True))
"""The newest first, which is how they come."""


def _meets(derived: Derived, query: Query) -> bool:
    content = json.decode(rendered(derived.shown))
    return meets(index(query.type, content), query.filters)


def _answer(server: Server, call: Call, query: Query, patient: bytes, found: Sequence[Derived]) -> Reply:
    is_count = query.summary == "count" or query.count == 0
    page = _page(found, 0 if is_count else count_of(server, query))
    page = replace(page, total=len(found), rest=() if is_count else page.rest)
    state = PageState(call.access.login.session.key.public, query.type, call.query, (), patient)
    self_link = Link("self", told_url(server.settings.base, query.type, query, call.query))
    return page_reply(server, query, page, [self_link, *next_links(server, state, page)])


def _next_page(server: Server, call: Call) -> Reply:
    state, self_link = page_state(server, call)
    query = parsed(replace(call, query=state.pairs), state.kind, server.settings.base)
    rest = set(state.rows)
    found = [each for each in _found(server, call.access, query, state.patient) if each.number in rest]
    page = _page(found, count_of(server, query))
    return page_reply(server, query, page, [self_link, *next_links(server, state, page)])


def _page(found: Sequence[Derived], count: int) -> Page:
    return Page([each.shown for each in found[:count]], rest=tuple(each.number for each in found[count:]))
