"""The patient's history: complete, proved, and every receipt checks with nothing but the trust root."""

import dataclasses
import time
from collections.abc import Iterator

import pytest

from salus.clinical.fhir.resources import parse
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.ledger.bundles import HistoryBundle, decode_bundle, encode_bundle
from salus.ledger.verifier.history import verify_history
from salus.ledger.verifier.state import verify_state
from salus.node.founding import trust_root
from salus.node.people import certify_person, open_session
from salus.node.services.anchor import anchor
from salus.node.services.audit import history
from salus.node.services.choices import file_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.match import match
from salus.node.services.own_care import open_for_own_staff
from salus.node.services.receive import receive
from salus.node.services.request import Granted, Wish, request
from salus.sdk.receipt_check import check_opened
from salus.testing.world import HOSPITAL, PRACTICE, World, world
from tests.node.test_own_care import OldHeaders
from tests.node.test_release import ALL_BUT_PSYCHIATRY, ANN, BORN, CHART

NOBODY = Provision(type=ProvisionType.DENY, organisations=(PRACTICE,))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def bundle(two: World) -> HistoryBundle:
    hospital, practice = two.hospital, two.practice
    pseudonym = enrol(hospital, ANN, BORN)
    deposit(hospital, pseudonym, [parse(body) for body in CHART])
    file_by_custodian(hospital, pseudonym, ALL_BUT_PSYCHIATRY)
    gp = certify_person(practice, name="Dr Jones", role="GP", registration="GMC 1", role_class=RoleClass.CLINICAL)
    session = open_session(gp.key, gp.certificate, custodian=HOSPITAL, from_s=practice.clock())
    match(practice, two.peers(PRACTICE), HOSPITAL, session, ANN, date_of_birth=BORN)
    granted = request(practice, session, Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT))
    assert isinstance(granted, Granted)
    assert len(list(receive(practice, two.peers(PRACTICE), granted))) == 3
    nurse = certify_person(hospital, name="N", role="Nurse", registration="NMC 1", role_class=RoleClass.CLINICAL)
    own = open_session(nurse.key, nurse.certificate, custodian=HOSPITAL, from_s=hospital.clock())
    cut_off = dataclasses.replace(hospital, engine=OldHeaders(hospital.engine))
    wish = Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT)
    assert len(list(open_for_own_staff(cut_off, own, wish))) == 4
    anchor(hospital)
    anchor(practice)
    file_by_custodian(hospital, pseudonym, NOBODY)
    return history(hospital, pseudonym)


@pytest.mark.promise("L5", "R5", "R2")
def test_every_receipt_checks_from_the_file_alone(two: World, bundle: HistoryBundle) -> None:
    came = decode_bundle(encode_bundle(bundle))
    assert isinstance(came, HistoryBundle)
    state = verify_state(trust_root(two.genesis), came.signed, now_s=int(time.time()))
    assert len(verify_history(state, came.history).leaves) == len(bundle.history.leaves)
    checked = [check_opened(state, opened) for opened in came.receipts]
    assert len(checked) == 2
    assert len(came.matches) == 1
    for each in checked:
        print(each)
