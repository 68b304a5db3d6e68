"""AuditEvent: what was asked, permitted, refused, released and withheld, in BALP's profiles, for the patient alone."""

import json
from collections.abc import Iterator

import pytest

from salus.clinical.fhir.validation import base_validator
from salus.contracts.provisions import Provision, ProvisionType, RoleClass
from salus.node.services.choices import file_by_custodian
from tests.api.fhir.fhir_world import Answer, Hospital, ask, hospital, observation
from tests.api.fhir.ledger_people import assisted, pseudonym_of

PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
DCM = "http://dicom.nema.org/resources/ontology/DCM"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
AUTHORISER = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"
ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
TYPES = "http://hl7.org/fhir/resource-types"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        for body in (observation(id="plain"), observation(id="psy", meta={"security": [PSY]})):
            assert ask(made, "feed", "PUT", f"/Observation/{body['id']}", body).status == 201
        assisted(made, "ann")
        assisted(made, "ben")
        assert ask(made, "nurse", "GET", "/Observation/plain").status == 200
        tree = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|PSY",))
        file_by_custodian(made.node, pseudonym_of(made, "ann"), tree)
        assert ask(made, "nurse", "GET", "/Observation/psy").status == 404
        no_clinicians = Provision(type=ProvisionType.DENY, role_classes=(RoleClass.CLINICAL,))
        file_by_custodian(made.node, pseudonym_of(made, "ben"), no_clinicians)
        assert ask(made, "nurse", "GET", "/Patient/ben").status == 404
        yield made


def get(here: Hospital, who: str, path: str) -> Answer:
    return ask(here, who, "GET", path, x_request_id="same")


def events(here: Hospital, who: str, query: str = "") -> list[dict]:
    answer = get(here, who, f"/AuditEvent?_count=100{query}")
    assert answer.status == 200, answer.text
    return [each["resource"] for each in answer.body.get("entry", [])]


def profile(event: dict) -> str:
    return event["meta"].get("profile", ["none"])[0].removeprefix(BALP)


def agent(event: dict, system: str, code: str) -> dict:
    (found,) = (each for each in event["agent"] if each["type"]["coding"] == [{"system": system, "code": code}])
    return found


def entities(event: dict, system: str, code: str) -> list[dict]:
    return [each for each in event["entity"] if each["type"] == {"system": system, "code": code}]


def require_decision(event: dict) -> None:
    """What BALP's AuthZconsent demands (IHE ITI BALP 1.1.4)."""
    assert (event["type"]["code"], event["subtype"][0]["code"], event["action"]) == ("110113", "AuthZ-Consent", "E")
    assert agent(event, DCM, "110150").keys() == {"type", "who", "requestor", "network"}
    user = agent(event, PARTICIPATION, "IRCP")
    assert user["requestor"] is True
    assert not user.keys() & {"altId", "location", "media", "network"}
    for system, code in ((ROLE_CLASS, "PROV"), (AUTHORISER, "authserver")):
        assert agent(event, system, code).keys() == {"type", "who", "requestor"}
    (patient,) = entities(event, ENTITY, "1")
    assert (patient["role"]["code"], patient["what"]["reference"][:8]) == ("1", "Patient/")
    assert len(entities(event, TYPES, "Consent")) == len(event["entity"]) - 1 >= 1  # closed


def require_read(event: dict) -> None:
    """What BALP's PatientRead demands."""
    assert (event["type"]["code"], event["action"], event["outcome"]) == ("rest", "R", "0")
    for code in ("110152", "110153"):
        assert {"who", "network"} <= agent(event, DCM, code).keys()
    assert agent(event, PARTICIPATION, "IRCP")["requestor"] is True
    (patient,), (data,) = entities(event, ENTITY, "1"), entities(event, ENTITY, "2")
    assert (patient["role"]["code"], data["role"]["code"]) == ("1", "4")


@pytest.mark.promise("U2", "R2")
def test_what_was_asked_released_and_withheld_is_told_to_the_patient(here: Hospital) -> None:
    found = events(here, "ann")
    of_nurse = [each for each in found if agent(each, PARTICIPATION, "IRCP").get("name") == "nurse"]
    released = [each for each in of_nurse if profile(each) == "PatientRead"]
    assert [each["entity"][1]["what"]["reference"] for each in released] == ["Observation/plain/_history/1"]
    (withheld,) = (each for each in of_nurse if each["action"] == "R" and each["outcome"] == "4")
    assert (withheld["outcomeDesc"], withheld["entity"][1]["what"]["reference"]) == (
        "choice",
        "Observation/psy/_history/1",
    )
    decisions = [each for each in of_nurse if profile(each) == "AuthZconsent"]
    assert {(each["outcome"], each["outcomeDesc"]) for each in decisions} == {("0", "own-staff")}
    assert len(decisions) == 2  # the choice ended the first permit
    assert (
        decisions[0]["entity"][1]["what"]["reference"]
        == f"Consent/{get(here, 'ann', '/Consent').body['entry'][0]['resource']['id']}"
    )
    assert decisions[1]["entity"][1]["what"] == {"display": "no sharing choice: policies decide"}


def test_a_refusal_is_an_event_like_any_other(here: Hospital) -> None:
    (refused,) = (each for each in events(here, "ben", "&outcome=8"))
    assert (refused["outcomeDesc"], profile(refused)) == ("patient-denies", "AuthZconsent")
    require_decision(refused)


def test_every_event_is_valid_and_keeps_to_the_profile_that_it_claims(here: Hospital) -> None:
    for who, event in [(name, each) for name in ("ann", "ben") for each in events(here, name)]:
        assert [each for each in base_validator().validate(event) if each.severity == "error"] == []
        {"AuthZconsent": require_decision, "PatientRead": require_read, "none": lambda _: None}[profile(event)](event)
        assert get(here, who, f"/AuditEvent/{event['id']}").body == event


QUERIES = {
    "&patient=Patient/ann": True,
    "&outcome=0": True,
    "&action=R": True,
    "&action=D": False,
    "&agent-name=nurse": True,
    "&date=ge2020-01-01": True,
    "&date=lt2020-01-01": False,
    "&entity=Observation/plain": None,
    "&subtype=AuthZ-Consent": True,
    "&type=http://dicom.nema.org/resources/ontology/DCM|110113": True,
    "&agent-role=clinical": True,
    "&_profile=https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead": True,
}


@pytest.mark.parametrize("query", QUERIES)
def test_events_are_searched(here: Hospital, query: str) -> None:
    everything, found = events(here, "ann"), events(here, "ann", query)
    assert {each["id"] for each in found} <= {each["id"] for each in events(here, "ann")}
    if QUERIES[query] is not None:
        assert bool(found) is QUERIES[query]
    assert len(found) <= len(everything) + 1


def test_the_same_event_has_the_same_id_and_pages_are_disjoint(here: Hospital) -> None:
    first = get(here, "ann", "/AuditEvent?_count=2&date=ge2020")
    (link,) = (each["url"] for each in first.body["link"] if each["relation"] == "next")
    second = get(here, "ann", link.removeprefix("https://fhir.rvj.example/FHIR/R4"))
    ids = [[each["resource"]["id"] for each in page.body["entry"]] for page in (first, second)]
    assert (len(ids[0]), set(ids[0]) & set(ids[1])) == (2, set())
    assert get(here, "ann", f"/AuditEvent/{ids[0][0]}").body["id"] == ids[0][0]


@pytest.mark.promise("R4")
def test_nobody_else_sees_them_and_nobody_writes_one(here: Hospital) -> None:
    name = events(here, "ann")[0]["id"]
    for who in ("nurse", "feed", "ben", "ann-app", "reader"):
        assert events(here, who, "&patient=ann") == []
        came = [get(here, who, f"/AuditEvent/{each}") for each in (name, "never")]
        assert (came[0].status, came[0].text) == (404, came[1].text)
    body = json.loads(json.dumps(events(here, "ann")[0]))
    assert ask(here, "feed", "PUT", f"/AuditEvent/{name}", body).status == 404
    assert ask(here, "feed", "POST", "/AuditEvent", body).status in (404, 405)
    entry = {"resource": body, "request": {"method": "POST", "url": "AuditEvent"}}
    assert (
        ask(here, "feed", "POST", "/", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).status
        == 404
    )
    assert ask(here, "ann", "DELETE", f"/AuditEvent/{name}").status == 404


@pytest.mark.promise("U2")
def test_whoever_reads_events_is_among_them(here: Hospital) -> None:
    events(here, "ben")
    own = [
        each
        for each in events(here, "ben")
        if agent(each, PARTICIPATION, "IRCP")["who"].get("reference") == "Patient/ben"
    ]
    assert {each["outcomeDesc"] for each in own if profile(each) == "AuthZconsent"} == {"patient"}


def test_a_decision_names_the_choices_that_were_in_force_then(here: Hospital) -> None:
    (choice,) = get(here, "ann", "/Consent?status=active").body["entry"]
    name = choice["resource"]["id"]
    assert ask(here, "ann", "DELETE", f"/Consent/{name}").status == 204
    assert get(here, "nurse", "/Observation/psy").status == 200
    decisions = [
        each["entity"][1]["what"]
        for each in events(here, "ann", "&agent-name=nurse&action=E")
        if profile(each) == "AuthZconsent"
    ]
    nothing = {"display": "no sharing choice: policies decide"}
    assert decisions == [nothing, {"reference": f"Consent/{name}"}, nothing]
