"""The id and the version that a server gives a resource, put into its bytes; everything else stays as it came.

Works on the top level of the JSON text alone: no number, no string and no order below it is touched.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FIRST = ("resourceType", "id", "meta")


def with_id(body: bytes, logical_id: str) -> bytes:
    """Return a resource under another id.

    Args:
        body: JSON that was read before, so that it is an object with each key once.
    """
    fields = _OBJECT.decode(body)
    return _joined({**fields, "id": msgspec.Raw(msgspec.json.encode(logical_id))})


def with_version(body: bytes, *, version: int, updated_s: int) -> bytes:
    """Return a resource with `meta.versionId` and `meta.lastUpdated` as this server has them."""
    fields = _OBJECT.decode(body)
    meta = _OBJECT.decode(fields["meta"]) if "meta" in fields else {}
    said = {"versionId": str(version), "lastUpdated": instant(updated_s)}
    meta |= {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in said.items()}
    return _joined({**fields, "meta": msgspec.Raw(msgspec.json.encode(meta))})


def instant(at_s: int) -> str:
    """Return a time in seconds since 1970 as a FHIR instant in UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _joined(fields: dict[str, msgspec.Raw]) -> bytes:
    first = {name: fields[name] for name in _FIRST if name in fields}
    return msgspec.json.encode({**first, **fields})
