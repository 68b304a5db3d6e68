"""Read and search what is made from the ledger and never stored (FHIR R4 http.html 3.1.0.2, 3.1.1).

Such a search is about one patient, whom it names or whose token it comes with; for whoever may not see it there is
nothing. A link to a page goes on in what was there at first, and who may see it is asked anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeGuard

from salus.api.fhir.bundles import Link
from salus.api.fhir.call import Access, Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, not_found
from salus.api.fhir.reach import made_within, search_within
from salus.api.fhir.reading import shown_as
from salus.api.fhir.searching import PAGE, PageState, count_of, next_links, page_reply, page_state, parsed, told_url
from salus.api.fhir.writing import require_scope
from salus.clinical.fhir.search.parameters import Parameter, parameters_of
from salus.clinical.fhir.search.queries import Criterion, Filter, Query
from salus.clinical.fhir.search.sought import SoughtReference
from salus.node import derived_names
from salus.node.projections import resources
from salus.node.services import companions
from salus.node.services.derived import Derived
from salus.node.services.made import is_met
from salus.node.services.search import Page

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
        for each in _visible(server, access, kind, found[0], "r", only=found[1]):
            if each.shown.logical_id == logical_id and made_within(server, access, "r").released([each]):
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
    named = [name for each in query.filters if _names_patient(each) for name in _named(each, "Patient")]
    if access.patient is not None and not named:
        return access.patient
    if not named and query.type == companions.PROVENANCE:
        return _owner_of_target(server, query)
    if len(named) != 1:
        words = f"expected one patient of whom {query.type} is searched: add patient=ID"
        raise Failure(400, Issue("too-costly", "MSG_PARAM_INVALID", words))
    return patient_named(server, access, named[0])


def _names_patient(wanted: Filter) -> TypeGuard[Criterion]:
    """Tell whether a filter says whose it has to be, which decides what is looked at: not all of it names them."""
    return (
        isinstance(wanted, Criterion)
        and wanted.parameter == "patient"
        and not wanted.modifier
        and wanted.missing is None
    )


def _named(wanted: Criterion, kind: str) -> list[str]:
    """The ids of resources of a type that a filter names."""
    sought = [each for each in wanted.values if isinstance(each, SoughtReference)]
    return [each.id for each in sought if each.id and each.type in (None, kind)]


def _is_about(server: Server, access: Access, query: Query, patient: bytes) -> bool:
    """Tell whether a patient is among those whom each filter that names any names."""
    return all(
        any(patient_named(server, access, name) == patient for name in _named(each, "Patient"))
        for each in query.filters
        if _names_patient(each)
    )


def _owner_of_target(server: Server, query: Query) -> bytes:
    """Whose the one record is that is named as the target; NOBODY for what is not here."""
    targets = [
        (each.type, each.id)
        for wanted in query.filters
        if isinstance(wanted, Criterion) and wanted.parameter == "target" and not wanted.modifier
        for each in wanted.values
        if isinstance(each, SoughtReference) and each.type and each.id
    ]
    found = resources.find_all(server.node, [(kind, name) for kind, name in targets if kind and name])
    if len(targets) != 1:
        words = "expected one patient or one target whose Provenance is searched: add patient=ID or target=Type/ID"
        raise Failure(400, Issue("too-costly", "MSG_PARAM_INVALID", words))
    return found[0].pseudonym if found else NOBODY


def _visible(
    server: Server, access: Access, kind: str, patient: bytes, interaction: str, *, only: bytes = b""
) -> list[Derived]:
    """Everything of a type and a patient that may be seen, the newest first; `only` as `Made.visible` has it."""
    if patient == NOBODY or access.patient not in (None, patient):
        return []
    return made_within(server, access, interaction).visible(kind, patient, only=only)


def _found(server: Server, access: Access, query: Query, patient: bytes) -> list[Derived]:
    if any((each.parameter, each.is_descending) not in _ORDERS for each in query.sort):
        words = f"expected a search of {query.type} in the order -_lastUpdated: leave the others out"
        raise Failure(400, Issue("not-supported", "MSG_PARAM_INVALID", words))
    if not _is_about(server, access, query, patient):
        return []
    filters = [each for each in query.filters if not _names_patient(each)]
    return [each for each in _visible(server, access, query.type, patient, "s") if is_met(each, filters)]


_ORDERS: Final = (("_lastUpdated", True), ("date", True))
"""The newest first, which is how they come."""


def _answer(server: Server, call: Call, query: Query, patient: bytes, found: Sequence[Derived]) -> Reply:
    is_count = query.summary == "count" or query.count == 0
    page = _page(server, call.access, query, found, 0 if is_count else count_of(server, query))
    page = replace(page, total=len(found), rest=() if is_count else page.rest)
    state = PageState(call.access.login.session.key.public, query.type, call.query, (), patient)
    self_link = Link("self", told_url(server.settings.base, query.type, query, call.query))
    return page_reply(server, query, page, [self_link, *next_links(server, state, page)])


def _next_page(server: Server, call: Call) -> Reply:
    state, self_link = page_state(server, call)
    query = parsed(replace(call, query=state.pairs), state.kind, server.settings.base)
    rest = set(state.rows)
    found = [each for each in _found(server, call.access, query, state.patient) if each.number in rest]
    page = _page(server, call.access, query, found, count_of(server, query))
    return page_reply(server, query, page, [self_link, *next_links(server, state, page)])


def _page(server: Server, access: Access, query: Query, found: Sequence[Derived], count: int) -> Page:
    hits = [each.shown for each in made_within(server, access, "s").released(found[:count])]
    search = search_within(server, access, "s", patient=access.patient)
    return Page(hits, search.included(query.includes, hits), rest=tuple(each.number for each in found[count:]))
