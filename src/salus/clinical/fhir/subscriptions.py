"""Subscriptions as values: what a Subscription asks for, and the notifications of the R5 backport.

R4's own form has a search in `criteria`; the backport (HL7 Subscriptions R5 Backport 1.1.0, for R4) has a topic there,
filters in an extension, and tells events in Bundles whose first entry says how the subscription is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID, uuid5

import msgspec

from salus.clinical.fhir.dates import span
from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.fhir.renaming import instant

IG = "http://hl7.org/fhir/uv/subscriptions-backport"
FILTER = f"{IG}/StructureDefinition/backport-filter-criteria"
HEARTBEAT = f"{IG}/StructureDefinition/backport-heartbeat-period"
TIMEOUT = f"{IG}/StructureDefinition/backport-timeout"
COUNT = f"{IG}/StructureDefinition/backport-max-count"
CONTENT = f"{IG}/StructureDefinition/backport-payload-content"
STATUS_PROFILE = f"{IG}/StructureDefinition/backport-subscription-status-r4"
NOTIFICATION_PROFILE = f"{IG}/StructureDefinition/backport-subscription-notification-r4"
TOPICS = {"created": (True, False), "updated": (False, True), "changed": (True, True)}
"""Topics by the last word of their address: whether a new resource is an event, and a new version of one."""
PARAMETERS_MAX = 32
RESERVED = (
    *("connection", "content-", "date", "expect", "host", "keep-alive", "proxy-", "signature", "te"),
    *("trailer", "transfer-", "upgrade", "via"),
)
"""What fields begin with that say where a request goes, how, or who signed it."""
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


class Level(StrEnum):
    """How much a notification says."""

    EMPTY = "empty"
    ID_ONLY = "id-only"
    FULL_RESOURCE = "full-resource"


class Asked(msgspec.Struct, frozen=True):
    """What a Subscription asks for.

    Attributes:
        topic: its address; empty for a search in R4's own form.
        type: of the resources; filters: the parameters of the search by which they are found.
        on_create, on_update: which changes are events.
        endpoint: where they are told, empty on a websocket; headers: fields that are sent along.
        level: how much is told; format: media type of it, empty for nothing.
        heartbeat_s: after how many seconds of silence a heartbeat is sent, 0 for never; timeout_s: for one delivery.
        count_max: events in one notification.
        until_s: Unix seconds; None for as long as may be.
        is_off: whether it is there, and tells nothing.
        is_socket: whether it is told over a websocket that its client opens.
    """

    topic: str
    type: str
    filters: tuple[tuple[str, str], ...]
    on_create: bool
    on_update: bool
    endpoint: str
    headers: tuple[tuple[str, str], ...]
    level: Level
    format: str
    heartbeat_s: int
    timeout_s: int
    count_max: int
    until_s: int | None
    is_off: bool
    is_socket: bool

    def __repr__(self) -> str:
        """Hide whom it is about."""
        return f"Asked({self.type})"


class Event(msgspec.Struct, frozen=True):
    """One event of a notification.

    Attributes:
        number: counted from 1 since the subscription began; at_s: Unix seconds.
        focus: address of the resource, body: as clients see it; empty where they are not told.
        is_new: whether the resource was created by it.
    """

    number: int
    at_s: int
    focus: str = ""
    body: bytes = b""
    is_new: bool = False

    def __repr__(self) -> str:
        """Hide what it is about."""
        return f"Event({self.number})"


class Status(msgspec.Struct, frozen=True):
    """How a subscription is: its address, its topic, its status (`requested`, `active`, `error`, `off`), its events."""

    url: str
    topic: str
    status: str
    count: int
    error: str = ""


def asked(content: Mapping[str, Any], topics: str) -> Asked:
    """Return what a valid Subscription asks for.

    Args:
        topics: what the addresses of this server's topics begin with.

    Raises:
        FhirRejected: BAD_PARAMETER or SEARCH_TOO_LARGE: a topic, a filter, a channel or a payload that is not had here.
    """
    channel, criteria = content["channel"], str(content["criteria"])
    payload = str(channel.get("payload", ""))
    is_socket = channel.get("type") == "websocket"
    if is_socket and ("endpoint" in channel or "header" in channel):
        raise _bad("no endpoint and no header of a websocket, since the client opens it")
    if not is_socket and (channel.get("type") != "rest-hook" or "endpoint" not in channel):
        raise _bad("a channel of the type rest-hook with an endpoint, or of the type websocket")
    if payload.partition(";")[0] not in ("", "application/fhir+json", "application/json"):
        raise _bad("application/fhir+json as the payload, or none")
    topic, (kind, filters), (on_create, on_update) = _topic(content, criteria, topics)
    level = _level(channel) if topic else Level.FULL_RESOURCE if payload else Level.EMPTY
    if topic and not payload:
        raise _bad("application/fhir+json as the payload of a topic's notifications")
    if is_socket and payload and not topic:
        raise _bad("no payload of a search over a websocket, which says `ping` and nothing else (R4 2.46.8.2)")
    return Asked(
        topic=topic,
        type=kind,
        filters=filters,
        on_create=on_create,
        on_update=on_update,
        endpoint=str(channel.get("endpoint", "")),
        headers=tuple(_header(str(each)) for each in channel.get("header", ())),
        level=level,
        format=payload,
        heartbeat_s=_number(channel, HEARTBEAT, "valueUnsignedInt", 0, 10, 86_400),
        timeout_s=_number(channel, TIMEOUT, "valueUnsignedInt", 10, 1, 30),
        count_max=_number(channel, COUNT, "valuePositiveInt", 20, 1, 100),
        until_s=span(str(content["end"])).from_s if "end" in content else None,
        is_off=content.get("status") == "off",
        is_socket=is_socket,
    )


def notification(status: Status, kind: str, events: Sequence[Event], *, name: str, at_s: int) -> bytes:
    """Return a notification: a history whose first entry says how the subscription is.

    Args:
        kind: `handshake`, `heartbeat`, `event-notification`, `query-status`, `query-event`.
        name: of the Bundle, a UUID; at_s: Unix seconds.
    """
    first = {
        "fullUrl": f"urn:uuid:{name}",
        "resource": _status_parameters(status, kind, events),
        "request": {"method": "GET", "url": f"{status.url}/$status"},
        "response": {"status": "200"},
    }
    return msgspec.json.encode(
        {
            "resourceType": "Bundle",
            "id": name,
            "meta": {"profile": [NOTIFICATION_PROFILE], "lastUpdated": instant(at_s)},
            "type": "history",
            "timestamp": instant(at_s),
            "entry": [first, *(_entry(each) for each in events if each.body)],
        }
    )


def statuses(found: Sequence[Status], *, name: str, at_s: int) -> bytes:
    """Return what `$status` answers: a searchset of how subscriptions are."""
    entries = [_found(each, uuid5(UUID(name), each.url)) for each in found]
    said = {"resourceType": "Bundle", "id": name, "type": "searchset", "timestamp": instant(at_s), "total": len(found)}
    return msgspec.json.encode(said | ({"entry": entries} if entries else {}))


def binding(token: str, subscriptions: Sequence[str], *, until_s: int, url: str) -> bytes:
    """Return what `$get-ws-binding-token` answers.

    Args:
        subscriptions: ids of those that the token binds; until_s: Unix seconds; url: where sockets are opened.
    """
    parameters = [
        {"name": "token", "valueString": token},
        {"name": "expiration", "valueDateTime": instant(until_s)},
        *({"name": "subscription", "valueString": each} for each in subscriptions),
        {"name": "websocket-url", "valueUrl": url},
    ]
    return msgspec.json.encode({"resourceType": "Parameters", "parameter": parameters})


def _found(status: Status, name: UUID) -> dict[str, object]:
    resource = {**_status_parameters(status, "query-status", ()), "id": str(name)}
    return {"fullUrl": name.urn, "resource": resource, "search": {"mode": "match"}}


def _status_parameters(status: Status, kind: str, events: Sequence[Event]) -> dict[str, object]:
    listed = [
        {"name": "subscription", "valueReference": {"reference": status.url}},
        *([{"name": "topic", "valueCanonical": status.topic}] if status.topic else []),
        {"name": "status", "valueCode": status.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(status.count)},
        *({"name": "notification-event", "part": list(_parts(each))} for each in events),
        *([{"name": "error", "valueCodeableConcept": {"text": status.error}}] if status.error else []),
    ]
    return {"resourceType": "Parameters", "meta": {"profile": [STATUS_PROFILE]}, "parameter": listed}


def _parts(event: Event) -> Iterator[dict[str, object]]:
    yield {"name": "event-number", "valueString": str(event.number)}
    yield {"name": "timestamp", "valueInstant": instant(event.at_s)}
    if event.focus:
        yield {"name": "focus", "valueReference": {"reference": event.focus}}


def _entry(event: Event) -> dict[str, object]:
    kind, _, logical_id = "/".join(event.focus.split("/")[-2:]).partition("/")
    method, url, status = ("POST", kind, "201") if event.is_new else ("PUT", f"{kind}/{logical_id}", "200")
    return {
        "fullUrl": event.focus,
        "resource": msgspec.Raw(event.body),
        "request": {"method": method, "url": url},
        "response": {"status": status},
    }


def _topic(
    content: Mapping[str, Any], criteria: str, topics: str
) -> tuple[str, tuple[str, tuple[tuple[str, str], ...]], tuple[bool, bool]]:
    if not criteria.startswith(("http://", "https://")):
        return "", _search(criteria), (True, True)
    changes = TOPICS.get(criteria.removeprefix(topics))
    filters = [str(each["valueString"]) for each in _extensions(content.get("_criteria", {}), FILTER, "valueString")]
    if changes is None or not criteria.startswith(topics):
        raise _bad("a topic of this server as criteria, or a search such as Observation?code=…")
    if len(filters) != 1:
        raise _bad("one filter of the topic, as a search such as Observation?patient=Patient/1, in its extension")
    return criteria, _search(filters[0]), changes


def _search(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    kind, _, query = text.partition("?")
    try:
        return kind, tuple(parse_qsl(query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX))
    except ValueError as error:
        raise FhirRejected(
            Fault.SEARCH_TOO_LARGE, expected=f"at most {PARAMETERS_MAX} parameters", came="more", hint="ask for less"
        ) from error


def _level(channel: Mapping[str, Any]) -> Level:
    found = [each.get("valueCode") for each in _extensions(channel.get("_payload", {}), CONTENT, "valueCode")]
    if len(found) != 1 or found[0] not in tuple(Level):
        raise _bad("empty, id-only or full-resource as the content of the payload, in its extension")
    return Level(found[0])


def _number(channel: Mapping[str, Any], url: str, name: str, otherwise: int, least: int, most: int) -> int:
    found = [each[name] for each in _extensions(channel, url, name)]
    if not found:
        return otherwise
    if len(found) > 1 or not isinstance(found[0], int) or not least <= found[0] <= most:
        raise _bad(f"one number from {least} to {most} in {url.rpartition('/')[2]}")
    return found[0]


def _extensions(element: Mapping[str, Any], url: str, name: str) -> list[Mapping[str, Any]]:
    return [each for each in element.get("extension", ()) if each.get("url") == url and name in each]


def _header(text: str) -> tuple[str, str]:
    """A field that is sent along. Raises FhirRejected for one that would say what the request is."""
    name, colon, value = text.partition(":")
    lower = name.strip().lower()
    is_fit = colon and lower and set(lower) <= _NAME and value.strip().isascii() and value.strip().isprintable()
    if not is_fit or lower.startswith(RESERVED) or len(text) > 4096:
        raise _bad("header as Name: value, and no field that says where a request goes or what its body is")
    return lower, value.strip()


def _bad(expected: str) -> FhirRejected:
    return FhirRejected(Fault.BAD_PARAMETER, expected=expected, came="another", hint="see the server's documentation")
