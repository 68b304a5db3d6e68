"""Parts of a resource: `_summary` and `_elements` (FHIR R4 3.1.1.5.8, 3.1.1.5.9), marked SUBSETTED.

Works on the top level of the JSON text alone, like `renaming`: what stays is what came, to the last decimal.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import msgspec

from salus.clinical.fhir.definitions import r4

ALWAYS = ("resourceType", "id", "meta")
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def summarised(body: bytes, type_name: str, summary: str) -> bytes:
    """Return what a summary has of a resource.

    Args:
        summary: `true` for the elements that FHIR marks, `text` for the narrative and what is mandatory, `data` for
            all but the narrative; `false` for everything.
    """
    match summary:
        case "true":
            return with_only(body, summary_elements(type_name))
        case "text":
            return with_only(body, {"text", *mandatory_elements(type_name)})
        case "data":
            return with_only(body, _OBJECT.decode(body).keys() - {"text"})
    return body


def with_elements(body: bytes, type_name: str, elements: Collection[str]) -> bytes:
    """Return some elements of a resource, and those that are mandatory."""
    return with_only(body, {*elements, *mandatory_elements(type_name)})


def with_only(body: bytes, names: Collection[str]) -> bytes:
    """Return these elements of a resource, marked as a part of it; a choice `value` means `valueQuantity`, too."""
    fields = _OBJECT.decode(body)
    kept = {key: value for key, value in fields.items() if key in ALWAYS or _is_of(key, names)}
    meta = msgspec.json.decode(fields["meta"], type=dict[str, object]) if "meta" in fields else {}
    tags = meta.get("tag")
    meta["tag"] = [*(tags if isinstance(tags, list) else []), SUBSETTED]
    return msgspec.json.encode({**kept, "meta": msgspec.Raw(msgspec.json.encode(meta))})


def _is_of(key: str, names: Collection[str]) -> bool:
    name = key.removeprefix("_")
    return name in names or any(name.startswith(each) and name[len(each) : len(each) + 1].isupper() for each in names)


@lru_cache(maxsize=256)
def summary_elements(type_name: str) -> frozenset[str]:
    """Names of the elements of a type's first level that are in its summary."""
    return frozenset(name for name, _, is_summary in _first_level(type_name) if is_summary)


@lru_cache(maxsize=256)
def mandatory_elements(type_name: str) -> frozenset[str]:
    """Names of the elements of a type's first level that must be there."""
    return frozenset(name for name, least, _ in _first_level(type_name) if least > 0)


def _first_level(type_name: str) -> list[tuple[str, int, bool]]:
    structure = r4().structure(type_name)
    assert structure is not None, "asked for types of FHIR R4 only"
    return [
        (each.path.partition(".")[2].removesuffix("[x]"), each.min, each.is_summary)
        for each in structure.elements
        if each.path.count(".") == 1
    ]
