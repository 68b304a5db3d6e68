"""How long every page takes that somebody can open: a patient, a clinician, an officer, an operator, and a stranger."""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import delete
from starlette.responses import Response
from starlette.testclient import TestClient

from bench.measure import Line, Spread
from bench.portal import BORN, NUMBER, ORIGIN, PAGE_MS, RESOURCES, VIEW_KB, ask, chart
from salus.api.exchange.serve import freeze_memory
from salus.clinical.fhir.resources import parse
from salus.contracts.provisions import Purpose, RoleClass
from salus.contracts.residuals import RequestResidual, Scope, commit_request
from salus.crypto.sealing import new_key
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym
from salus.node import schema
from salus.node.assemble import Node
from salus.node.people import OpenSession, certify_person, open_session
from salus.node.sealed_rows import SealedRows
from salus.node.services import challenges
from salus.node.services.accounts import AccountId
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.jobs import Jobs
from salus.node.tallies import Tally
from salus.portal.app import Portal
from salus.portal.assets import assets
from salus.portal.call import HOMES, Page, Person
from salus.portal.open_patients import OpenPatient
from salus.portal.pages import PAGES
from salus.portal.sessions import COOKIE, PortalSession
from salus.portal.settings import PortalSettings
from salus.testing.world import HOSPITAL, PRACTICE, World, world

MEMBERS, REVIEWS, JOBS = 30, 200, 500
REVIEWS_BY_SESSION, REVIEWS_BY_MEMBER = 3, 48
"""The network's bounds of emergencies without a verdict are 3 and 50."""
COUNT = 15
LINK = re.compile(r'(?:href|action)="(/[^"#]*)"')
ASSET = re.compile(r'(?:src|href)="/assets/[^/]+/([^"]+)"')
PEOPLE = {
    Person.PATIENT: f"{RESOURCES:,} resources",
    Person.CLINICIAN: f"{RESOURCES:,} resources",
    Person.OFFICER: f"{REVIEWS} reviews and questions",
    Person.OPERATOR: f"{MEMBERS} members, {JOBS} jobs",
    Person.ANYBODY: "a stranger",
}


class _Job(OpenPatient, frozen=True, array_like=True):
    """A job of whatever kind; nobody reads it."""


@dataclass
class Place:
    """A portal with everything in it, and who can sign in."""

    portal: Portal
    patient: Pseudonym
    accounts: dict[Person, AccountId]

    def browser(self, person: Person) -> TestClient:
        """A browser in which somebody is signed in."""
        client, response = TestClient(self.portal.app(), base_url=ORIGIN, follow_redirects=False), Response()
        if person in self.accounts:
            known = self.portal.accounts.find(self.accounts[person])
            assert known is not None, "it was just made"
            session = self.portal.sign_in(response, self.accounts[person], known, None, way="bench")
            if person is Person.CLINICIAN:
                self._open(session)
            client.cookies.set(
                COOKIE, SimpleCookie(response.headers["set-cookie"])[COOKIE].value, domain="portal.example"
            )
        return client

    def _open(self, session: PortalSession) -> None:
        patient = OpenPatient("the clinic", self.patient, "Eleanor Hughes", BORN, NUMBER.digits)
        self.portal.sessions.change(session, patient=(patient,))


def run() -> list[Line]:
    """Ask for every page of each person a number of times."""
    lines = []
    with TemporaryDirectory() as folder, place(Path(folder)) as made:
        freeze_memory()  # as a worker does before it serves
        for person, of in PEOPLE.items():
            client = made.browser(person)
            found = addresses(client, person)
            lines += [line_of(client, page, path, of) for page, path in found]
            lines.append(first_view(client, person))
    return lines


def addresses(client: TestClient, person: Person) -> list[tuple[Page, str]]:
    """Return an address of every page that a person can open, by following links and by pages without variables."""
    mine = [each for each in PAGES if each.show is not None and each.person in (person, Person.SIGNED_IN)]
    wanted = {re.compile(re.sub(r"\{\w+(:path)?\}", "[^/?]+", each.path)): each for each in mine}
    found: dict[str, str] = {}
    waiting, seen = [each.path for each in mine if "{" not in each.path], set[str]()
    while waiting and len(seen) < 400:
        path = waiting.pop(0)
        route = next((each.path for rule, each in wanted.items() if rule.fullmatch(path.partition("?")[0])), "")
        if path in seen or not route or (route in found and "{" in route):
            continue
        seen.add(path)
        came = client.get(path)
        if came.status_code != 200:
            continue
        found.setdefault(route, path)
        waiting += LINK.findall(came.text)
    by_path = {each.path: each for each in mine}
    return [(by_path[route], path) for route, path in sorted(found.items())]


def line_of(client: TestClient, page: Page, path: str, of: str) -> Line:
    """Ask for a page a number of times; the processor time is that of one request, whoever else uses the machine."""
    walls, busy = [], []
    for _ in range(COUNT):
        begun, used = time.perf_counter(), time.process_time()
        assert client.get(path).status_code == 200, path
        walls.append((time.perf_counter() - begun) * 1_000)
        busy.append((time.process_time() - used) * 1_000)
    took, used_ms = Spread(tuple(walls)), Spread(tuple(busy)).median
    p95 = took.percentile(95)
    said = f"p95 {p95:.0f} ms, median {took.median:.0f} ms, processor {used_ms:.0f} ms"
    raw: dict[str, object] = {"ms": took.raw(), "p95_ms": p95, "processor_ms": used_ms}
    return Line(f"portal {page.path}, {of}", f"p95 ≤ {PAGE_MS} ms", said, p95 <= PAGE_MS, raw)


def first_view(client: TestClient, person: Person) -> Line:
    """What a first view transfers: the page as it is, and each file that it names, compressed."""
    page = client.get(HOMES.get(person, "/sign-in"))
    files = sum(len(assets().files[name].compressed) for name in set(ASSET.findall(page.text)))
    view_kb = (len(page.content) + files) / 1_000
    said = f"{view_kb:.0f} kB transferred"
    return Line(f"portal, first view of {person.value}", f"≤ {VIEW_KB} kB", said, view_kb <= VIEW_KB, {"kb": view_kb})


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Make a hospital among many members, with a patient at whom many looked in an emergency."""
    others = [OrganisationId(f"M{number:04}") for number in range(MEMBERS - 2)]
    with ExitStack() as stack:
        made = stack.enter_context(world(folder, organisations=(HOSPITAL, PRACTICE, *others), has_index=True))
        node = made.hospital
        patient = enrol(node, NUMBER, BORN)
        deposit(node, patient, [parse(each) for each in chart()])
        portal = stack.enter_context(closing(Portal(node, PortalSettings(ORIGIN), peers=made.peers(HOSPITAL))))
        accounts = {
            Person.PATIENT: portal.accounts.add_patient(patient, name="Eleanor Hughes"),
            Person.CLINICIAN: _staff(portal, RoleClass.CLINICAL),
            Person.OFFICER: _staff(portal, RoleClass.OFFICER),
            Person.OPERATOR: portal.accounts.add_operator(name="Sam Operator"),
        }
        for permit in emergencies(made, patient):
            question(node, patient, permit)
        work(node)
        yield Place(portal, patient, accounts)


def _staff(portal: Portal, role_class: RoleClass) -> AccountId:
    name = f"Dr {role_class.name.title()}"
    person = certify_person(portal.node, name=name, role="Consultant", registration=name, role_class=role_class)
    return portal.accounts.add_staff(person, role_class, name=name)


def emergencies(made: World, patient: Pseudonym) -> list[PermitId]:
    """Have clinicians of several members break the glass, as often as one may without a verdict."""
    permits: list[PermitId] = []
    members = iter([each for each in made.nodes.values() if each is not made.hospital])
    while len(permits) < REVIEWS:
        node = next(members)
        for _ in range(REVIEWS_BY_MEMBER // REVIEWS_BY_SESSION):
            permits += _emergencies(node, made.hospital, patient)
    return permits[:REVIEWS]


def _emergencies(node: Node, custodian: Node, patient: Pseudonym) -> list[PermitId]:
    """Ask in one session, in one transaction, and keep at the custodian what was said."""
    person = certify_person(node, name="Dr Pym", role="GP", registration="9", role_class=RoleClass.CLINICAL)
    session = open_session(person.key, person.certificate, custodian=custodian.organisation, from_s=node.clock())
    said = [_said(session) for _ in range(REVIEWS_BY_SESSION)]
    return ask(node, session, patient, said, custodian=custodian, purpose=Purpose.BTG, duration_s=3_600)


def _said(session: OpenSession) -> CommittedFields:
    why = RequestResidual(secrets.token_bytes(16), Scope(), session.certificate, session.certified, "Found unconscious")
    return commit_request(why, secret=new_key())


def question(node: Node, patient: Pseudonym, permit: PermitId) -> None:
    """Have the patient question a look; how many they may send in a day is no matter here."""
    with node.vault.database.writing() as connection:
        connection.execute(delete(schema.tallies).where(schema.tallies.c.tally == Tally.CHALLENGE))
    challenges.send_by_custodian(node, patient, permit, "I was not there on that day.")


def work(node: Node) -> None:
    """Begin as many jobs."""
    jobs = Jobs(node, SealedRows(node.vault, node.chain), "bench")
    for number in range(JOBS):
        jobs.begin(f"client {number % 50}", _Job("x"), {}, until_s=node.clock() + 86_400, jobs_max=JOBS)
