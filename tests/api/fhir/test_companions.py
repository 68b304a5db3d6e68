"""Pointers and Provenances of records: decided on as the record that they tell of, receipted, and told from others."""

from collections.abc import Iterator

import pytest

from salus.clinical.fhir.validation import base_validator
from salus.contracts.provisions import Provision, ProvisionType
from salus.node.services.choices import file_by_custodian
from tests.api.fhir.fhir_world import Answer, Hospital, Someone, ask, hospital, observation
from tests.api.fhir.ledger_people import assisted, pseudonym_of
from tests.api.fhir.test_searching import follow, ids

PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
POINTERS = "/DocumentReference?_tag=urn:salus:made|pointer"
DEPOSITS = "/Provenance?_tag=urn:salus:made|deposit"
ENGLAND = "https://fhir.nhs.uk/England"
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        one = observation(id="one", effectiveDateTime="2020-02-01")
        was = observation(id="was", meta={"security": [PSY]})
        others = (observation(id="psy", meta={"security": [PSY]}), was, observation(id="was"))
        for body in (one, one | {"status": "amended"}, *others):
            assert ask(made, "feed", "PUT", f"/Observation/{body['id']}", body).status in (200, 201)
        assert ask(made, "feed", "PUT", "/Observation/of-ben", observation("ben", id="of-ben")).status == 201
        for body in (stored_document(), stored_provenance()):
            assert ask(made, "feed", "PUT", f"/{body['resourceType']}/stored", body).status == 201
        assert ask(made, "feed", "PUT", "/Organization/org", {"resourceType": "Organization", "id": "org", "name": "x"})
        assisted(made, "ann")
        tree = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|PSY",))
        file_by_custodian(made.node, pseudonym_of(made, "ann"), tree)
        yield made


def stored_document() -> dict:
    content = [{"attachment": {"contentType": "text/plain", "data": "eA=="}}]
    subject = {"reference": "Patient/ann"}
    return {
        "resourceType": "DocumentReference", "id": "stored", "status": "current", "subject": subject, "content": content
    }  # fmt: skip


def stored_provenance() -> dict:
    return {
        "resourceType": "Provenance",
        "id": "stored",
        "target": [{"reference": "Observation/one"}],
        "recorded": "2020-02-02T00:00:00Z",
        "agent": [{"who": {"display": "somebody"}}],
    }


def get(here: Hospital, who: str, path: str) -> Answer:
    return ask(here, who, "GET", path, x_request_id="same")


def found(here: Hospital, who: str, path: str) -> list[dict]:
    answer = get(here, who, path)
    assert answer.status == 200, answer.text
    return [each["resource"] for each in answer.body.get("entry", [])]


def at(pointer: dict) -> str:
    return pointer["content"][0]["attachment"]["url"]


def pointers(here: Hospital, who: str = "nurse", more: str = "") -> dict[str, dict]:
    return {at(each): each for each in found(here, who, f"{POINTERS}&patient=ann&_count=100{more}")}


def deposits(here: Hospital, who: str = "nurse", more: str = "&patient=ann") -> dict[str, dict]:
    some = found(here, who, f"{DEPOSITS}&_count=100{more}")
    return {each["target"][0]["reference"]: each for each in some}


def released_versions(here: Hospital) -> list[str]:
    events = found(here, "ann", "/AuditEvent?action=R&outcome=0&agent-name=nurse&_count=500")
    return [each["entity"][1]["what"]["reference"] for each in events]


VERSIONS = {
    "Observation/one/_history/1",
    "Observation/one/_history/2",
    "Observation/was/_history/2",
    "DocumentReference/stored/_history/1",
    "Provenance/stored/_history/1",
}
"""What of Ann's record may be seen, and is told of."""


@pytest.mark.promise("R4")
def test_there_is_a_pointer_to_each_version_that_may_be_seen_and_to_nothing_else(here: Hospital) -> None:
    assert pointers(here).keys() == deposits(here).keys() == VERSIONS


def test_a_pointer_has_the_shape_of_the_record_locator(here: Hospital) -> None:
    some = pointers(here)
    new, old = (some[f"Observation/one/_history/{version}"] for version in (2, 1))
    assert (new["status"], new["meta"]["versionId"]) == ("current", "1")
    assert (old["status"], old["meta"]["versionId"]) == ("superseded", "2")
    (replaces,) = new["relatesTo"]
    assert (replaces["code"], replaces["target"]["reference"]) == ("replaces", f"DocumentReference/{old['id']}")
    assert replaces["target"]["identifier"] == {"value": old["id"]}
    assert "relatesTo" not in old
    assert "relatesTo" not in some["Observation/was/_history/2"]  # the one before is withheld
    assert new["custodian"]["identifier"] == new["author"][0]["identifier"] == {"system": ODS, "value": "RVJ"}
    (content,) = new["content"]
    assert content["format"]["code"] == "urn:nhs-ic:structured"
    assert {each["url"]: each["valueCodeableConcept"]["coding"][0]["code"] for each in content["extension"]} == {
        f"{ENGLAND}/StructureDefinition/Extension-England-ContentStability": "static",
        f"{ENGLAND}/StructureDefinition/Extension-England-NRLRetrievalMechanism": "Direct",
    }
    assert new["context"]["period"] == {"start": "2020-02-01T00:00:00Z", "end": "2020-02-01T23:59:59Z"}
    assert new["subject"] == {"reference": "Patient/ann"}
    assert "29463-7" not in str(new)  # the code is content
    assert get(here, "nurse", f"/{at(old)}").body["status"] == "final"  # what it points to can be read


def test_a_provenance_says_who_deposited_and_when(here: Hospital) -> None:
    some = deposits(here)
    new, old = (some[f"Observation/one/_history/{version}"] for version in (2, 1))
    assert [each["activity"]["coding"][0]["code"] for each in (old, new)] == ["CREATE", "UPDATE"]
    assert new["agent"][0]["who"]["identifier"] == {"system": ODS, "value": "RVJ"}
    assert new["recorded"] == get(here, "nurse", "/Observation/one").body["meta"]["lastUpdated"]
    assert "entity" not in new
    (batch,) = deposits(here, "ann")["Observation/one/_history/2"]["entity"]
    assert batch["what"]["identifier"]["system"] == "urn:salus:batch"


def test_every_companion_is_valid_and_read_by_its_id(here: Hospital) -> None:
    for each in (*pointers(here).values(), *deposits(here).values()):
        assert [issue for issue in base_validator().validate(each) if issue.severity == "error"] == []
        read = get(here, "nurse", f"/{each['resourceType']}/{each['id']}")
        assert (read.body, read.headers["etag"]) == (each, f'W/"{each["meta"]["versionId"]}"')
        assert get(here, "nurse", f"/{each['resourceType']}/{each['id']}/$meta").status == 200


@pytest.mark.promise("R4")
def test_whoever_may_not_see_the_record_sees_no_sign_of_it(here: Hospital) -> None:
    assert pointers(here, "ann").keys() == deposits(here, "ann").keys() == VERSIONS  # the choice is for everybody
    narrow = Someone(here.tokens.people["nurse"].login, narrowed={"Observation": ((("status", "final"),),)})
    here.tokens.people["narrow"] = narrow
    assert pointers(here, "narrow").keys() == VERSIONS - {
        f"Observation/one/_history/{each}" for each in (1, 2)
    }  # amended
    name = pointers(here)["Observation/one/_history/2"]["id"]
    came = [get(here, "narrow", f"/DocumentReference/{each}") for each in (name, "never")]
    assert (came[0].status, came[0].text) == (404, came[1].text)
    assert get(here, "feed", f"/DocumentReference/{name}").status == 404
    assert found(here, "ann-app", f"{POINTERS}&patient=ben") == []


@pytest.mark.promise("R5", "U2")
def test_what_is_shown_is_in_the_patients_log_and_what_is_counted_is_not(here: Hospital) -> None:
    get(here, "nurse", f"{POINTERS}&patient=ann&_summary=count")
    before = released_versions(here)
    name = pointers(here)["Observation/one/_history/2"]["id"]
    after = released_versions(here)
    assert len(after) == len(before) + len(VERSIONS)
    assert get(here, "nurse", f"/DocumentReference/{name}").status == 200
    assert released_versions(here).count("Observation/one/_history/2") == after.count("Observation/one/_history/2") + 1


OBSERVATIONS = {each for each in VERSIONS if each.startswith("Observation/")}
QUERIES = {
    "&status=superseded": {"Observation/one/_history/1"},
    "&type=http://hl7.org/fhir/resource-types|Observation": OBSERVATIONS,
    "&category=http://snomed.info/sct|1102421000000108": OBSERVATIONS,
    "&custodian:identifier=RVJ": VERSIONS,
    "&period=lt2019": set(),
    "&period=2020-02-01&status=current": {"Observation/one/_history/2"},
    "&relation=replaces": {"Observation/one/_history/2"},
    "&subject=Patient/ann": VERSIONS,
    "&subject=Patient/ben": set(),
    "&patient=ben": None,
    "&date=ge2020": VERSIONS,
}


@pytest.mark.parametrize("query", QUERIES)
def test_pointers_are_searched(here: Hospital, query: str) -> None:
    if QUERIES[query] is None:
        assert get(here, "nurse", f"{POINTERS}&patient=ann{query}").status == 400
        return
    assert pointers(here, more=query).keys() == QUERIES[query]


def test_a_provenance_is_found_by_its_target_and_by_its_time(here: Hospital) -> None:
    both = {f"Observation/one/_history/{each}" for each in (1, 2)}
    assert deposits(here, more="&target=Observation/one").keys() == both
    assert deposits(here, more="&patient=ann&target=Observation/one&recorded=lt2019").keys() == set()
    assert deposits(here, more="&target=Observation/never").keys() == set()
    assert deposits(here, more="&target=Observation/psy").keys() == set()
    assert deposits(here, "ann-app", more="&target=Observation/of-ben").keys() == set()
    assert deposits(here, more="&target=Organization/org").keys() == set()
    assert get(here, "nurse", DEPOSITS).status == 400


def test_it_comes_with_what_is_shown(here: Hospital) -> None:
    path = "/Observation?patient=ann&_revinclude=Provenance:target"
    some = [each for each in found(here, "nurse", path) if each["resourceType"] == "Provenance"]
    assert ids_of(some) == {
        "stored",
        *(deposits(here)[f"Observation/{each}/_history/2"]["id"] for each in ("one", "was")),
    }
    assert ids_of(found(here, "nurse", "/Observation?patient=ann&_revinclude=Provenance:patient")) == {"one", "was"}
    blind = Someone(here.tokens.people["nurse"].login, narrowed={"Provenance": ((("recorded", "lt2021"),),)})
    here.tokens.people["blind"] = blind
    assert ids_of(found(here, "blind", path)) == {"one", "was", "stored"}


def ids_of(some: list[dict]) -> set[str]:
    return {each["id"] for each in some}


def test_other_searches_find_what_is_stored(here: Hospital) -> None:
    assert ids(get(here, "nurse", "/DocumentReference?patient=ann")) == ["stored"]
    assert ids(get(here, "nurse", "/Provenance?target=Observation/one")) == ["stored"]
    assert ids(get(here, "nurse", "/Patient/ann/Provenance")) == ["stored"]
    path = "/Patient/ann/DocumentReference?_tag=urn:salus:made|pointer"
    assert {at(each) for each in found(here, "nurse", path)} == VERSIONS
    assert found(here, "nurse", f"{path}&patient=ben") == []


def test_pages_are_disjoint_and_together_everything(here: Hospital) -> None:
    first = get(here, "nurse", f"{POINTERS}&patient=ann&_count=3")
    second = follow(here, first)
    pages = [{each["resource"]["id"] for each in page.body["entry"]} for page in (first, second)]
    assert (first.body["total"], [len(each) for each in pages], pages[0] & pages[1]) == (5, [3, 2], set())


@pytest.mark.promise("R4")
def test_nobody_stores_something_that_looks_made(here: Hospital) -> None:
    made = pointers(here)["Observation/one/_history/2"]
    tagged = stored_document() | {"id": "tagged", "meta": {"tag": [{"system": "urn:salus:made", "code": "pointer"}]}}
    escaped = str(tagged).replace("'", '"').replace("urn:salus:made", "urn:salus:mad\\u0065").encode()
    answers = [
        ask(here, "feed", "PUT", f"/DocumentReference/{made['id']}", stored_document() | {"id": made["id"]}),
        ask(here, "feed", "PUT", "/DocumentReference/tagged", tagged),
        ask(here, "feed", "PUT", "/DocumentReference/tagged", escaped),
    ]
    assert [each.status for each in answers] == [422] * 3
    assert ask(here, "feed", "DELETE", f"/DocumentReference/{made['id']}").status in (404, 422)
    assert get(here, "nurse", f"/DocumentReference/{made['id']}").body == made
