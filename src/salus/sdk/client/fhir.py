"""Plans for FHIR: read, write, search page by page, transactions, and bulk export."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from salus.sdk.client.errors import Unavailable
from salus.sdk.client.plans import FHIR_JSON, Ask, Came, Plan, asked, writing, written

_READING: Final = {"accept": FHIR_JSON}
_SEARCHING: Final = {**_READING, "content-type": "application/x-www-form-urlencoded"}
Content = Mapping[str, Any] | bytes
"""A resource: as a value, or as the bytes that are to be kept."""


@dataclass(frozen=True)
class Resource:
    """A resource as the server has it; `body` to the last decimal.

    Args:
        etag: names its version, for `update` and `delete`; empty where none came.
    """

    type: str
    id: str
    body: bytes = field(repr=False)
    etag: str = ""

    @property
    def value(self) -> dict[str, Any]:
        """The resource as a value, with decimals as they stand (FHIR R4 json.html 2.6.2)."""
        value: dict[str, Any] = json.loads(self.body, parse_float=Decimal)
        return value


@dataclass(frozen=True)
class Page:
    """A page of a search.

    Args:
        total: of all pages; None where the server does not tell it.
        included: what was sent with the hits.
        next: where the next page is; empty after the last.
    """

    hits: tuple[Resource, ...]
    included: tuple[Resource, ...]
    total: int | None
    next: str = field(repr=False)


@dataclass(frozen=True)
class Request:
    """One request of a transaction, such as `Request("PUT", "Patient/ann", …)`.

    Args:
        full_url: by which others of the transaction refer to it (`urn:uuid:…`).
        if_none_exist: a search; nothing is created where it finds something.
        if_match: the version that it writes over.
    """

    method: str
    url: str
    resource: Content | None = None
    full_url: str = ""
    if_none_exist: str = ""
    if_match: str = ""


@dataclass(frozen=True)
class Answer:
    """What became of one request of a transaction."""

    status: int
    location: str
    etag: str
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class ExportRunning:
    """An export that goes on: ask again after so long."""

    progress: str
    retry_after_s: int


@dataclass(frozen=True)
class ExportFile:
    """A file of an export, NDJSON; `count` is as the server says it."""

    type: str
    url: str = field(repr=False)
    count: int | None = None


@dataclass(frozen=True)
class Manifest:
    """The files of an export that is done."""

    files: tuple[ExportFile, ...]
    errors: tuple[ExportFile, ...]
    next: str = field(repr=False)


class _Head(msgspec.Struct, frozen=True):
    resource_type: str = msgspec.field(name="resourceType")
    id: str = ""


class _Search(msgspec.Struct, frozen=True):
    mode: str = "match"


class _Response(msgspec.Struct, frozen=True):
    status: str
    location: str = ""
    etag: str = ""


class _Entry(msgspec.Struct, frozen=True):
    resource: msgspec.Raw = msgspec.Raw(b"")
    search: _Search = _Search()
    response: _Response | None = None


class _Link(msgspec.Struct, frozen=True):
    relation: str
    url: str


class _Bundle(msgspec.Struct, frozen=True, tag_field="resourceType", tag="Bundle"):
    entry: list[_Entry] = []
    link: list[_Link] = []
    total: int | None = None


class _File(msgspec.Struct, frozen=True):
    type: str
    url: str
    count: int | None = None


class _Manifest(msgspec.Struct, frozen=True):
    output: list[_File] = []
    error: list[_File] = []
    link: list[_Link] = []


def read(kind: str, name: str) -> Plan[Resource]:
    """Read a resource. Raises Rejected: 404 also for what may not be seen, 410 for what was deleted."""
    came = yield from asked(Ask("GET", f"/{kind}/{name}", headers=_READING), 200)
    return _resource(came.body, etag=came.headers.get("etag", ""))


def create(resource: Content) -> Plan[Resource]:
    """Store a new resource, under an id of the server's; return it as it was stored."""
    body = written(resource)
    came = yield from asked(writing("POST", f"/{_head(body).resource_type}", body, prefer="return=representation"), 201)
    return _resource(came.body, etag=came.headers.get("etag", ""))


def update(resource: Content, *, if_match: str = "") -> Plan[Resource]:
    """Store a resource under its own id; return it as it was stored.

    Args:
        if_match: the `etag` of the version that is written over; somebody's change meanwhile is then Rejected, 412.
    """
    body = written(resource)
    head = _head(body)
    ask = writing("PUT", f"/{head.resource_type}/{head.id}", body, prefer="return=representation", if_match=if_match)
    came = yield from asked(ask, 200, 201)
    return _resource(came.body, etag=came.headers.get("etag", ""))


def delete(kind: str, name: str, *, if_match: str = "") -> Plan[None]:
    """Delete a resource; its versions before stay."""
    yield from asked(writing("DELETE", f"/{kind}/{name}", b"", if_match=if_match), 200, 204)


def search(kind: str, parameters: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> Plan[Page]:
    """Search, in the body of a POST: what is searched for is in no address and in no log."""
    came = yield from asked(Ask("POST", f"/{kind}/_search", urlencode(parameters).encode(), _SEARCHING), 200)
    return _page(came)


def next_page(page: Page) -> Plan[Page]:
    """Return the page after one that has a next."""
    assert page.next, "this is the last page"
    came = yield from asked(Ask("GET", page.next, headers=_READING), 200)
    return _page(came)


def search_all(kind: str, parameters: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> Plan[list[Resource]]:
    """Search, and go through all pages; return the hits."""
    page = yield from search(kind, parameters)
    hits = list(page.hits)
    while page.next:
        page = yield from next_page(page)
        hits += page.hits
    return hits


def transaction(requests: Sequence[Request]) -> Plan[tuple[Answer, ...]]:
    """Do all of some requests, or none; return what became of each, in their order."""
    entries = [_entry(each) for each in requests]
    said = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    came = yield from asked(writing("POST", "/", msgspec.json.encode(said)), 200)
    answers = [each.response for each in _bundle(came).entry]
    if len(answers) != len(requests) or not all(answers):
        raise Unavailable("expected an answer to each request of the transaction: read what you wrote")
    bodies = [bytes(each.resource) for each in _bundle(came).entry]
    return tuple(
        Answer(int(each.status[:3]), each.location, each.etag, body)
        for each, body in zip(answers, bodies, strict=True)
        if each is not None
    )


def begin_export(path: str = "/Patient", parameters: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> Plan[str]:
    """Begin a bulk export; return where its status is, which lasts longer than this program.

    Args:
        path: of whom: `/Patient`, `/Group/…`, or empty for the whole server.
    """
    query = f"?{urlencode(parameters)}" if parameters else ""
    headers = {**_READING, "prefer": "respond-async"}
    came = yield from asked(Ask("GET", f"{path}/$export{query}", headers=headers), 202)
    return came.headers["content-location"]


def export_status(status: str) -> Plan[ExportRunning | Manifest]:
    """Return how far an export is, or its files."""
    came = yield from asked(Ask("GET", status, headers={"accept": "application/json"}), 200, 202)
    if came.status == 202:
        retry_after = came.headers.get("retry-after", "")
        return ExportRunning(came.headers.get("x-progress", ""), int(retry_after) if retry_after.isdecimal() else 1)
    said = _decoded(came, _Manifest)
    files, errors = ([ExportFile(each.type, each.url, each.count) for each in of] for of in (said.output, said.error))
    return Manifest(tuple(files), tuple(errors), _next(said.link))


def export_file(file: ExportFile) -> Plan[list[Resource]]:
    """Fetch a file of an export: its resources, decided on at this moment."""
    came = yield from asked(Ask("GET", file.url, headers={"accept": "application/fhir+ndjson"}), 200)
    return [_resource(line) for line in came.body.splitlines() if line]


def end_export(status: str) -> Plan[None]:
    """End an export, and forget its files."""
    yield from asked(writing("DELETE", status, b""), 200, 202, 204)


def _entry(request: Request) -> dict[str, Any]:
    said: dict[str, Any] = {"request": {"method": request.method, "url": request.url}}
    said["request"] |= {"ifNoneExist": request.if_none_exist} if request.if_none_exist else {}
    said["request"] |= {"ifMatch": request.if_match} if request.if_match else {}
    said |= {"fullUrl": request.full_url} if request.full_url else {}
    return said | ({"resource": msgspec.Raw(written(request.resource))} if request.resource is not None else {})


def _page(came: Came) -> Page:
    bundle = _bundle(came)
    of: dict[str, list[Resource]] = {"match": [], "include": []}
    for each in bundle.entry:
        if each.search.mode in of:  # an outcome among the hits is about the search
            of[each.search.mode].append(_resource(bytes(each.resource)))
    return Page(tuple(of["match"]), tuple(of["include"]), bundle.total, _next(bundle.link))


def _next(links: Sequence[_Link]) -> str:
    return next((each.url for each in links if each.relation == "next"), "")


def _bundle(came: Came) -> _Bundle:
    bundle: _Bundle = _decoded(came, _Bundle)
    return bundle


def _decoded(came: Came, kind: Any) -> Any:
    try:
        return msgspec.json.decode(came.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable("the server answers in what this release does not know: use a newer one") from error


def _head(body: bytes) -> _Head:
    return msgspec.json.decode(body, type=_Head)


def _resource(body: bytes, *, etag: str = "") -> Resource:
    try:
        head = _head(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable("expected a resource, came something else: try later") from error
    return Resource(head.resource_type, head.id, body, etag)
