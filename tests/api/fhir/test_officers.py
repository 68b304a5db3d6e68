"""A privacy officer over FHIR: trail and choices of one patient at a time, a mark for each look, and no record."""

import dataclasses
import json
from collections.abc import Callable, Iterator

import pytest

from salus.clinical.fhir.validation import base_validator
from salus.contracts.membership import RevokeCertificate
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, Verb
from salus.engines.base import Unavailable
from salus.ledger.machine import HISTORY, NO_HISTORY
from salus.node.errors import Refused
from salus.node.people import certify_person, open_session
from salus.node.services import officers
from salus.node.services.anchor import anchor
from salus.node.services.choices import file_by_custodian
from salus.node.services.derived import may_see
from salus.node.services.respond import Login, Responder
from salus.testing.world import HOSPITAL
from tests.api.fhir.fhir_world import Answer, Hospital, Someone, ask, hospital, observation
from tests.api.fhir.ledger_people import assisted, pseudonym_of
from tests.api.fhir.test_audit_events import PSY, events

LOOKED = "110101"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        for body in (observation(id="plain"), observation(id="psy", meta={"security": [PSY]})):
            assert ask(made, "feed", "PUT", f"/Observation/{body['id']}", body).status == 201
        assisted(made, "ann")
        assisted(made, "ben")
        tree = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|PSY",))
        file_by_custodian(made.node, pseudonym_of(made, "ann"), tree)
        assert ask(made, "nurse", "GET", "/Observation/psy").status == 404
        for name in ("guardian", "deputy"):
            made.tokens.people[name] = Someone(made.login(name, RoleClass.OFFICER, officers.PURPOSE))
        yield made


def get(here: Hospital, who: str, path: str) -> Answer:
    return ask(here, who, "GET", path, x_request_id="same")


def count(here: Hospital, patient: str = "ann") -> int:
    """How many events the ledger has of a patient."""
    with here.node.engine.snapshot() as reader:
        return (HISTORY.get(reader, pseudonym_of(here, patient)) or NO_HISTORY).count


def looks(found: list[dict]) -> list[dict]:
    return [each for each in found if each["type"]["code"] == LOOKED]


@pytest.mark.promise("U2", "R2")
def test_an_officer_sees_what_the_patient_sees_and_is_seen(here: Hospital) -> None:
    before = count(here)
    seen = events(here, "guardian", "&patient=ann")
    (look,) = looks(seen)
    assert count(here) == before + 1
    mine = {each["id"] for each in events(here, "ann")}
    assert {each["id"] for each in seen} <= mine
    (agent,) = (each for each in look["agent"] if each["requestor"])
    certificate = here.tokens.people["guardian"].login.session.certificate.root().hex()
    assert agent["who"]["identifier"]["value"] == certificate
    assert agent["role"][0]["coding"][0]["code"] == "officer"
    assert [each for each in base_validator().validate(look) if each.severity == "error"] == []
    (withheld,) = (each for each in seen if each["outcome"] == "4")
    assert withheld["entity"][1]["what"]["reference"] == "Observation/psy/_history/1"


@pytest.mark.promise("U2")
def test_one_look_covers_a_session_for_a_quarter_of_an_hour(here: Hospital) -> None:
    events(here, "guardian", "&patient=ann")
    before = count(here)
    first = get(here, "guardian", "/AuditEvent?patient=ann&_count=1")
    (link,) = (each["url"] for each in first.body["link"] if each["relation"] == "next")
    assert get(here, "guardian", link.removeprefix("https://fhir.rvj.example/FHIR/R4")).status == 200
    (consent,) = get(here, "guardian", "/Consent?patient=ann").body["entry"]
    assert get(here, "guardian", f"/Consent/{consent['resource']['id']}").body == consent["resource"]
    assert count(here) == before
    events(here, "deputy", "&patient=ann")
    assert count(here) == before + 1, "another officer's look is another event"
    session = here.tokens.people["guardian"].login.session
    soon, later = (
        dataclasses.replace(here.node, clock=lambda late_s=late_s: here.node.clock() + late_s)
        for late_s in (officers.LOOK_S - 60, officers.LOOK_S + 60)
    )
    officers.look(soon, session, pseudonym_of(here, "ann"))
    with pytest.raises(Refused, match="expected expiry within 600 s"):  # a new mark, of a time that is not yet
        officers.look(later, session, pseudonym_of(here, "ann"))
    assert count(here) == before + 1


def test_the_look_at_one_patient_is_in_no_others_history(here: Hospital) -> None:
    before = count(here)
    events(here, "guardian", "&patient=ben")
    assert len(looks(events(here, "ben"))) == 1
    assert count(here) == before + 0
    assert get(here, "guardian", "/AuditEvent").status == 400, "one patient at a time"


NOTHING_OF_A_RECORD = (
    "/Patient/ann",
    "/Patient/ann/$everything",
    "/Patient?birthdate=1980-02-29",
    "/Observation/plain",
    "/Observation?patient=ann",
    "/Observation/plain/_history",
    "/Observation?_summary=count",
)


@pytest.mark.promise("R4")
@pytest.mark.parametrize("path", NOTHING_OF_A_RECORD)
def test_an_officer_sees_no_record(here: Hospital, path: str) -> None:
    answer = get(here, "guardian", path)
    assert "entry" not in answer.body or answer.body["entry"] == []
    assert answer.status == 404 or answer.body.get("total", 0) == 0


@pytest.mark.promise("R4")
def test_an_officer_exports_nothing_and_sees_no_delegate(here: Hospital) -> None:
    responder, login = Responder(here.node), here.tokens.people["guardian"].login
    asked = [("AuditEvent", Verb.READ), ("AuditEvent", Verb.EXPORT), ("RelatedPerson", Verb.READ)]
    seen = [may_see(here.node, responder, login, pseudonym_of(here, "ann"), kind, verb) for kind, verb in asked]
    assert seen == [True, False, False]


@pytest.mark.promise("R4")
def test_an_officer_changes_no_choice(here: Hospital) -> None:
    (consent,) = get(here, "guardian", "/Consent?patient=ann&status=active").body["entry"]
    body, at = consent["resource"], f"/Consent/{consent['resource']['id']}"
    revoked = {"parameter": [{"name": "consent", "valueReference": {"reference": at[1:]}}]}
    tries = (
        ask(here, "guardian", "DELETE", at),
        ask(here, "guardian", "PUT", at, body),
        ask(here, "guardian", "PUT", at, body | {"status": "inactive"}),
        ask(here, "guardian", "POST", "/Consent", {name: each for name, each in body.items() if name != "id"}),
        ask(here, "guardian", "POST", "/Consent/$revokeConsent", {"resourceType": "Parameters"} | revoked),
        ask(here, "guardian", "POST", "/Consent/$revokeConsent", {"resourceType": "Parameters"}),
    )
    assert all(400 <= each.status < 500 for each in tries), [each.status for each in tries]
    assert get(here, "ann", at).body == body


def without_certificate(here: Hospital) -> Login:
    login = here.login("gone", RoleClass.OFFICER, officers.PURPOSE)
    certificate = login.session.certificate.root()
    here.node.submit(RevokeCertificate(organisation=HOSPITAL, certificate=certificate))
    return login


def ended(here: Hospital) -> Login:
    person = certify_person(here.node, name="late", role="Guardian", registration="", role_class=RoleClass.OFFICER)
    from_s = here.node.clock() - 910
    session = open_session(person.key, person.certificate, custodian=HOSPITAL, from_s=from_s, duration_s=900)
    return Login(session, RoleClass.OFFICER, officers.PURPOSE)


def nurse_who_says_so(here: Hospital) -> Login:
    return Login(here.login("nurse two", RoleClass.CLINICAL).session, RoleClass.OFFICER, Purpose.HLEGAL)


NO_OFFICERS: dict[str, Callable[[Hospital], Login]] = {
    "a certificate that was revoked": without_certificate,
    "a session that has ended": ended,
    "a nurse who says that they are one": nurse_who_says_so,
}


@pytest.mark.promise("R3", "R4")
@pytest.mark.parametrize("who", NO_OFFICERS.values(), ids=NO_OFFICERS)
def test_who_is_no_officer_now_sees_nothing(here: Hospital, who: Callable[[Hospital], Login]) -> None:
    here.tokens.people["somebody"] = Someone(who(here))
    before = count(here)
    for path in ("/AuditEvent?patient=ann", "/Consent?patient=ann"):
        answer = get(here, "somebody", path)
        assert answer.status in (401, 403), answer.text
        assert "ann" not in answer.text
    assert count(here) == before


@pytest.mark.promise("U2")
def test_without_the_ledger_an_officer_is_shown_nothing(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    events(here, "guardian", "&patient=ann")

    def gone(*_: object) -> None:
        raise Unavailable("the ledger process went away")

    monkeypatch.setattr(here.node.engine, "status", gone)
    assert get(here, "guardian", "/AuditEvent?patient=ann").status == 503


@pytest.mark.promise("L5")
def test_an_officer_is_given_the_proofs(here: Hospital) -> None:
    anchor(here.node)
    found = events(here, "guardian", "&patient=ann")
    decision = next(each for each in found if each["action"] == "E")
    withheld = next(each for each in found if each["outcome"] == "4")
    for each in (looks(found)[-1], decision, withheld):
        answer = get(here, "guardian", f"/AuditEvent/{each['id']}/$audit-proof")
        assert answer.status == 200, answer.text
        assert json.loads(answer.text)["resourceType"] == "Binary"
