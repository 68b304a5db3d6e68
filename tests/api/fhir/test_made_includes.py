"""`_include` from what is made from the ledger, and `_revinclude` of it: for whoever may see both."""

from collections.abc import Iterator

import pytest

from salus.contracts.provisions import Provision, ProvisionType
from salus.node.services.choices import file_by_custodian
from tests.api.fhir.fhir_world import Hospital, Someone, ask, hospital, observation
from tests.api.fhir.ledger_people import assisted, pseudonym_of
from tests.api.fhir.test_companions import POINTERS, PSY


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        for body in (observation(id="plain"), observation(id="psy", meta={"security": [PSY]})):
            assert ask(made, "feed", "PUT", f"/Observation/{body['id']}", body).status == 201
        assisted(made, "ann")
        for name in ("plain", "psy"):
            assert ask(made, "nurse", "GET", f"/Observation/{name}").status == 200
        tree = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|PSY",))
        file_by_custodian(made.node, pseudonym_of(made, "ann"), tree)
        made.tokens.people["narrow"] = Someone(
            made.tokens.people["ann"].login,
            patient=pseudonym_of(made, "ann"),
            narrowed={"Consent": ((("status", "inactive"),),)},
        )
        yield made


def included(here: Hospital, who: str, path: str) -> set[str]:
    answer = ask(here, who, "GET", path)
    assert answer.status == 200, answer.text
    sent = [each["resource"] for each in answer.body.get("entry", []) if each["search"]["mode"] == "include"]
    return {f"{each['resourceType']}/{each['id']}" for each in sent}


def kinds(names: set[str]) -> set[str]:
    return {each.partition("/")[0] for each in names}


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("/Patient?_id=ann&_revinclude=Consent:patient", {"Consent"}),
        ("/Patient?_id=ann&_revinclude=Consent:*", {"Consent"}),
        ("/Patient?_id=ann&_revinclude=Consent:data", set()),
        ("/Patient?_id=ann&_revinclude=Consent:patient:Patient", {"Consent"}),
        ("/Patient?_id=ann&_revinclude=AuditEvent:entity&_revinclude=RelatedPerson:patient", {"AuditEvent"}),
        ("/Observation?patient=ann&_revinclude=AuditEvent:entity", {"AuditEvent"}),
        ("/Observation?patient=ann&_revinclude=AuditEvent:entity:Patient", set()),
        ("?_type=Observation&_id=plain&_revinclude=AuditEvent:entity", {"AuditEvent"}),
    ],
)
@pytest.mark.promise("R4")
def test_what_is_made_comes_with_what_it_refers_to_for_the_patient(here: Hospital, path: str, want: set[str]) -> None:
    assert kinds(included(here, "ann", path)) == want
    assert included(here, "nurse", path) == set()


def test_scopes_narrow_what_comes_along(here: Hospital) -> None:
    assert included(here, "narrow", "/Patient?_id=ann&_revinclude=Consent:patient") == set()


@pytest.mark.promise("R4")
def test_what_it_refers_to_comes_with_it_where_it_may_be_seen(here: Hospital) -> None:
    assert included(here, "ann", "/Consent?_include=Consent:patient") == {"Patient/ann"}
    assert included(here, "nurse", f"{POINTERS}&patient=ann&_include=DocumentReference:patient") == {"Patient/ann"}
    referred = included(here, "ann", "/AuditEvent?action=R&_count=100&_include=AuditEvent:entity")
    assert {"Observation/plain", "Patient/ann"} <= referred
    assert "Observation/psy" not in referred  # the choice is for everybody


def test_it_comes_on_each_page(here: Hospital) -> None:
    assert ask(here, "feed", "PUT", "/Observation/third", observation(id="third")).status == 201
    assert ask(here, "nurse", "GET", "/Observation/third").status == 200
    page = ask(here, "ann", "GET", "/Observation?patient=ann&_count=1&_sort=_id&_revinclude=AuditEvent:entity")
    (link,) = (each["url"] for each in page.body["link"] if each["relation"] == "next")
    assert kinds(included(here, "ann", link.partition("/FHIR/R4")[2])) == {"AuditEvent"}
