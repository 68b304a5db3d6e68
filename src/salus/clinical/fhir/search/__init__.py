"""Search: what of a resource is found by which parameter, and what a query asks for. Values only; no SQL.

Promises: the same resource has the same index values on every machine; a query that cannot be answered exactly is
refused, never answered by something near it; messages hold no value of a query or a resource (P4).
"""

from salus.clinical.fhir.search.index import index
from salus.clinical.fhir.search.parameters import Parameter, parameters_of
from salus.clinical.fhir.search.queries import (
    Alternative,
    Chain,
    Criterion,
    Filter,
    Has,
    Include,
    Query,
    Sort,
)
from salus.clinical.fhir.search.query import parse_query
from salus.clinical.fhir.search.sought import (
    SoughtComposite,
    SoughtDate,
    SoughtNumber,
    SoughtQuantity,
    SoughtReference,
    SoughtString,
    SoughtToken,
    SoughtUri,
)
from salus.clinical.fhir.search.values import (
    DateValue,
    IndexValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
)

__all__ = [
    "Alternative",
    "Chain",
    "Criterion",
    "DateValue",
    "Filter",
    "Has",
    "Include",
    "IndexValue",
    "NumberValue",
    "Parameter",
    "QuantityValue",
    "Query",
    "ReferenceValue",
    "Sort",
    "SoughtComposite",
    "SoughtDate",
    "SoughtNumber",
    "SoughtQuantity",
    "SoughtReference",
    "SoughtString",
    "SoughtToken",
    "SoughtUri",
    "StringValue",
    "TokenValue",
    "UriValue",
    "index",
    "parameters_of",
    "parse_query",
]
