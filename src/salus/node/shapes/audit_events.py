"""What the ledger decided and what was released, as AuditEvents in the profiles of IHE Basic Audit Log Patterns.

A request is `AuthZconsent`, permitted or denied; a record that was released is `PatientRead`; one that was withheld has
the same shape, and no profile, since BALP has none for it, nor for an officer's look at the trail. What a profile
demands and nobody here knows, such as the address from which a member asked, is said by what is known: the member's
code.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from salus.clinical.fhir.renaming import instant
from salus.contracts.access import Basis, DenialReason
from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.ledger.identifiers import OrganisationId
from salus.node.shapes import systems

PROFILES: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"
DECISION_PROFILE: Final = f"{PROFILES}IHE.BasicAudit.AuthZconsent"
READ_PROFILE: Final = f"{PROFILES}IHE.BasicAudit.PatientRead"
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_INTERACTIONS: Final = {
    Verb.READ: "read",
    Verb.SEARCH: "search-type",
    Verb.EXPORT: "operation",
    Verb.SUBSCRIBE: "operation",
}
SUCCESS: Final = "0"
MINOR_FAILURE: Final = "4"
SERIOUS_FAILURE: Final = "8"


@dataclass(frozen=True)
class Asker:
    """Who asked, as far as the custodian knows it.

    Args:
        person: id of the certificate, or the key by which the patient asked; empty where the request is not held.
        name, role: of a certified person; empty for the patient.
    """

    organisation: OrganisationId
    role_class: RoleClass
    purpose: Purpose
    verb: Verb
    person: bytes = b""
    name: str = field(default="", repr=False)
    role: str = ""

    @property
    def is_patient(self) -> bool:
        """Whether the patient asked for themself."""
        return self.role_class is RoleClass.PATIENT_SIDE and self.purpose is Purpose.PATRQT


@dataclass(frozen=True)
class AuditFacts:
    """What every event says.

    Args:
        patient: logical id; at_s: when it happened, in seconds since 1970.
    """

    logical_id: str
    patient: str
    custodian: OrganisationId
    chain: str
    at_s: int
    asker: Asker


def decision_event(facts: AuditFacts, decided: Basis | DenialReason, consents: tuple[str, ...]) -> bytes:
    """Return what the ledger decided on a request (BALP AuthZconsent).

    Args:
        consents: ids of the Consents that were in force.
    """
    asker = facts.asker
    is_denied = isinstance(decided, DenialReason)
    said = _event(facts, SERIOUS_FAILURE if is_denied else SUCCESS) | {
        "meta": {"profile": [DECISION_PROFILE]},
        "type": {"system": _DCM, "code": "110113"},
        "subtype": [{"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType", "code": "AuthZ-Consent"}],
        "action": "E",
        "outcomeDesc": decided.name.lower().replace("_", "-"),
        "agent": [
            _program(asker.organisation, "110150"),
            _user(facts),
            _agent(
                "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV", systems.organisation(asker.organisation)
            ),
            _agent(
                "http://terminology.hl7.org/CodeSystem/extra-security-role-type",
                "authserver",
                {"identifier": {"system": systems.CHAIN, "value": facts.chain}},
            ),
        ],
        "entity": [_patient(facts), *(_consent(each) for each in consents or ("",))],
    }
    return msgspec.json.encode(said)


def release_event(facts: AuditFacts, record: str, *, withheld_by: str = "") -> bytes:
    """Return that a record was released (BALP PatientRead), or that it was withheld.

    Args:
        record: `Type/id/_history/version`, or the record's id in hexadecimal where it is not known by name.
        withheld_by: whose rule kept it back; empty for one that was released.
    """
    what: dict[str, object] = {"reference": record}
    if "/" not in record:
        what = {"identifier": {"system": systems.RECORD, "value": record}}
    said = _event(facts, MINOR_FAILURE if withheld_by else SUCCESS) | {
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "subtype": [
            {"system": "http://hl7.org/fhir/restful-interaction", "code": _INTERACTIONS[facts.asker.verb]},
        ],
        "action": "R",
        "agent": [
            _program(facts.asker.organisation, "110152"),
            _program(facts.custodian, "110153"),
            _user(facts),
        ],
        "entity": [
            _patient(facts),
            {"what": what, "type": _entity_type("2"), "role": _entity_role("4")},
        ],
    }
    more = {"outcomeDesc": withheld_by} if withheld_by else {"meta": {"profile": [READ_PROFILE]}}
    return msgspec.json.encode(said | more)


def look_event(facts: AuditFacts) -> bytes:
    """Return that somebody looked at the trail itself (DICOM PS3.15 A.5.3.2, Audit Log Used)."""
    said = _event(facts, SUCCESS) | {
        "type": {"system": _DCM, "code": "110101"},
        "action": "R",
        "agent": [_program(facts.custodian, "110153"), _user(facts)],
        "entity": [
            _patient(facts),
            {"what": {"display": "the history of this patient"}, "type": _entity_type("2"), "role": _entity_role("13")},
        ],
    }
    return msgspec.json.encode(said)


def _event(facts: AuditFacts, outcome: str) -> dict[str, object]:
    return {
        "resourceType": "AuditEvent",
        "id": facts.logical_id,
        "recorded": instant(facts.at_s),
        "outcome": outcome,
        "purposeOfEvent": [_concept(systems.ACT_REASON, facts.asker.purpose.name)],
        "source": {
            "site": facts.custodian,
            "observer": systems.organisation(facts.custodian),
            "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4"}],
        },
    }


def _agent(system: str, code: str, who: dict[str, object]) -> dict[str, object]:
    return {"type": _concept(system, code), "who": who, "requestor": False}


def _program(organisation: OrganisationId, code: str) -> dict[str, object]:
    """A member's node; of its place in a network the ledger knows the member's code."""
    agent = _agent(_DCM, code, systems.organisation(organisation))
    return agent | {"network": {"address": organisation, "type": "1"}}


def _user(facts: AuditFacts) -> dict[str, object]:
    asker = facts.asker
    if asker.is_patient:
        who: dict[str, object] = {"reference": f"Patient/{facts.patient}"}
    elif asker.person:
        who = {"type": "Practitioner", "identifier": {"system": systems.CERTIFICATE, "value": asker.person.hex()}}
    else:
        who = {"type": "Practitioner", "display": "somebody whom the requester knows"}
    agent = _agent(systems.PARTICIPATION, "IRCP", who) | {
        "requestor": True,
        "role": [
            _concept(systems.ROLE_CLASS, asker.role_class.name.lower()) | ({"text": asker.role} if asker.role else {})
        ],
        "purposeOfUse": [_concept(systems.ACT_REASON, asker.purpose.name)],
    }
    return agent | ({"name": asker.name} if asker.name else {})


def _patient(facts: AuditFacts) -> dict[str, object]:
    return {"what": {"reference": f"Patient/{facts.patient}"}, "type": _entity_type("1"), "role": _entity_role("1")}


def _consent(logical_id: str) -> dict[str, object]:
    what = {"reference": f"Consent/{logical_id}"} if logical_id else {"display": "no sharing choice: policies decide"}
    return {"what": what, "type": {"system": systems.RESOURCE_TYPES, "code": "Consent"}}


def _entity_type(code: str) -> dict[str, str]:
    return {"system": "http://terminology.hl7.org/CodeSystem/audit-entity-type", "code": code}


def _entity_role(code: str) -> dict[str, str]:
    return {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": code}


def _concept(system: str, code: str) -> dict[str, object]:
    return {"coding": [{"system": system, "code": code}]}
