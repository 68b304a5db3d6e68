"""The consent decision: by operation and by CDS Hooks, the same as a release would be decided."""

from collections.abc import Iterator

import pytest

from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, Verb
from salus.node.services.choices import file_by_custodian
from tests.api.fhir.fhir_world import Answer, Hospital, Someone, ask, hospital, observation
from tests.api.fhir.ledger_people import assisted, pseudonym_of

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
PSY = {"system": ACT_CODE, "code": "PSY"}
TYPES = "http://hl7.org/fhir/resource-types"
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
CHOICES = (
    Provision(type=ProvisionType.DENY, labels=(f"{ACT_CODE}|PSY",), purposes=(Purpose.TREAT,)),
    Provision(type=ProvisionType.DENY, role_classes=(RoleClass.PHARMACY,)),
    Provision(type=ProvisionType.PERMIT, role_classes=(RoleClass.CLINICAL,), purposes=(Purpose.PUBHLTH,)),
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        for body in (observation(id="plain"), observation(id="psy", meta={"security": [PSY]})):
            assert ask(made, "feed", "PUT", f"/Observation/{body['id']}", body).status == 201
        for tree in CHOICES:
            file_by_custodian(made.node, pseudonym_of(made, "ann"), tree)
        assisted(made, "ann")
        assisted(made, "ben")
        yield made


def consulted(here: Hospital, who: str = "ann", patient: str = "ann", **asked: object) -> Answer:
    named = [{"name": "patient", "valueReference": {"reference": f"Patient/{patient}"}}]
    for name, value in asked.items():
        of = "valueCoding" if isinstance(value, dict) and "code" in value else "valueIdentifier"
        named.append({"name": name, of: value} if isinstance(value, dict) else {"name": name, "valueCode": value})
    return ask(here, who, "POST", "/Consent/$consult", {"resourceType": "Parameters", "parameter": named})


def told(answer: Answer) -> dict[str, str]:
    assert answer.status == 200, answer.text
    return {each["name"]: each.get("valueCode", "") for each in answer.body["parameter"]}


DECISIONS = {
    "own staff for care": ({}, ("permit", "default", "own-staff")),
    "own staff, of a label that a choice denies": ({"securityLabel": PSY}, ("deny", "choice", "own-staff")),
    "the same for another purpose": (
        {"securityLabel": PSY, "purposeOfUse": "ETREAT"},
        ("permit", "default", "own-staff"),
    ),
    "a role that the organisation does not hold": ({"role": "pharmacy"}, ("deny", "role-not-held", None)),
    "a purpose that is permitted": ({"purposeOfUse": "PUBHLTH"}, ("permit", "choice", "choice")),
    "a purpose of which nothing is said": ({"purposeOfUse": "HRESCH"}, ("no-consent", "nothing-permits", None)),
    "the patient": ({"role": "patient-side", "purposeOfUse": "PATRQT"}, ("permit", "default", "patient")),
    "an emergency": ({"purposeOfUse": "BTG", "securityLabel": PSY}, ("permit", "default", "emergency")),
}


@pytest.mark.promise("R1")
@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_has_a_reason_and_a_basis(here: Hospital, name: str) -> None:
    asked, (decision, reason, basis) = DECISIONS[name]
    said = told(consulted(here, **asked))
    assert (said["decision"], said["reason"], said.get("basis")) == (decision, reason, basis)


@pytest.mark.promise("R1", "R4")
@pytest.mark.parametrize(("logical_id", "label"), [("plain", {}), ("psy", {"securityLabel": PSY})])
def test_it_is_what_a_release_is_decided_by(here: Hospital, logical_id: str, label: dict) -> None:
    read = ask(here, "nurse", "GET", f"/Observation/{logical_id}").status
    assert told(consulted(here, **label))["decision"] == ("permit" if read == 200 else "deny")


def test_an_obligation_names_what_has_to_stay(here: Hospital) -> None:
    (obligation,) = (each["part"] for each in consulted(here).body["parameter"] if each["name"] == "obligation")
    assert obligation == [
        {"name": "id", "valueCoding": {"system": ACT_CODE, "code": "REDACT"}},
        {"name": "code", "valueCoding": PSY},
    ]
    assert "obligation" not in told(consulted(here, patient="ben", who="ben"))


def test_what_no_rule_can_compare_is_refused(here: Hospital) -> None:
    for asked in ({"role": "wizard"}, {"purposeOfUse": "FUN"}, {"action": "steal"}, {"colour": "red"}):
        assert consulted(here, **asked).status in (400, 422)
    actor = {"system": ODS, "value": "NOBODY1"}
    assert consulted(here, actor=actor).status == 422
    assert told(consulted(here, action=Verb.EXPORT.name.lower()))["decision"] == "permit"


@pytest.mark.promise("R4")
def test_it_is_told_to_the_patient_and_the_custodians_systems_only(here: Hospital) -> None:
    assert told(consulted(here, "feed", securityLabel=PSY))["decision"] == "deny"
    for who, patient in (("nurse", "ann"), ("nurse", "never"), ("ann-app", "ann"), ("reader", "ben")):
        assert consulted(here, who, patient).status == 403  # whoever it is about
    for who, patient in (("ann", "ben"), ("ann", "never"), ("feed", "never")):
        answer = consulted(here, who, patient)
        assert (answer.status, answer.detail) == (404, "MSG_NO_EXIST")


@pytest.mark.promise("R4")
def test_a_session_of_one_patient_asks_of_no_other_also_where_a_token_names_none(here: Hospital) -> None:
    here.tokens.people["loose"] = Someone(here.tokens.people["ann"].login)
    assert told(consulted(here, "loose", "ann"))["decision"] == "permit"
    assert consulted(here, "loose", "ben").status == 401
    for kind in ("Consent", "AuditEvent"):
        assert ask(here, "loose", "GET", f"/{kind}?patient=ben").status == 401


def hooked(here: Hospital, who: str = "feed", **context: object) -> Answer:
    body = {"hook": "patient-consent-consult", "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"}
    body["context"] = {"patientId": [{"value": "ann"}], **context}
    return ask(here, who, "POST", "/cds-services/patient-consent-consult", body, content_type="application/json")


CARDS = {
    "permit": ({"purposeOfUse": "ETREAT"}, ("CONSENT_PERMIT", "info")),
    "deny": ({"securityLabel": [PSY], "purposeOfUse": ["TREAT"]}, ("CONSENT_DENY", "critical")),
    "nothing said": ({"purposeOfUse": "HRESCH"}, ("NO_CONSENT", "warning")),
    "another scope": ({"scope": "adr"}, ("NO_CONSENT", "warning")),
    "an actor by role": (
        {"actor": [{"system": "urn:salus:role-class", "value": "system"}, {"system": ODS, "value": "RVJ"}]},
        ("NO_CONSENT", "warning"),
    ),
}


@pytest.mark.parametrize("name", CARDS)
def test_a_hook_is_answered_with_a_card(here: Hospital, name: str) -> None:
    context, (summary, indicator) = CARDS[name]
    answer = hooked(here, **context)
    assert answer.status == 200, answer.text
    (card,) = answer.body["cards"]
    assert (card["summary"], card["indicator"], card["source"]) == (summary, indicator, {"label": "Salus"})
    assert answer.headers["content-type"] == "application/json"


def test_a_card_carries_decision_reason_basis_and_obligations(here: Hospital) -> None:
    (card,) = hooked(here).body["cards"]
    assert card["extension"] == {
        "decision": "CONSENT_PERMIT",
        "reason": "default",
        "basis": "own-staff",
        "obligations": [{"id": {"system": ACT_CODE, "code": "REDACT"}, "parameters": {"codes": [PSY]}}],
    }


def test_services_are_discovered_without_a_token(here: Hospital) -> None:
    (service,) = Answer(here.client.get("/FHIR/R4/cds-services")).body["services"]
    assert (service["hook"], service["id"]) == ("patient-consent-consult",) * 2
    assert ask(here, "never", "POST", "/cds-services/patient-consent-consult", {}).status == 401
    assert hooked(here, hook="x").status == 200
    assert ask(here, "feed", "POST", "/cds-services/patient-consent-consult", {"hook": "order-sign"}).status == 400
    assert hooked(here, "nurse").status == 403
    for number in ("9990000018", "1"):
        identifier = {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number}
        assert hooked(here, patientId=[identifier]).status == 404
    assert hooked(here, "ben").status == 404
