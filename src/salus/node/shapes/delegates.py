"""Somebody whom a patient lets act for them, as a FHIR RelatedPerson.

The ledger knows a key and a time, and no name: who it is, patient and delegate know.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from salus.clinical.fhir.renaming import instant
from salus.node.shapes import systems

DELEGATE: Final = "delegate"


@dataclass(frozen=True)
class DelegateFacts:
    """What the ledger says of a delegate. Times in seconds since 1970; `until_s` is 0 for no end.

    Args:
        logical_id: of the RelatedPerson; patient: of the Patient.
        is_active: whether the delegate may act at this moment.
    """

    logical_id: str
    patient: str
    from_s: int
    until_s: int
    is_active: bool


def delegate(facts: DelegateFacts) -> bytes:
    """Return a delegate as a RelatedPerson in JSON."""
    until = {"end": instant(facts.until_s)} if facts.until_s else {}
    said = {
        "resourceType": "RelatedPerson",
        "id": facts.logical_id,
        "meta": systems.tag(DELEGATE),
        "active": facts.is_active,
        "patient": {"reference": f"Patient/{facts.patient}"},
        "relationship": [
            {
                "coding": [{"system": systems.ACTOR, "code": DELEGATE}],
                "text": "somebody whom the patient lets act",
            }
        ],
        "period": {"start": instant(facts.from_s), **until},
    }
    return msgspec.json.encode(said)
