"""What one person may do is counted by person, not by session: emergencies at both nodes, sessions where they begin."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from salus.contracts.provisions import Purpose, RoleClass
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.node import people
from salus.node.answer import answer
from salus.node.assemble import Node
from salus.node.config import PersonLimits
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import PartAsk, PartOffer, RefusedAnswer
from salus.node.notices import Notice, NoticeKind, notices
from salus.node.people import OpenSession, Person, certify_person, open_session
from salus.node.services import match, own_care
from salus.node.services.enrol import enrol
from salus.node.services.request import Granted, Wish, request
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, World, unix_now_s, world
from salus.vault.database import Database
from salus.vault.drivers.folder import Folder
from salus.vault.root_files import RootFiles
from salus.vault.vault import Vault
from tests.vault.conftest import running_postgres
from tests.vault.servers import Postgres

MOST = 3
WINDOW_S = 24 * 3600
FEW = PersonLimits(emergencies_max=MOST, sessions_max=MOST, window_h=24)
MANY = PersonLimits(emergencies_max=100, sessions_max=100)


@dataclass
class Ward:
    """A patient of the hospital, and the practice's clinicians."""

    world: World
    ann: Pseudonym

    def reopen(self, organisation: OrganisationId, limits: PersonLimits, *, late_s: int = 0) -> Node:
        """Open a new worker of a node, as a start does, with these limits and a clock that is so much later."""
        self.world.person_limits = limits
        return self.world.open_node(organisation, clock=lambda: unix_now_s() + late_s)

    def doctor(self, name: str, registration: str = "", at: OrganisationId = PRACTICE) -> Person:
        return certify_person(
            self.world.nodes[at], name=name, role="GP", registration=registration, role_class=RoleClass.CLINICAL
        )

    def session(self, doctor: Person) -> OpenSession:
        return open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=unix_now_s())

    def wish(self, purpose: Purpose = Purpose.BTG) -> Wish:
        return Wish(self.ann, HOSPITAL, RoleClass.CLINICAL, purpose, justification="unconscious")

    def permitted(self, doctor: Person) -> Granted:
        """An emergency that the ledger permits, in a session of its own."""
        granted = request(self.world.practice, self.session(doctor), self.wish())
        assert isinstance(granted, Granted)
        return granted

    def offered(self, granted: Granted, node: Node | None = None) -> bool:
        """Whether the hospital, or one worker of it, offers a part."""
        ask = PartAsk(granted.permit, granted.height, 1, granted.residual, granted.reader_key.public)
        came = answer(node or self.world.hospital, PRACTICE, ask)
        if isinstance(came, RefusedAnswer):
            assert came.refusal is Refusal.TOO_MANY
            assert "expected at most 3 emergencies of one person in 24 h" in came.words
        return isinstance(came, PartOffer)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with world(tmp_path, person_limits=MANY) as made:
        yield Ward(made, enrol(made.hospital, kept_nhs_number(0), "1980-02-29"))


def refused(act: Callable[[], object]) -> bool:
    """Whether there is one too many."""
    try:
        act()
    except Refused as error:
        return error.refusal is Refusal.TOO_MANY
    return False


@pytest.mark.promise("R1")
def test_the_custodian_counts_a_persons_emergencies_over_all_sessions(ward: Ward) -> None:
    """A new session for each emergency, so that none has three unreviewed: the fourth gets nothing all the same."""
    ward.reopen(HOSPITAL, FEW)
    doctor, colleague = ward.doctor("Dr Li", "GMC 1"), ward.doctor("Dr Ray", "GMC 2")
    permits = [ward.permitted(doctor) for _ in range(MOST + 1)]
    assert [ward.offered(each) for each in permits] == [True] * MOST + [False]
    assert [ward.offered(each) for each in permits] == [True] * MOST + [False], "those that were counted may go on"
    assert ward.offered(ward.permitted(colleague)), "another person is not meant"
    renewed = ward.doctor("Dr Li, again", "GMC 1")
    assert not ward.offered(ward.permitted(renewed)), "a new certificate of one registration is the same person"
    assert ward.offered(ward.permitted(ward.doctor("Dr Li"))), "no registration joins certificates"


@pytest.mark.promise("R1")
def test_the_requesters_node_counts_them_too(ward: Ward) -> None:
    asking = ward.reopen(PRACTICE, FEW)
    ward.world.person_limits = MANY
    doctor = ward.doctor("Dr Li", "GMC 1")
    session = ward.session(doctor)
    assert [refused(lambda: request(asking, session, ward.wish())) for _ in range(MOST + 1)] == [False] * MOST + [True]
    assert not refused(lambda: request(asking, session, ward.wish(Purpose.TREAT))), "care goes on"


@pytest.mark.promise("R1")
def test_own_staffs_emergencies_are_counted_once_each(ward: Ward) -> None:
    node = ward.reopen(HOSPITAL, FEW)
    nurse = ward.doctor("Nurse", "NMC 1", at=HOSPITAL)
    session = ward.session(nurse)
    came = [refused(lambda: own_care.open_for_own_staff(node, session, ward.wish())) for _ in range(MOST + 1)]
    assert came == [False] * MOST + [True]


@pytest.mark.promise("R1")
def test_the_officer_has_a_notice_of_each_that_was_refused(ward: Ward) -> None:
    node = ward.reopen(HOSPITAL, FEW)
    doctor = ward.doctor("Dr Li", "GMC 1")
    permits = [ward.permitted(doctor) for _ in range(MOST + 2)]
    for _ in range(2):
        assert [ward.offered(each) for each in permits].count(False) == 2
    found = notices(node)
    assert [(each.kind, each.certificate, each.pseudonym) for each in found] == [
        (NoticeKind.EMERGENCY_REFUSED, doctor.certificate_id, ward.ann)
    ] * 2
    assert notices(ward.reopen(HOSPITAL, FEW)) == found, "a start forgets none"


@pytest.mark.promise("R1")
def test_a_start_forgets_nothing_and_a_day_does(ward: Ward) -> None:
    ward.reopen(HOSPITAL, FEW)
    doctor = ward.doctor("Dr Li", "GMC 1")
    assert all(ward.offered(ward.permitted(doctor)) for _ in range(MOST))
    ward.reopen(HOSPITAL, FEW)
    assert not ward.offered(ward.permitted(doctor))
    late = ward.reopen(HOSPITAL, FEW, late_s=WINDOW_S + 60)
    certificate = doctor.certificate
    assert not refused(lambda: people.require_emergency_room(late, certificate, name=b"later", pseudonym=ward.ann))


@pytest.mark.promise("R1")
def test_a_person_asks_in_so_many_sessions_and_no_more(ward: Ward) -> None:
    asking = ward.reopen(PRACTICE, FEW)
    doctor, colleague = ward.doctor("Dr Li", "GMC 1"), ward.doctor("Dr Ray", "GMC 2")
    sessions = [ward.session(doctor) for _ in range(MOST)]
    peers, number = ward.world.peers(PRACTICE), kept_nhs_number(0)
    for session in sessions * 2:
        assert not refused(lambda session=session: request(asking, session, ward.wish(Purpose.TREAT)))
    one_more = ward.session(doctor)
    assert refused(lambda: request(asking, one_more, ward.wish(Purpose.TREAT)))
    assert refused(lambda: match.match(asking, peers, HOSPITAL, one_more, number, date_of_birth="1980-02-29"))
    assert not refused(lambda: request(asking, ward.session(colleague), ward.wish(Purpose.TREAT)))
    [notice] = notices(asking)
    assert notice == Notice(NoticeKind.SESSION_REFUSED, notice.at_s, doctor.certificate_id, Pseudonym(b""))


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    yield from running_postgres(18)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database for the workers of one node."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shared.db"
    server: Postgres = request.getfixturevalue(request.param)
    return server.new_database()


@pytest.mark.promise("R1")
def test_workers_of_one_node_never_count_past_the_limit_together(ward: Ward, url: str) -> None:
    """Who is told *not now*, since another worker counted at that moment, asks again."""
    doctor, node = ward.doctor("Dr Li", "GMC 1"), ward.reopen(HOSPITAL, FEW)
    workers = [dataclasses.replace(node, vault=on_database(url, ward.world.folder)) for _ in range(2)]
    came: list[str] = []
    barrier = threading.Barrier(4 * MOST)

    def ask(number: int) -> None:
        barrier.wait()
        name = number.to_bytes(16, "big")
        while True:
            try:
                people.require_emergency_room(workers[number % 2], doctor.certificate, name=name, pseudonym=ward.ann)
                came.append("room")
            except NotNow:
                continue
            except Refused:
                came.append("none")
            return

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4 * MOST)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(came) == ["none"] * 3 * MOST + ["room"] * MOST
    for worker in workers:
        worker.vault.database.close()


def on_database(url: str, folder: Path) -> Vault:
    """A vault on another database; what it has sealed plays no part here."""
    roots = RootFiles(folder / "a" / "epoch.root", folder / "b" / "epoch.root")
    return Vault(Database(url), Folder(folder / "objects"), roots, clock=unix_now_s)
