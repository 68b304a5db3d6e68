"""`$docref`: a patient's documents by type and time of care, and nobody else's."""

from collections.abc import Iterator

import pytest

from salus.contracts.provisions import Provision, ProvisionType
from salus.node.services.choices import file_by_custodian
from tests.api.fhir.fhir_world import Hospital, ask, hospital
from tests.api.fhir.ledger_people import pseudonym_of
from tests.api.fhir.test_searching import follow, ids

LOINC = "http://loinc.org"
PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}


def document(name: str, of: str, code: str, year: int, **more: object) -> dict:
    return {
        "resourceType": "DocumentReference",
        "id": name,
        "status": "current",
        "type": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{of}"},
        "context": {"period": {"start": f"{year}-01-01", "end": f"{year}-12-31"}},
        "content": [{"attachment": {"contentType": "text/plain", "data": "eA=="}}],
    } | more


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        for body in (
            document("old", "ann", "18842-5", 2001),
            document("new", "ann", "34133-9", 2020),
            document("hidden", "ann", "34133-9", 2020, meta={"security": [PSY]}),
            document("of-ben", "ben", "34133-9", 2020),
        ):
            assert ask(made, "feed", "PUT", f"/DocumentReference/{body['id']}", body).status == 201
        tree = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|PSY",))
        file_by_custodian(made.node, pseudonym_of(made, "ann"), tree)
        yield made


QUERIES = {
    "patient=ann": {"old", "new"},
    "patient=Patient/ann": {"old", "new"},
    "patient=ann&start=2019-01-01&end=2021-01-01": {"new"},
    "patient=ann&end=2005-01-01": {"old"},
    f"patient=ann&type={LOINC}|18842-5": {"old"},
    "patient=ann&on-demand=true": {"old", "new"},
    "patient=never": set(),
}


@pytest.mark.promise("R4")
@pytest.mark.parametrize("query", QUERIES)
def test_documents_are_found_by_type_and_time(here: Hospital, query: str) -> None:
    answer = ask(here, "nurse", "GET", f"/DocumentReference/$docref?{query}")
    assert (set(ids(answer)), answer.body["total"]) == (QUERIES[query], len(QUERIES[query]))


def test_parameters_can_be_posted_and_pages_go_on(here: Hospital) -> None:
    coding = {"coding": [{"system": LOINC, "code": "34133-9"}]}
    named = [{"name": "patient", "valueId": "ann"}, {"name": "type", "valueCodeableConcept": coding}]
    posted = ask(
        here, "nurse", "POST", "/DocumentReference/$docref", {"resourceType": "Parameters", "parameter": named}
    )
    assert ids(posted) == ["new"]
    named[1] = {"name": "type", "valueCodeableConcept": {"text": "a letter"}}
    words = ask(here, "nurse", "POST", "/DocumentReference/$docref", {"resourceType": "Parameters", "parameter": named})
    assert words.status == 400
    first = ask(here, "nurse", "GET", "/DocumentReference/$docref?patient=ann&_count=1")
    second = follow(here, first)
    assert second is not None
    assert {*ids(first), *ids(second)} == {"old", "new"}


def test_without_a_patient_or_with_other_words_it_is_refused(here: Hospital) -> None:
    for query in ("", "start=2020", "patient=ann&colour=red"):
        assert ask(here, "nurse", "GET", f"/DocumentReference/$docref?{query}").status == 400
    assert ids(ask(here, "ann-app", "GET", "/DocumentReference/$docref?patient=ben")) == []
