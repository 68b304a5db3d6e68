"""The OpenAPI 3.1 document of the native API, made from the table of operations and msgspec's schemas."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from salus.api.native.call import FILE, Operation
from salus.node.plain_answers import PlainAnswer

PREFIX: Final = "/api/1"
DOCUMENT_PATH: Final = "/api/openapi.json"
_REFERENCE: Final = "#/components/schemas/{name}"
_WORDS: Final = {
    200: "What was asked for.",
    201: "Done.",
    204: "Done; there is nothing to say.",
    400: "What was sent is not what is expected here.",
    401: "No token, or one that has ended.",
    403: "The token does not let its holder do this.",
    404: "There is none of that name, or none that is yours.",
    408: "What was sent did not come in time.",
    409: "The rules say no.",
    413: "What was sent is too long.",
    415: "Something else than JSON was sent.",
    429: "Too much at this moment: wait as long as Retry-After says.",
    503: "The ledger or the vault is away: try later.",
}


def document(issuer: str, operations: Sequence[Operation]) -> bytes:
    """Return the document in JSON.

    Args:
        issuer: scheme and authority of the server, where tokens are given as well.
    """
    types = [each for operation in operations for each in (operation.takes, operation.gives) if _is_json(each)]
    schemas, components = msgspec.json.schema_components([*types, PlainAnswer], ref_template=_REFERENCE)
    of = dict(zip(map(repr, [*types, PlainAnswer]), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(PREFIX + each.path, {})[each.method.lower()] = _operation(each, of)
    token = {
        "type": "oauth2",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": f"{issuer}/oauth/authorize",
                "tokenUrl": f"{issuer}/oauth/token",
                "scopes": {each.scope: "see the operations" for each in operations if each.scope},
            }
        },
    }
    said = {
        "openapi": "3.1.0",
        "info": {"title": "Salus", "version": version("salus"), "description": "What FHIR has no word for."},
        "servers": [{"url": issuer}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"smart": token}},
    }
    return msgspec.json.encode(said)


def _operation(operation: Operation, of: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.words,
        "parameters": [_parameter(operation, name) for name in re.findall(r"\{(\w+)\}", operation.path)],
        "responses": {str(status): _response(operation, status, of) for status in operation.statuses},
        "security": [{"smart": [operation.scope]}] if operation.scope else [],
    }
    if operation.takes is not None:
        content = {"application/json": {"schema": of[repr(operation.takes)]}}
        said["requestBody"] = {"required": True, "content": content}
    return said


def _parameter(operation: Operation, name: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": f"^{operation.patterns[name]}$"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _response(operation: Operation, status: int, of: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"description": _WORDS[status]}
    if status != operation.status:
        said["content"] = {"application/json": {"schema": of[repr(PlainAnswer)]}}
    elif operation.gives is bytes:
        said["content"] = {FILE: {}}
    elif operation.gives is not None:
        said["content"] = {"application/json": {"schema": of[repr(operation.gives)]}}
    return said


def _is_json(kind: Any) -> bool:
    return kind is not None and kind is not bytes


def all_paths(operations: Sequence[Operation]) -> tuple[str, ...]:
    """Return each path once."""
    return tuple(dict.fromkeys(PREFIX + each.path for each in operations))
