"""How far whoever asks may go: the compartment, the types and the searches of their scopes, for one interaction."""

from collections.abc import Sequence

from salus.api.fhir.call import Access, Server
from salus.clinical.fhir.search import parse_query
from salus.clinical.fhir.search.queries import Filter
from salus.node.projections.resources import Found
from salus.node.services.made import Made
from salus.node.services.search import Reach, Search


def search_within(server: Server, access: Access, interaction: str, *, patient: bytes | None) -> Search:
    """Return a search that goes no further than the scopes allow.

    Args:
        patient: the one relationship whose records may be found; None for all.
    """

    def narrowed(kind: str) -> Sequence[Sequence[Filter]]:
        searches = access.narrowings(interaction, kind)
        if any(not each for each in searches):
            return ()
        return [parse_query(kind, each, is_strict=True).filters for each in searches]

    reach = Reach(patient, lambda kind: access.may(interaction, kind), narrowed)
    return Search(server.node, server.responder, access.login, reach)


def made_within(server: Server, access: Access, interaction: str) -> Made:
    """Return what is derived, within the scopes for an interaction: `r` or `s`."""
    search = search_within(server, access, interaction, patient=access.patient)
    return Made(server.node, server.responder, access.login, search, interaction)


def may_touch(server: Server, access: Access, found: Found, interaction: str) -> bool:
    """Tell whether a resource is within the scopes and the compartment; the decision is another matter."""
    return search_within(server, access, interaction, patient=access.patient).meets(found)
