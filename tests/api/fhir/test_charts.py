"""`$everything` with what is made from the ledger: for the patient, and for others who name it and may see it."""

from collections.abc import Iterator

import pytest

from salus.contracts.provisions import Provision, ProvisionType
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from tests.api.fhir.fhir_world import Hospital, Someone, ask, hospital, observation
from tests.api.fhir.ledger_people import assisted, pseudonym_of
from tests.api.fhir.test_companions import PSY, released_versions
from tests.api.fhir.test_searching import follow


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        for body in (observation(id="plain"), observation(id="psy", meta={"security": [PSY]})):
            assert ask(made, "feed", "PUT", f"/Observation/{body['id']}", body).status == 201
        assisted(made, "ann")
        assert ask(made, "nurse", "GET", "/Observation/plain").status == 200
        tree = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|PSY",))
        file_by_custodian(made.node, pseudonym_of(made, "ann"), tree)
        yield made


def chart(here: Hospital, who: str, query: str = "") -> list[dict]:
    """Every resource of a chart, over all of its pages, each once."""
    page = ask(here, who, "GET", f"/Patient/ann/$everything{query}", x_request_id="same")
    assert page.status == 200, page.text
    total, found = page.body.get("total"), []
    while page is not None:
        found += [each["resource"] for each in page.body.get("entry", []) if each["search"]["mode"] == "match"]
        page = follow(here, page, who)
    assert total in (None, len(found))
    names = [(each["resourceType"], each["id"]) for each in found]
    assert len(set(names)) == len(names)
    return found


def kinds(found: list[dict]) -> set[str]:
    return {each["resourceType"] for each in found}


def test_the_patient_has_choices_and_trail_in_their_chart(here: Hospital) -> None:
    assert kinds(chart(here, "ann")) == {"Patient", "Observation", "Consent", "AuditEvent"}
    few = chart(here, "ann", "?_count=2")
    assert kinds(few) == {"Patient", "Observation", "Consent", "AuditEvent"}
    assert kinds(chart(here, "ann", "?_type=Consent")) == {"Consent"}
    assert kinds(chart(here, "ann", "?_type=Observation")) == {"Observation"}
    assert chart(here, "ann", "?_type=Consent&_since=2100-01-01T00:00:00Z") == []


@pytest.mark.promise("R4")
def test_others_have_what_they_name_and_may_see(here: Hospital) -> None:
    assert kinds(chart(here, "nurse")) == {"Patient", "Observation"}
    assert chart(here, "nurse", "?_type=Consent,AuditEvent,RelatedPerson") == []
    (told,) = chart(here, "nurse", "?_type=Provenance")
    assert told["target"] == [{"reference": "Observation/plain/_history/1"}]
    here.tokens.people["without"] = Unscoped(here.tokens.people["nurse"].login)
    assert kinds(chart(here, "without", "?_type=Observation,Provenance")) == {"Observation"}


def test_whom_a_rule_lets_see_choices_has_them_where_they_are_named(here: Hospital) -> None:
    tree = Provision(type=ProvisionType.PERMIT, classes=("Consent",))
    choice = file_by_custodian(here.node, pseudonym_of(here, "ann"), tree)
    try:
        assert kinds(chart(here, "nurse", "?_type=Consent")) == {"Consent"}
        assert kinds(chart(here, "nurse")) == {"Patient", "Observation"}
    finally:
        withdraw_by_custodian(here.node, pseudonym_of(here, "ann"), choice)


class Unscoped(Someone):
    """Somebody whose scopes leave Provenance out."""

    def may(self, interaction: str, resource_type: str) -> bool:
        return resource_type != "Provenance" and super().may(interaction, resource_type)


@pytest.mark.promise("R5")
def test_what_tells_of_a_record_leaves_its_receipt(here: Hospital) -> None:
    before = released_versions(here).count("Observation/plain/_history/1")
    chart(here, "nurse", "?_type=Provenance")
    assert released_versions(here).count("Observation/plain/_history/1") == before + 1


def test_what_is_withdrawn_between_two_pages_is_not_on_the_second(here: Hospital) -> None:
    first = ask(here, "nurse", "GET", "/Patient/ann/$everything?_type=Observation,Provenance&_count=1")
    assert [each["resource"]["id"] for each in first.body["entry"]] == ["plain"]
    tree = Provision(type=ProvisionType.DENY, classes=("Observation",))
    file_by_custodian(here.node, pseudonym_of(here, "ann"), tree)
    second = follow(here, first)
    assert second is not None
    assert second.body.get("entry", []) == []
