"""Why FHIR input is refused: one exception, permanent numbers, and a sentence that helps.

Promises: the message says what was expected, what came and what to do, with places and counts but no patient data.
"""

from __future__ import annotations

from enum import IntEnum


class Fault(IntEnum):
    """Permanent numbers: one that has been used is never given another meaning."""

    TOO_LARGE = 1
    NOT_JSON = 2
    DUPLICATE_KEY = 3
    TOO_DEEP = 4
    NO_RESOURCE_TYPE = 5
    BAD_ID = 6
    NOT_A_BUNDLE = 7
    BUNDLE_TYPE = 8
    BAD_ENTRY = 9
    NO_PATIENT = 10
    SEVERAL_PATIENTS = 11
    WRONG_PATIENT = 12
    BAD_NHS_NUMBER = 13
    BAD_DATE = 14
    NOT_A_PATIENT = 15
    BAD_PATCH = 16
    PATCH_UNFIT = 17
    UNKNOWN_PARAMETER = 18
    BAD_PARAMETER = 19
    SEARCH_TOO_LARGE = 20
    NOT_XML = 21
    XML_FORBIDDEN = 22
    NOT_FHIR_XML = 23
    NO_XML_FORM = 24


class FhirRejected(Exception):
    """The input is not what it must be; nothing of it was used.

    `place` says where in a larger input: `entry 3`, `line 12`; empty for a single resource.
    """

    def __init__(self, fault: Fault, *, expected: str, came: str, hint: str, place: str = "") -> None:
        """Keep the parts, so that an interface can lay them out in its own way."""
        self.fault = fault
        self.expected = expected
        self.came = came
        self.hint = hint
        self.place = place
        where = f"{place}: " if place else ""
        super().__init__(f"{where}expected {expected}, came {came}: {hint}")

    def at(self, place: str) -> FhirRejected:
        """The same fault, placed inside a larger input."""
        where = f"{place}, {self.place}" if self.place else place
        return FhirRejected(self.fault, expected=self.expected, came=self.came, hint=self.hint, place=where)
