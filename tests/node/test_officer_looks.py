"""A privacy officer may read a patient's history, and the patient sees that they did (U2)."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from salus.contracts.provisions import RoleClass
from salus.crypto.signing import SigningKey
from salus.engines.base import Unavailable
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.ledger.machine import HISTORY, NO_HISTORY
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.founding import trust_root
from salus.node.people import NOBODY, OpenSession, certify_person, open_session
from salus.node.services.audit import read_for_officer
from salus.node.services.enrol import enrol
from salus.sdk.history_check import check_history
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, World, world


@dataclass
class Desk:
    """A patient of the hospital, and whoever looks."""

    world: World
    ann: Pseudonym

    def session(
        self,
        role_class: RoleClass = RoleClass.OFFICER,
        *,
        at: OrganisationId = HOSPITAL,
        custodian: OrganisationId = HOSPITAL,
        ended_s: int = 0,
    ) -> OpenSession:
        """A session of somebody newly certified; an attack changes one thing."""
        node = self.world.nodes[at]
        person = certify_person(node, name="Sam", role="Guardian", registration="", role_class=role_class)
        from_s = node.clock() - (900 + ended_s if ended_s else 0)
        return open_session(person.key, person.certificate, custodian=custodian, from_s=from_s, duration_s=900)

    def events(self) -> int:
        with self.world.engine.snapshot() as reader:
            return (HISTORY.get(reader, self.ann) or NO_HISTORY).count


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with world(tmp_path_factory.mktemp("world")) as made:
        yield Desk(made, enrol(made.hospital, kept_nhs_number(0), "1980-02-29"))


@pytest.mark.promise("U2", "L5")
def test_an_officers_look_is_in_what_is_shown(desk: Desk) -> None:
    before = desk.events()
    officer = desk.session()
    for look in (1, 2):
        bundle = read_for_officer(desk.world.hospital, officer, desk.ann)
        checked = check_history(trust_root(desk.world.genesis), bundle, now_s=int(time.time()))
        assert len(checked.events) == before + look
        assert checked.events[-1].words == f"A privacy officer of {HOSPITAL} looked at this history."
    note = bundle.matches[-1]
    assert officer.certificate.root() in b"".join(note.values), "the patient can name the certificate"


def forged(desk: Desk) -> OpenSession:
    return dataclasses.replace(desk.session(), certified=open_session_of_a_stranger(desk).certified)


def open_session_of_a_stranger(desk: Desk) -> OpenSession:
    return open_session(SigningKey.generate(), NOBODY, custodian=HOSPITAL, from_s=desk.world.hospital.clock())


REFUSED: dict[str, tuple[Callable[[Desk], OpenSession], Refusal]] = {
    "a nurse": (lambda desk: desk.session(RoleClass.CLINICAL), Refusal.PERSON_UNFIT),
    "an officer of another organisation": (lambda desk: desk.session(at=PRACTICE), Refusal.PERSON_UNFIT),
    "nobody certified": (open_session_of_a_stranger, Refusal.PERSON_UNFIT),
    "an officer's certificate without the key": (forged, Refusal.SESSION_UNFIT),
    "a session for another node": (lambda desk: desk.session(custodian=PRACTICE), Refusal.SESSION_UNFIT),
    "a session that has ended": (lambda desk: desk.session(ended_s=10), Refusal.SESSION_UNFIT),
}


@pytest.mark.promise("R4")
@pytest.mark.parametrize(("looks", "refusal"), REFUSED.values(), ids=REFUSED)
def test_nobody_else_looks(looks: Callable[[Desk], OpenSession], refusal: Refusal, desk: Desk) -> None:
    before, session = desk.events(), looks(desk)
    with pytest.raises(Refused) as refused:
        read_for_officer(desk.world.hospital, session, desk.ann)
    assert refused.value.refusal is refusal
    assert desk.events() == before


@pytest.mark.promise("R4")
def test_an_officer_reads_no_history_that_is_kept_elsewhere(desk: Desk) -> None:
    for name in (Pseudonym(bytes(16)), enrol(desk.world.practice, kept_nhs_number(1), "1980-02-29")):
        with pytest.raises(Refused) as refused:
            read_for_officer(desk.world.hospital, desk.session(), name)
        assert refused.value.refusal is Refusal.PATIENT_UNKNOWN


@pytest.mark.promise("U2")
def test_without_the_ledger_nothing_is_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    officer = desk.session()

    def gone(*_: object) -> None:
        raise Unavailable("the ledger process went away")

    monkeypatch.setattr(desk.world.engine, "submit", gone)
    with pytest.raises(NotNow):
        read_for_officer(desk.world.hospital, officer, desk.ann)
