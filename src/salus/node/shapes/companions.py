"""What is told of a record version beside the record: a pointer in the shape of the National Record Locator, and who
put it there as a Provenance.

Neither says anything of the content. The codes, extensions and rules of a pointer are NRL's (record-locator producer
API, FHIR R4); its subject is a reference, since a patient's number is content of the Patient.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from salus.clinical.fhir.renaming import instant
from salus.clinical.labels import OBSERVATION_VALUE, PATIENT_ASSERTED
from salus.contracts.provisions import EARLIEST_S, LATEST_S
from salus.ledger.identifiers import OrganisationId
from salus.node.shapes import systems

POINTER: Final = "pointer"
DEPOSIT: Final = "deposit"
_ENGLAND: Final = "https://fhir.nhs.uk/England"
_SNOMED: Final = "http://snomed.info/sct"
_CATEGORIES: Final[Mapping[str, tuple[str, str]]] = {
    "CarePlan": ("734163000", "Care plan"),
    "Composition": ("823651000000106", "Clinical note"),
    "DiagnosticReport": ("721981007", "Diagnostic studies report"),
    "DocumentReference": ("823651000000106", "Clinical note"),
    "Observation": ("1102421000000108", "Observations"),
    "Procedure": ("103693007", "Diagnostic procedure"),
}
_OTHER_CATEGORY: Final = ("419891008", "Record artifact")
"""Codes of England-NRLRecordCategory, by the type of the record."""


@dataclass(frozen=True)
class VersionFacts:
    """What is known of a record version without its content.

    Args:
        type, name: its FHIR type, and `Type/id/_history/version`.
        patient: logical id of the Patient.
        at_s: when it was deposited; from_s, to_s: of the care that it is about, EARLIEST_S and LATEST_S where unknown.
        labels: security labels, `system|code`.
        is_first: whether no version came before it; is_current: whether none came after.
    """

    type: str
    name: str
    patient: str
    custodian: OrganisationId
    at_s: int
    from_s: int
    to_s: int
    labels: tuple[str, ...] = field(repr=False)
    is_first: bool
    is_current: bool


def pointer(facts: VersionFacts, logical_id: str, *, replaces: str) -> bytes:
    """Return a pointer to a record version in JSON.

    Args:
        replaces: id of the pointer to the version before; empty for none, or for one that may not be seen.
    """
    code, display = _CATEGORIES.get(facts.type, _OTHER_CATEGORY)
    said: dict[str, object] = {
        "resourceType": "DocumentReference",
        "id": logical_id,
        "meta": systems.tag(POINTER),
        "status": "current" if facts.is_current else "superseded",
        "type": {"coding": [{"system": systems.RESOURCE_TYPES, "code": facts.type}]},
        "category": [{"coding": [{"system": _SNOMED, "code": code, "display": display}]}],
        "subject": {"reference": f"Patient/{facts.patient}"},
        "date": instant(facts.at_s),
        "author": [systems.organisation(facts.custodian)],
        "custodian": systems.organisation(facts.custodian),
        "relatesTo": [_replaces(replaces)] if replaces else [],
        "securityLabel": [_label(each) for each in facts.labels],
        "content": [_content(facts)],
        "context": {"period": period} if (period := _period(facts)) else {},
    }
    return msgspec.json.encode({name: value for name, value in said.items() if value})


def provenance(facts: VersionFacts, logical_id: str, *, batch: bytes) -> bytes:
    """Return who put a record version here, and when, as a Provenance in JSON.

    Args:
        batch: the root under which the ledger has it, for the patient; empty for everybody else.
    """
    source = {"role": "source", "what": {"identifier": {"system": systems.BATCH, "value": batch.hex()}}}
    agents = [_agent("custodian", systems.organisation(facts.custodian))]
    if f"{OBSERVATION_VALUE}|{PATIENT_ASSERTED}" in facts.labels:
        agents.insert(0, _agent("author", {"reference": f"Patient/{facts.patient}"}))
    said: dict[str, object] = {
        "resourceType": "Provenance",
        "id": logical_id,
        "meta": systems.tag(DEPOSIT),
        "target": [{"reference": facts.name}],
        "recorded": instant(facts.at_s),
        "activity": _concept(
            "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "CREATE" if facts.is_first else "UPDATE"
        ),
        "agent": agents,
    }
    return msgspec.json.encode(said | ({"entity": [source]} if batch else {}))


def _agent(role: str, who: dict[str, object]) -> dict[str, object]:
    return {"type": _concept("http://terminology.hl7.org/CodeSystem/provenance-participant-type", role), "who": who}


def _content(facts: VersionFacts) -> dict[str, object]:
    """Where the record is: a version never changes, and is fetched from this server under its own decision."""
    return {
        "extension": [
            _extension("Extension-England-ContentStability", "England-NRLContentStability", "static", "Static"),
            _extension("Extension-England-NRLRetrievalMechanism", "England-NRLRetrievalMechanism", "Direct", "Direct"),
        ],
        "attachment": {"contentType": "application/fhir+json", "url": facts.name},
        "format": {
            "system": f"{_ENGLAND}/CodeSystem/England-NRLFormatCode",
            "code": "urn:nhs-ic:structured",
            "display": "Structured Document",
        },
    }


def _extension(name: str, system: str, code: str, display: str) -> dict[str, object]:
    coding = {"system": f"{_ENGLAND}/CodeSystem/{system}", "code": code, "display": display}
    return {"url": f"{_ENGLAND}/StructureDefinition/{name}", "valueCodeableConcept": {"coding": [coding]}}


def _replaces(logical_id: str) -> dict[str, object]:
    target = {"type": "DocumentReference", "reference": f"DocumentReference/{logical_id}"}
    return {"code": "replaces", "target": target | {"identifier": {"value": logical_id}}}


def _period(facts: VersionFacts) -> dict[str, str]:
    known = {"start": facts.from_s} if facts.from_s != EARLIEST_S else {}
    known |= {"end": facts.to_s} if facts.to_s != LATEST_S else {}
    return {name: instant(value) for name, value in known.items()}


def _label(token: str) -> dict[str, object]:
    system, _, code = token.rpartition("|")
    return _concept(system, code)


def _concept(system: str, code: str) -> dict[str, object]:
    return {"coding": [{"system": system, "code": code} if system else {"code": code}]}
