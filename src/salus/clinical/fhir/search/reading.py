"""From the text of one value to what it looks for, by the kind of parameter.

Source: FHIR R4 3.1.1.4 (types, prefixes), 3.1.1.4.0.1 (escaping).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from salus.clinical.fhir.fhirpath.quantities import UCUM
from salus.clinical.fhir.search.limits import VALUE_CHARS_MAX, at_most, bad
from salus.clinical.fhir.search.normal import base_amount, folded, half_unit, is_calculable, span_ms
from salus.clinical.fhir.search.parameters import Parameter, Part
from salus.clinical.fhir.search.references import canonical_of, target_of
from salus.clinical.fhir.search.sought import (
    Sought,
    SoughtComposite,
    SoughtDate,
    SoughtNumber,
    SoughtQuantity,
    SoughtReference,
    SoughtString,
    SoughtToken,
    SoughtUri,
)

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?", re.ASCII)
LOGICAL_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


class Asked(NamedTuple):
    """What a value is read for: a parameter, or a part of a composite; the modifier; this server's address."""

    parameter: Parameter | Part
    modifier: str
    base: str


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that no backslash protects; escapes stay for who reads the parts."""
    if "\\" not in text:
        return text.split(separator)
    parts, at = [""], 0
    while at < len(text):
        width = 2 if text[at] == "\\" else 1
        if text[at] == separator:
            parts.append("")
        else:
            parts[-1] += text[at : at + width]
        at += width
    return parts


def unescaped(text: str) -> str:
    """A part with its escapes resolved."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) if "\\" in text else text


def string(text: str, _: Asked) -> Sought:
    """A string."""
    whole = unescaped(text)
    return SoughtString(whole, folded(whole))


def token(text: str, asked: Asked) -> Sought:
    """`code`, `system|code`, `|code`, `system|`; by modifier words, a value set or a typed identifier."""
    modifier = asked.modifier
    if modifier == "text":
        return SoughtToken(text=folded(unescaped(text)))
    if modifier in ("in", "not-in"):
        return SoughtToken(system=unescaped(text))
    parts = [unescaped(each) for each in split(text, "|")]
    if modifier == "of-type":
        if len(parts) != 3 or not all(parts):
            raise bad("system|code|value after :of-type")
        return SoughtToken(type_system=parts[0], type_code=parts[1], value=parts[2])
    if len(parts) > 2 or not any(parts):
        raise bad("a token as code, system|code, |code or system|")
    if len(parts) == 1:
        return SoughtToken(value=parts[0])
    return SoughtToken(system=parts[0], value=parts[1] or None)


def prefixed(text: str) -> tuple[str, str]:
    """A prefix, `eq` unless there is one, and what follows it."""
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def date(text: str, _: Asked) -> Sought:
    """A date or time."""
    prefix, rest = prefixed(unescaped(text))
    found = span_ms(rest.replace(" ", "+"))  # a plus that came unencoded
    if found is None:
        raise bad("a date as YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss] with a zone", "something else")
    return SoughtDate(prefix, *found)


def decimal(text: str) -> Decimal:
    """A number. Raises BAD_PARAMETER."""
    number = Decimal(text) if NUMBER.fullmatch(text) else None
    if number is None or not is_calculable(number):
        raise bad("a number", "something else")
    return number


def around(prefix: str, number: Decimal) -> tuple[Decimal, Decimal]:
    """The range that a number's digits imply; of `ap`, a tenth around it (FHIR 3.1.1.4.5)."""
    half = half_unit(number)
    if prefix == "ap":
        half = max(half, abs(number) / 10)
    return number - half, number + half


def number(text: str, _: Asked) -> Sought:
    """A number."""
    prefix, rest = prefixed(unescaped(text))
    found = decimal(rest)
    low, high = around(prefix, found)
    return SoughtNumber(prefix, float(found), float(low), float(high))


def quantity(text: str, _: Asked) -> Sought:
    """`number`, `number|system|code` or `number||unit`."""
    parts = [unescaped(each) for each in split(text, "|")]
    if len(parts) not in (1, 3):
        raise bad("an amount as number, number|system|code or number||unit")
    prefix, rest = prefixed(parts[0])
    found = decimal(rest)
    low, high = around(prefix, found)
    system, unit = (parts[1], parts[2] or None) if len(parts) == 3 else (None, None)
    bases = [base_amount(each, unit) if system == UCUM and unit else None for each in (found, low, high)]
    known = [each for each in bases if each is not None]
    in_base = (known[0][0], known[1][0], known[2][0], known[0][1]) if len(known) == 3 else (None, None, None, None)
    # Without a system the unit is as it is written or coded; the two may be in any system (FHIR 3.1.1.4.11).
    return SoughtQuantity(prefix, float(found), float(low), float(high), system or None, unit, *in_base)


def reference(text: str, asked: Asked) -> Sought:
    """`id`, `Type/id`, an address, or a canonical with its version; by modifier an identifier or a type."""
    whole, parameter = unescaped(text), asked.parameter
    if asked.modifier == "identifier":
        found = token(text, asked._replace(modifier=""))
        return SoughtReference(identifier=found) if isinstance(found, SoughtToken) else SoughtReference()
    only = asked.modifier or None
    targets = parameter.targets if isinstance(parameter, Parameter) else ()
    if LOGICAL_ID.fullmatch(whole):
        return SoughtReference(type=only or (targets[0] if len(targets) == 1 else None), id=whole)
    target = target_of(whole, asked.base)
    if target is not None and target.id is not None:
        if only is not None and target.type != only:
            raise bad("a reference to the type of the modifier")
        return SoughtReference(type=target.type, id=target.id)
    canonical = canonical_of(whole)
    if canonical is None:
        raise bad("a reference as id, Type/id or an address", "something else")
    return SoughtReference(url=canonical.url, version=canonical.version)


def uri(text: str, _: Asked) -> Sought:
    """A URI."""
    return SoughtUri(unescaped(text))


def composite(text: str, asked: Asked) -> Sought:
    """`value$value`: one for each part."""
    parts = asked.parameter.parts if isinstance(asked.parameter, Parameter) else ()
    given = split(text, "$")
    if len(given) != len(parts) or not all(given):
        raise bad(f"{len(parts)} values with $ between them", str(len(given)))
    found = [READERS[part.kind](each, Asked(part, "", asked.base)) for part, each in zip(parts, given, strict=True)]
    return SoughtComposite(tuple(each for each in found if not isinstance(each, SoughtComposite)))


READERS: dict[str, Callable[[str, Asked], Sought]] = {
    "string": string,
    "token": token,
    "date": date,
    "number": number,
    "quantity": quantity,
    "reference": reference,
    "uri": uri,
    "composite": composite,
}


def read_value(text: str, modifier: str, parameter: Parameter, base: str) -> Sought:
    """One value of a parameter.

    Raises:
        FhirRejected: BAD_PARAMETER, SEARCH_TOO_LARGE above 2,000 characters.
    """
    at_most(len(text), VALUE_CHARS_MAX, "characters in a value")
    return READERS[parameter.kind](text, Asked(parameter, modifier, base))
