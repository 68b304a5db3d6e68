"""Whether one resource meets a search, without an index (FHIR R4 3.1.1.4)."""

import pytest

from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.search import parse_query
from salus.clinical.fhir.search.index import index
from salus.clinical.fhir.search.matching import meets

SYSTEM = "http://example.org/code"
EVENT = {
    "resourceType": "AuditEvent",
    "id": "e1",
    "meta": {"lastUpdated": "2026-03-05T10:00:00Z", "profile": ["http://example.org/profile"]},
    "type": {"system": SYSTEM, "code": "rest"},
    "action": "R",
    "recorded": "2026-03-05T10:00:00Z",
    "outcome": "0",
    "agent": [
        {
            "who": {"identifier": {"system": "urn:ods", "value": "RVJ"}},
            "requestor": True,
            "name": "Dr Éva Rao",
            "network": {"address": "host.example", "type": "1"},
        }
    ],
    "source": {"observer": {"reference": "Device/d1"}},
    "entity": [{"what": {"reference": "Patient/ann"}}],
}
MET = {
    "_id=e1": True,
    "_id=e2": False,
    "action=R": True,
    "action=R,E": True,
    "action=E": False,
    "action:not=R": False,
    "action:not=E": True,
    f"type={SYSTEM}|rest": True,
    "type=urn:other|rest": False,
    f"type={SYSTEM}|": True,
    "type=|rest": False,
    "entity=Patient/ann": True,
    "entity=Patient/ben": False,
    "entity=Observation/ann": False,
    "patient=ann": True,
    "patient=ben": False,
    "agent:identifier=urn:ods|RVJ": True,
    "agent:identifier=urn:ods|XYZ": False,
    "agent-name=dr eva": True,
    "agent-name=rao": False,
    "agent-name:contains=rao": True,
    "agent-name:exact=Dr Éva Rao": True,
    "agent-name:exact=dr éva rao": False,
    "_profile=http://example.org/profile": True,
    "_profile=http://example.org/other": False,
    "site:missing=true": True,
    "action:missing=true": False,
    "action:missing=false": True,
    "date=2026-03-05": True,
    "date=2026-03-06": False,
    "date=ne2026-03-05": False,
    "date=gt2026-03-04": True,
    "date=gt2026-03-05": False,
    "date=ge2026-03-05": True,
    "date=ge2026-03-06": False,
    "date=lt2026-03-06": True,
    "date=lt2026-03-05": False,
    "date=le2026-03-05": True,
    "date=le2026-03-04": False,
    "date=sa2026-03-04": True,
    "date=sa2026-03-05": False,
    "date=eb2026-03-06": True,
    "date=eb2026-03-05": False,
    "date=ap2026-03-06": True,
    "date=ap2026-04-06": False,
    "date=ge2026-03-01&action=E": False,
}


@pytest.mark.parametrize("query", MET)
def test_a_resource_meets_a_search_or_does_not(query: str) -> None:
    pairs = [tuple(each.split("=", 1)) for each in query.split("&")]
    filters = parse_query("AuditEvent", pairs, is_strict=True).filters
    assert meets(index("AuditEvent", EVENT), filters) is MET[query]


@pytest.mark.parametrize("query", ["patient.name=x", "type:text=x", "type:in=http://hl7.org/fhir/ValueSet/list-mode"])
def test_what_cannot_be_told_here_is_refused(query: str) -> None:
    name, value = query.split("=", 1)
    filters = parse_query("AuditEvent", [(name, value)], is_strict=True).filters
    with pytest.raises(FhirRejected):
        meets(index("AuditEvent", EVENT), filters)
