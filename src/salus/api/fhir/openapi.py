"""An OpenAPI 3.1 document of the FHIR server, made from the table of interactions: for tools that speak no FHIR.

What a resource has to look like is not in it: that FHIR's definitions say, and `/metadata` names them.
"""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from salus.api.fhir.call import Interaction
from salus.clinical.fhir.definitions import r4

DOCUMENT_PATH: Final = "/api/fhir/openapi.json"
_RESOURCE: Final = {"$ref": "#/components/schemas/Resource"}
_OUTCOME: Final = {"$ref": "#/components/schemas/OperationOutcome"}
_PATTERNS: Final = {
    "id": r"^[A-Za-z0-9\-.]{1,64}$",
    "version": "^[0-9]{1,9}$",
    "job": "^[A-Za-z0-9_-]{1,64}$",
    "number": "^[0-9]{1,6}$",
}
_QUERIES: Final = {
    "search": ("_id", "_lastUpdated", "_count", "_sort", "_include", "_revinclude", "_elements", "_summary", "_total",
               "_tag", "_type", "_has", "patient", "code", "date", "identifier", "name"),
    "history": ("_since", "_at", "_count"),
    "$export": ("_type", "_since", "_typeFilter", "_elements", "_outputFormat"),
    "$everything": ("start", "end", "_since", "_type", "_count"),
    "$": ("url", "code", "system", "profile", "filter"),
}  # fmt: skip
"""Parameters of queries, by the beginning of an interaction's code; the first that fits counts."""
_CODING: Final = {
    "type": "object",
    "required": ["system", "code"],
    "properties": {"system": {"type": "string"}, "code": {"type": "string", "minLength": 1}},
}
_ISSUE: Final = {
    "type": "object",
    "required": ["severity", "code", "details"],
    "properties": {
        "severity": {"enum": ["fatal", "error", "warning", "information"]},
        "code": {"type": "string", "minLength": 1},
        "details": {
            "type": "object",
            "required": ["coding"],
            "properties": {"coding": {"type": "array", "minItems": 1, "items": _CODING}},
        },
    },
}
_SCHEMAS: Final = {
    "Resource": {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"}, "id": {"type": "string"}},
    },
    "OperationOutcome": {
        "type": "object",
        "required": ["resourceType", "issue"],
        "properties": {
            "resourceType": {"enum": ["OperationOutcome"]},
            "issue": {"type": "array", "minItems": 1, "items": _ISSUE},
        },
    },
}


def document(base: str, interactions: Sequence[Interaction]) -> bytes:
    """Return the document in JSON.

    Args:
        base: the address of the server, as clients know it.
    """
    paths: dict[str, dict[str, Any]] = {}
    for each in interactions:
        paths.setdefault(each.path, {}).setdefault(each.method.lower(), _operation(each))
    said = {
        "openapi": "3.1.0",
        "info": {"title": "Salus FHIR server", "version": version("salus"), "description": "FHIR R4; see /metadata."},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {"schemas": _SCHEMAS, "securitySchemes": {"smart": {"type": "http", "scheme": "bearer"}}},
    }
    return msgspec.json.encode(said)


def _operation(interaction: Interaction) -> dict[str, Any]:
    queries = next((names for begin, names in _QUERIES.items() if interaction.code.startswith(begin)), ())
    said: dict[str, Any] = {
        "operationId": f"{interaction.code} {interaction.method} {interaction.path}",
        "parameters": [
            *(_in_path(name) for name in re.findall(r"\{(\w+)\}", interaction.path)),
            *({"name": each, "in": "query", "schema": {"type": "string"}} for each in queries),
        ],
        "responses": {
            "2XX": {"description": "Done, or what was asked for."},
            "304": {"description": "Nothing has changed."},
            "4XX": {
                "description": "The rules say no, or what was sent is unfit.",
                "content": {"application/fhir+json": {"schema": _OUTCOME}, "application/fhir+xml": {}},
            },
            "503": {"description": "Not now.", "content": {"application/fhir+json": {"schema": _OUTCOME}}},
        },
        "security": [] if interaction.is_open else [{"smart": []}],
    }
    content = _content(interaction)
    return said | ({"requestBody": {"required": True, "content": content}} if content else {})


def _content(interaction: Interaction) -> dict[str, Any]:
    if interaction.takes_form:
        return {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
    if interaction.takes_lines:
        return {"application/fhir+ndjson": {"schema": {"type": "string"}}}
    if not interaction.takes:
        return {}
    patch = {"application/json-patch+json": {"schema": {"type": "array", "items": {"type": "object"}}}}
    return {"application/fhir+json": {"schema": _RESOURCE}} | (patch if interaction.code == "patch" else {})


def _in_path(name: str) -> dict[str, Any]:
    types = {"type": "string", "enum": list(r4().resource_types)}
    schema = types if name in ("kind", "within") else {"type": "string", "pattern": _PATTERNS.get(name, "^.+$")}
    return {"name": name, "in": "path", "required": True, "schema": schema}
