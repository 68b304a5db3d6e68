"""Bundles that are answered: entries of what may be shown, and nothing about what may not."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import msgspec

from salus.api.fhir.rendering import rendered, version_tag
from salus.clinical.fhir.renaming import instant
from salus.node.services.show import Shown


@dataclass(frozen=True)
class Link:
    """A link of a bundle: `self`, `next`, …"""

    relation: str
    url: str


@dataclass(frozen=True)
class Hit:
    """An entry of a searchset: a resource in JSON, where it is, and why it is there: `match`, `include`, `outcome`."""

    full_url: str
    content: bytes = field(repr=False)
    mode: str = "match"


def searchset(hits: Sequence[Hit], links: Sequence[Link], *, total: int | None, at_s: int) -> bytes:
    """Return a searchset (FHIR R4 3.1.1.2).

    Args:
        total: of the hits that may be shown, on all pages; None leaves it out.
    """
    entries = [_entry(each.full_url, each.content) | {"search": {"mode": each.mode}} for each in hits]
    return _bundle("searchset", entries, links, total=total, at_s=at_s)


def history(base: str, versions: Sequence[Shown], links: Sequence[Link], *, total: int | None, at_s: int) -> bytes:
    """Return a history, the newest version first (FHIR R4 http.html 3.1.0.10)."""
    return _bundle("history", [_version(base, each) for each in versions], links, total=total, at_s=at_s)


def full_url(base: str, shown: Shown) -> str:
    """Return the address of a resource, whatever its version."""
    return f"{base}/{shown.type}/{shown.logical_id}"


def _version(base: str, shown: Shown) -> dict[str, object]:
    method = "DELETE" if shown.is_deleted else "POST" if shown.version == 1 else "PUT"
    url = shown.type if method == "POST" else f"{shown.type}/{shown.logical_id}"
    status = {"DELETE": "204", "POST": "201", "PUT": "200"}[method]
    return _entry(full_url(base, shown), b"" if shown.is_deleted else rendered(shown)) | {
        "request": {"method": method, "url": url},
        "response": {"status": status, "etag": version_tag(shown.version), "lastModified": instant(shown.updated_s)},
    }


def _entry(url: str, content: bytes) -> dict[str, object]:
    said: dict[str, object] = {"fullUrl": url} if url else {}
    return said | ({"resource": msgspec.Raw(content)} if content else {})


def _bundle(
    kind: str, entries: Sequence[dict[str, object]], links: Sequence[Link], *, total: int | None, at_s: int
) -> bytes:
    said: dict[str, object] = {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "meta": {"lastUpdated": instant(at_s)},
        "type": kind,
    }
    if total is not None:
        said["total"] = total
    if links:
        said["link"] = [{"relation": each.relation, "url": each.url} for each in links]
    if entries:
        said["entry"] = entries
    return msgspec.json.encode(said)
