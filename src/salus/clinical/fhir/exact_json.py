"""JSON that is read, changed and written again without a digit lost: `1.50` stays `1.50`, `1E2` stays `1E2`.

Promises: what is not changed is written with the same value, down to the last decimal; keys and items keep their order.
Never keeps spaces between values: they mean nothing.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec

from salus.clinical.fhir.strict_json import DEPTH_MAX, depth, each_key_once, not_json, refuse_broken, too_deep


class ExactDecimal(Decimal):
    """A number that remembers how it was written."""

    __slots__ = ("literal",)
    literal: str

    def __new__(cls, literal: str) -> ExactDecimal:
        """Keep the literal beside the value."""
        found = super().__new__(cls, literal)
        found.literal = literal
        return found


def exact_integer(literal: str) -> int | ExactDecimal:
    """An integer; one that Python would write otherwise (`-0`) keeps its literal."""
    return ExactDecimal(literal) if literal == "-0" else int(literal)


READER = json.JSONDecoder(object_pairs_hook=each_key_once, parse_float=ExactDecimal, parse_int=exact_integer)


def read_exact(source: bytes) -> Any:
    """Read any JSON value, with the checks of `strict_json`.

    Raises:
        FhirRejected: NOT_JSON, DUPLICATE_KEY, TOO_DEEP.
    """
    refuse_broken(source)
    try:
        value = READER.decode(source.decode("utf-8"))
    except RecursionError:
        raise too_deep(f"more than {DEPTH_MAX}") from None
    except ValueError:  # an integer of more digits than Python reads
        raise not_json("a number out of range") from None
    refuse_deep(value)
    return value


def refuse_deep(value: Any) -> None:
    """Raise TOO_DEEP when a value is nested more deeply than a resource may be."""
    levels = depth({"": value}) - 1
    if levels > DEPTH_MAX:
        raise too_deep(str(levels))


def write_exact(value: Any) -> bytes:
    """The value as JSON; numbers as they were read."""
    return msgspec.json.encode(written(value))


def written(value: Any) -> Any:
    """The same value with the literals of its numbers in place of the numbers."""
    if value.__class__ is dict:
        return {key: written(each) for key, each in value.items()}
    if value.__class__ is list:
        return [written(each) for each in value]
    return msgspec.Raw(value.literal.encode()) if value.__class__ is ExactDecimal else value
