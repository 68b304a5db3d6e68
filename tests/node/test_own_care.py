"""Own staff opens own records by the same rules, with a one-sided receipt; care goes on without the ledger (R3)."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.access import DenialReason, End
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.ledger.receipts import Conclusion, ConductField, Delivery, Standing, decode_field
from salus.node.assemble import Node
from salus.node.errors import NotNow
from salus.node.people import certify_person, open_session
from salus.node.services.anchor import anchor, anchored
from salus.node.services.choices import file_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.own_care import Opened, open_for_own_staff
from salus.node.services.release import part_document
from salus.node.services.request import Denied, Wish
from salus.testing.world import HOSPITAL, World, world

BODY = b'{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/ann"}}'


class OldHeaders:
    """The same engine, as it looks to a node that hears nothing new."""

    def __init__(self, engine: object) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def status(self) -> object:
        return msgspec.structs.replace(self._engine.status(), header_age_ms=11_000)  # type: ignore[attr-defined]


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        yield made


@pytest.fixture
def ready(hospital: World) -> tuple[Node, Wish, object]:
    node = hospital.hospital
    pseudonym = enrol(node, NhsNumber("9990000018"), "1980-02-29")
    deposit(node, pseudonym, [parse(BODY)])
    nurse = certify_person(node, name="N", role="Nurse", registration="NMC 1", role_class=RoleClass.CLINICAL)
    session = open_session(nurse.key, nurse.certificate, custodian=HOSPITAL, from_s=node.clock())
    return node, Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT), session


def opened(came: object) -> list[bytes]:
    assert not isinstance(came, Denied)
    return [each.content for each in came if isinstance(each, Opened)]  # type: ignore[attr-defined]


def conduct_of(node: Node, permit: bytes) -> ConductField:
    document = part_document(node, permit, 1)  # type: ignore[arg-type]
    assert document is not None
    fields = [decode_field(value) for value in document.fields.values]
    return next(each for each in fields if isinstance(each, ConductField))


@pytest.mark.promise("R4", "R5")
def test_own_staff_gets_a_one_sided_receipt(ready: tuple) -> None:
    node, wish, session = ready
    assert opened(open_for_own_staff(node, session, wish)) == [BODY]
    (permit,) = node.custodian_journal.permits_of(wish.pseudonym)
    assert conduct_of(node, permit).delivery is Delivery.TLS
    assert anchor(node) == 1
    (leaf,) = anchored(node, permit, End.CUSTODIAN)
    assert (leaf.receipt.requester, leaf.conclusion) == (b"", Conclusion.SLOT_SENT)


@pytest.mark.promise("R3")
def test_care_goes_on_without_the_ledger_and_is_anchored_later(ready: tuple) -> None:
    node, wish, session = ready
    before = set(node.custodian_journal.permits_of(wish.pseudonym))
    cut_off = dataclasses.replace(node, engine=OldHeaders(node.engine))
    assert opened(open_for_own_staff(cut_off, session, wish)) == [BODY]
    (permit,) = set(node.custodian_journal.permits_of(wish.pseudonym)) - before
    assert conduct_of(node, permit).standing is Standing.CONTINUITY
    assert anchor(node) == 1


@pytest.mark.promise("R3")
def test_nothing_but_direct_care_goes_on_without_the_ledger(ready: tuple) -> None:
    node, wish, session = ready
    cut_off = dataclasses.replace(node, engine=OldHeaders(node.engine))
    research = dataclasses.replace(wish, purpose=Purpose.HRESCH)
    with pytest.raises(NotNow):
        open_for_own_staff(cut_off, session, research)


@pytest.mark.promise("R2")
def test_a_patients_deny_holds_for_own_staff_too(ready: tuple) -> None:
    node, wish, session = ready
    file_by_custodian(node, wish.pseudonym, Provision(type=ProvisionType.DENY, organisations=(HOSPITAL,)))
    came = open_for_own_staff(node, session, wish)
    assert isinstance(came, Denied)
    assert came.reason is DenialReason.PATIENT_DENIES
