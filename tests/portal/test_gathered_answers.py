"""What others told of a patient is shown to nobody any more once the patient decides otherwise here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from sqlalchemy import select

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.provisions import Purpose, RoleClass
from salus.node import schema
from salus.node.sealed_rows import SealedRows
from salus.node.services import enrol, gathered_answers, sharing
from salus.node.services.choices import file_by_custodian
from salus.node.services.collect import Answered, Asking, Collected, Collections
from salus.node.services.deposit import deposit
from salus.node.services.sharing import Wanted
from salus.testing.population import story_patient
from salus.testing.world import HOSPITAL, PRACTICE
from tests.portal.patient_charts import OTHER_NUMBER
from tests.portal.portal_world import SEED, Hospital, portal
from tests.portal.test_clinician_find import WHY
from tests.portal.test_clinician_view import BORN, EMERGENCY, opened, settled
from tests.portal.test_patient_sharing import _login

pytestmark = pytest.mark.promise("R3")

ONLY_THERE = "Amlodipine"
FLAG = {"status": "active", "subject": {"reference": "Patient/x"}, "code": {"text": "Has a pacemaker"}}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Eleanor lets the hospital see what the practice has."""
    with portal(tmp_path_factory.mktemp("portal")) as made:
        node, person = made.made.practice, story_patient(SEED)
        pseudonym = enrol.match(node, person.nhs_number, person.birth_date)
        assert pseudonym is not None
        file_by_custodian(node, pseudonym, sharing.tree_of(Wanted(is_permit=True, organisation=HOSPITAL)))
        yield made


@pytest.fixture(autouse=True)
def without_choices(here: Hospital) -> Iterator[None]:
    yield
    for each in sharing.in_force(here.node, here.portal.responder, _login(here, "eleanor"), here.patient) or []:
        sharing.withdraw(here.node, _login(here, "eleanor"), here.patient, each.choice)


def gathered(here: Hospital) -> set[bytes]:
    with here.node.vault.database.reading() as connection:
        return set(connection.scalars(select(schema.collected.c.collection)))


def by_the_patient(here: Hospital) -> None:
    sharing.file(here.node, _login(here, "eleanor"), here.patient, Wanted(is_permit=True, organisation=PRACTICE))


def at_the_desk(here: Hospital) -> None:
    file_by_custodian(here.node, here.patient, sharing.tree_of(Wanted(is_permit=True, organisation=PRACTICE)))


@pytest.mark.parametrize("decide", [by_the_patient, at_the_desk])
def test_a_decision_takes_what_others_told_from_every_session(
    here: Hospital, decide: Callable[[Hospital], None]
) -> None:
    """Of the doctor who reads it, in every worker; the doctor is told that nobody was asked, and may ask again."""
    doctor = opened(here)
    assert ONLY_THERE in settled(doctor)
    worker = here.made.open_node(HOSPITAL)
    with closing(Collections(worker, SealedRows(worker.vault, worker.chain), here.made.peers(HOSPITAL))) as other:
        (name,) = gathered(here)
        assert other.look(name) != {}
        decide(here)
        assert other.look(name) == {}
    page = settled(doctor)
    assert ONLY_THERE not in page
    assert doctor.post("/patient/again", {}, page="/patient").headers["location"] == "/patient"
    assert ONLY_THERE in settled(doctor)


def test_the_end_of_a_choice_does_the_same(here: Hospital) -> None:
    by_the_patient(here)
    doctor, eleanor = opened(here), _login(here, "eleanor")
    assert ONLY_THERE in settled(doctor)
    (choice,) = sharing.in_force(here.node, here.portal.responder, eleanor, here.patient) or []
    sharing.withdraw(here.node, eleanor, here.patient, choice.choice)
    assert ONLY_THERE not in settled(doctor)


def test_an_answer_that_is_on_its_way_has_nowhere_to_go(here: Hospital) -> None:
    collections, asked = here.portal.collections, asking(here)
    name = collections.begin([], about=here.patient, have=[(asked, Collected(Answered.ASKING, here.node.clock()))])
    assert len(collections.look(name)) == 1
    by_the_patient(here)
    collections._replace(name, asked, Collected(Answered.CAME, here.node.clock(), records=(b"{}",)))
    assert collections.look(name) == {}


def asking(here: Hospital) -> Asking:
    """How the practice would be asked."""
    account = here.portal.accounts.find(here.accounts["rao"])
    assert account is not None
    return Asking(here.portal.accounts.hold_with(account, PRACTICE), RoleClass.CLINICAL, Purpose.TREAT)


def test_an_emergency_of_somebody_without_records_here_stays_in_its_last_minutes_too(
    here: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are enrolled here, and every record of theirs is at the practice."""
    born = story_patient(SEED).birth_date
    unseen, there = (enrol.enrol(node, NhsNumber(OTHER_NUMBER), born) for node in (here.node, here.made.practice))
    deposit(here.made.practice, there, [parse(json.dumps({"resourceType": "Flag", "id": "f", **FLAG}).encode())])
    doctor = here.signed_in("rao")
    doctor.post("/patients", WHY | BORN | {"number": OTHER_NUMBER})
    assert doctor.post("/patient/emergency", EMERGENCY).headers["location"] == "/patient"
    assert FLAG["code"]["text"] in settled(doctor)
    now_s = here.node.clock()
    with monkeypatch.context() as late:
        late.setitem(here.node.__dict__, "clock", lambda: now_s + 3_000)
        doctor.get("/patient")
        assert gathered_answers.forget(here.node, unseen) == 0
        assert FLAG["code"]["text"] in doctor.get("/patient").text


def test_in_an_emergency_it_stays_for_its_hour_and_another_patient_s_stays_too(here: Hospital) -> None:
    doctor = opened(here)
    assert doctor.post("/patient/emergency", EMERGENCY).headers["location"] == "/patient"
    assert ONLY_THERE in settled(doctor)
    other = here.portal.collections.begin([], about=b"o" * 16, have=[(asking(here), Collected(Answered.CAME, 1))])
    by_the_patient(here)
    assert ONLY_THERE in settled(doctor)
    assert other in gathered(here)
