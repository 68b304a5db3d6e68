"""What a reference points to: a resource here, one elsewhere, or nothing that has an address.

Source: FHIR R4 2.3.0 (references), 2.1.0.5 (canonicals).
"""

from __future__ import annotations

import re
from typing import NamedTuple

LOCAL = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")
REFERENCE_CHARS_MAX = 2_000


class Target(NamedTuple):
    """Type and id of a resource here, or a url; the version where one is stated."""

    type: str | None
    id: str | None
    url: str | None
    version: str | None


def target_of(reference: str, base: str) -> Target | None:
    """What a reference means; None of one inside its own resource (`#id`), and of one without end.

    Args:
        reference: as it is written.
        base: the address of this server's FHIR, `https://a.example/FHIR/R4`; empty when there is none.
    """
    if reference.startswith("#") or not reference or len(reference) > REFERENCE_CHARS_MAX:
        return None
    inside = reference[len(base) :].removeprefix("/") if base and reference.startswith(f"{base}/") else reference
    match = LOCAL.fullmatch(inside)
    if match:
        return Target(match[1], match[2], None, match[3])
    url, _, version = reference.partition("/_history/")
    return Target(named_type(url), None, url, version or None)


def named_type(url: str) -> str | None:
    """The type that an absolute address of a resource names."""
    parts = url.rsplit("/", 2)
    return parts[1] if len(parts) == 3 and re.fullmatch(r"[A-Z][A-Za-z]{1,63}", parts[1]) else None


def canonical_of(text: str) -> Target | None:
    """A canonical: an address, and after `|` a version."""
    url, _, version = text.partition("|")
    return Target(None, None, url, version or None) if url and len(text) <= REFERENCE_CHARS_MAX else None
