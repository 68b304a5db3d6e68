"""How large a query may be, and how one is refused. Messages name places, parameters of FHIR and forms; no values."""

from __future__ import annotations

from salus.clinical.fhir.faults import Fault, FhirRejected

PARAMETERS_MAX = 64
VALUES_MAX = 256
ALL_VALUES_MAX = 320  # of all parameters together: each is a condition of a statement
VALUE_CHARS_MAX = 2_000
CHAIN_MAX = 3
ALTERNATIVES_MAX = 40  # of types in a chain: a subject can be any of few, a focus of all
INCLUDES_MAX = 20
SORTS_MAX = 8
ELEMENTS_MAX = 100
COUNT_MAX = 1_000

SEE = "see the CapabilityStatement"


def unknown(expected: str, hint: str = SEE) -> FhirRejected:
    """The refusal of a parameter that a type does not have."""
    return FhirRejected(Fault.UNKNOWN_PARAMETER, expected=expected, came="another", hint=hint)


def bad(expected: str, came: str = "another", hint: str = SEE) -> FhirRejected:
    """The refusal of a modifier, a prefix or a value."""
    return FhirRejected(Fault.BAD_PARAMETER, expected=expected, came=came, hint=hint)


def too_large(expected: str, came: str) -> FhirRejected:
    """The refusal of a query beyond its limits."""
    hint = "ask in several searches"
    return FhirRejected(Fault.SEARCH_TOO_LARGE, expected=expected, came=came, hint=hint)


def at_most(count: int, most: int, what: str) -> None:
    """Raise SEARCH_TOO_LARGE when there are more than the limit."""
    if count > most:
        raise too_large(f"at most {most:,} {what}", f"{count:,}")
