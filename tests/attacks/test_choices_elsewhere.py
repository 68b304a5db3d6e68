"""What a patient decided at another custodian is told to their own session there, and to nobody else (R1, R4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from salus.clinical.fhir.resources import parse
from salus.contracts.consent import choices
from salus.contracts.gathering import find_permit, read_trail
from salus.contracts.patients import AddKey, KeyKind
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, Verb
from salus.contracts.residuals import (
    SESSION_S_MAX,
    Ability,
    Band,
    DelegateTerms,
    Relation,
    commit_delegate,
    reason,
)
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym, PublicKey
from salus.node import documents
from salus.node.answer import answer
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal
from salus.node.exchange import Answer, ChoicesAnswer, ChoicesAsk, RefusedAnswer
from salus.node.people import NOBODY, OpenSession, certify_person, open_session
from salus.node.projections import resources
from salus.node.services import choices_elsewhere
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.node.services.choices_elsewhere import Place
from salus.node.services.deposit import deposit
from salus.node.services.enrol import custodian_held_key, enrol
from salus.node.services.request import Granted, Wish, request
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, World, world
from tests.attacks.attackers import OUTSIDER

pytestmark = pytest.mark.promise("R1", "R4")
BORN = "1980-02-29"
SHARED = Provision(type=ProvisionType.PERMIT, organisations=(PRACTICE,), classes=("Observation",))
DEVICE = OrganisationId("")


@dataclass
class Scene:
    """Ann and Bob at the hospital, where Ann has made a choice; she asks from the practice."""

    made: World
    ann: Pseudonym
    bob: Pseudonym
    there: Pseudonym
    keys: dict[Pseudonym, SigningKey] = field(repr=False)

    @property
    def hospital(self) -> Node:
        return self.made.hospital

    def session(self, of: Pseudonym, *, custodian: OrganisationId = HOSPITAL, from_s: int = 0) -> OpenSession:
        started_s = from_s or self.hospital.clock()
        return open_session(self.keys[of], NOBODY, custodian=custodian, from_s=started_s)

    def granted(self, session: OpenSession | None = None, of: Pseudonym | None = None, **changed: object) -> Granted:
        """A permit for the patient's side; an attack changes one thing."""
        asked = {"custodian": HOSPITAL, "role_class": RoleClass.PATIENT_SIDE, "purpose": Purpose.PATRQT} | changed
        came = request(self.made.practice, session or self.session(self.ann), Wish(of or self.ann, **asked))  # type: ignore[arg-type]
        assert isinstance(came, Granted), came
        return came

    def ask(self, granted: Granted, *, sender: OrganisationId = PRACTICE, **changed: object) -> Answer:
        return answer(self.hospital, sender, replace(_ask(granted), **changed))


def _ask(granted: Granted) -> ChoicesAsk:
    return ChoicesAsk(granted.permit, granted.height, granted.residual)


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("scene")
    with world(folder, organisations=(HOSPITAL, PRACTICE, OUTSIDER), has_index=True) as made:
        ann, bob = (enrol(made.hospital, kept_nhs_number(place), BORN) for place in (1, 2))
        there = enrol(made.practice, kept_nhs_number(1), BORN)
        for node, pseudonym in ((made.hospital, ann), (made.hospital, bob), (made.practice, there)):
            deposit(node, pseudonym, [parse(b'{"resourceType":"Patient","id":"%s"}' % pseudonym.hex().encode())])
        file_by_custodian(made.hospital, ann, SHARED)
        homes = {ann: made.hospital, bob: made.hospital, there: made.practice}
        keys = {each: custodian_held_key(node, each) for each, node in homes.items()}
        yield Scene(made, ann, bob, there, keys)


def refusal(came: Answer) -> Refusal:
    assert isinstance(came, RefusedAnswer), came
    return Refusal(came.refusal)


def in_force(on: Scene, rules: tuple[object, ...]) -> list[object]:
    """What the practice makes of an answer."""
    place = Place(HOSPITAL, "Hospital", on.ann)
    return [each.tree for each in choices_elsewhere.in_force(on.made.practice, place, [encode(each) for each in rules])]


def test_the_patient_s_own_session_is_told_and_the_history_says_that_it_asked(on: Scene) -> None:
    granted = on.granted()
    came = on.ask(granted)
    assert isinstance(came, ChoicesAnswer)
    assert came.may_see
    assert in_force(on, came.rules) == [SHARED]
    with on.hospital.engine.snapshot() as reader:
        (choice,) = choices(reader, on.ann).choices
        trail = read_trail(reader, on.ann)
    assert came.rules[0].root() == choice.commitment
    assert find_permit(trail, granted.permit) is not None
    assert documents.find(on.hospital.vault, Kind.REQUEST, granted.permit) is not None


def test_nobody_else_is_told(on: Scene) -> None:
    granted = on.granted()
    assert refusal(on.ask(granted, sender=DEVICE)) is Refusal.SENDER_UNKNOWN
    assert refusal(on.ask(granted, sender=OUTSIDER)) is Refusal.NOT_THE_REQUESTER
    assert refusal(on.ask(granted, permit=PermitId(bytes(32)))) is Refusal.PERMIT_DEAD
    assert refusal(on.ask(granted, residual=on.granted().residual)) is Refusal.RESIDUAL_UNFIT
    own = on.granted(on.session(on.there, custodian=PRACTICE), on.there, custodian=PRACTICE)
    assert refusal(on.ask(own)) is Refusal.NOT_THE_CUSTODIAN


SESSIONS = {
    "of another pseudonym": lambda on: on.session(on.bob),
    "of another custodian": lambda on: open_session(
        on.keys[on.ann], NOBODY, custodian=PRACTICE, from_s=on.hospital.clock()
    ),
    "that is over": lambda on: on.session(on.ann, from_s=on.hospital.clock() - SESSION_S_MAX - 60),
    "that nobody certified": lambda on: open_session(
        SigningKey.generate(), NOBODY, custodian=HOSPITAL, from_s=on.hospital.clock()
    ),
}


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
def test_a_session_is_worth_nothing(on: Scene, session: object) -> None:
    granted = on.granted(session(on))  # type: ignore[operator]
    assert refusal(on.ask(granted)) is Refusal.SESSION_UNFIT


def test_another_patient_s_permit_tells_of_their_own_choices_alone(on: Scene) -> None:
    came = on.ask(on.granted(on.session(on.bob), on.bob))
    assert isinstance(came, ChoicesAnswer)
    assert (came.may_see, came.rules) == (True, ())


def test_staff_and_other_ways_of_asking_are_told_nothing(on: Scene) -> None:
    node = on.made.practice
    doctor = certify_person(node, name="Dr", role="GP", registration="GMC 1", role_class=RoleClass.CLINICAL)
    session = open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=node.clock())
    emergency = on.granted(session, role_class=RoleClass.CLINICAL, purpose=Purpose.BTG, justification="unconscious")
    assert refusal(on.ask(emergency)) is Refusal.PERSON_UNFIT
    assert refusal(on.ask(on.granted(verb=Verb.EXPORT))) is Refusal.PERSON_UNFIT


def test_who_helps_the_patient_is_told_nothing(on: Scene) -> None:
    """Whatever the patient lets them do there: they decide where they help."""
    key, terms = SigningKey.generate(), DelegateTerms("Bea", Relation.CARER, (Band(0, (Ability.READ, Ability.SHARE)),))
    residual = commit_delegate("let act", terms, secret=new_key())
    message = AddKey(on.ann, PublicKey(key.public), KeyKind.DELEGATE, 0, residual.root())
    documents.keep(on.hospital.vault, on.hospital.chain, on.ann, Kind.REASON, residual.root(), encode(residual))
    on.hospital.submit_signed((message,), (on.keys[on.ann], key))
    session = open_session(key, NOBODY, custodian=HOSPITAL, from_s=on.hospital.clock())
    came = on.ask(on.granted(session))
    assert refusal(came) is Refusal.PERSON_UNFIT


@pytest.mark.promise("R3")
def test_a_permit_of_before_a_choice_tells_nothing(on: Scene) -> None:
    granted = on.granted()
    choice = file_by_custodian(on.hospital, on.ann, Provision(type=ProvisionType.DENY, organisations=(OUTSIDER,)))
    assert refusal(on.ask(granted)) is Refusal.PERMIT_DEAD
    _end(on, choice)


@pytest.mark.parametrize("has_index", [True, False])
def test_who_hid_the_record_from_themself_is_told_nothing(
    on: Scene, has_index: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_index:
        monkeypatch.setattr(resources, "patient_of", lambda _node, _pseudonym: None)
        came = on.ask(on.granted())
        assert isinstance(came, ChoicesAnswer)
        assert (came.may_see, len(came.rules)) == (True, 1)
    hides = Provision(type=ProvisionType.DENY, role_classes=(RoleClass.PATIENT_SIDE,), classes=("Patient",))
    choice = file_by_custodian(on.hospital, on.ann, hides)
    came = on.ask(on.granted())
    assert isinstance(came, ChoicesAnswer)
    assert (came.may_see, came.rules) == (False, ())
    _end(on, choice)


@pytest.mark.promise("L5")
def test_rules_that_do_not_open_the_ledger_s_commitment_are_none(on: Scene) -> None:
    """A custodian that lies, or has lost the rules, is shown as one whose choice cannot be read."""
    other = reason("no rules", new_key())
    assert in_force(on, ()) == [None]
    assert in_force(on, (other,)) == [None]
    place = Place(HOSPITAL, "Hospital", on.ann)
    assert [each.rule for each in choices_elsewhere.in_force(on.made.practice, place, [b"\xc1"])] == [None]


def _end(on: Scene, choice: bytes) -> None:
    withdraw_by_custodian(on.hospital, on.ann, choice)
