"""JSON as FHIR wants it: UTF-8, each key once, nothing nested without end.

Two readers must both accept the bytes. msgspec refuses what is not JSON at all (bad UTF-8, lone surrogates, NaN, text
after the end) and is fast; the standard library then shows every pair, so that a repeated key is seen. Of a repeated
key each reader may keep another value, and a rule could be applied to one while a person reads the other.

Never turns the parsed value back into bytes: numbers would lose digits.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from salus.clinical.fhir.faults import Fault, FhirRejected

DIGITS_MAX = 1_000
DEPTH_MAX = 64  # the deepest official R4 example has 21 levels
KEY_SHOWN = re.compile(r"[A-Za-z_]{1,64}")  # what may be a FHIR element name; any other key could hold anything

JsonObject = Mapping[str, object]


def read_object(source: bytes) -> JsonObject:
    """Parse one JSON object.

    Raises:
        FhirRejected: NOT_JSON (also for an array or a bare value), DUPLICATE_KEY, TOO_DEEP.
    """
    refuse_broken(source)
    try:
        value = READER.decode(source.decode("utf-8"))
    except RecursionError:
        raise too_deep(f"more than {DEPTH_MAX}") from None
    if not isinstance(value, dict):
        raise FhirRejected(Fault.NOT_JSON, expected="a JSON object", came="another JSON value", hint="send {...}")
    levels = depth(value)
    if levels > DEPTH_MAX:
        raise too_deep(str(levels))
    return value


def refuse_broken(source: bytes) -> None:
    """Raise with the position when these bytes are not JSON in UTF-8."""
    if source.startswith(b"\xef\xbb\xbf"):
        raise not_json("a byte order mark")
    try:
        msgspec.json.decode(source)
    except RecursionError:
        raise too_deep(f"more than {DEPTH_MAX}") from None
    except UnicodeDecodeError:
        raise not_json("bytes that are not UTF-8") from None
    except msgspec.DecodeError as error:
        raise not_json(broken_at(error)) from None


def broken_at(error: msgspec.DecodeError) -> str:
    """What msgspec says, which names positions and kinds of error and never repeats the input."""
    return str(error).removeprefix("JSON is malformed: ").removesuffix(" - at `$[...]`").lower()


def each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The object of these pairs; a repeated key is refused."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    shown = f"'{repeated}' twice" if KEY_SHOWN.fullmatch(repeated) else "a key twice"
    raise FhirRejected(Fault.DUPLICATE_KEY, expected="each key once in an object", came=shown, hint="keep one of them")


def bounded(literal: str) -> float:
    """A number with a fraction or an exponent; XML, in which the same resource is answered, has a limit, too."""
    if len(literal) > DIGITS_MAX:
        raise not_json(f"a number of more than {DIGITS_MAX:,} digits")
    return float(literal)


READER = json.JSONDecoder(object_pairs_hook=each_key_once, parse_float=bounded)


def depth(value: dict[str, Any]) -> int:
    """How many levels of objects and arrays are nested."""
    levels = 0
    level: list[dict[str, Any] | list[Any]] = [value]
    while level:
        levels += 1
        inside = (node.values() if isinstance(node, dict) else node for node in level)
        level = [child for children in inside for child in children if isinstance(child, (dict, list))]
    return levels


def not_json(came: str) -> FhirRejected:
    """The refusal of bytes that are not JSON."""
    return FhirRejected(Fault.NOT_JSON, expected="JSON in UTF-8", came=came, hint="check that the file is whole")


def too_deep(came: str) -> FhirRejected:
    """The refusal of a value that is nested too deeply."""
    expected = f"at most {DEPTH_MAX} levels of nesting"
    return FhirRejected(Fault.TOO_DEEP, expected=expected, came=came, hint="no FHIR resource needs that many")
