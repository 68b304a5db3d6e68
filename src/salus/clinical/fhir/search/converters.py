"""From what stands in a resource to index values, by the kind of parameter and the type of element.

A value that is not what its type says (a number where a string should be) gives nothing: whether that is a fault is
for validation to say.

Source: FHIR R4 3.1.1.4 (search parameter types), table of token and quantity mappings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from salus.clinical.fhir.fhirpath.quantities import UCUM
from salus.clinical.fhir.search.normal import base_amount, folded, is_calculable, span_ms
from salus.clinical.fhir.search.references import canonical_of, target_of
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

# Of a value, the parameter's code, and the base of references or the system of codes: appends what it finds.
Convert = Callable[[Any, str, str, list[IndexValue]], None]
CURRENCIES = "urn:iso:std:iso:4217"
NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")


def texts(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A string."""
    if value.__class__ is str:
        found.append(StringValue(code, value[:1_000], folded(value)))


def parts_of(names: tuple[str, ...]) -> Convert:
    """A name or an address: each of its parts."""

    def convert(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
        for name in names if value.__class__ is dict else ():
            inside = value.get(name)
            for each in inside if inside.__class__ is list else (inside,):
                if each.__class__ is str:
                    found.append(StringValue(code, each[:1_000], folded(each)))

    return convert


def concept_text(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A concept searched as a string: its text and displays."""
    if value.__class__ is dict:
        texts(value.get("text"), code, "", found)
        for each in objects(value.get("coding")):
            texts(each.get("display"), code, "", found)


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of an array."""
    return [each for each in value if each.__class__ is dict] if value.__class__ is list else []


def text_of(value: dict[str, Any], key: str) -> str | None:
    """A string under a key."""
    found = value.get(key)
    return found if found.__class__ is str else None


def words(value: dict[str, Any], key: str) -> str | None:
    """A string under a key, folded."""
    found = text_of(value, key)
    return None if found is None else folded(found)


def codes(value: Any, code: str, system: str, found: list[IndexValue]) -> None:
    """A code, whose system is the one to which its element is bound, or a boolean."""
    if value.__class__ is bool:
        found.append(TokenValue(code, system or None, "true" if value else "false"))
    elif value.__class__ is str:
        found.append(TokenValue(code, system or None, value))


def codings(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A Coding."""
    if value.__class__ is dict:
        found.append(TokenValue(code, text_of(value, "system"), text_of(value, "code"), words(value, "display")))


def concepts(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A CodeableConcept: each coding, and its text."""
    if value.__class__ is not dict:
        return
    for each in objects(value.get("coding")):
        found.append(TokenValue(code, text_of(each, "system"), text_of(each, "code"), words(each, "display")))
    if (text := words(value, "text")) is not None:
        found.append(TokenValue(code, None, None, text))


def identifiers(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """An Identifier; once for each coding of its type."""
    if value.__class__ is not dict or (number := text_of(value, "value")) is None:
        return
    system = text_of(value, "system")
    kind = value.get("type")
    text = words(kind, "text") if kind.__class__ is dict else None
    for each in (objects(kind.get("coding")) if kind.__class__ is dict else None) or ({},):
        shown = text or words(each, "display")
        found.append(TokenValue(code, system, number, shown, text_of(each, "system"), text_of(each, "code")))


def contact_points(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A ContactPoint: its value; what it is (`phone`, `email`) is no system of codes."""
    if value.__class__ is dict and (number := text_of(value, "value")) is not None:
        found.append(TokenValue(code, None, number))


def dates(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A date, dateTime or instant."""
    if value.__class__ is str and (span := span_ms(value)) is not None:
        found.append(DateValue(code, span[0], span[1]))


def periods(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A Period, which may be open on a side."""
    if value.__class__ is not dict:
        return
    start, end = (span_ms(text) if (text := text_of(value, key)) else None for key in ("start", "end"))
    if start or end:
        found.append(DateValue(code, start[0] if start else None, end[1] if end else None))


def timings(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A Timing: from its first event to its last, or its bounds."""
    if value.__class__ is not dict:
        return
    events = value.get("event")
    spans = [
        span
        for each in (events if events.__class__ is list else ())
        if each.__class__ is str and (span := span_ms(each))
    ]
    if spans:
        found.append(DateValue(code, min(each[0] for each in spans), max(each[1] for each in spans)))
    elif (repeat := value.get("repeat")).__class__ is dict:
        periods(repeat.get("boundsPeriod"), code, "", found)


def decimal(value: Any) -> Decimal | None:
    """A number of JSON."""
    if value.__class__ is int:
        found = Decimal(value)
    elif value.__class__ is float:
        found = Decimal(repr(value))
    elif isinstance(value, Decimal):
        found = Decimal(value)
    else:
        return None
    return found if is_calculable(found) else None


def numbers(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A number."""
    if (number := decimal(value)) is not None:
        found.append(NumberValue(code, float(number), float(number)))


def number_ranges(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A Range searched as a number."""
    for each in quantities_of_range(value, code):
        found.append(NumberValue(code, each.low, each.high))


def quantities(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A Quantity; `<` and `>` leave it open on a side."""
    if value.__class__ is not dict or (number := decimal(value.get("value"))) is None:
        return
    comparator = text_of(value, "comparator") or ""
    low = None if comparator.startswith("<") else number
    high = None if comparator.startswith(">") else number
    found.append(amount(code, low, high, value))


def amount(code: str, low: Decimal | None, high: Decimal | None, unit: dict[str, Any]) -> QuantityValue:
    """A range of amounts in the unit of a Quantity or of Money."""
    currency = text_of(unit, "currency")
    system = CURRENCIES if currency else text_of(unit, "system")
    unit_code = currency or text_of(unit, "code")
    bases = [
        None if each is None or system != UCUM or unit_code is None else base_amount(each, unit_code)
        for each in (low, high)
    ]
    base_unit = next((each[1] for each in bases if each is not None), None)
    return QuantityValue(
        code,
        None if low is None else float(low),
        None if high is None else float(high),
        system,
        unit_code,
        text_of(unit, "unit"),
        bases[0][0] if bases[0] else None,
        bases[1][0] if bases[1] else None,
        base_unit,
    )


def quantities_of_range(value: Any, code: str) -> Iterator[QuantityValue]:
    """A Range, which may be open on a side."""
    if value.__class__ is not dict:
        return
    ends = [each if (each := value.get(key)).__class__ is dict else {} for key in ("low", "high")]
    low, high = (decimal(each.get("value")) for each in ends)
    if low is not None or high is not None:
        yield amount(code, low, high, ends[0] if low is not None else ends[1])


def quantity_ranges(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A Range."""
    found += quantities_of_range(value, code)


def samples(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """SampledData: its limits, where it states them."""
    if value.__class__ is dict and (origin := value.get("origin")).__class__ is dict:
        low, high = decimal(value.get("lowerLimit")), decimal(value.get("upperLimit"))
        if low is not None or high is not None:
            found.append(amount(code, low, high, origin))


def references(value: Any, code: str, base: str, found: list[IndexValue]) -> None:
    """A Reference: where it points, and the identifier that it gives."""
    if value.__class__ is not dict:
        return
    if (text := text_of(value, "reference")) and (target := target_of(text, base)):
        found.append(ReferenceValue(code, target.type or text_of(value, "type"), target.id, target.url, target.version))
    if (identifier := value.get("identifier")).__class__ is dict and (number := text_of(identifier, "value")):
        system = text_of(identifier, "system")
        found.append(ReferenceValue(code, text_of(value, "type"), identifier_system=system, identifier_value=number))


def canonicals(value: Any, code: str, base: str, found: list[IndexValue]) -> None:
    """A canonical or a URI in a reference parameter; one of a resource here also by its type and id."""
    if value.__class__ is str and (canonical := canonical_of(value)) is not None:
        here = target_of(value, base)
        if here is not None and here.id is not None:
            found.append(ReferenceValue(code, here.type, here.id, None, here.version))
        else:
            found.append(ReferenceValue(code, None, None, canonical.url, canonical.version))


def resources(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A resource inside another, searched as a reference to it."""
    if value.__class__ is dict and (own_id := text_of(value, "id")):
        found.append(ReferenceValue(code, text_of(value, "resourceType"), own_id))


def uris(value: Any, code: str, _: str, found: list[IndexValue]) -> None:
    """A URI."""
    if value.__class__ is str:
        found.append(UriValue(code, value[:2_000]))


STRINGS = ("string", "markdown", "code", "id", "uri", "url", "canonical")
QUANTITIES = ("Quantity", "Age", "Count", "Distance", "Duration", "Money", "SimpleQuantity")
PLAIN_CODES = ("code", "string", "id", "uri", "url", "canonical", "oid", "uuid", "boolean", "markdown")
CONVERTERS: dict[str, dict[str, Convert]] = {
    "string": {
        **dict.fromkeys(STRINGS, texts),
        "HumanName": parts_of(NAME_PARTS),
        "Address": parts_of(ADDRESS_PARTS),
        "CodeableConcept": concept_text,
    },
    "token": {
        **dict.fromkeys(PLAIN_CODES, codes),
        "Coding": codings,
        "CodeableConcept": concepts,
        "Identifier": identifiers,
        "ContactPoint": contact_points,
    },
    "date": {**dict.fromkeys(("date", "dateTime", "instant"), dates), "Period": periods, "Timing": timings},
    "number": {**dict.fromkeys(("integer", "decimal", "positiveInt", "unsignedInt"), numbers), "Range": number_ranges},
    "quantity": {**dict.fromkeys(QUANTITIES, quantities), "Range": quantity_ranges, "SampledData": samples},
    "reference": {
        "Reference": references,
        **dict.fromkeys(("canonical", "uri", "url", "oid", "uuid"), canonicals),
        "Resource": resources,
    },
    "uri": dict.fromkeys(("uri", "url", "canonical", "oid", "uuid", "string"), uris),
}
