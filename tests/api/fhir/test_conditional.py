"""Conditional interactions and references by search: one match, none, several; and what is withheld matches nothing."""

from collections.abc import Iterator

import pytest

from salus.contracts.provisions import Provision, ProvisionType
from salus.node.projections import resources
from salus.node.services.choices import file_by_custodian
from tests.api.fhir.fhir_world import Hospital, ask, hospital, observation

PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        for name, of in (("one", "ann"), ("two", "ann"), ("two", "ben"), ("hidden", "ben")):
            labels = {"meta": {"security": [PSY]}} if name == "hidden" else {}
            body = marked(name, of) | labels
            answer = ask(made, "feed", "PUT", f"/Observation/{name}-{of}", body | {"id": f"{name}-{of}"})
            assert answer.status == 201
        hidden = resources.find(made.node, "Observation", "hidden-ben")
        assert hidden is not None
        tree = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|{PSY['code']}",))
        file_by_custodian(made.node, hidden.pseudonym, tree)
        yield made


def marked(name: str, of: str = "ann") -> dict:
    return observation(of, identifier=[{"system": "urn:m", "value": name}])


def test_a_create_finds_what_is_there(here: Hospital) -> None:
    answer = ask(here, "nurse", "POST", "/Observation", marked("one"), if_none_exist="identifier=urn:m|one")
    assert (answer.status, answer.body["id"]) == (200, "one-ann")
    several = ask(here, "nurse", "POST", "/Observation", marked("two"), if_none_exist="identifier=urn:m|two")
    assert several.status == 412
    new = ask(here, "nurse", "POST", "/Observation", marked("new"), if_none_exist="identifier=urn:m|new")
    assert new.status == 201


def test_an_update_goes_to_what_is_found_or_creates(here: Hospital) -> None:
    changed = ask(here, "nurse", "PUT", "/Observation?identifier=urn:m|one", marked("one") | {"status": "amended"})
    assert (changed.status, changed.body["id"]) == (200, "one-ann")
    other = marked("one") | {"id": "another"}
    assert ask(here, "nurse", "PUT", "/Observation?identifier=urn:m|one", other).status == 400
    assert ask(here, "nurse", "PUT", "/Observation?identifier=urn:m|two", marked("two")).status == 412
    assert ask(here, "nurse", "PUT", "/Observation?identifier=urn:m|fresh", marked("fresh")).status == 201
    assert ask(here, "nurse", "PUT", "/Observation", marked("one")).status == 412


def test_a_patch_and_a_deletion_go_to_what_is_found(here: Hospital) -> None:
    ask(here, "feed", "PUT", "/Observation/three", marked("three") | {"id": "three"})
    patch = [{"op": "replace", "path": "/status", "value": "amended"}]
    path, kind = "/Observation?identifier=urn:m|three", "application/json-patch+json"
    assert ask(here, "nurse", "PATCH", path, patch, content_type=kind).body["status"] == "amended"
    assert ask(here, "nurse", "DELETE", path).status == 204
    assert ask(here, "nurse", "GET", "/Observation/three").status == 410
    assert ask(here, "nurse", "DELETE", path).status == 204
    assert ask(here, "nurse", "PATCH", path, patch, content_type=kind).status == 404


@pytest.mark.promise("R4")
def test_what_is_withheld_meets_no_condition(here: Hospital) -> None:
    condition = "identifier=urn:m|hidden"
    answer = ask(here, "nurse", "POST", "/Observation", marked("hidden", "ben"), if_none_exist=condition)
    assert answer.status == 201


def test_a_transaction_finds_what_is_there_and_means_it(here: Hospital) -> None:
    entries = [
        {
            "fullUrl": "urn:uuid:o",
            "request": {"method": "POST", "url": "Observation", "ifNoneExist": "identifier=urn:m|one"},
            "resource": marked("one"),
        },
        {
            "request": {"method": "POST", "url": "Observation"},
            "resource": observation(derivedFrom=[{"reference": "urn:uuid:o"}])
            | {"subject": {"reference": "Patient?identifier=urn:h|1"}},
        },
        {"request": {"method": "PUT", "url": "Observation?identifier=urn:m|put"}, "resource": marked("put")},
        {"request": {"method": "DELETE", "url": "Observation?identifier=urn:m|nothing"}},
    ]
    answer = ask(here, "nurse", "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 200, answer.text
    assert [each["response"]["status"] for each in answer.body["entry"]] == ["200", "201", "201", "204"]
    place = answer.body["entry"][1]["response"]["location"].split("/")[-3]
    stored = ask(here, "nurse", "GET", f"/Observation/{place}").body
    assert (stored["subject"]["reference"], stored["derivedFrom"]) == (
        "Patient/ann",
        [{"reference": "Observation/one-ann"}],
    )
    entries[1]["resource"]["subject"] = {"reference": "Patient?identifier=urn:h|none"}
    failed = ask(here, "nurse", "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert failed.status == 412
