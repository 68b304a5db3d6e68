"""Formats of requests and answers (FHIR R4 http.html 3.1.0.1.9): JSON or XML, plain or pretty."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from salus.api.fhir.failures import Failure, Issue
from salus.clinical.fhir.exact_json import read_exact
from salus.clinical.fhir.xml import write_xml


class Format(StrEnum):
    """A representation of resources, by its media type."""

    JSON = "application/fhir+json"
    XML = "application/fhir+xml"


JSON_PATCH: Final = "application/json-patch+json"
NAMES: Final = {
    "json": Format.JSON,
    "application/json": Format.JSON,
    "text/json": Format.JSON,
    "application/fhir+json": Format.JSON,
    "xml": Format.XML,
    "application/xml": Format.XML,
    "text/xml": Format.XML,
    "application/fhir+xml": Format.XML,
    "*/*": Format.JSON,
    "application/*": Format.JSON,
}


@dataclass(frozen=True)
class Wanted:
    """How an answer is to be written."""

    format: Format
    is_pretty: bool = False


def wanted(query: tuple[tuple[str, str], ...], headers: Mapping[str, str]) -> Wanted:
    """Return what the client wants: `_format`, else the first of `Accept` that is known. Raises Failure: 406."""
    said = dict(query)
    is_pretty = said.get("_pretty") == "true"
    if "_format" in said:  # a plus in an address is a space
        asked = [said["_format"].replace(" ", "+")]
    else:
        asked = _by_quality(headers.get("accept", "*/*") or "*/*")
    for each in asked:
        found = NAMES.get(each.partition(";")[0].strip().lower())
        if found is not None:
            return Wanted(found, is_pretty)
    words = "expected application/fhir+json or application/fhir+xml to be accepted, came others: ask for one of them"
    raise Failure(406, Issue("not-supported", "MSG_CANT_PARSE_CONTENT", words))


def sent(headers: Mapping[str, str], *, may_patch: bool = False) -> Format:
    """Return the format of a body. Raises Failure: 415.

    Args:
        may_patch: whether a JSON Patch may come.
    """
    if may_patch and is_json_patch(headers):
        return Format.JSON
    found = NAMES.get(headers.get("content-type", "").partition(";")[0].strip().lower())
    if found is None or "*" in headers.get("content-type", ""):
        words = "expected a body of application/fhir+json or application/fhir+xml: say so in Content-Type"
        raise Failure(415, Issue("not-supported", "MSG_CANT_PARSE_CONTENT", words))
    return found


def is_json_patch(headers: Mapping[str, str]) -> bool:
    """Tell whether a body is a JSON Patch."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == JSON_PATCH


def written(content: bytes, shape: Wanted) -> bytes:
    """Return a resource in JSON, or nothing, as it is wanted. Raises FhirRejected: NO_XML_FORM."""
    if content and shape.format is Format.XML:
        return write_xml(read_exact(content))
    return msgspec.json.format(content, indent=2) if content and shape.is_pretty else content


def _by_quality(accept: str) -> list[str]:
    """The media types of an Accept field, the most wanted first (RFC 9110 12.5.1)."""
    asked = [each.strip() for each in accept[:1000].split(",") if each.strip()]
    return sorted(asked, key=lambda each: -_quality(each))


def _quality(asked: str) -> float:
    for parameter in asked.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
