"""What the server writes around a resource: its version, its place, its dates."""

from email.utils import formatdate

from salus.clinical.fhir.renaming import with_version
from salus.node.services.show import Shown


def rendered(shown: Shown) -> bytes:
    """Return a version of a resource as clients see it, with its version and time in `meta`."""
    return with_version(shown.body, version=shown.version, updated_s=shown.updated_s)


def version_tag(version: int) -> str:
    """Return a version's ETag (FHIR R4 http.html 3.1.0.1.3)."""
    return f'W/"{version}"'


def http_date(at_s: int) -> str:
    """Return a time in seconds since 1970 as HTTP writes it."""
    return formatdate(at_s, usegmt=True)


def place_of(base: str, shown: Shown) -> str:
    """Return the address of a version of a resource."""
    return f"{base}/{shown.type}/{shown.logical_id}/_history/{shown.version}"
