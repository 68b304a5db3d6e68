"""Own staff who treat are in the directory while certificate and account last; nobody else says who they are."""

from collections.abc import Iterator

import pytest

from salus.clinical.fhir.validation import base_validator
from salus.contracts.membership import RevokeCertificate
from salus.contracts.provisions import RoleClass
from salus.node.people import Person, certify_person
from salus.node.services.accounts import AccountId, Accounts
from salus.node.services.member_directory import publish
from tests.api.fhir.fhir_world import Hospital, ask, hospital
from tests.api.fhir.test_searching import ids


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        yield made


def joins(here: Hospital, name: str, role_class: RoleClass) -> tuple[Person, AccountId]:
    person = certify_person(here.node, name=name, role=f"{name}'s job", registration="GMC 1", role_class=role_class)
    return person, Accounts.of(here.node).add_staff(person, role_class, name=name)


def staff_of(here: Hospital) -> list[str]:
    publish(here.node)
    found = ask(here, "nurse", "GET", "/Practitioner?_count=50").body
    return sorted(each["resource"]["name"][0]["text"] for each in found.get("entry", []))


@pytest.mark.promise("P1")
def test_who_treats_and_signs_in_here_is_in_the_directory_until_that_ends(here: Hospital) -> None:
    doctor, _ = joins(here, "Dr Ray", RoleClass.CLINICAL)
    _, chemist = joins(here, "Mr Pill", RoleClass.CLINICAL)
    for name, role_class in (("Desk", RoleClass.ADMINISTRATIVE), ("PAS feed", RoleClass.SYSTEM)):
        joins(here, name, role_class)
    certify_person(here.node, name="No account", role="nurse", registration="", role_class=RoleClass.CLINICAL)
    assert staff_of(here) == ["Dr Ray", "Mr Pill"]
    assert publish(here.node) == 0  # nothing has changed

    Accounts.of(here.node).remove(chemist)
    assert staff_of(here) == ["Dr Ray"]
    name = f"staff-{doctor.certificate_id[:16].hex()}"
    practitioner, role = (
        ask(here, "nurse", "GET", f"/{kind}/{name}").body for kind in ("Practitioner", "PractitionerRole")
    )
    for each in (practitioner, role):
        assert [issue for issue in base_validator().validate(each) if issue.severity == "error"] == []
    assert {each["value"] for each in practitioner["identifier"]} == {doctor.certificate_id.hex(), "GMC 1"}
    assert (role["code"][0]["text"], role["organization"]["reference"]) == ("Dr Ray's job", "Organization/member-RVJ")
    both = ask(here, "nurse", "GET", "/PractitionerRole?role=clinical&_include=PractitionerRole:practitioner")
    assert (ids(both), ids(both, "include")) == ([name], [name])

    here.node.submit(RevokeCertificate(organisation=here.node.organisation, certificate=doctor.certificate_id))
    assert staff_of(here) == []
    assert ask(here, "nurse", "GET", f"/PractitionerRole/{name}").status == 410


@pytest.mark.parametrize("kind", ["Practitioner", "PractitionerRole"])
def test_nobody_else_writes_under_such_an_id(here: Hospital, kind: str) -> None:
    body = {"resourceType": kind, "id": "staff-00"}
    assert ask(here, "feed", "PUT", f"/{kind}/staff-00", body).status == 422
    assert ask(here, "feed", "PUT", f"/{kind}/own-00", body | {"id": "own-00"}).status == 201
