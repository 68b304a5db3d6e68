"""Bundles: full URLs, references from entry to entry, what a document or a search result must hold.

The invariants of Bundle (bdl-1 to bdl-12) are asked of FHIRPath; here is what the reference validator checks beside
them. Source: FHIR R4 3.1.6 (bundle), 3.3.1 (documents), `Bundle.entry.fullUrl`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from salus.clinical.fhir.validation.issues import Linked, Place, Run
from salus.clinical.fhir.validation.references import LITERAL
from salus.clinical.fhir.validation.terms import ABSOLUTE

Json = dict[str, Any]

REST: Final = re.compile(
    r"(?P<base>https?://\S+?)/(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/\S+)?"
)
SELF_TYPE: Final = re.compile(r"(?:\S*/)?(?P<type>[A-Z][A-Za-z]+)(?:\?.*)?")
COMPOSITION_LINKS: Final = frozenset({"subject", "author", "attester", "custodian", "event", "section"})


class Entries:
    """The entries of one bundle by what references call them."""

    def __init__(self, bundle: Json, types: frozenset[str]) -> None:
        listed = bundle.get("entry")
        self.all: list[Json] = (
            [each if isinstance(each, dict) else {} for each in listed] if type(listed) is list else []
        )
        self.types = types
        self.urls = [str(each.get("fullUrl", "")) for each in self.all]
        self.resources: list[Json] = [resource_of(each, types) for each in self.all]
        self.by_url: dict[str, list[int]] = defaultdict(list)
        self.by_name: dict[str, list[int]] = defaultdict(list)
        for index, (url, resource) in enumerate(zip(self.urls, self.resources, strict=True)):
            self.by_url[url].append(index)
            self.by_name[f"{resource.get('resourceType')}/{resource.get('id')}"].append(index)

    def target(self, reference: str, source: int) -> int | None:
        """The entry that a reference from an entry means; None when it is in no entry."""
        plain = reference.partition("#")[0].partition("/_history/")[0]
        if ABSOLUTE.fullmatch(plain):
            return next(iter(self.by_url.get(plain, ())), None)
        found = REST.fullmatch(self.urls[source])
        names = [f"{found['base']}/{plain}"] if found else [f"urn:uuid:{plain.rpartition('/')[2]}"]
        hits = [index for name in names for index in self.by_url.get(name, ())]
        if not hits and not self.urls[source]:
            hits = self.by_name.get(plain, [])
        return hits[0] if hits else None


def check_bundle(value: Json, place: Place, run: Run, references: Iterable[Linked], types: frozenset[str]) -> None:
    """Check a bundle after its elements; `references` are those inside it, in all its entries."""
    entries = Entries(value, types)
    kind = value.get("type")
    for index in range(len(entries.all)):
        check_full_url(entries, index, place, run, kind)
    links = [(entry_of(each.place, place), each) for each in references]
    found = [(index, each, entries.target(each.reference, index)) for index, each in links if index is not None]
    for _, each, target in found:
        if target is not None and "resourceType" in entries.resources[target]:
            check_target(each, entries.resources[target]["resourceType"], run)
    if kind in ("document", "message") and entries.all:
        check_document(entries, found, place, run, is_document=kind == "document")
    if kind == "searchset":
        check_search(value, entries, place, run)


def resource_of(entry: Json, types: frozenset[str]) -> Json:
    """The resource of an entry; empty when it has none, or one of no type of R4."""
    found = entry.get("resource")
    kind = found.get("resourceType") if isinstance(found, dict) else None
    return found if isinstance(found, dict) and isinstance(kind, str) and kind in types else {}


def check_full_url(entries: Entries, index: int, place: Place, run: Run, kind: object) -> None:
    """A full URL is absolute, and names the resource that it is of."""
    url, resource = entries.urls[index], entries.resources[index]
    at = (place, "entry", index)
    if not url:
        return
    if not ABSOLUTE.fullmatch(url):
        run.add(at, "invalid", "full-url", "The fullUrl must be an absolute URL")
        return
    found = REST.fullmatch(url)
    if found is None or found["type"] not in entries.types or "resourceType" not in resource:
        return
    if "id" not in resource:
        if kind not in ("transaction", "batch"):
            run.add(at, "invalid", "full-url", "The fullUrl is that of a RESTful server, but the resource has no id")
    elif (found["type"], found["id"]) != (resource.get("resourceType"), resource["id"]):
        run.add(at, "invalid", "full-url", "expected a fullUrl that ends with the type and id of the resource")


def entry_of(place: Place, bundle: Place) -> int | None:
    """In which entry of the bundle a place is; None when in none."""
    at: Place | None = place
    while at is not None:
        if len(at) == 3 and at[1] == "entry" and at[0] is bundle:
            return int(at[2])
        at = at[0]
    return None


def check_target(linked: Linked, found: object, run: Run) -> None:
    """What a reference points to in the bundle is of the type that it names, and of one that its element allows."""
    named = LITERAL.fullmatch(linked.reference)
    if named and linked.reference.partition("/")[0] == named["type"] and named["type"] != found:
        run.add(
            linked.place, "required", "reference-type", "expected a reference to what it names, came to another type"
        )
    elif linked.targets and found not in linked.targets:
        text = f"expected a reference to {', '.join(sorted(linked.targets))}, came one to another type"
        run.add(linked.place, "structure", "reference-target", text)


def check_document(
    entries: Entries, found: list[tuple[int, Linked, int | None]], place: Place, run: Run, *, is_document: bool
) -> None:
    """In a document each link of the Composition is found, and each entry is linked to it, forward or backward."""
    links: dict[int, set[int]] = defaultdict(set)
    for index, each, target in found:
        if target is not None:
            links[index].add(target)
            links[target].add(index)
        elif is_document and index == 0 and is_composition_link(each):
            text = "expected a reference to an entry of the document, came one that is in none"
            run.add(each.place, "not-found", "document-link", text)
    reached = reachable(links)
    for index, resource in enumerate(entries.resources):
        if index not in reached and resource:
            text = "expected an entry that is linked, forward or backward, to the first"
            severity = "error" if is_document else "warning"
            run.add((place, "entry", index), "invalid", "document-reach", text, severity)  # type: ignore[arg-type]


def is_composition_link(linked: Linked) -> bool:
    """Whether a reference of a Composition must lead to an entry of its document."""
    return first_element(linked.place) in COMPOSITION_LINKS and not linked.reference.startswith("#")


def first_element(place: Place) -> str:
    """Of a place inside an entry's resource, the element right under the resource."""
    name = ""
    at: Place | None = place
    while at is not None and at[1] != "resource":
        name, at = at[1], at[0]
    return name


def reachable(links: Mapping[int, set[int]]) -> set[int]:
    """The entries that hang together with the first."""
    reached, waiting = {0}, [0]
    while waiting:
        new = links.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return reached


def check_search(value: Json, entries: Entries, place: Place, run: Run) -> None:
    """What was searched for has ids, and is of the type that the search asked for."""
    listed = value.get("link")
    links = [each for each in listed if isinstance(each, dict)] if type(listed) is list else []
    own = next((str(each.get("url", "")) for each in links if each.get("relation") == "self"), None)
    if own is None:
        run.add(place, "invalid", "search-self", "SearchSet Bundles should have a self link", "warning")
    asked = SELF_TYPE.fullmatch(own.partition("?")[0]) if own else None
    for index, resource in enumerate(entries.resources):
        kind, search = resource.get("resourceType"), entries.all[index].get("search")
        at = ((place, "entry", index), "resource")
        if resource and kind != "OperationOutcome" and "id" not in resource:
            run.add(at, "invalid", "search-id", "Search results must have ids")
        is_match = isinstance(search, dict) and search.get("mode") == "match"
        if asked and asked["type"] in entries.types and is_match and kind != asked["type"]:
            run.add(at, "invalid", "search-type", f"expected a match of type {asked['type']}, came another")
