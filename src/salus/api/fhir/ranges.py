"""Ranges of an answer: the one range of bytes that a client that was cut off asks for (RFC 9110 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from salus.api.fhir.failures import Failure, Issue

_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)


@dataclass(frozen=True)
class Part:
    """What goes of a content, and the fields that say so."""

    status: int
    content: bytes = field(repr=False)
    headers: dict[str, str]


def ranged(content: bytes, headers: Mapping[str, str], *, etag: str) -> Part:
    """Return the range that is asked for, or everything where none is, or the content is another by now.

    Args:
        headers: of the request, names in lower case.
        etag: of the whole content, a strong one.

    Raises:
        Failure: 416: nothing of the range is there.
    """
    whole = Part(200, content, {"accept-ranges": "bytes"})
    asked = _RANGE.fullmatch(headers.get("range", "").strip())
    if asked is None or not any(asked.groups()) or headers.get("if-range", etag) != etag:
        return whole
    size = len(content)
    if asked[1]:
        first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
    else:
        first, last = max(size - int(asked[2]), 0), size - 1
    if asked[1] and asked[2] and int(asked[2]) < first:
        return whole  # not a range at all
    if first > last:
        words = "expected a range within the file: ask for its beginning"
        headers_ = {"content-range": f"bytes */{size}"}
        raise Failure(416, Issue("value", "MSG_PARAM_INVALID", words), headers=headers_)
    said = {"accept-ranges": "bytes", "content-range": f"bytes {first}-{last}/{size}"}
    return Part(206, content[first : last + 1], said)
