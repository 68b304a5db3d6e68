"""Profiles of the operator's over HTTP: what a resource claims, what is demanded, what `$validate` is asked."""

import json
from collections.abc import Iterator

import pytest

from salus.api.fhir.settings import FhirSettings
from salus.node.profiles import conformance
from tests.api.fhir.fhir_world import BASE, FHIR_JSON, Answer, Hospital, ask, hospital, observation
from tests.node.test_profiles import element, laid_out, profile

DATED = "https://example.org/StructureDefinition/Dated"
ISSUED = "https://example.org/StructureDefinition/Issued"
CLAIM = {"meta": {"profile": [DATED]}}
NOTED = {"note": [{"text": "x"}]}
WHEN = {"effectiveDateTime": "2026-01-01"}


def of_observation(url: str, path: str) -> dict:
    only = {"element": [element("Observation"), element(f"Observation.{path}", min=1)]}
    return profile(url, "Observation", differential=only)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("profiles")
    laid_out(folder, a_json=of_observation(DATED, "effective[x]"), b_json=of_observation(ISSUED, "note"))
    asked = conformance(str(folder), [ISSUED])
    with hospital(tmp_path_factory.mktemp("fhir"), FhirSettings(BASE, conformance=asked)) as made:
        yield made


def refused(answer: Answer) -> list[str]:
    assert answer.status == 422, answer.text
    return [each["expression"][0] for each in answer.body["issue"] if each["severity"] == "error"]


def test_a_write_is_refused_by_what_is_demanded_and_by_what_it_claims(here: Hospital) -> None:
    assert refused(ask(here, "nurse", "POST", "/Observation", observation())) == ["Observation"]
    assert refused(ask(here, "feed", "PUT", "/Observation/o1", observation(id="o1", **CLAIM))) == ["Observation"] * 2
    assert refused(ask(here, "feed", "PUT", "/Observation/o1", observation(id="o1", **NOTED, **CLAIM)))
    assert ask(here, "nurse", "GET", "/Observation/o1").status == 404
    assert ask(here, "feed", "PUT", "/Observation/o1", observation(id="o1", **NOTED, **CLAIM, **WHEN)).status == 201


def test_a_patch_cannot_take_away_what_the_profile_asks(here: Hospital) -> None:
    assert ask(here, "feed", "PUT", "/Observation/o2", observation(id="o2", **NOTED)).status == 201
    patch = [{"op": "remove", "path": "/note"}]
    answer = ask(here, "nurse", "PATCH", "/Observation/o2", patch, content_type="application/json-patch+json")
    assert refused(answer) == ["Observation"]
    assert ask(here, "nurse", "GET", "/Observation/o2").headers["etag"] == 'W/"1"'


def test_one_that_does_not_conform_keeps_a_whole_transaction_out(here: Hospital) -> None:
    entries = [
        {"resource": observation(id=name, **more), "request": {"method": "PUT", "url": f"Observation/{name}"}}
        for name, more in (("o3", NOTED), ("o4", {}))
    ]
    answer = ask(here, "feed", "POST", "/", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 422
    assert ask(here, "nurse", "GET", "/Observation/o3").status == 404


def test_validation_asks_of_the_profile_that_is_named(here: Hospital) -> None:
    def severities(path: str, body: object) -> list[str]:
        answer = ask(here, "nurse", "POST", path, body)
        assert answer.status == 200
        return [each["severity"] for each in answer.body["issue"]]

    sound = observation(**NOTED)
    assert severities("/Observation/$validate", sound) == ["information"]
    assert severities(f"/Observation/$validate?profile={DATED}", sound) == ["error"]
    assert severities(f"/Observation/$validate?profile={DATED}", sound | WHEN) == ["information"]
    assert severities("/Observation/$validate?profile=urn:none", sound) == ["warning"]
    parameters = [{"name": "resource", "resource": sound}, {"name": "profile", "valueUri": DATED}]
    assert severities("/Observation/$validate", {"resourceType": "Parameters", "parameter": parameters}) == ["error"]


def test_xml_is_validated_in_order_and_stored_without(here: Hospital) -> None:
    xml = (
        b'<Organization xmlns="http://hl7.org/fhir"><name value="x"/><active value="true"/>'
        b'<telecom><value value="1"/><system value="phone"/></telecom></Organization>'
    )
    fields = {"content_type": "application/fhir+xml", "accept": FHIR_JSON}
    checked = ask(here, "feed", "POST", "/Organization/$validate", xml, **fields)
    assert (checked.status, checked.detail) == (400, "MSG_BAD_SYNTAX")
    assert "order" in checked.text
    kept = ask(here, "feed", "POST", "/Organization", xml, **fields)
    assert (kept.status, json.loads(kept.text)["name"]) == (201, "x")
