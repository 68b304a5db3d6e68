"""Search over several types, compartments, and `$everything` of a time: what is found, and what is withheld."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from salus.contracts.provisions import Provision, ProvisionType
from salus.node.projections import resources
from salus.node.services.choices import file_by_custodian
from tests.api.fhir.fhir_world import Answer, Hospital, Someone, ask, hospital, observation
from tests.api.fhir.test_histories import long_ago
from tests.api.fhir.test_searching import PSY, follow, ids, note, search, weight

PARTICIPANT = [{"individual": {"reference": "Practitioner/dr"}}]


def encounter(name: str, of: str, start: str) -> dict:
    coded = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
    period = {"start": start, "end": start}
    subject = {"reference": f"Patient/{of}"}
    return {"resourceType": "Encounter", "id": name, "status": "finished", "class": coded, "subject": subject} | {
        "participant": PARTICIPANT,
        "period": period,
    }


MET = {"encounter": {"reference": "Encounter/e1"}}
RESOURCES = [
    {"resourceType": "Practitioner", "id": "dr", "name": [{"family": "O'Brien"}]},
    encounter("e1", "ann", "2024-01-10"),
    encounter("e2", "ben", "2024-02-10"),
    weight("w1", 70, "2024-01-10") | MET,
    weight("w2", 72, "2024-02-10"),
    note("c1", "ann") | MET,
    note("s1", "ann", meta={"security": [PSY]}) | MET,
    note("c2", "ben", recordedDate="2024-02-10"),
    {"resourceType": "Device", "id": "pump", "patient": {"reference": "Patient/ann"}},
    observation("ann", id="d1", device={"reference": "Device/pump"}),
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        for number, body in enumerate(RESOURCES):
            answer = ask(made, "feed", "PUT", f"/{body['resourceType']}/{body['id']}", body)
            assert answer.status == 201, answer.text
            long_ago(made, number)
        ann = resources.find(made.node, "Patient", "ann")
        assert ann is not None
        tree = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|{PSY['code']}",))
        file_by_custodian(made.node, ann.pseudonym, tree)
        yield made


FOUND = {
    "?_type=Condition,Encounter&_sort=_id": ["c1", "c2", "e1", "e2"],
    "?_type=Condition,Encounter&_sort=-_id": ["e2", "e1", "c2", "c1"],
    "?_type=Condition,Encounter&patient=ann&_sort=_id": ["c1", "e1"],
    "?_type=Condition&_type=Encounter&patient=ben": ["c2", "e2"],
    "?_type=Observation&date=2024-02&patient=ann": ["w2"],
    "?_id=c1,w1,dr,s1": ["c1", "w1", "dr"],
    "?_type=Condition,Observation&encounter=e1&_sort=_lastUpdated": ["w1", "c1"],
    "Encounter/e1/Observation": ["w1"],
    "Encounter/e1/Condition": ["c1"],
    "Encounter/e1/Encounter": ["e1"],
    "Encounter/e1/Observation?date=2023": [],
    "Encounter/e1/*?_sort=_id": ["c1", "e1", "w1"],
    "Encounter/e1/*?_type=Condition": ["c1"],
    "Encounter/e1/Organization": [],
    "Practitioner/dr/Encounter": ["e2", "e1"],
    "Practitioner/dr/Observation": ["w2", "w1"],
    "Device/pump/Observation": ["d1"],
    "Patient/ann/*?_type=Condition,Encounter&_sort=_id": ["c1", "e1"],
    "Patient/ben/Condition": ["c2"],
}


@pytest.mark.promise("R4")
@pytest.mark.parametrize("query", FOUND)
def test_what_is_found(here: Hospital, query: str) -> None:
    assert ids(search(here, query)) == FOUND[query]


def test_a_posted_search_is_the_same(here: Hospital) -> None:
    fields = {"authorization": "Bearer nurse", "content-type": "application/x-www-form-urlencoded"}
    body = "_type=Condition,Encounter&patient=ben"
    response = here.client.post("/FHIR/R4/_search", content=body, headers=fields)
    assert [each["resource"]["id"] for each in response.json()["entry"]] == ["c2", "e2"]


def test_pages_of_several_types(here: Hospital) -> None:
    answer: Answer | None = search(here, "?_type=Condition,Encounter&_sort=_id&_count=3&_elements=Encounter.status")
    found = []
    while answer is not None:
        assert answer.status == 200, answer.text
        found.append(ids(answer))
        answer = follow(here, answer)
    assert found == [["c1", "c2", "e1"], ["e2"]]


def test_what_is_sent_along_and_what_is_counted(here: Hospital) -> None:
    answer = search(here, "?_type=Observation,Encounter&patient=ann&_include=Encounter:participant")
    assert (sorted(ids(answer)), ids(answer, "include")) == (["d1", "e1", "w1", "w2"], ["dr"])
    counted = search(here, "?_type=Condition,Encounter&patient=ann&_summary=count").body
    assert (counted["total"], "entry" in counted) == (2, False)


REFUSED = {
    "?_type=Nothing": (400, "MSG_PARAM_INVALID"),
    "?_type=Condition,Encounter&_sort=date": (400, "MSG_PARAM_INVALID"),
    "Organization/x/Observation": (404, "MSG_OP_NOT_ALLOWED"),
    "Encounter/e1/Nothing": (404, "MSG_UNKNOWN_TYPE"),
    "Encounter/never/Observation": (404, "MSG_NO_EXIST"),
    "Patient/ann/$everything?start=yesterday": (400, "MSG_PARAM_INVALID"),
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_refused(here: Hospital, query: str) -> None:
    answer = ask(here, "nurse", "GET", f"/{query}")
    assert (answer.status, answer.detail) == REFUSED[query]


def test_what_one_of_the_types_does_not_know_is_passed_over_in_all(here: Hospital) -> None:
    answer = search(here, "?_type=Condition,Encounter&onset-age=3&patient=ben")
    assert (ids(answer), answer.body["entry"][-1]["search"]["mode"]) == (["c2", "e2"], "outcome")
    strict = ask(here, "nurse", "GET", "/?_type=Condition,Encounter&onset-age=3", prefer="handling=strict")
    assert (strict.status, strict.detail) == (400, "MSG_PARAM_UNKNOWN")


@pytest.mark.promise("P4")
@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?_type=Patient,Condition&identifier=urn:h|1", "_type=Patient,Condition"),
        ("?_type=Condition,Encounter&patient=ben", "_type=Condition,Encounter&patient=ben"),
    ],
)
def test_no_address_that_is_made_says_who_was_looked_for(here: Hospital, query: str, told: str) -> None:
    assert urlsplit(search(here, query).body["link"][0]["url"]).query == told


@pytest.mark.promise("R4")
def test_an_app_of_one_patient_finds_nobody_else(here: Hospital) -> None:
    assert ids(search(here, "?_type=Condition,Encounter", "ann-app")) == ["c1", "e1"]
    assert ids(search(here, "Practitioner/dr/Encounter", "ann-app")) == ["e1"]
    assert ask(here, "ann-app", "GET", "/Encounter/e2/Condition").status == 404


@pytest.mark.promise("R4")
def test_types_without_a_scope_are_not_searched(here: Hospital) -> None:
    here.tokens.people["none"] = Someone(here.tokens.people["nurse"].login, may_not="s")
    assert [ask(here, "none", "GET", f"/{each}").status for each in ("?_type=Condition", "Encounter/e1/Condition")] == [
        403,
        403,
    ]


EVERYTHING = {
    "": ["ann", "c1", "d1", "e1", "pump", "w1", "w2"],
    "?start=2024-02-01": ["ann", "c1", "d1", "pump", "w2"],
    "?end=2024-01-31": ["ann", "c1", "d1", "e1", "pump", "w1"],
    "?start=2024-01-01&end=2024-01-31&_type=Observation,Encounter": ["d1", "e1", "w1"],
    "?start=2024-01-01&end=2024-01-31&_type=Observation&_count=1&_since=2000-01-01": ["d1"],
}
"""`c1`, `d1` and `pump` have no date of care: they are in every time."""


@pytest.mark.parametrize("query", EVERYTHING)
def test_everything_of_a_time(here: Hospital, query: str) -> None:
    assert sorted(ids(search(here, f"Patient/ann/$everything{query}"))) == EVERYTHING[query]
