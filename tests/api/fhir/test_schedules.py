"""Schedules, slots, answers to appointments: of whoever they name, and of nobody where all is in the directory."""

from collections.abc import Iterator

import pytest

from tests.api.fhir.fhir_world import Hospital, ask, hospital


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        assert put(made, {"resourceType": "Practitioner", "id": "dr"}) == 201
        yield made


def put(here: Hospital, resource: dict) -> int:
    return ask(here, "feed", "PUT", f"/{resource['resourceType']}/{resource['id']}", resource).status


def schedule(name: str, *actors: dict) -> dict:
    return {"resourceType": "Schedule", "id": name, "actor": list(actors)}


def slot(name: str, of: str) -> dict:
    at = {"start": "2026-12-01T09:00:00Z", "end": "2026-12-01T09:20:00Z"}
    return {"resourceType": "Slot", "id": name, "schedule": {"reference": of}, "status": "free"} | at


DOCTOR = {"reference": "Practitioner/dr"}
BEN = {"reference": "Patient/ben"}


def test_a_doctors_slots_are_nobodys_record(here: Hospital) -> None:
    assert (put(here, schedule("of-dr", DOCTOR)), put(here, slot("s1", "Schedule/of-dr"))) == (201, 201)
    for who in ("nurse", "ann-app"):
        assert ask(here, who, "GET", "/Slot/s1").status == 200
    assert ask(here, "nurse", "GET", "/Slot?schedule=Schedule/of-dr&status=free").body["total"] == 1


def test_a_patients_slots_are_that_patients_record(here: Hospital) -> None:
    assert (put(here, schedule("of-ben", BEN, DOCTOR)), put(here, slot("s2", "Schedule/of-ben"))) == (201, 201)
    assert ask(here, "nurse", "GET", "/Slot/s2").status == 200
    assert ask(here, "ann-app", "GET", "/Slot/s2").status == 404
    assert ask(here, "ann-app", "GET", "/Schedule/of-ben").status == 404


def test_a_slot_and_its_schedule_come_in_one_transaction_in_any_order(here: Hospital) -> None:
    entries = [(slot("", "urn:uuid:7c8f7ba0-0000-4000-8000-000000000001"), "b"), (schedule("", DOCTOR), "a")]
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": f"urn:uuid:7c8f7ba0-0000-4000-8000-00000000000{1 if name == 'a' else 2}",
                "resource": {key: value for key, value in resource.items() if key != "id"},
                "request": {"method": "POST", "url": resource["resourceType"]},
            }
            for resource, name in entries
        ],
    }
    assert ask(here, "nurse", "POST", "", bundle).status == 200


def test_a_doctors_answer_is_in_the_record_of_whose_appointment_it_is(here: Hospital) -> None:
    participants = [{"actor": each, "status": "needs-action"} for each in (BEN, DOCTOR)]
    appointment = {"resourceType": "Appointment", "id": "a1", "status": "proposed", "participant": participants}
    answer = {"resourceType": "AppointmentResponse", "id": "r1", "actor": DOCTOR, "participantStatus": "accepted"}
    assert put(here, appointment) == 201
    assert put(here, answer | {"appointment": {"reference": "Appointment/a1"}}) == 201
    assert ask(here, "nurse", "GET", "/AppointmentResponse/r1").status == 200
    assert ask(here, "ann-app", "GET", "/AppointmentResponse/r1").status == 404


@pytest.mark.parametrize(
    "refused",
    [
        schedule("x", {"display": "Ann Moss"}),
        schedule("x", DOCTOR, {"display": "Ann Moss"}),
        schedule("x", {"reference": "Device/pump"}),
        slot("x", "Schedule/nowhere"),
    ],
)
def test_what_may_be_about_a_person_who_is_not_named_is_refused(here: Hospital, refused: dict) -> None:
    assert put(here, refused) == 422


def test_an_old_version_is_told_before_whose_it_would_be(here: Hospital) -> None:
    body = {"resourceType": "Patient", "id": "ann", "birthDate": "1980-02-29", "gender": "female"}
    body["identifier"] = [{"system": "urn:h", "value": "1"}]
    assert put(here, body) == 200
    stale = {"resourceType": "Patient", "id": "ann", "name": [{"family": "Stale"}]}
    assert ask(here, "feed", "PUT", "/Patient/ann", stale, If_Match='W/"1"').status == 412
