"""Values of primitive types: what is wrong with one, in the order in which it is looked at.

The forms are those of FHIR R4 2.24.0.1 (the regexes of the definitions), compiled by hand where the definitions' own
would be slow, and what a regex cannot say: days that exist, Base64 that decodes, numbers in their range.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Callable
from datetime import date as calendar
from decimal import Decimal
from typing import Final

LENGTH_MAX: Final = 1024 * 1024  # R4: strings SHALL NOT exceed 1 MB
NUMBERS: Final = (int, float, Decimal)

Fault = str
"""What was expected; empty when nothing is wrong."""

YEAR: Final = r"(?:[0-9](?:[0-9](?:[0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
DATE: Final = re.compile(YEAR + r"(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)?")
CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,12})?"
ZONE: Final = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
MOMENT: Final = re.compile(YEAR + r"-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T" + CLOCK + ZONE)
TIME: Final = re.compile(CLOCK)
CODE: Final = re.compile(r"\S+(?: \S+)*")
ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
URI: Final = re.compile(r"\S+")
OID: Final = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
UUID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
TAG: Final = re.compile(
    r"</?(?:script|style|iframe|object|embed|form|input|img|svg|link|meta|body|html|a|div|span|b|i|p)\b[^<>]*>", re.I
)
WHITE: Final = re.compile(r"[ \t\r\n]+")


def string(value: object) -> Fault:
    """Text that is not empty and has no control characters."""
    if type(value) is not str:
        return "a string"
    if not value or value.isspace():
        return "text that is not empty"
    if len(value) > LENGTH_MAX:
        return "at most 1 MB of text"
    return "text without control characters" if not value.isprintable() and CONTROL.search(value) else ""


def plain_string(value: object) -> Fault:
    """A string that is not shown as HTML, and holds no tags of it."""
    fault = string(value)
    if not fault and "<" in str(value) and TAG.search(str(value)):
        return "text without embedded HTML tags, which are not allowed for security reasons"
    return fault


def boolean(value: object) -> Fault:
    """True or false."""
    return "" if value is True or value is False else "true or false"


def integer(value: object) -> Fault:
    """A whole number of 32 bits."""
    return whole(value, smallest=-(2**31))


def unsigned_int(value: object) -> Fault:
    """Zero or more."""
    return whole(value, smallest=0)


def positive_int(value: object) -> Fault:
    """One or more."""
    return whole(value, smallest=1)


def whole(value: object, *, smallest: int) -> Fault:
    """A whole number from `smallest` to 2,147,483,647."""
    if type(value) is not int:
        return "a whole number"
    return "" if smallest <= value < 2**31 else f"a number from {smallest} to {2**31 - 1}"


def decimal(value: object) -> Fault:
    """A number."""
    return "" if isinstance(value, NUMBERS) and not isinstance(value, bool) else "a number"


def date(value: object) -> Fault:
    """A year, month or day that exists."""
    if type(value) is not str or not DATE.fullmatch(value):
        return "a date: YYYY, YYYY-MM or YYYY-MM-DD"
    return "" if len(value) < 10 else day(value)


def date_time(value: object) -> Fault:
    """A date, or a moment with its zone."""
    if type(value) is str and len(value) > 10:
        return instant(value)
    return date(value)


def instant(value: object) -> Fault:
    """A moment with its zone."""
    if type(value) is not str or not MOMENT.fullmatch(value):
        return "a date and time to the second with a timezone"
    return day(value)


def day(value: str) -> Fault:
    """A day that the calendar has; every month has the first twenty-eight."""
    if value[8] < "2" or value[8:10] < "29":
        return ""
    try:
        calendar(int(value[:4]), int(value[5:7]), int(value[8:10]))
    except ValueError:
        return "a day that exists"
    return ""


def base64(value: object) -> Fault:
    """Base64, with or without white space."""
    if type(value) is not str:
        return "Base64 in a string"
    try:
        a2b_base64(WHITE.sub("", value) if WHITE.search(value) else value, strict_mode=True)
    except ValueError:
        return "Base64"
    return "" if value else "Base64 that is not empty"


def matching(form: re.Pattern[str], expected: str) -> Callable[[object], Fault]:
    """A check of a string's form."""

    def check(value: object) -> Fault:
        return "" if type(value) is str and form.fullmatch(value) else expected

    return check


uri = matching(URI, "a URI without white space")

CHECKS: Final[dict[str, Callable[[object], Fault]]] = {
    "base64Binary": base64,
    "boolean": boolean,
    "canonical": uri,
    "code": matching(CODE, "a code without white space at its ends or twice inside"),
    "date": date,
    "dateTime": date_time,
    "decimal": decimal,
    "id": matching(ID, "an id of 1 to 64 letters, digits, - and ."),
    "instant": instant,
    "integer": integer,
    "markdown": string,
    "oid": matching(OID, "urn:oid: and an OID"),
    "positiveInt": positive_int,
    "string": plain_string,
    "time": matching(TIME, "a time: hh:mm:ss"),
    "unsignedInt": unsigned_int,
    "uri": uri,
    "url": uri,
    "uuid": matching(UUID, "urn:uuid: and a UUID in lower case"),
    "xhtml": string,
}
"""By type: what was expected of a value, or an empty string."""


def plain_text(value: str) -> bool:
    """Whether it is printable text, as nearly all strings are."""
    return value.isprintable() and 0 < len(value) < LENGTH_MAX and not value.isspace() and "<" not in value


ALWAYS_A_DAY: Final = r"-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
ACCEPT: Final[dict[str, Callable[[str], object]]] = {
    "canonical": URI.fullmatch,
    "code": CODE.fullmatch,
    "date": re.compile(YEAR + ALWAYS_A_DAY).fullmatch,
    "dateTime": re.compile(YEAR + ALWAYS_A_DAY + f"(?:T{CLOCK}{ZONE})?").fullmatch,
    "id": ID.fullmatch,
    "instant": re.compile(YEAR + ALWAYS_A_DAY + f"T{CLOCK}{ZONE}").fullmatch,
    "markdown": plain_text,
    "string": plain_text,
    "uri": URI.fullmatch,
    "url": URI.fullmatch,
}
"""By type: a quick test that is true of most sound texts and of no other."""
