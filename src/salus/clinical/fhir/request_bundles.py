"""Bundles of requests, `batch` and `transaction`: what each entry asks for, and references between entries.

Promises: an entry's resource keeps the bytes that stood in the bundle, but for the addresses of other entries, which
become the addresses of the resources that they were stored as (FHIR R4 http.html 3.1.0.11.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from salus.clinical.fhir.bundles import bad_entry, read_envelope
from salus.clinical.fhir.elements import text
from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.fhir.strict_json import read_object

KINDS = ("batch", "transaction")
METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
"""In the order in which a transaction does them (3.1.0.11.2)."""
ENTRIES_MAX = 10_000
LOOKUP = re.compile(rb'("reference"\s*:\s*")([A-Z][A-Za-z]{1,63}\?[^"\\]{1,512})"')
ADDRESS = re.compile(rb'"((?:urn:|https?://)[^"\\\s]{1,512})"')


class _Slice(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"")


@dataclass(frozen=True, slots=True)
class RequestEntry:
    """One request of a bundle.

    Args:
        url: relative to the server's base, `Patient/1` or `Patient?identifier=…`.
        full_url: the address by which other entries mean this one; empty for none.
        body: the resource's bytes; empty for none.
        headers: what stands for header fields, by their names in lower case.
        place: names the entry in messages.
    """

    method: str
    url: str
    full_url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    place: str


@dataclass(frozen=True, slots=True)
class RequestBundle:
    """The kind of a bundle of requests, and its entries in order."""

    kind: str
    entries: tuple[RequestEntry, ...]


def read_request_bundle(source: bytes, *, entries_max: int = ENTRIES_MAX) -> RequestBundle:
    """Read a bundle of requests.

    Raises:
        FhirRejected: NOT_A_BUNDLE, BUNDLE_TYPE, TOO_LARGE above `entries_max` entries, BAD_ENTRY, and what makes the
            bytes unreadable; placed at the entry.
    """
    kind, raw = read_envelope(source, KINDS, hint="give the bundle one of these types", entries_max=entries_max)
    return RequestBundle(kind, tuple(_entry(bytes(each), f"entry {n}") for n, each in enumerate(raw, start=1)))


def with_addresses(body: bytes, addresses: Mapping[bytes, bytes]) -> bytes:
    """Return a resource in which the addresses of other entries are those of what they were stored as.

    Args:
        addresses: what stands for each `fullUrl`, such as `Patient/17`.
    """
    return ADDRESS.sub(lambda found: b'"' + addresses.get(found[1], found[1]) + b'"', body) if addresses else body


def with_lookups(body: bytes, address: Callable[[str], str]) -> bytes:
    """Return a resource in which references by search are addresses (3.1.0.11.2).

    Args:
        address: returns `Type/id` for `Type?search`.
    """

    def looked_up(found: re.Match[bytes]) -> bytes:
        return found[1] + address(found[2].decode()).encode() + b'"'

    return LOOKUP.sub(looked_up, body)


def require_once(names: Sequence[tuple[str, str]]) -> None:
    """Raise FhirRejected when a transaction names one resource twice (3.1.0.11.2)."""
    seen: set[tuple[str, str]] = set()
    for name in names:
        if name in seen:
            expected, hint = "each resource once in a transaction", "send the later change in another bundle"
            raise FhirRejected(Fault.BAD_ENTRY, expected=expected, came="one twice", hint=hint)
        seen.add(name)


def _entry(source: bytes, place: str) -> RequestEntry:
    try:
        return _parsed(source, place)
    except FhirRejected as fault:
        raise fault.at(place) from fault


def _parsed(source: bytes, place: str) -> RequestEntry:
    content = read_object(source)
    method, url = text(content, "request.method"), text(content, "request.url")
    if method not in METHODS or url is None:
        raise bad_entry("an entry with a request: method and url", "one without")
    body = b""
    if isinstance(content.get("resource"), dict):
        body = bytes(msgspec.json.decode(source, type=_Slice).resource)
    named = {"if-match": "ifMatch", "if-none-match": "ifNoneMatch", "if-none-exist": "ifNoneExist"}
    headers = {name: text(content, f"request.{key}") for name, key in named.items()}
    return RequestEntry(
        method=method,
        url=url,
        full_url=text(content, "fullUrl") or "",
        body=body,
        headers={name: value for name, value in headers.items() if value is not None},
        place=place,
    )
