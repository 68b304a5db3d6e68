"""A member of the network as a FHIR Organization, where its node is reached as an Endpoint, and those of its own staff
who treat as Practitioner and PractitionerRole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from salus.clinical.fhir.renaming import instant
from salus.ledger.identifiers import CertificateId, OrganisationId
from salus.node.shapes import systems

PREFIX: Final = "member-"
"""Begins the ids of what is published of members, before the member's code; nobody else gives such ids."""
STAFF_PREFIX: Final = "staff-"
"""Begins those of staff, before half of the certificate's id."""
PREFIXES: Final = {
    "Organization": PREFIX,
    "Endpoint": PREFIX,
    "Practitioner": STAFF_PREFIX,
    "PractitionerRole": STAFF_PREFIX,
}
STAFF_ID_BYTES: Final = 16


@dataclass(frozen=True)
class StaffFacts:
    """Somebody of a member's staff who treats.

    Args:
        certificate: id of the certificate.
        name, role: as certified; registration: with a professional body, or empty.
        until_s: when the certificate ends, in seconds since 1970.
    """

    organisation: OrganisationId
    certificate: CertificateId
    name: str = field(repr=False)
    role: str
    registration: str = field(repr=False)
    role_class: str
    until_s: int

    @property
    def logical_id(self) -> str:
        """The id of both resources."""
        return f"{STAFF_PREFIX}{self.certificate[:STAFF_ID_BYTES].hex()}"


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


def practitioner(facts: StaffFacts) -> bytes:
    """Return somebody who treats, in JSON."""
    registration = {"system": systems.REGISTRATION, "value": facts.registration}
    said = {
        "resourceType": "Practitioner",
        "id": facts.logical_id,
        "identifier": [
            {"system": systems.CERTIFICATE, "value": facts.certificate.hex()},
            *([registration] if facts.registration else []),
        ],
        "active": True,
        "name": [{"text": facts.name}],
    }
    return msgspec.json.encode(said)


def practitioner_role(facts: StaffFacts) -> bytes:
    """Return in which role somebody treats here, until their certificate ends, in JSON."""
    said = {
        "resourceType": "PractitionerRole",
        "id": facts.logical_id,
        "active": True,
        "period": {"end": instant(facts.until_s)},
        "practitioner": {"reference": f"Practitioner/{facts.logical_id}"},
        "organization": {"reference": f"Organization/{PREFIX}{facts.organisation}"},
        "code": [{"coding": [{"system": systems.ROLE_CLASS, "code": facts.role_class}], "text": facts.role}],
    }
    return msgspec.json.encode(said)
