"""What every patch must keep to, and how it is refused."""

from __future__ import annotations

from typing import Any

from salus.clinical.fhir.exact_json import read_exact, refuse_deep, write_exact
from salus.clinical.fhir.faults import Fault, FhirRejected

OPERATIONS_MAX = 1_000
PATCH_BYTES_MAX = 5_000_000
COPIED_VALUES_MAX = 100_000
FIXED = ("resourceType", "id")


def read_resource(body: bytes) -> dict[str, Any]:
    """The resource that is patched.

    Raises:
        FhirRejected: NOT_JSON and its kin.
    """
    content = read_exact(body)
    if not isinstance(content, dict):
        raise FhirRejected(Fault.NOT_JSON, expected="a JSON object", came="another JSON value", hint="send {...}")
    return content


def read_patch(patch: bytes) -> Any:
    """The patch document. Raises BAD_PATCH above 5 MB, and the faults of JSON."""
    if len(patch) > PATCH_BYTES_MAX:
        raise bad_patch(f"at most {PATCH_BYTES_MAX:,} bytes", f"{len(patch):,}")
    return read_exact(patch)


def finished(before: tuple[Any, ...], content: dict[str, Any]) -> bytes:
    """The patched resource as bytes.

    Raises:
        FhirRejected: PATCH_UNFIT when the type or the id is another; TOO_DEEP.
    """
    if fixed_of(content) != before:
        raise unfit(
            "a patch that keeps resourceType and id", "one that changes them", "create another resource instead"
        )
    refuse_deep(content)
    return write_exact(content)


def fixed_of(content: dict[str, Any]) -> tuple[Any, ...]:
    """What no patch may change."""
    return tuple(content.get(each) for each in FIXED)


def refuse_too_many(count: int) -> None:
    """Raise BAD_PATCH for more operations than one patch may have."""
    if count > OPERATIONS_MAX:
        raise bad_patch(f"at most {OPERATIONS_MAX:,} operations", f"{count:,}")


def values_in(value: Any) -> int:
    """How many values of JSON a value holds, itself included."""
    if isinstance(value, dict):
        return 1 + sum(values_in(each) for each in value.values())
    return 1 + sum(values_in(each) for each in value) if isinstance(value, list) else 1


def bad_patch(expected: str, came: str, place: str = "") -> FhirRejected:
    """The refusal of a patch that is none."""
    hint = "write it as the specification has it"
    return FhirRejected(Fault.BAD_PATCH, expected=expected, came=came, hint=hint, place=place)


def unfit(expected: str, came: str, hint: str, place: str = "") -> FhirRejected:
    """The refusal of a patch that does not fit this resource."""
    return FhirRejected(Fault.PATCH_UNFIT, expected=expected, came=came, hint=hint, place=place)
