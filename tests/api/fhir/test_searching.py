"""Search: what is found, in which order, page by page; and what is withheld decides nothing, on any side path."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.search import parameters_of
from salus.contracts.provisions import Provision, ProvisionType
from salus.node.projections import resources
from salus.node.projections.search_rows import parameter_number
from salus.node.services.choices import file_by_custodian
from tests.api.fhir.fhir_world import BASE, Answer, Hospital, Someone, ask, hospital, observation

PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


def weight(name: str, value: float, day: str, of: str = "ann", **more: object) -> dict:
    amount = {"value": value, "unit": "kg", "system": UCUM, "code": "kg"}
    return (
        observation(
            of, id=name, valueQuantity=amount, effectiveDateTime=day, performer=[{"reference": "Practitioner/dr"}]
        )
        | more
    )


def note(name: str, of: str, **more: object) -> dict:
    coding = {"coding": [{"system": "http://snomed.info/sct", "code": "73211009", "display": "Diabetes mellitus"}]}
    return {"resourceType": "Condition", "id": name, "subject": {"reference": f"Patient/{of}"}, "code": coding} | more


RESOURCES = [
    {"resourceType": "Practitioner", "id": "dr", "name": [{"family": "O'Brien", "given": ["Zoë"]}]},
    {"resourceType": "Practitioner", "id": "nn", "name": [{"family": "Nolan"}]},
    weight("w1", 70.5, "2024-01-10"),
    weight("w2", 72, "2024-02-10", performer=[{"reference": "Practitioner/nn"}]),
    weight("w3", 80, "2024-03-10T08:00:00Z"),
    weight("b1", 90, "2024-01-15", of="ben"),
    note("c1", "ann"),
    note("c2", "ben", meta={"security": [PSY]}),
    {"resourceType": "Encounter", "id": "e1", "status": "finished", "subject": {"reference": "Patient/ann"},
     "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
     "period": {"start": "2024-01-01", "end": "2024-01-31"}},
]  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        for body in RESOURCES:
            answer = ask(made, "feed", "PUT", f"/{body['resourceType']}/{body['id']}", body)
            assert answer.status == 201, answer.text
        hidden = resources.find(made.node, "Condition", "c2")
        assert hidden is not None
        tree = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|{PSY['code']}",))
        file_by_custodian(made.node, hidden.pseudonym, tree)
        yield made


def search(here: Hospital, query: str, who: str = "nurse") -> Answer:
    answer = ask(here, who, "GET", f"/{query}")
    assert answer.status == 200, answer.text
    return answer


def ids(answer: Answer, mode: str = "match") -> list[str]:
    entries = answer.body.get("entry", [])
    return [each["resource"]["id"] for each in entries if each["search"]["mode"] == mode]


FOUND = {
    "Observation?patient=Patient/ann&_sort=date": ["w1", "w2", "w3"],
    "Observation?subject=ann&_sort=-date": ["w3", "w2", "w1"],
    f"Observation?code={LOINC}|29463-7&_sort=date&patient=ann": ["w1", "w2", "w3"],
    "Observation?code=29463-7&patient=ben": ["b1"],
    "Observation?code=|29463-7": [],
    "Observation?code=other": [],
    "Observation?status=final&patient=ben": ["b1"],
    "Observation?status:not=final": [],
    "Observation?date=2024-02&patient=ann": ["w2"],
    "Observation?date=ge2024-02-10&patient=ann&_sort=date": ["w2", "w3"],
    "Observation?date=lt2024-02-10&patient=ann": ["w1"],
    "Observation?date=gt2024-02-10&date=le2024-03-10&patient=ann": ["w3"],
    f"Observation?value-quantity=gt71|{UCUM}|kg&patient=ann&_sort=date": ["w2", "w3"],
    f"Observation?value-quantity=72000|{UCUM}|g&patient=ann": ["w2"],
    "Observation?value-quantity=le70.5&patient=ann": ["w1"],
    f"Observation?code-value-quantity={LOINC}|29463-7$ge80&_sort=date": ["b1", "w3"],
    f"Observation?code-value-quantity={LOINC}|other$ge80": [],
    "Observation?performer=Practitioner/nn": ["w2"],
    "Observation?performer:Practitioner.family=nolan": ["w2"],
    "Observation?subject:Patient.birthdate=1990-01-01": ["b1"],
    "Observation?_id=w1,w2&_sort=_id": ["w1", "w2"],
    "Observation?performer:missing=true": [],
    "Observation?encounter:missing=true&patient=ben": ["b1"],
    "Practitioner?family=o'br": ["dr"],
    "Practitioner?given=zoe": ["dr"],
    "Practitioner?given:exact=zoe": [],
    "Practitioner?given:exact=Zo%C3%AB": ["dr"],
    "Practitioner?family:contains=brie": ["dr"],
    "Practitioner?name=nolan,obrien": ["nn"],
    "Patient?identifier=urn:h|1": ["ann"],
    "Patient?birthdate=lt1985": ["ann"],
    "Patient?_has:Observation:patient:value-quantity=gt85": ["ben"],
    "Patient?_has:Condition:patient:code=http://snomed.info/sct|73211009": ["ann"],
    "Condition?code:text=diabetes": ["c1"],
    "Encounter?date=2024-01-15": [],
    "Encounter?date=sa2023-12": ["e1"],
    "Encounter?date=eb2024-02-02": ["e1"],
    "Encounter?class=AMB": ["e1"],
    "Encounter?status:in=http://hl7.org/fhir/ValueSet/encounter-status": ["e1"],
    "Observation?_lastUpdated=gt2020-01-01&patient=ben": ["b1"],
    "Observation?_lastUpdated=lt2020-01-01": [],
    "Patient/ann/Observation?_sort=date": ["w1", "w2", "w3"],
    "Patient/ben/Condition": [],
}


@pytest.mark.parametrize("query", FOUND)
def test_what_is_found(here: Hospital, query: str) -> None:
    assert ids(search(here, query)) == FOUND[query]


def test_a_posted_search_is_the_same(here: Hospital) -> None:
    fields = {"authorization": "Bearer nurse", "content-type": "application/x-www-form-urlencoded"}
    response = here.client.post("/FHIR/R4/Observation/_search", content="patient=ben", headers=fields)
    assert [each["resource"]["id"] for each in response.json()["entry"]] == ["b1"]


def test_what_is_referred_to_and_what_refers_is_sent_along(here: Hospital) -> None:
    answer = search(here, "Observation?_id=w1,w2&_include=Observation:performer&_include=Observation:subject&_sort=_id")
    assert (ids(answer), sorted(ids(answer, "include"))) == (["w1", "w2"], ["ann", "dr", "nn"])
    for parameter in ("patient", "*"):
        answer = search(here, f"Patient?_id=ann&_revinclude=Observation:{parameter}")
        assert (ids(answer), sorted(ids(answer, "include"))) == (["ann"], ["w1", "w2", "w3"])


def follow(here: Hospital, answer: Answer, who: str = "nurse") -> Answer | None:
    url = next((each["url"] for each in answer.body["link"] if each["relation"] == "next"), None)
    return None if url is None else ask(here, who, "GET", url.removeprefix(BASE))


def test_pages_are_of_one_snapshot_and_the_total_is_told_on_the_first(here: Hospital) -> None:
    first = search(here, "Observation?patient=ann&_sort=date&_count=1")
    assert (ids(first), first.body["total"]) == (["w1"], 3)
    ask(here, "feed", "PUT", "/Observation/late", weight("late", 1, "2024-01-11"))
    try:
        second = follow(here, first)
        assert second is not None
        third = follow(here, second)
        assert third is not None
        assert (ids(second), ids(third), follow(here, third)) == (["w2"], ["w3"], None)
    finally:
        ask(here, "feed", "DELETE", "/Observation/late")


def test_a_link_leads_nobody_else_anywhere(here: Hospital) -> None:
    first = search(here, "Observation?patient=ann&_count=1")
    stolen = follow(here, first, "feed")
    assert stolen is not None
    assert (stolen.status, stolen.detail) == (404, "MSG_NO_EXIST")
    assert ask(here, "nurse", "GET", "?_page=guess").status == 404


def test_a_link_is_of_its_type_and_what_a_client_adds_to_it_is_passed_over(here: Hospital) -> None:
    first = search(here, "Observation?patient=ann&_count=1")
    page = urlsplit(first.body["link"][1]["url"])
    assert page.path.endswith("/Observation")
    assert ids(ask(here, "nurse", "GET", f"/Observation?{page.query}&_count=1000")) == ids(follow(here, first))
    assert ids(ask(here, "nurse", "GET", f"?{page.query}")) == ids(follow(here, first))
    assert ask(here, "nurse", "GET", f"/Condition?{page.query}").status == 404


def test_parts_of_resources(here: Hospital) -> None:
    (entry,) = search(here, "Observation?_id=w1&_elements=valueQuantity").body["entry"]
    assert set(entry["resource"]) == {"resourceType", "id", "meta", "status", "code", "valueQuantity"}
    assert entry["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"
    counted = search(here, "Observation?patient=ann&_summary=count").body
    assert (counted["total"], "entry" in counted) == (3, False)


def test_unknown_parameters_are_told_and_refused_when_the_client_is_strict(here: Hospital) -> None:
    answer = search(here, "Observation?patient=ben&colour=red")
    assert (ids(answer), answer.body["entry"][-1]["search"]["mode"]) == (["b1"], "outcome")
    assert answer.body["entry"][-1]["fullUrl"].startswith("urn:uuid:")
    strict = ask(here, "nurse", "GET", "/Observation?colour=red", prefer="handling=strict")
    assert (strict.status, strict.detail) == (400, "MSG_PARAM_UNKNOWN")


@pytest.mark.promise("P4")
@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("Patient?identifier=urn:h|1&birthdate=1980-02-29&_count=5", "_count=5"),
        ("Observation?subject:Patient.birthdate=1980-02-29", ""),
        ("Observation?patient:identifier=urn:h|1", ""),
        ("Practitioner?family=nolan", ""),
        ("Observation?status=final&patient=ben&date=2024", "status=final&patient=ben&date=2024"),
    ],
)
def test_no_address_that_is_made_says_who_was_looked_for(here: Hospital, query: str, told: str) -> None:
    url = search(here, query).body["link"][0]["url"]
    assert url.partition("?")[2] == told


def test_an_app_of_one_patient_finds_nobody_else(here: Hospital) -> None:
    assert ids(search(here, "Observation?_sort=date", "ann-app")) == ["w1", "w2", "w3"]
    assert ids(search(here, "Patient", "ann-app")) == ["ann"]
    assert ids(search(here, "Practitioner?family=nolan", "ann-app")) == ["nn"]


def test_scopes_narrow_what_is_found_and_read(here: Hospital) -> None:
    nurse = here.tokens.people["nurse"]
    here.tokens.people["narrow"] = Someone(nurse.login, narrowed={"Observation": ((("value-quantity", "gt75"),),)})
    assert ids(search(here, "Observation?patient=ann", "narrow")) == ["w3"]
    assert [ask(here, "narrow", "GET", f"/Observation/{name}").status for name in ("w1", "w3")] == [404, 200]


LEAKS = {
    "hit": "Condition?_id=c2",
    "total": "Condition?patient=ben&_summary=count",
    "code": "Condition?code=73211009&patient=ben",
    "reverse chain": "Patient?_has:Condition:patient:code=73211009&_id=ben",
    "reverse include": "Patient?_id=ben&_revinclude=Condition:patient",
    "reverse include by all": "Patient?_id=ben&_revinclude=Condition:*",
    "compartment": "Patient/ben/Condition",
    "label": "Condition?_security=PSY",
    "page": "Condition?_count=1&_sort=_id",
}


@pytest.mark.promise("R4")
@pytest.mark.parametrize("name", LEAKS)
def test_what_is_withheld_shows_on_no_side_path(here: Hospital, name: str) -> None:
    answer = search(here, LEAKS[name])
    shown = [each["resource"]["id"] for each in answer.body.get("entry", [])]
    assert '"id":"c2"' not in answer.text
    assert shown in ([], ["ben"], ["c1"])
    assert answer.body.get("total", 0) <= 1
    assert not any(each["relation"] == "next" for each in answer.body["link"])
    if "_has" in LEAKS[name]:
        assert shown == []


def test_no_two_parameters_share_a_number() -> None:
    pairs = [(kind, code) for kind in r4().resource_types for code in parameters_of(kind)]
    assert len({parameter_number(*each) for each in pairs}) == len(pairs)
