"""From one parameter of a query to a filter: modifiers, chains, and `_has`.

Source: FHIR R4 3.1.1.4.1 (modifiers), 3.1.1.5 (chaining and reverse chaining).
"""

from __future__ import annotations

from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.fhir.search.limits import ALTERNATIVES_MAX, CHAIN_MAX, VALUES_MAX, at_most, bad, too_large, unknown
from salus.clinical.fhir.search.parameters import Parameter, parameters_of
from salus.clinical.fhir.search.queries import Alternative, Chain, Criterion, Filter, Has
from salus.clinical.fhir.search.reading import read_value, split

MODIFIERS = {
    "string": ("exact", "contains"),
    "token": ("text", "not", "of-type", "in", "not-in"),
    "reference": ("identifier",),
    "uri": ("above", "below"),
}


def filter_of(type_name: str, name: str, value: str, *, base: str, depth: int = 0) -> Filter:
    """The filter that one parameter states.

    Args:
        type_name: of the resources that are searched.
        name: with its modifier and its chain.
        value: with commas between alternatives.
        base: the address of this server's FHIR.
        depth: how many chains are around it.

    Raises:
        FhirRejected: UNKNOWN_PARAMETER, BAD_PARAMETER, SEARCH_TOO_LARGE.
    """
    if depth > CHAIN_MAX:
        raise too_large(f"a chain of at most {CHAIN_MAX} references", "a longer one")
    if name.startswith("_has:"):
        return has(type_name, name, value, base, depth)
    first, dot, rest = name.partition(".")
    code, _, modifier = first.partition(":")
    parameter = parameters_of(type_name).get(code)
    if parameter is None:
        raise unknown(f"a search parameter of {type_name}")
    if dot:
        return chain(type_name, parameter, modifier, rest, value, base, depth)
    return criterion(type_name, parameter, modifier, value, base)


def criterion(type_name: str, parameter: Parameter, modifier: str, value: str, base: str) -> Criterion:
    """A parameter with its modifier and values."""
    if modifier == "missing":
        if value not in ("true", "false"):
            raise bad("true or false after :missing")
        return Criterion(type_name, parameter.code, parameter.kind, missing=value == "true")
    is_type = parameter.kind == "reference" and modifier in targets_of(parameter)
    if modifier and not is_type and modifier not in MODIFIERS.get(parameter.kind, ()):
        offered = ", ".join(("missing", *MODIFIERS.get(parameter.kind, ())))
        raise bad(f"a modifier of {parameter.code}: {offered}")
    given = [each for each in split(value, ",") if each]
    at_most(len(given), VALUES_MAX, "values in a parameter")
    if not given:
        raise bad(f"a value for {parameter.code}", "none")
    sought = tuple(dict.fromkeys(read_value(each, modifier, parameter, base) for each in given))
    return Criterion(type_name, parameter.code, parameter.kind, "" if is_type else modifier, sought)


def targets_of(parameter: Parameter) -> tuple[str, ...]:
    """The types that a reference parameter may point to."""
    return parameter.targets or r4().resource_types


def chain(type_name: str, parameter: Parameter, modifier: str, rest: str, value: str, base: str, depth: int) -> Chain:
    """`reference.parameter` or `reference:Type.parameter`: without a type, all types that have the parameter."""
    if parameter.kind != "reference":
        raise bad("a chain that begins with a reference")
    if modifier and modifier not in targets_of(parameter):
        raise bad(f"a type that {parameter.code} may point to, after the colon")
    wanted = (modifier,) if modifier else targets_of(parameter)
    found: list[Alternative] = []
    refusals: list[FhirRejected] = []
    for target in wanted:
        try:
            found.append(Alternative(target, filter_of(target, rest, value, base=base, depth=depth + 1)))
        except FhirRejected as refusal:
            if refusal.fault is not Fault.UNKNOWN_PARAMETER:
                raise
            refusals.append(refusal)
    if not found:
        raise refusals[0]
    at_most(len(found), ALTERNATIVES_MAX, "types in a chain: name one after the colon, of those")
    return Chain(type_name, parameter.code, tuple(found))


def has(type_name: str, name: str, value: str, base: str, depth: int) -> Has:
    """`_has:Type:reference:parameter`, of which the last may be another `_has` or a chain."""
    parts = name.split(":", 3)
    if len(parts) != 4:
        raise bad("_has:Type:reference:parameter")
    _, source, code, rest = parts
    parameter = parameters_of(source).get(code)
    if parameter is None or parameter.kind != "reference":
        raise unknown("a reference parameter of the type that _has names")
    if parameter.targets and type_name not in parameter.targets:
        raise bad(f"a reference that may point to {type_name}, after _has")
    return Has(type_name, source, code, filter_of(source, rest, value, base=base, depth=depth + 1))
