"""Why a FHIRPath expression is refused, or stops: permanent numbers, and words that hold nothing of a resource.

Promises: a message names operators, functions, types and positions; never a value, and never the expression itself,
which a client may have written with somebody's name in it (P4).
"""

from __future__ import annotations

from enum import IntEnum


class PathFault(IntEnum):
    """Permanent numbers: one that has been used is never given another meaning."""

    SYNTAX = 1
    UNKNOWN_FUNCTION = 2
    UNKNOWN_TYPE = 3
    UNKNOWN_VARIABLE = 4
    UNKNOWN_ELEMENT = 5
    WRONG_COUNT = 6
    WRONG_TYPE = 7
    BAD_ARGUMENT = 8
    BAD_PATTERN = 9
    TOO_LONG = 10
    TOO_COSTLY = 11


class PathRejected(Exception):
    """The expression means nothing here, or may not go on; `at` is the position in its text, None while it runs."""

    def __init__(self, fault: PathFault, *, expected: str, came: str, at: int | None = None) -> None:
        """Keep the parts, so that an interface can lay them out in its own way."""
        self.fault = fault
        self.expected = expected
        self.came = came
        self.at = at
        where = "" if at is None else f"at character {at + 1}: "
        super().__init__(f"{where}expected {expected}, came {came}")
