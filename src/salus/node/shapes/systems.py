"""Names of the code systems and identifiers that shapes are written in."""

from typing import Final

ODS: Final = "https://fhir.nhs.uk/Id/ods-organization-code"
"""Codes of organisations, which are also their ids on the ledger."""
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
CONSENT_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
CONSENT_ACTION: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"
ROLE_CLASS: Final = "urn:salus:role-class"
VERB: Final = "urn:salus:verb"
ACTOR: Final = "urn:salus:actor"
"""Who acted for a patient: `patient`, `delegate`, `custodian`."""
CERTIFICATE: Final = "urn:salus:certificate"
REGISTRATION: Final = "urn:salus:registration"
RECORD: Final = "urn:salus:record"
CHAIN: Final = "urn:salus:chain"
CONNECTION: Final = "urn:salus:connection"
BATCH: Final = "urn:salus:batch"
"""Roots of batches, by which the ledger knows what was registered."""
MADE: Final = "urn:salus:made"
"""Tags what is made of types of which clients store resources as well: `pointer`, `deposit`, `delegate`."""


def tag(code: str) -> dict[str, object]:
    """Return the tag of a resource that is made from the ledger, of a type of which others are stored."""
    return {"tag": [{"system": MADE, "code": code}]}


def organisation(code: str) -> dict[str, object]:
    """Return a reference to an organisation by its code."""
    return {"type": "Organization", "identifier": {"system": ODS, "value": code}}
