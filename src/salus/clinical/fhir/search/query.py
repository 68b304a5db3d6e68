"""From the parameters of a request to a query.

Unknown parameters are passed over when handling is lenient, and told by their number; everything that is known and
wrong is refused, since an answer to another question could show more than was asked for.

Source: FHIR R4 3.1.1 (search), 3.1.0.1 (Prefer: handling).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import structs

from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.fhir.search.filters import filter_of, targets_of
from salus.clinical.fhir.search.limits import (
    ALL_VALUES_MAX,
    COUNT_MAX,
    ELEMENTS_MAX,
    INCLUDES_MAX,
    PARAMETERS_MAX,
    SORTS_MAX,
    VALUE_CHARS_MAX,
    at_most,
    bad,
    unknown,
)
from salus.clinical.fhir.search.parameters import parameters_of
from salus.clinical.fhir.search.queries import Include, Query, Sort

NOT_OURS = ("_format", "_pretty")  # of the answer's form, not of the search
ELEMENT = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)
TOTALS = ("none", "estimate", "accurate")
SUMMARIES = ("true", "text", "data", "count", "false")


def parse_query(type_name: str, pairs: Iterable[tuple[str, str]], *, is_strict: bool = False, base: str = "") -> Query:
    """Read a search of one type.

    Args:
        type_name: of the resources that are searched.
        pairs: the parameters in order, names and values decoded.
        is_strict: `Prefer: handling=strict`: what is not known is refused.
        base: the address of this server's FHIR: references that begin with it are to resources here.

    Raises:
        FhirRejected: UNKNOWN_PARAMETER (strictly, and always in chains), BAD_PARAMETER, SEARCH_TOO_LARGE; placed at the
            parameter, counted from 1.
    """
    given = list(pairs)
    at_most(len(given), PARAMETERS_MAX, "parameters")
    at_most(len(given) + sum(value.count(",") for _, value in given), ALL_VALUES_MAX, "values in all parameters")
    query = Query(type_name)
    for number, (name, value) in enumerate(given, start=1):
        try:
            query = with_parameter(query, name, value, base)
        except FhirRejected as refusal:
            if is_strict or not is_passed_over(refusal, name, value):
                raise refusal.at(f"parameter {number}") from refusal
            query = structs.replace(query, ignored=(*query.ignored, number))
    at_most(len(query.includes), INCLUDES_MAX, "_include and _revinclude")
    return query


def is_passed_over(refusal: FhirRejected, name: str, value: str) -> bool:
    """Whether lenient handling ignores this: a name that is not known, or one without a value."""
    if "." in name or name.startswith(("_has", "_include", "_revinclude")):
        return False
    return refusal.fault is Fault.UNKNOWN_PARAMETER or (not value and ":" not in name)


def with_parameter(query: Query, name: str, value: str, base: str) -> Query:
    """The query with one parameter more."""
    plain, _, modifier = name.partition(":")
    if plain in RESULTS:
        at_most(len(value), VALUE_CHARS_MAX, "characters in a value")
        return structs.replace(query, **RESULTS[plain](query, modifier, value, plain))
    if name in NOT_OURS:
        return query
    return structs.replace(query, filters=(*query.filters, filter_of(query.type, name, value, base=base)))


def once(query: Query, field: str, modifier: str) -> None:
    """Raise BAD_PARAMETER when a result parameter comes twice or with a modifier."""
    if modifier or getattr(query, field) not in (None, ()):
        raise bad(f"_{field} once, without a modifier")


def count(query: Query, modifier: str, value: str, _: str) -> dict[str, Any]:
    """`_count`: what is above the limit is the limit, as FHIR allows."""
    once(query, "count", modifier)
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise bad("a whole number as _count")
    return {"count": min(int(value), COUNT_MAX)}


def one_of(field: str, known: tuple[str, ...]) -> Callable[[Query, str, str, str], dict[str, Any]]:
    """A result parameter with a few values."""

    def read(query: Query, modifier: str, value: str, _: str) -> dict[str, Any]:
        once(query, field, modifier)
        if value not in known:
            raise bad(f"one of {', '.join(known)} as _{field}")
        return {field: value}

    return read


def elements(query: Query, modifier: str, value: str, _: str) -> dict[str, Any]:
    """`_elements`: names of elements of the type's first level, with `Type.` before them or not."""
    once(query, "elements", modifier)
    names = tuple(
        dict.fromkeys(each.strip().removeprefix(f"{query.type}.") for each in value.split(",") if each.strip())
    )
    at_most(len(names), ELEMENTS_MAX, "_elements")
    if not names or not all(ELEMENT.fullmatch(each) for each in names):
        raise bad("names of elements as _elements")
    return {"elements": names}


def sort(query: Query, modifier: str, value: str, _: str) -> dict[str, Any]:
    """`_sort`: parameters with a comma between them, a minus before those that descend."""
    once(query, "sort", modifier)
    rules = [each.strip() for each in value.split(",") if each.strip()]
    at_most(len(rules), SORTS_MAX, "parameters in _sort")
    return {"sort": tuple(sort_rule(query.type, each) for each in rules)}


def sort_rule(type_name: str, rule: str) -> Sort:
    """One parameter of `_sort`."""
    parameter = parameters_of(type_name).get(rule.removeprefix("-"))
    if parameter is None or parameter.kind == "composite":
        raise bad(f"a parameter of {type_name} that has an order, in _sort")
    return Sort(parameter.code, parameter.kind, rule.startswith("-"))


def include(query: Query, modifier: str, value: str, name: str) -> dict[str, Any]:
    """`_include` and `_revinclude`: `Type:parameter`, `Type:parameter:Target`, `Type:*`; `_include=*` of its type."""
    if modifier not in ("", "iterate", "recurse"):  # R4 calls it iterate; recurse is STU3's word for it
        raise bad(f"iterate as the modifier of {name}")
    is_all = value == "*" and name == "_include" and not modifier
    source, _, rest = (f"{query.type}:*" if is_all else value).partition(":")
    code, _, target = rest.partition(":")
    if source not in r4().resource_types or not code or (target and target not in r4().resource_types):
        raise bad(f"{name}=Type:parameter or {name}=Type:parameter:Target")
    parameter = parameters_of(source).get(code)
    if code != "*" and (parameter is None or parameter.kind != "reference"):
        raise unknown(f"a reference parameter of {source}")
    if parameter is not None and target and target not in targets_of(parameter):
        raise bad(f"a type that {code} may point to")
    made = Include(source, code, target or None, is_reverse=name == "_revinclude", is_iterated=bool(modifier))
    return {"includes": query.includes if made in query.includes else (*query.includes, made)}


RESULTS: dict[str, Callable[[Query, str, str, str], dict[str, Any]]] = {
    "_count": count,
    "_total": one_of("total", TOTALS),
    "_summary": one_of("summary", SUMMARIES),
    "_elements": elements,
    "_sort": sort,
    "_include": include,
    "_revinclude": include,
}
