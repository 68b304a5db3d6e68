"""Responses of a node's own interfaces: one permit a session, one receipt a response, every record judged (R1–R5)."""

import dataclasses
import time
from collections.abc import Iterator

import pytest

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, Verb
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.errors import NotNow
from salus.node.founding import trust_root
from salus.node.people import certify_person, open_session
from salus.node.services.anchor import anchor
from salus.node.services.audit import history
from salus.node.services.choices import file_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.respond import NOTHING, Login, Responder
from salus.sdk.history_check import all_faults, check_history
from salus.sdk.verified import VerifiedHistoryBundle
from salus.testing.world import HOSPITAL, World, world
from salus.vault.rows import RecordKey
from tests.node.test_own_care import OldHeaders

NUMBERS = iter(
    ("9990000018", "9990000026", "9990000034", "9990000042", "9990000050", "9990000069", "9990000077", "9990000085")
)
MENTAL = (
    b'{"resourceType":"Condition","id":"m","subject":{"reference":"Patient/a"},"meta":{"security":[{"system":'
    b'"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}}'
)
PSY = "http://terminology.hl7.org/CodeSystem/v3-ActCode|PSY"


def observation(name: str) -> bytes:
    return f'{{"resourceType":"Observation","id":"{name}","subject":{{"reference":"Patient/a"}}}}'.encode()


@dataclasses.dataclass
class Sitting:
    """A nurse at the hospital, logged in, and a patient with records."""

    node: Node
    login: Login
    responder: Responder
    pseudonym: Pseudonym

    def file(self, *bodies: bytes) -> list[RecordKey]:
        filed = deposit(self.node, self.pseudonym, [parse(body) for body in bodies])
        return [(each.record, each.version) for each in filed]

    def ask(self, keys: list[RecordKey], verb: Verb = Verb.READ) -> list[bytes]:
        return list(self.responder.respond(self.login, self.pseudonym, verb, keys).released.values())

    def checked(self, world: World) -> VerifiedHistoryBundle:
        """The history as the patient checks it, once all receipts are anchored."""
        anchor(self.node)
        bundle = history(self.node, self.pseudonym)
        return check_history(trust_root(world.genesis), bundle, now_s=self.node.clock())

    def permits(self) -> int:
        return len(list(self.node.custodian_journal.permits_of(self.pseudonym)))


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world"), organisations=(HOSPITAL,)) as made:
        yield made


@pytest.fixture
def sitting(hospital: World) -> Sitting:
    node = hospital.hospital
    pseudonym = enrol(node, NhsNumber(next(NUMBERS)), "1980-02-29")
    nurse = certify_person(node, name="N", role="Nurse", registration=pseudonym.hex(), role_class=RoleClass.CLINICAL)
    session = open_session(nurse.key, nurse.certificate, custodian=HOSPITAL, from_s=node.clock())
    return Sitting(node, Login(session, RoleClass.CLINICAL, Purpose.TREAT), Responder(node), pseudonym)


@pytest.mark.promise("R4", "R5")
def test_one_permit_serves_many_responses_each_with_a_receipt_that_the_patient_can_check(
    sitting: Sitting, hospital: World
) -> None:
    first, second = sitting.file(observation("1"), observation("2"))
    assert sitting.ask([first]) == [observation("1")]
    assert sitting.ask([second, first]) == [observation("2"), observation("1")]
    assert sitting.permits() == 1
    checked = sitting.checked(hospital)
    assert [(each.part, each.part_count, len(each.released)) for each in checked.receipts] == [(1, 1, 1), (2, 2, 2)]
    assert all_faults(checked) == ()


@pytest.mark.promise("R1", "R2")
def test_each_record_is_judged_and_what_is_withheld_is_in_the_receipt(sitting: Sitting, hospital: World) -> None:
    mental, plain = sitting.file(MENTAL, observation("1"))
    tree = Provision(type=ProvisionType.DENY, labels=(PSY,))
    file_by_custodian(sitting.node, sitting.pseudonym, tree)
    response = sitting.responder.respond(sitting.login, sitting.pseudonym, Verb.READ, [mental, plain])
    assert (list(response.released), response.withheld_count) == ([plain], 1)
    checked = sitting.checked(hospital)
    assert [len(each.withheld) for each in checked.receipts] == [1]


@pytest.mark.promise("R3")
def test_a_choice_filed_in_the_middle_of_a_session_holds_for_the_very_next_response(sitting: Sitting) -> None:
    (mental,) = sitting.file(MENTAL)
    assert sitting.ask([mental]) == [MENTAL]
    file_by_custodian(sitting.node, sitting.pseudonym, Provision(type=ProvisionType.DENY, labels=(PSY,)))
    assert sitting.ask([mental]) == []
    assert sitting.permits() == 2


@pytest.mark.promise("R2")
def test_where_the_ledger_says_no_nothing_is_shown_and_the_refusal_is_an_event(sitting: Sitting) -> None:
    (plain,) = sitting.file(observation("1"))
    file_by_custodian(sitting.node, sitting.pseudonym, Provision(type=ProvisionType.DENY, organisations=(HOSPITAL,)))
    before = len(history(sitting.node, sitting.pseudonym).history.leaves)
    assert sitting.responder.respond(sitting.login, sitting.pseudonym, Verb.READ, [plain]) == NOTHING
    assert len(history(sitting.node, sitting.pseudonym).history.leaves) == before + 1


def test_each_verb_has_a_permit_of_its_own(sitting: Sitting) -> None:
    (plain,) = sitting.file(observation("1"))
    sitting.ask([plain])
    sitting.ask([plain], Verb.SEARCH)
    assert sitting.permits() == 2


def test_a_record_newer_than_the_permit_is_shown_under_a_new_one(sitting: Sitting) -> None:
    (first,) = sitting.file(observation("1"))
    sitting.ask([first])
    time.sleep(1.01)  # the ledger's time is in seconds
    (second,) = sitting.file(observation("2"))
    assert sitting.ask([first, second]) == [observation("1"), observation("2")]
    assert sitting.permits() == 2


def test_what_was_erased_is_passed_over(sitting: Sitting) -> None:
    assert sitting.ask([(b"\0" * 16, 1)]) == []


@pytest.mark.promise("R3")
def test_without_the_ledger_direct_care_goes_on_and_nothing_else(sitting: Sitting) -> None:
    (plain,) = sitting.file(observation("1"))
    node = dataclasses.replace(sitting.node, engine=OldHeaders(sitting.node.engine))
    cut_off = dataclasses.replace(sitting, node=node, responder=Responder(node))
    assert cut_off.ask([plain]) == [observation("1")]
    research = dataclasses.replace(cut_off, login=dataclasses.replace(sitting.login, purpose=Purpose.HRESCH))
    with pytest.raises(NotNow):
        research.ask([plain])
