"""Whether one resource meets a search, without an index: for what is made when it is asked for, and never stored.

The same meaning as the index has (FHIR R4 3.1.1.4); what cannot be told here is refused, never passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

from salus.clinical.fhir.search.limits import bad
from salus.clinical.fhir.search.queries import Criterion, Filter
from salus.clinical.fhir.search.sought import (
    Sought,
    SoughtDate,
    SoughtReference,
    SoughtString,
    SoughtToken,
    SoughtUri,
)
from salus.clinical.fhir.search.values import (
    DateValue,
    IndexValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
)

DAY_MS = 86_400_000
PLAIN = ("", "not", "exact", "contains", "identifier")
"""Modifiers that are understood here; a type as a modifier is in the values."""


def meets(values: Sequence[IndexValue], filters: Sequence[Filter]) -> bool:
    """Tell whether a resource with these index values meets all filters.

    Raises:
        FhirRejected: BAD_PARAMETER for a chain, a composite, a number or a modifier other than `not`, `exact`,
            `contains`, `identifier` and `missing`.
    """
    return all(_meets(values, each) for each in filters)


def _meets(values: Sequence[IndexValue], wanted: Filter) -> bool:
    if not isinstance(wanted, Criterion) or wanted.modifier not in PLAIN:
        raise bad("a parameter of this type without a chain, and a modifier among not, exact, contains and identifier")
    of = [each for each in values if each.code == wanted.parameter]
    if wanted.missing is not None:
        return wanted.missing is not bool(of)
    found = any(_is(each, sought, wanted.modifier) for each in of for sought in wanted.values)
    return found is not (wanted.modifier == "not")


def _is(value: IndexValue, sought: Sought, modifier: str) -> bool:
    match value, sought:
        case TokenValue(), SoughtToken():
            return _is_token(value.system, value.value, sought)
        case DateValue(), SoughtDate():
            return _is_date(value, sought)
        case ReferenceValue(), SoughtReference(identifier=SoughtToken() as identifier):
            return _is_token(value.identifier_system, value.identifier_value, identifier)
        case ReferenceValue(), SoughtReference():
            is_it = (value.id, value.url) == (sought.id, sought.url) and (sought.id or sought.url) is not None
            return is_it and sought.type in (None, value.type)
        case StringValue(), SoughtString():
            return _is_string(value, sought, modifier)
        case UriValue(), SoughtUri():
            return value.uri == sought.uri
    raise bad("a token, a date, a reference, a string or a URI")


def _is_token(system: str | None, code: str | None, sought: SoughtToken) -> bool:
    if sought.system is not None and sought.system != (system or ""):
        return False
    return code is not None if sought.value is None else code == sought.value


def _is_string(value: StringValue, sought: SoughtString, modifier: str) -> bool:
    if modifier == "exact":
        return value.text == sought.text
    return sought.folded in value.folded if modifier == "contains" else value.folded.startswith(sought.folded)


def _is_date(value: DateValue, sought: SoughtDate) -> bool:
    low = float("-inf") if value.from_ms is None else value.from_ms
    high = float("inf") if value.to_ms is None else value.to_ms
    within = low >= sought.from_ms and high <= sought.to_ms
    match sought.prefix:
        case "eq":
            return within
        case "ne":
            return not within
        case "gt":
            return high > sought.to_ms
        case "ge":
            return high > sought.to_ms or within
        case "lt":
            return low < sought.from_ms
        case "le":
            return low < sought.from_ms or within
        case "sa":
            return low >= sought.to_ms
        case "eb":
            return high <= sought.from_ms
    return low < sought.to_ms + DAY_MS and high > sought.from_ms - DAY_MS
