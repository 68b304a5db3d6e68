"""What is made from the ledger and sent with the hits of a search, because it refers to them (`_revinclude`)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from msgspec import json

from salus.api.fhir.call import Access, Server
from salus.api.fhir.reach import made_within
from salus.clinical.fhir.search.index import index
from salus.clinical.fhir.search.queries import Include
from salus.clinical.fhir.search.values import ReferenceValue
from salus.node.projections import resources
from salus.node.services.made import MADE_BY
from salus.node.services.search import INCLUDED_MAX, Page, too_large
from salus.node.services.show import Shown


def with_made(server: Server, access: Access, includes: Sequence[Include], page: Page) -> Page:
    """Return a page with what of it is asked for and may be seen; companions come by the search itself.

    Raises:
        FhirRejected, Refused, NotNow: as `Made.visible`.
    """
    asked = [each for each in includes if each.is_reverse and each.source_type in MADE_BY]
    if not asked or not page.hits:
        return page
    found = resources.find_all(server.node, [(each.type, each.logical_id) for each in page.hits])
    people = sorted({each.pseudonym for each in found if each.pseudonym})
    made = made_within(server, access, "s")
    told = {
        each.shown.logical_id: each.shown
        for kind in dict.fromkeys(each.source_type for each in asked)
        for pseudonym in people
        for each in made.visible(kind, pseudonym)
        if any(_refers(include, each.shown, page.hits) for include in asked)
    }
    if len(page.included) + len(told) > INCLUDED_MAX:
        raise too_large(f"hits with which at most {INCLUDED_MAX:,} resources are sent")
    return replace(page, included=[*page.included, *told.values()])


def _refers(include: Include, made: Shown, hits: Sequence[Shown]) -> bool:
    """Tell whether something that is made refers to a hit by the parameter of an include."""
    names = {(each.type, each.logical_id) for each in hits if include.target_type in (None, each.type)}
    return include.source_type == made.type and any(each in names for each in _references(include.parameter, made))


def _references(parameter: str, made: Shown) -> Iterator[tuple[str | None, str | None]]:
    for value in index(made.type, json.decode(made.body)):
        if isinstance(value, ReferenceValue) and parameter in ("*", value.code):
            yield value.type, value.id
