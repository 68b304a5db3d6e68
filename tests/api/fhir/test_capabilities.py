"""What /metadata claims is walked: every parameter of every type is searched by, sorted by and included."""

import json
from collections.abc import Iterator

import pytest

from salus.api.fhir.export_requests import MEMBER_FILTER
from salus.api.fhir.interactions import INTERACTIONS
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.search import Parameter, parameters_of
from salus.clinical.fhir.search.limits import INCLUDES_MAX
from salus.clinical.fhir.validation import base_validator
from salus.node.shapes import APART, DERIVED
from tests.api.fhir.fhir_world import Answer, Hospital, ask, hospital

VALUES = {
    "string": "x",
    "token": "x",
    "date": "2020",
    "number": "1",
    "quantity": "1",
    "reference": "x",
    "uri": "urn:x",
}
TOGETHER = 30
OF_THE_LEDGER = {"audit-proof", "consult", "fileConsent", "revokeConsent"}
"""Operations on what the ledger says: test_consents, test_consulting and test_proving ask them."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        yield made


@pytest.fixture(scope="module")
def rest(here: Hospital) -> dict:
    answer = Answer(here.client.get("/FHIR/R4/metadata"))
    assert answer.status == 200
    return answer.body["rest"][0]


def value_of(parameter: Parameter) -> str:
    if parameter.kind == "composite":
        return "$".join(VALUES[part.kind] for part in parameter.parts)
    return VALUES[parameter.kind]


def test_the_statement_is_valid(here: Hospital) -> None:
    statement = Answer(here.client.get("/FHIR/R4/metadata")).body
    assert [each for each in base_validator().validate(statement) if each.severity == "error"] == []


def test_it_claims_every_type_and_what_is_registered(rest: dict) -> None:
    assert [each["type"] for each in rest["resource"]] == list(r4().resource_types)
    registered = {each.code for each in INTERACTIONS if not each.code.startswith("$")}
    claimed = {each["code"] for each in [*rest["interaction"], *rest["resource"][0]["interaction"]]}
    assert claimed == registered - {"capabilities", "bulk-job", "cds-services"} | {"batch"}


@pytest.mark.parametrize("kind", r4().resource_types)
def test_every_parameter_that_is_claimed_can_be_searched_by(here: Hospital, rest: dict, kind: str) -> None:
    (claimed,) = (each["searchParam"] for each in rest["resource"] if each["type"] == kind)
    parameters = [parameters_of(kind)[each["name"]] for each in claimed]
    for start in range(0, len(parameters), TOGETHER):
        part = parameters[start : start + TOGETHER]
        assert kind not in DERIVED or len(parameters) <= TOGETHER  # it is searched for one patient, who is among them
        query = "&".join(f"{each.code}={value_of(each)}" for each in part)
        answer = ask(here, "nurse", "GET", f"/{kind}?{query}", prefer="handling=strict")
        assert (answer.status, answer.body.get("total")) == (200, 0), answer.text


@pytest.mark.parametrize("kind", sorted(APART))
def test_of_what_is_no_record_only_rows_of_its_own_are_claimed(rest: dict, kind: str) -> None:
    (claimed,) = (each for each in rest["resource"] if each["type"] == kind)
    own = {each.code for each in INTERACTIONS if each.kind == kind}
    assert {each["code"] for each in claimed["interaction"]} == {each for each in own if each[0] != "$"}
    assert {f"${each['name']}" for each in claimed["operation"]} == {each for each in own if each[0] == "$"} | {
        "$validate"
    }


@pytest.mark.parametrize("kind", [each for each in r4().resource_types if each not in APART])
def test_every_order_that_there_is_can_be_asked_for(here: Hospital, kind: str) -> None:
    ordered = [each.code for each in parameters_of(kind).values() if each.kind not in ("composite", "reference")]
    for start in range(0, len(ordered), 8):
        answer = ask(here, "nurse", "GET", f"/{kind}?_sort={','.join(ordered[start : start + 8])}")
        assert answer.status == 200, answer.text


@pytest.mark.parametrize("kind", [each for each in r4().resource_types if each not in APART - DERIVED])
def test_every_include_that_is_claimed_can_be_asked_for(here: Hospital, rest: dict, kind: str) -> None:
    (claimed,) = (each["searchInclude"] for each in rest["resource"] if each["type"] == kind)
    for start in range(0, len(claimed), INCLUDES_MAX):
        query = "&".join(f"_include={each}" for each in claimed[start : start + INCLUDES_MAX])
        query += "&patient=ann" if kind in DERIVED else ""
        answer = ask(here, "nurse", "GET", f"/{kind}?{query}")
        assert answer.status == 200, answer.text


def test_every_operation_that_is_claimed_answers(here: Hospital, rest: dict) -> None:
    body = {"resourceType": "Patient", "birthDate": "2020-01-01"}
    search = {"language": "application/x-fhir-query", "expression": "Patient?_id=ann"}
    extension = [{"url": MEMBER_FILTER, "valueExpression": search}]
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "modifierExtension": extension}
    assert ask(here, "feed", "PUT", "/Group/g", group).status == 201
    channel = {"type": "rest-hook", "endpoint": "https://hooks.example/"}
    subscription = {"resourceType": "Subscription", "status": "requested", "reason": "x", "channel": channel}
    made = ask(here, "nurse", "POST", "/Subscription", subscription | {"criteria": "Observation?patient=Patient/ann"})
    assert made.status == 201, made.text
    told = subscription | {"channel": {"type": "websocket"}, "criteria": "Observation?patient=Patient/ann"}
    assert ask(here, "nurse", "POST", "/Subscription", told).status == 201
    asked = {
        "get-ws-binding-token": lambda: ask(here, "nurse", "GET", "/Subscription/$get-ws-binding-token"),
        "status": lambda: ask(here, "nurse", "GET", "/Subscription/$status"),
        "events": lambda: ask(here, "nurse", "GET", f"/Subscription/{made.body['id']}/$events"),
        "validate": lambda: ask(here, "nurse", "POST", "/Patient/$validate", body),
        "meta": lambda: ask(here, "nurse", "GET", "/Patient/ann/$meta"),
        "everything": lambda: ask(here, "nurse", "GET", "/Patient/ann/$everything"),
        "docref": lambda: ask(here, "nurse", "GET", "/DocumentReference/$docref?patient=ann"),
        "expand": lambda: ask(here, "nurse", "GET", "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/list-mode"),
        "validate-code": lambda: ask(
            here, "nurse", "GET", "/ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/list-mode&code=x"
        ),
        "lookup": lambda: ask(
            here, "nurse", "GET", "/CodeSystem/$lookup?system=http://hl7.org/fhir/list-mode&code=working"
        ),
    }
    claimed = {each["name"] for resource in rest["resource"] for each in resource["operation"]}
    assert claimed - OF_THE_LEDGER == {*asked, "export"}
    assert {name: each().status for name, each in asked.items()} == dict.fromkeys(asked, 200)
    exports = {each["definition"].rpartition("/")[2] for each in rest["operation"]} | {
        each["definition"].rpartition("/")[2]
        for resource in rest["resource"]
        for each in resource["operation"]
        if each["name"] == "export"
    }
    assert exports == {
        "export",
        "patient-export",
        "group-export",
        "urn:salus:operation:import",
        "urn:salus:operation:verify",
        "MessageHeader-process-message",
    }
    for path in ("/$export", "/Patient/$export", "/Group/g/$export"):
        assert ask(here, "nurse", "GET", path, prefer="respond-async").status == 202


def test_it_is_told_in_xml_too(here: Hospital) -> None:
    response = here.client.get("/FHIR/R4/metadata?_format=xml")
    assert response.text.partition("?>")[2].startswith("<CapabilityStatement ")
    assert json.loads(here.client.get("/fhir/metadata").text)["kind"] == "instance"
