"""A custodian that has lost the rules of a choice: nothing goes to others, own staff's care goes on and is marked."""

import dataclasses
import time
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from salus.clinical.fhir.resources import parse
from salus.clinical.labels import label
from salus.contracts import consent
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.ledger.identifiers import Digest
from salus.ledger.receipts import RulesField, decode_field
from salus.ledger.verifier.state import verify_state
from salus.node import documents
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.founding import trust_root
from salus.node.people import certify_person, open_session
from salus.node.schema import CLOSED, permits
from salus.node.services import audit
from salus.node.services.anchor import anchor
from salus.node.services.choices import file_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.own_care import open_for_own_staff
from salus.node.services.release import part_document
from salus.node.services.request import Denied, Wish
from salus.sdk.receipt_check import check_opened
from salus.sdk.receipt_words import receipt_lines
from salus.sdk.verified import Rerun, VerifiedReceipt
from salus.testing.world import HOSPITAL
from salus.vault import schema
from tests.node.one_day import SMALL, Day
from tests.node.test_own_care import OldHeaders

LETTER = (
    b'{"resourceType":"DocumentReference","id":"d-1","status":"current","meta":{"security":[{"system":'
    b'"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}}'
)
NO_LETTERS = Provision(ProvisionType.DENY, organisations=(HOSPITAL,), labels=(label("PSY"),))
OWN_RESEARCH = Provision(ProvisionType.PERMIT, organisations=(HOSPITAL,), purposes=(Purpose.HRESCH,))


def first_choice(day: Day) -> Digest:
    with day.world.engine.snapshot() as reader:
        return consent.choices(reader, day.ann).choices[0].commitment


def lose(day: Day) -> None:
    day.hospital.vault.erase_record(documents.document_id(Kind.CHOICE, first_choice(day)))


def damage(day: Day) -> None:
    name = documents.document_id(Kind.CHOICE, first_choice(day))
    with day.hospital.vault.database.writing() as connection:
        connection.execute(update(schema.slots).where(schema.slots.c.record_id == name).values(slot=bytes(60)))


def replace_by_others(day: Day) -> None:
    lose(day)
    documents.keep(day.hospital.vault, day.hospital.chain, day.ann, Kind.CHOICE, first_choice(day), b"\xc0")


def opened(day: Day, *, purpose: Purpose = Purpose.TREAT, is_cut_off: bool = False) -> list[bytes]:
    """What a nurse of the hospital gets to see."""
    node = day.hospital
    nurse = certify_person(node, name="N", role="Nurse", registration="NMC 1", role_class=RoleClass.CLINICAL)
    session = open_session(nurse.key, nurse.certificate, custodian=HOSPITAL, from_s=node.clock())
    if is_cut_off:
        node = dataclasses.replace(node, engine=OldHeaders(node.engine))
    came = open_for_own_staff(node, session, Wish(day.ann, HOSPITAL, RoleClass.CLINICAL, purpose, justification="x"))
    assert not isinstance(came, Denied), came
    return sorted(each.content for each in came)


def marks(day: Day) -> list[RulesField]:
    found = []
    for permit in day.hospital.custodian_journal.permits_of(day.ann):
        document = part_document(day.hospital, permit, 1)  # type: ignore[arg-type]
        assert document is not None
        found += [field for field in map(decode_field, document.fields.values) if isinstance(field, RulesField)]
    return found


def checked(day: Day) -> list[VerifiedReceipt]:
    """Every receipt, as the patient checks it offline."""
    anchor(day.hospital)
    bundle = audit.history(day.hospital, day.ann)
    state = verify_state(trust_root(day.world.genesis), bundle.signed, now_s=int(time.time()))
    return [check_opened(state, each) for each in bundle.receipts]


@pytest.mark.promise("R1", "R3")
@pytest.mark.parametrize("spoil", [lose, damage, replace_by_others])
def test_own_care_goes_on_and_nothing_goes_to_others(day: Day, spoil: Callable[[Day], None]) -> None:
    granted = day.granted()
    spoil(day)
    with pytest.raises(Refused) as refused:
        day.receive(granted)
    assert refused.value.refusal is Refusal.RULES_MISSING
    assert opened(day) == [SMALL]
    assert marks(day) == [RulesField((first_choice(day),), ())]


@pytest.mark.promise("R2", "U2")
@pytest.mark.parametrize(
    ("purpose", "is_cut_off", "rerun"),
    [
        (Purpose.TREAT, False, Rerun.SAME),
        (Purpose.BTG, False, Rerun.SAME),
        (Purpose.TREAT, True, Rerun.NOT_RUN),
    ],
    ids=["direct care", "emergency", "continuity"],
)
def test_the_patient_sees_that_rules_were_missing(day: Day, purpose: Purpose, is_cut_off: bool, rerun: Rerun) -> None:
    lose(day)
    assert opened(day, purpose=purpose, is_cut_off=is_cut_off) == [SMALL]
    (receipt,) = checked(day)
    assert (receipt.rerun, receipt.faults) == (rerun, ())
    words = f"Note: {HOSPITAL} did not hold the rules of a sharing choice or ticket of yours, and went on without"
    assert any(line.startswith(words) for line in receipt_lines(receipt))


@pytest.mark.promise("R1")
def test_the_rules_that_are_held_are_kept_all_the_same(day: Day) -> None:
    lose(day)
    deposit(day.hospital, day.ann, [parse(LETTER)])
    file_by_custodian(day.hospital, day.ann, NO_LETTERS)
    assert opened(day) == [SMALL]
    (receipt,) = checked(day)
    assert (receipt.rerun, receipt.faults, len(receipt.withheld)) == (Rerun.SAME, (), 1)


@pytest.mark.promise("R1")
def test_nothing_but_care_goes_on(day: Day) -> None:
    file_by_custodian(day.hospital, day.ann, OWN_RESEARCH)
    assert opened(day, purpose=Purpose.HRESCH) == [SMALL]
    lose(day)
    with pytest.raises(Refused) as refused:
        opened(day, purpose=Purpose.HRESCH)
    assert refused.value.refusal is Refusal.RULES_MISSING


def test_nothing_is_marked_where_all_rules_are_held(day: Day) -> None:
    assert opened(day) == [SMALL]
    assert marks(day) == []
    assert not any("did not hold" in line for line in receipt_lines(checked(day)[0]))


@pytest.mark.promise("P5")
def test_a_release_in_continuity_that_was_anchored_early_is_closed_after_its_end(day: Day) -> None:
    opened(day, is_cut_off=True)
    anchor(day.hospital)
    later = dataclasses.replace(day.hospital, clock=lambda: int(time.time()) + 86_400)
    anchor(later)
    with day.hospital.vault.database.reading() as connection:
        closed = connection.scalars(select(permits.c.closed).where(permits.c.anchored_as == b"")).all()
    assert closed == [CLOSED]
