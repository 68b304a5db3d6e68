"""Read, vread, create, update, delete over HTTP: statuses, fields and bodies as FHIR R4 has them."""

import json
from collections.abc import Iterator

import pytest

from salus.contracts.provisions import Provision, ProvisionType
from salus.node.projections import resources
from salus.node.services.choices import file_by_custodian
from salus.vault.errors import Unavailable
from tests.api.fhir.fhir_world import BASE, Answer, Hospital, ask, hospital, observation

PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        yield made


def created(here: Hospital, body: dict | None = None) -> str:
    answer = ask(here, "nurse", "POST", "/Observation", body or observation())
    assert answer.status == 201
    return answer.body["id"]


def test_what_is_created_is_named_by_the_server_and_read_back_to_the_last_decimal(here: Hospital) -> None:
    sent = json.dumps(observation(valueQuantity={"value": 0})).replace("0}", "1.50}").encode()
    answer = ask(here, "nurse", "POST", "/Observation", sent)
    logical_id = answer.body["id"]
    assert (answer.status, answer.headers["etag"]) == (201, 'W/"1"')
    assert answer.headers["location"] == f"{BASE}/Observation/{logical_id}/_history/1"
    again = ask(here, "nurse", "GET", f"/Observation/{logical_id}")
    assert (again.status, again.headers["etag"], again.body["meta"]["versionId"]) == (200, 'W/"1"', "1")
    assert '"value": 1.50' in again.text
    assert again.headers["content-type"] == "application/fhir+json; fhirVersion=4.0"


def test_both_prefixes_lead_to_the_same(here: Hospital) -> None:
    logical_id = created(here)
    response = here.client.get(f"/fhir/Observation/{logical_id}", headers={"authorization": "Bearer nurse"})
    assert response.json()["id"] == logical_id


def test_versions_are_kept_and_each_can_be_read(here: Hospital) -> None:
    logical_id = created(here)
    changed = ask(here, "nurse", "PUT", f"/Observation/{logical_id}", observation(id=logical_id, status="amended"))
    assert (changed.status, changed.headers["etag"]) == (200, 'W/"2"')
    assert [ask(here, "nurse", "GET", f"/Observation/{logical_id}/_history/{n}").status for n in (0, 1, 2, 3)] == [
        404,
        200,
        200,
        404,
    ]
    assert ask(here, "nurse", "GET", f"/Observation/{logical_id}/_history/1").body["status"] == "final"


def test_an_update_with_an_old_version_changes_nothing(here: Hospital) -> None:
    logical_id = created(here)
    body = observation(id=logical_id, status="amended")
    late = ask(here, "nurse", "PUT", f"/Observation/{logical_id}", body, if_match='W/"9"')
    assert (late.status, late.detail) == (412, "MSG_VERSION_AWARE_CONFLICT")
    assert ask(here, "nurse", "PUT", f"/Observation/{logical_id}", body, if_match='W/"1"').status == 200


JSON_PATCH = [{"op": "replace", "path": "/status", "value": "amended"}]
FHIRPATH_PATCH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "Observation.status"},
                {"name": "value", "valueCode": "amended"},
            ],
        }
    ],
}


@pytest.mark.parametrize(
    ("patch", "content_type"),
    [(JSON_PATCH, "application/json-patch+json"), (FHIRPATH_PATCH, "application/fhir+json")],
)
def test_a_patch_changes_what_it_names_and_nothing_else(here: Hospital, patch: object, content_type: str) -> None:
    logical_id = created(here, observation(valueQuantity={"value": 1.5}))
    answer = ask(here, "nurse", "PATCH", f"/Observation/{logical_id}", patch, content_type=content_type)
    assert (answer.status, answer.headers["etag"], answer.body["status"]) == (200, 'W/"2"', "amended")
    assert answer.body["valueQuantity"] == {"value": 1.5}


def test_a_patch_that_does_not_fit_changes_nothing(here: Hospital) -> None:
    logical_id = created(here)
    for patch, status in (
        ([{"op": "replace", "path": "/status", "value": "nonsense"}], 422),
        ([{"op": "test", "path": "/status", "value": "amended"}], 422),
        ([{"op": "replace", "path": "/id", "value": "other"}], 422),
        ({"op": "replace"}, 400),
    ):
        path, content_type = f"/Observation/{logical_id}", "application/json-patch+json"
        assert ask(here, "nurse", "PATCH", path, patch, content_type=content_type).status == status
    assert ask(here, "nurse", "GET", f"/Observation/{logical_id}").headers["etag"] == 'W/"1"'


def test_what_was_deleted_is_gone_and_its_earlier_version_is_not(here: Hospital) -> None:
    logical_id = created(here)
    gone = ask(here, "nurse", "DELETE", f"/Observation/{logical_id}")
    assert (gone.status, gone.headers["etag"], gone.text) == (204, 'W/"2"', "")
    read = ask(here, "nurse", "GET", f"/Observation/{logical_id}")
    assert (read.status, read.detail) == (410, "MSG_DELETED")
    assert ask(here, "nurse", "GET", f"/Observation/{logical_id}/_history/1").status == 200
    assert ask(here, "nurse", "DELETE", f"/Observation/{logical_id}").status == 204


def test_a_history_has_every_version_the_newest_first(here: Hospital) -> None:
    logical_id = created(here)
    ask(here, "nurse", "PUT", f"/Observation/{logical_id}", observation(id=logical_id, status="amended"))
    ask(here, "nurse", "DELETE", f"/Observation/{logical_id}")
    bundle = ask(here, "nurse", "GET", f"/Observation/{logical_id}/_history").body
    entries = [(each["request"]["method"], each.get("resource", {}).get("status")) for each in bundle["entry"]]
    assert (bundle["type"], bundle["total"]) == ("history", 3)
    assert entries == [("DELETE", None), ("PUT", "amended"), ("POST", "final")]


def test_an_unchanged_resource_is_not_sent_again(here: Hospital) -> None:
    logical_id = created(here)
    answer = ask(here, "nurse", "GET", f"/Observation/{logical_id}", if_none_match='W/"1"')
    assert (answer.status, answer.text) == (304, "")


@pytest.mark.parametrize(
    ("prefer", "kind"),
    [("return=minimal", ""), ("return=representation", "Observation"), ("return=OperationOutcome", "OperationOutcome")],
)
def test_the_body_that_is_preferred_comes_back(here: Hospital, prefer: str, kind: str) -> None:
    answer = ask(here, "nurse", "POST", "/Observation", observation(), prefer=prefer)
    assert answer.status == 201
    assert (json.loads(answer.text)["resourceType"] if answer.text else "") == kind


NOBODYS = {name: value for name, value in observation().items() if name != "subject"}
REFUSED = {
    "nobody": ("stranger", "GET", "/Observation/x", None, 401, "MSG_AUTH_REQUIRED"),
    "no such type": ("nurse", "GET", "/Observations/x", None, 404, "MSG_UNKNOWN_TYPE"),
    "no such resource": ("nurse", "GET", "/Observation/never", None, 404, "MSG_NO_EXIST"),
    "another type": ("nurse", "POST", "/Condition", observation(), 400, "MSG_RESOURCE_TYPE_MISMATCH"),
    "no JSON": ("nurse", "POST", "/Observation", b"{", 400, "MSG_BAD_SYNTAX"),
    "a key twice": (
        "nurse",
        "POST",
        "/Observation",
        b'{"resourceType":"Observation","a":1,"a":2}',
        400,
        "MSG_BAD_SYNTAX",
    ),
    "nobody's observation": (
        "nurse",
        "POST",
        "/Observation",
        NOBODYS,
        422,
        "MSG_PARAM_INVALID",
    ),
    "somebody unknown's": ("nurse", "POST", "/Observation", observation("zoe"), 422, "MSG_PARAM_INVALID"),
    "outside the scopes": ("reader", "POST", "/Observation", observation(), 403, "MSG_AUTH_REQUIRED"),
    "another patient's, for an app of one": (
        "ann-app",
        "POST",
        "/Observation",
        observation("ben"),
        422,
        "MSG_PARAM_INVALID",
    ),
    "another patient": ("ann-app", "GET", "/Patient/ben", None, 404, "MSG_NO_EXIST"),
    "another id in the body": ("nurse", "PUT", "/Observation/a", observation(id="b"), 400, "MSG_RESOURCE_ID_MISMATCH"),
    "no id in the body": ("nurse", "PUT", "/Observation/a", observation(), 400, "MSG_RESOURCE_ID_MISSING"),
    "an id by a clinician": ("nurse", "PUT", "/Observation/own", observation(id="own"), 404, "MSG_NO_EXIST"),
    "a deletion of nothing": ("nurse", "DELETE", "/Observation/never", None, 404, "MSG_NO_EXIST"),
    "no such address": ("nurse", "GET", "/a/b/c/d", None, 404, "MSG_OP_NOT_ALLOWED"),
    "no such method": ("nurse", "TRACE", "/Observation/x", None, 405, "MSG_OP_NOT_ALLOWED"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_every_no_is_an_operation_outcome_with_coded_details(here: Hospital, name: str) -> None:
    who, method, path, body, status, detail = REFUSED[name]
    answer = ask(here, who, method, path, body)
    assert (answer.status, answer.body["resourceType"], answer.detail) == (status, "OperationOutcome", detail)


def test_everything_that_is_wrong_with_a_resource_is_said_with_its_place_and_nothing_is_stored(here: Hospital) -> None:
    body = {"resourceType": "Observation", "id": "bad", "status": "finished", "subject": {"reference": "Patient/ann"}}
    answer = ask(here, "feed", "PUT", "/Observation/bad", body | {"colour": "red"})
    assert answer.status == 422
    assert sorted((each["code"], each["expression"][0]) for each in answer.body["issue"]) == [
        ("code-invalid", "Observation.status"),
        ("structure", "Observation"),  # no code
        ("structure", "Observation"),  # a colour
    ]
    assert ask(here, "nurse", "GET", "/Observation/bad").status == 404


def test_other_formats_are_told_so(here: Hospital) -> None:
    logical_id = created(here)
    assert ask(here, "nurse", "GET", f"/Observation/{logical_id}", accept="text/turtle").status == 406
    assert ask(here, "nurse", "POST", "/Observation", b"x", content_type="text/plain").status == 415
    assert ask(here, "nurse", "GET", f"/Observation/{logical_id}?_format=json&_pretty=true").text.startswith("{\n  ")


def test_an_app_in_a_browser_may_ask_from_anywhere_and_shows_its_token(here: Hospital) -> None:
    preflight = here.client.options("/FHIR/R4/Observation/x", headers={"origin": "https://app.example"})
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "*")
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    answer = ask(here, "nurse", "GET", "/Patient/ann", origin="https://app.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_xml_is_as_good_as_json(here: Hospital) -> None:
    body = (
        '<Observation xmlns="http://hl7.org/fhir"><status value="final"/><code><text value="Weight"/></code>'
        '<subject><reference value="Patient/ann"/></subject><valueQuantity><value value="72.50"/></valueQuantity>'
        "</Observation>"
    )
    answer = ask(here, "nurse", "POST", "/Observation", body.encode(), content_type="application/fhir+xml")
    assert answer.status == 201
    path = f"/Observation/{answer.body['id']}"
    assert '"value":72.50' in ask(here, "nurse", "GET", path).text
    xml = ask(here, "nurse", "GET", path, accept="application/fhir+xml")
    assert xml.headers["content-type"] == "application/fhir+xml; fhirVersion=4.0"
    assert '<value value="72.50"/>' in xml.text
    gone = ask(here, "nurse", "GET", "/Observation/never?_format=xml")
    assert (gone.status, gone.text.split("?>")[1][:18]) == (404, "<OperationOutcome ")
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><Observation xmlns="http://hl7.org/fhir"/>'
    assert ask(here, "nurse", "POST", "/Observation", bomb, content_type="application/fhir+xml").status == 400


def test_a_feeding_system_gives_ids_itself(here: Hospital) -> None:
    assert ask(here, "feed", "PUT", "/Observation/fed", observation(id="fed")).status == 201
    assert ask(here, "feed", "PUT", "/Observation/fed", observation(id="fed", status="amended")).status == 200


def test_the_identifiers_of_a_request_are_echoed_and_made_where_there_are_none(here: Hospital) -> None:
    answer = ask(here, "nurse", "GET", "/Patient/ann", x_request_id="r-1", x_correlation_id="c-1")
    assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("r-1", "c-1")
    assert len(ask(here, "nurse", "GET", "/Patient/ann", x_request_id="<b>").headers["x-request-id"]) == 32


@pytest.mark.promise("R4")
def test_what_is_withheld_looks_like_what_never_was_whatever_is_tried(here: Hospital) -> None:
    logical_id = created(here, observation("ben", meta={"security": [PSY]}))
    found = resources.find(here.node, "Observation", logical_id)
    assert found is not None
    file_by_custodian(
        here.node,
        found.pseudonym,
        Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|{PSY['code']}",)),
    )
    tries = (
        ("GET", "/Observation/{}", None),
        ("GET", "/Observation/{}/_history/1", None),
        ("GET", "/Observation/{}/_history", None),
        ("PUT", "/Observation/{}", observation("ben", id="{}")),
        ("PATCH", "/Observation/{}", FHIRPATH_PATCH),
        ("DELETE", "/Observation/{}", None),
    )
    for method, path, body in tries:
        came = []
        for name in (logical_id, "never"):
            sent = None if body is None else body | {"id": name}
            answer = ask(here, "nurse", method, path.format(name), sent, x_request_id="same")
            came.append((answer.status, answer.text, {**answer.headers}))
        assert came[0] == came[1], method


def test_metadata_says_what_is_registered_to_anybody(here: Hospital) -> None:
    answer = Answer(here.client.get("/FHIR/R4/metadata"))
    (rest,) = answer.body["rest"]
    (of_observations,) = [each for each in rest["resource"] if each["type"] == "Observation"]
    assert {each["code"] for each in of_observations["interaction"]} == {
        "read",
        "vread",
        "history-instance",
        "history-type",
        "search-type",
        "create",
        "update",
        "patch",
        "delete",
    }


def test_a_database_that_is_away_is_a_503_with_an_outcome(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable("database: gone: try again")

    monkeypatch.setattr("salus.node.projections.resources.find_all", away)
    answer = ask(here, "nurse", "GET", "/Patient/ann")
    assert (answer.status, answer.headers["retry-after"], answer.body["issue"][0]["code"]) == (503, "2", "transient")
