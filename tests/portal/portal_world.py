"""A hospital with a portal, a practice beside it, and four people who use the portal, on real parts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from salus.api.exchange.serve import listen
from salus.clinical.fhir import FhirRejected
from salus.contracts.provisions import Purpose, RoleClass
from salus.importers import NdjsonFiles, file_chart
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.bearers import BearerKind, Bearers
from salus.node.http_peers import node_peers
from salus.node.listen_settings import SignInProvider
from salus.node.people import certify_person, open_session
from salus.node.sealed_rows import SealedRows
from salus.node.services import accounts, enrol, quiet
from salus.node.services.accounts import AccountId
from salus.node.services.request import Granted, Wish, request
from salus.portal.app import Portal
from salus.portal.sessions import COOKIE, PortalSession, PortalState
from salus.portal.settings import PortalSettings
from salus.testing import population
from salus.testing.clock import ForwardClock
from salus.testing.population import story_patient
from salus.testing.world import HOSPITAL, PRACTICE, World, world
from tests.portal.second_custodian import OwnDevice, Practice, own_device, practice_on

ORIGIN = "https://portal.example"
PASSWORD = "a long enough password"
CHEAP_N = 1 << 8
SEED = 7
REASON = "found unconscious, medicines not known <script>alert(1)</script>"
NAMES = {HOSPITAL: population.HOSPITAL.name, PRACTICE: population.PRACTICE.name}
TOKEN = re.compile(r'name="form" value="([^"]+)"')


@dataclass
class Hospital:
    """The portal, and what stands behind it.

    Args:
        joined: where the practice is reached over a network: the practice, and Eleanor's own device.
        there: Eleanor's pseudonym at the practice.
    """

    made: World
    portal: Portal
    patient: Pseudonym
    accounts: dict[str, AccountId] = field(default_factory=dict)
    joined: tuple[Practice, OwnDevice] | None = None
    there: Pseudonym = field(default=Pseudonym(b""), repr=False)

    @property
    def node(self) -> Node:
        """The hospital's."""
        return self.made.hospital

    def client(self) -> Browser:
        """A browser of somebody who was never here."""
        return Browser(TestClient(self.portal.app(), base_url=self.portal.settings.origin, follow_redirects=False))

    def signed_in(self, name: str) -> Browser:
        """A browser in which one of the people has signed in, at no cost of passwords and tries."""
        browser, response, account = self.client(), Response(), self.accounts[name]
        known = self.portal.accounts.find(account)
        assert known is not None
        self.portal.sign_in(response, account, known, None, way="password")
        cookie = SimpleCookie(response.headers["set-cookie"])[COOKIE]
        browser.client.cookies.set(COOKIE, cookie.value, domain=self.portal.settings.host)
        if self.joined and self.joined[1].wallet.relationships and name == "eleanor":
            self.certify()
        return browser

    def certify(self) -> None:
        """Have Eleanor's own device certify a session with each custodian, wherever she is signed in."""
        assert self.joined is not None, "nobody else is reached"
        account, bearers = self.accounts["eleanor"], Bearers(self.node, SealedRows(self.node.vault, self.node.chain))
        for each in bearers.of(BearerKind.PORTAL, account, PortalState):
            held = self.joined[1].sessions(from_s=self.node.clock())
            self.portal.sessions.change(PortalSession(each), held=held)


class Browser:
    """A browser without JavaScript: it follows links and posts forms that it has seen."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.form = ""

    def get(self, path: str, **fields: str) -> object:
        """Ask for a page; its form token is remembered."""
        came = self.client.get(path, headers={name.replace("_", "-"): value for name, value in fields.items()})
        found = TOKEN.search(came.text)
        self.form = found.group(1) if found else self.form
        return came

    def post(self, path: str, fields: dict[str, str], *, page: str = "", **more: object) -> object:
        """Post a form of a page, by default the page at the same address."""
        self.get(page or path)
        return self.client.post(path, data={"form": self.form} | fields, headers={"origin": ORIGIN}, **more)


def settled(browser: Browser, path: str = "/record") -> str:
    """A page once every other organisation has answered, or will not."""
    until_s = time.monotonic() + 60
    while "We are asking them" in (page := browser.get(path).text):
        assert time.monotonic() < until_s
        time.sleep(0.05)
    return str(page)


def soonest(browser: Browser, path: str) -> tuple[str, float]:
    """A page as it came the last time of three, and the seconds of the quickest: a busy machine is not always so."""
    took_s = []
    for _ in range(3):
        began_s = time.monotonic()
        page = browser.get(path).text
        took_s.append(time.monotonic() - began_s)
    return page, min(took_s)


@contextmanager
def portal(
    folder: Path,
    *,
    origin: str = ORIGIN,
    providers: Sequence[SignInProvider] = (),
    is_joined: bool = False,
    has_device: bool = True,
    clock: ForwardClock | None = None,
    **settings: object,
) -> Iterator[Hospital]:
    """Start it: Eleanor has records at both; `eleanor`, `rao`, `officer` and `operator` can sign in.

    Args:
        is_joined: whether the practice is another computer's, reached over HTTP; then Eleanor's device holds her keys.
        has_device: False there: both custodians still sign for her.
        clock: of the ledger and of both nodes; None for the machine's.
    """
    with ExitStack() as stack:
        stack.enter_context(cheap_passwords())
        listener = stack.enter_context(listen("127.0.0.1", 0))
        endpoints = {PRACTICE: f"http://127.0.0.1:{listener.getsockname()[1]}"} if is_joined else {}
        made = stack.enter_context(
            world(
                folder,
                organisations=(HOSPITAL, PRACTICE),
                has_index=True,
                names=NAMES,
                endpoints=endpoints,
                clock=clock,
            )
        )
        for each in (HOSPITAL, PRACTICE) if clock else ():
            made.open_node(each, clock=clock.now_s)
        pseudonym, there = load(made, folder)
        node = made.hospital
        peers = stack.enter_context(closing(node_peers(node))) if is_joined else made.peers(HOSPITAL)
        opened = Portal(node, PortalSettings(origin, **settings), peers=peers, providers=providers)
        stack.callback(opened.close)
        here = Hospital(made, opened, pseudonym, there=there)
        here.accounts["eleanor"] = opened.accounts.add_patient(pseudonym, name="Eleanor Moss")
        here.accounts["rao"] = staff(here, "Dr Anita Rao", "Consultant", RoleClass.CLINICAL)
        here.accounts["officer"] = staff(here, "Jo Guardian", "Caldicott guardian", RoleClass.OFFICER)
        here.accounts["operator"] = opened.accounts.add_operator(name="Sam Operator")
        for name, account in here.accounts.items():
            opened.accounts.set_password(account, signs_in_as=name, password=PASSWORD)
        if is_joined:
            device = own_device(made, {HOSPITAL: pseudonym, PRACTICE: there} if has_device else {})
            for mine in [each.opened for each in device.sessions(from_s=node.clock())[:1]]:
                opened.accounts.bring_session(here.accounts["eleanor"], mine.key, mine.certified)
            here.joined = stack.enter_context(practice_on(listener, made)), device
        yield here


@contextmanager
def cheap_passwords() -> Iterator[None]:
    """Let passwords and words cost little until the block ends; what they cost is a subject of tests/node."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (accounts, quiet):
            patch.setattr(module, "SCRYPT_N", CHEAP_N)
        nobodys = accounts.Password(CHEAP_N, accounts.SCRYPT_R, accounts.SCRYPT_P, bytes(16), bytes(32))
        patch.setattr(accounts, "_NO_PASSWORD", nobodys)
        yield


def staff(here: Hospital, name: str, role: str, role_class: RoleClass) -> AccountId:
    """An account of somebody who works here."""
    person = certify_person(here.node, name=name, role=role, registration=name, role_class=role_class)
    return here.portal.accounts.add_staff(person, role_class, name=name)


def emergency(here: Hospital) -> Granted:
    """A doctor of the practice breaks the glass."""
    node = here.made.practice
    person = certify_person(node, name="Dr Pym", role="GP", registration="GMC 9", role_class=RoleClass.CLINICAL)
    session = open_session(person.key, person.certificate, custodian=HOSPITAL, from_s=node.clock())
    wish = Wish(here.patient, HOSPITAL, RoleClass.CLINICAL, Purpose.BTG, justification=REASON)
    came = request(node, session, wish)
    assert isinstance(came, Granted), came
    return came


def load(made: World, folder: Path) -> tuple[Pseudonym, Pseudonym]:
    """File the story's patient at both custodians; return her pseudonyms at the hospital and at the practice."""
    person = story_patient(SEED)
    for custodian, node in ((population.HOSPITAL, made.hospital), (population.PRACTICE, made.practice)):
        path = folder / f"{custodian.ods}.ndjson"
        path.write_bytes(b"\n".join(person.chart_at(custodian.ods).resources))
        for chart in NdjsonFiles([path]).charts():
            assert not isinstance(chart, FhirRejected), "the population is well formed"
            file_chart(node, chart)
    here, there = (enrol.match(each, person.nhs_number, person.birth_date) for each in (made.hospital, made.practice))
    assert here is not None, "she was filed"
    assert there is not None, "there as well"
    return here, there
