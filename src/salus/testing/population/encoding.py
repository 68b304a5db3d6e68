"""Resources to bytes: compact JSON in which decimals keep the digits that were measured.

FHIR counts `1.50` and `1.5` as different precision, and a binary float cannot tell them apart. So a decimal travels as
marked text through the encoder, and the mark and its quotes are taken off at the end.
"""

from __future__ import annotations

import json
import re

Json = dict[str, object]

MARK = "\ue000"  # private use: stands in no name, address or term of this population
MARKED = re.compile(f'"{MARK}(-?[0-9]+(?:\\.[0-9]+)?)"')
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def decimal(scaled: int, places: int) -> str:
    """A number with so many decimal places, given as an integer of the last place: 105 and 2 are 1.05."""
    if places == 0:
        return f"{MARK}{scaled}"
    whole, part = divmod(abs(scaled), 10**places)
    return f"{MARK}{'-' if scaled < 0 else ''}{whole}.{part:0{places}}"


def json_bytes(value: Json) -> bytes:
    """The bytes of a resource: UTF-8, no spaces, keys in the order in which they were written down."""
    text = ENCODER.encode(value)
    return (MARKED.sub(r"\1", text) if MARK in text else text).encode()
