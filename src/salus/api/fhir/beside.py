"""Types of which some resources are made and others stored: told apart by id when they are read, by tag when they are
searched for (decision 0032).
"""

from collections.abc import Sequence

from salus.api.fhir import across, derived, reading, searching
from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.searching import PAGE, page_state
from salus.node import derived_names
from salus.node.shapes import BESIDE, systems


def read(server: Server, call: Call) -> Reply:
    """Answer with a resource as it is now, stored or made. Raises Failure: 404, 410."""
    kind = call.at["kind"]
    is_made = kind in BESIDE and derived_names.find(server.node, kind, call.at["id"]) is not None
    return derived.read(server, call) if is_made else reading.read(server, call)


def search_type(server: Server, call: Call) -> Reply:
    """Answer a search of a type, or a link to a page of one. Raises Failure, FhirRejected."""
    kind, pairs = call.at["kind"], call.query
    if kind in BESIDE and any(name == PAGE for name, _ in pairs):
        pairs = page_state(server, call)[0].pairs
    return derived.search(server, call) if _is_for_made(kind, pairs) else searching.search_type(server, call)


def search_compartment(server: Server, call: Call) -> Reply:
    """Answer a search within a compartment. Raises Failure, FhirRejected."""
    kind, within = call.at["kind"], call.at["within"]
    is_made = kind == "Patient" and _is_for_made(within, call.query)
    return derived.search_compartment(within)(server, call) if is_made else across.search_compartment(server, call)


def _is_for_made(kind: str, pairs: Sequence[tuple[str, str]]) -> bool:
    return kind in BESIDE and any(name == "_tag" and f"{systems.MADE}|" in value for name, value in pairs)
