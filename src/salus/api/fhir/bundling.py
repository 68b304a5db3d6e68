"""Batch and transaction (FHIR R4 http.html 3.1.0.11): many requests in one bundle, each alone, or all or none.

A transaction is stored in one step: durable at once, one registration for each patient in one ledger transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import msgspec

from salus.api.fhir import conditional, writing
from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, failure_of, outcome
from salus.api.fhir.rendering import place_of, version_tag
from salus.api.fhir.routing import Routed, route
from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.renaming import instant
from salus.clinical.fhir.request_bundles import (
    METHODS,
    RequestEntry,
    read_request_bundle,
    require_once,
    with_addresses,
    with_lookups,
)
from salus.node.errors import NotNow, Refused
from salus.node.services.show import Shown
from salus.node.services.store import Deletion, Stored, Write, store

READS = ("GET", "HEAD")
WRITES = ("create", "update", "patch", "delete")


@dataclass(frozen=True)
class _Planned:
    """An entry of a transaction, and what is written for it; None for one that reads."""

    entry: RequestEntry
    routed: Routed
    write: Write | Deletion | None


def bundle(server: Server, call: Call) -> Reply:
    """Do a bundle of requests. Raises Failure, FhirRejected, Refused, NotNow: nothing of a transaction is stored."""
    asked = read_request_bundle(call.body, entries_max=server.settings.entries_max)
    if asked.kind == "batch":
        return _answer("batch-response", [_alone(server, call, each) for each in asked.entries])
    return _answer("transaction-response", together(server, call, asked.entries))


def _alone(server: Server, call: Call, entry: RequestEntry) -> bytes:
    try:
        routed = route(server.interactions, entry.method, entry.url)
        return _response(routed.interaction.handler(server, _as_call(call, entry, routed)))
    except (FhirRejected, Refused, NotNow) as error:
        return _refused(failure_of(error))
    except Failure as failure:
        return _refused(failure)


def together(server: Server, call: Call, entries: Sequence[RequestEntry]) -> list[bytes]:
    """Do the entries of a transaction; return what answers each. Raises as `bundle`.

    1. Find out what each entry asks for; give what is created its id, unless a condition finds what is there already.
    2. Put the new addresses where entries mean each other, and what is found where they mean it by a search.
    3. Store everything that is written, all or none.
    4. Only then read.
    """
    routed = [_routed(server, entry) for entry in entries]  # 1
    there = [_there(server, call, entry, each) for entry, each in zip(entries, routed, strict=True)]
    ids = [
        each.at.get("id") or (match.logical_id if match is not None else str(uuid4()))
        for each, match in zip(routed, there, strict=True)
    ]
    addresses = {
        entry.full_url.encode(): f"{each.at['kind']}/{name}".encode()
        for entry, each, name in zip(entries, routed, ids, strict=True)
        if entry.full_url and entry.method in ("POST", "PUT")
    }
    lookups = _Lookups(server, call)
    planned = [
        _Planned(entry, each, None)
        if match is not None and entry.method == "POST"
        else _plan(
            server, call, replace(entry, body=lookups.in_body(with_addresses(entry.body, addresses))), each, name
        )
        for entry, each, name, match in zip(entries, routed, ids, there, strict=True)  # 2
    ]
    order = sorted(range(len(planned)), key=lambda place: METHODS.index(planned[place].entry.method))
    writes = [(place, write) for place in order if (write := planned[place].write) is not None]
    require_once([writing.name_of(write) for _, write in writes])
    stored = store(
        server.node, [write for _, write in writes], only=call.access.patient, depositor=server.depositor
    )  # 3
    answers = {place: _written(server, write, each) for (place, write), each in zip(writes, stored, strict=True)}
    for place in order:
        match = there[place]
        if match is not None and planned[place].entry.method == "POST":
            said = {"location": place_of(server.settings.base, match), "etag": version_tag(match.version)}
            answers[place] = _entry({"status": "200", **said})
        elif planned[place].write is None:
            answers[place] = _alone(server, call, planned[place].entry)  # 4
    return [answers[place] for place in range(len(planned))]


def _routed(server: Server, entry: RequestEntry) -> Routed:
    """Return what an entry of a transaction asks for: a read, or a write of a record. Raises Failure: 404, 422."""
    routed = route(server.interactions, entry.method, entry.url)
    is_write = routed.interaction.code in WRITES and not routed.interaction.kind
    if not is_write and entry.method not in READS:
        words = "expected reads and writes of records in a transaction, came something else: send it by itself"
        raise Failure(422, Issue("not-supported", "MSG_OP_NOT_ALLOWED", f"{entry.place}: {words}"))
    return routed


def _there(server: Server, call: Call, entry: RequestEntry, routed: Routed) -> Shown | None:
    """What a condition of an entry finds; None for nothing, or without one."""
    if entry.method == "POST" and "if-none-exist" in entry.headers:
        return conditional.existing(server, call.access, routed.at["kind"], entry.headers["if-none-exist"])
    if entry.method == "PUT" and "id" not in routed.at:
        return conditional.the_match(server, call.access, routed.at["kind"], routed.query)
    return None


class _Lookups:
    """References by search, such as `Practitioner?identifier=…`, each looked for once."""

    def __init__(self, server: Server, call: Call) -> None:
        self._server, self._call = server, call
        self._known: dict[str, str] = {}

    def in_body(self, body: bytes) -> bytes:
        """Return a resource in which they are addresses. Raises Failure: 412 unless each finds one."""
        return with_lookups(body, self._address)

    def _address(self, searched: str) -> str:
        if searched not in self._known:
            kind, _, condition = searched.partition("?")
            found = conditional.existing(self._server, self._call.access, kind, condition)
            if found is None:
                words = "expected a reference by search to find one resource, it finds none: store that first"
                raise Failure(412, Issue("not-found", "MSG_NO_MATCH", words))
            self._known[searched] = f"{found.type}/{found.logical_id}"
        return self._known[searched]


def _plan(server: Server, call: Call, entry: RequestEntry, routed: Routed, logical_id: str) -> _Planned:
    try:
        return _Planned(entry, routed, _write(server, _as_call(call, entry, routed), entry, logical_id))
    except FhirRejected as fault:
        raise fault.at(entry.place) from fault
    except Failure as failure:
        issues = [replace(each, words=f"{entry.place}: {each.words}") for each in failure.issues]
        raise Failure(failure.status, *issues, headers=failure.headers) from failure


def _write(server: Server, call: Call, entry: RequestEntry, logical_id: str) -> Write | Deletion | None:
    match entry.method:
        case "POST" if "id" not in call.at:
            return writing.creation(server, call, logical_id)
        case "PUT" if "id" not in call.at:
            return writing.replacement(server, replace(call, at={**call.at, "id": logical_id}), may_lack_id=True)
        case "PUT":
            return writing.replacement(server, call)
        case "PATCH" if "id" not in call.at:
            return conditional.change(server, call)
        case "PATCH":
            return writing.change(server, call)
        case "DELETE" if "id" not in call.at:
            return conditional.deletion(server, call)
        case "DELETE":
            return writing.deletion(server, call)
        case _:
            return None


def _as_call(call: Call, entry: RequestEntry, routed: Routed) -> Call:
    return Call(call.access, routed.at, routed.query, entry.headers, entry.body)


def _written(server: Server, write: Write | Deletion, stored: Stored) -> bytes:
    found = stored.found
    if isinstance(write, Deletion):
        return _entry({"status": "204", "etag": version_tag(found.version)})
    status = "201" if stored.is_new and found.version == 1 else "200"
    shown = writing.as_shown(stored, write)
    return _entry(
        {
            "status": status,
            "location": place_of(server.settings.base, shown),
            "etag": version_tag(found.version),
            "lastModified": instant(found.updated_s),
        }
    )


def _response(reply: Reply) -> bytes:
    said = {"status": str(reply.status)}
    said |= {name: reply.headers[name] for name in ("location", "etag") if name in reply.headers}
    return _entry(said, resource=reply.content)


def _refused(failure: Failure) -> bytes:
    return _entry({"status": str(failure.status)}, outcome_of=outcome(*failure.issues))


def _entry(response: dict[str, str], *, resource: bytes = b"", outcome_of: bytes = b"") -> bytes:
    said: dict[str, object] = dict(response)
    if outcome_of:
        said["outcome"] = msgspec.Raw(outcome_of)
    entry: dict[str, object] = {"resource": msgspec.Raw(resource)} if resource else {}
    return msgspec.json.encode(entry | {"response": said})


def _answer(kind: str, entries: Sequence[bytes]) -> Reply:
    said = {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "type": kind,
        "entry": [msgspec.Raw(each) for each in entries],
    }
    if not entries:
        del said["entry"]
    return Reply(200, msgspec.json.encode(said))
