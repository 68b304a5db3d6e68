"""A member of the network as a FHIR Organization, and where its node is reached as an Endpoint."""

from collections.abc import Sequence
from typing import Final

import msgspec

from salus.node.shapes import systems

PREFIX: Final = "member-"
"""Begins the ids of what is published of members, before the member's code; nobody else gives such ids."""
TYPES: Final = ("Organization", "Endpoint")


def organization(code: str, name: str, role_classes: Sequence[str], *, has_endpoint: bool) -> bytes:
    """Return a member in JSON; `role_classes` are those in which it may ask."""
    said: dict[str, object] = {
        "resourceType": "Organization",
        "id": f"{PREFIX}{code}",
        "identifier": [{"system": systems.ODS, "value": code}],
        "active": True,
        "type": [{"coding": [{"system": systems.ROLE_CLASS, "code": each}]} for each in role_classes],
        "name": name,
    }
    reference = {"endpoint": [{"reference": f"Endpoint/{PREFIX}{code}"}]} if has_endpoint else {}
    return msgspec.json.encode(said | reference)


def endpoint(code: str, address: str, *, is_suspended: bool) -> bytes:
    """Return where a member's node is reached by others, in JSON."""
    said = {
        "resourceType": "Endpoint",
        "id": f"{PREFIX}{code}",
        "status": "suspended" if is_suspended else "active",
        "connectionType": {"system": systems.CONNECTION, "code": "exchange"},
        "managingOrganization": {"reference": f"Organization/{PREFIX}{code}"},
        "payloadType": [{"text": "records under a permit of the ledger"}],
        "address": address,
    }
    return msgspec.json.encode(said)
