"""A release between two nodes, whole: deposit, choice, request, decision, sealed bytes, receipts (R1-R6)."""

import json

import pytest

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.access import DenialReason
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.node.errors import Refusal, Refused
from salus.node.people import OpenSession, Person, certify_person, open_session
from salus.node.services.anchor import anchor
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.match import match
from salus.node.services.receive import receive
from salus.node.services.request import Denied, Granted, Wish, request
from salus.testing.world import HOSPITAL, PRACTICE, World, world

ANN = NhsNumber("9990000018")
BORN = "1980-02-29"
PSY = "http://terminology.hl7.org/CodeSystem/v3-ActCode|PSY"


def resource(kind: str, number: int, *, label: str | None = None) -> bytes:
    content: dict[str, object] = {"resourceType": kind, "id": f"{kind.lower()}-{number}", "status": "final"}
    if label:
        system, code = label.split("|")
        content["meta"] = {"security": [{"system": system, "code": code}]}
    content["subject"] = {"reference": "Patient/ann"}
    return json.dumps(content).encode()


CHART = [
    resource("Observation", 1),
    resource("Observation", 2),
    resource("AllergyIntolerance", 1),
    resource("DocumentReference", 1, label=PSY),
]
ALL_BUT_PSYCHIATRY = Provision(
    type=ProvisionType.PERMIT,
    organisations=(PRACTICE,),
    role_classes=(RoleClass.CLINICAL,),
    purposes=(Purpose.TREAT,),
    provisions=(Provision(type=ProvisionType.DENY, labels=(PSY,)),),
)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory):
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def doctor(two: World) -> Person:
    return certify_person(
        two.practice, name="Dr Jones", role="GP", registration="GMC 1234567", role_class=RoleClass.CLINICAL
    )


def session_of(two: World, doctor: Person) -> OpenSession:
    return open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=two.practice.clock())


@pytest.mark.promise("R1", "R2", "R3", "R5", "R6")
def test_story(two: World, doctor: Person) -> None:
    hospital, practice = two.hospital, two.practice
    pseudonym = enrol(hospital, ANN, BORN)
    first = deposit(hospital, pseudonym, [parse(body) for body in CHART])
    again = deposit(hospital, pseudonym, [parse(body) for body in CHART])
    assert [each.record for each in again] == [each.record for each in first]
    assert not any(each.is_new for each in again)
    session = session_of(two, doctor)
    peers = two.peers(PRACTICE)
    assert match(two.practice, peers, HOSPITAL, session, ANN, date_of_birth="1980-02-28") is None
    assert match(two.practice, peers, HOSPITAL, session, ANN, date_of_birth=BORN) == pseudonym
    wish = Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT)
    assert request(practice, session, wish).reason is DenialReason.NOTHING_PERMITS
    choice = file_by_custodian(hospital, pseudonym, ALL_BUT_PSYCHIATRY)
    granted = request(practice, session, wish)
    assert isinstance(granted, Granted)
    received = list(receive(practice, peers, granted))
    assert sorted(each.content for each in received) == sorted(CHART[:3])
    assert anchor(hospital) == 1
    assert anchor(practice) == 1
    withdraw_by_custodian(hospital, pseudonym, choice)
    with pytest.raises(Refused) as refused:
        list(receive(practice, peers, granted))
    assert refused.value.refusal is Refusal.PERMIT_DEAD
    assert isinstance(request(practice, session, wish), Denied)
