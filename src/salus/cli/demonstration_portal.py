"""The demo's portal: at the hospital, for five of the invented people, who sign in by a password of this demo.

It answers on `http://localhost`, which browsers treat as they treat TLS, passkeys included; the page in which patients'
keys open is at another name of this machine.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from salus.api.exchange.serve import listen, uvicorn_config
from salus.api.fhir.serve import running
from salus.cli.demonstration_places import CHAIN, free_ports
from salus.contracts.provisions import RoleClass
from salus.contracts.residuals import SESSION_S_MAX
from salus.node import config
from salus.node.assemble import Node
from salus.node.listen_settings import FhirListen, PortalListen
from salus.node.people import certify_person
from salus.node.services import enrol
from salus.node.services.accounts import AccountId, Accounts
from salus.portal.signer import signer_page
from salus.portal.signer.app import signer_app
from salus.sdk.wallet import open_session
from salus.testing.population import HOSPITAL, PRACTICE, SyntheticPerson
from salus.testing.story import Stage

PASSWORD_BYTES = 9
TITLES = {RoleClass.CLINICAL: "Consultant", RoleClass.OFFICER: "Caldicott guardian"}


@dataclass(frozen=True)
class DemoPortal:
    """Where people find it, and the page in which patients' keys open."""

    origin: str
    port: int
    signer: str
    signer_port: int

    @contextmanager
    def signing(self) -> Iterator[None]:
        """Serve the page in which keys open until the block ends."""
        page = signer_app(signer_page(portal=self.origin, chain=CHAIN))
        with listen("127.0.0.1", self.signer_port) as listener:
            config = uvicorn_config(page, date_header=True, certificate="", key="")
            with running(config, listener, name="signer"):
                yield


def prepare(node: Path, *, trust: Path) -> DemoPortal:
    """Let a node serve a portal, and FHIR beside it, from its next start on; return the portal."""
    fhir_port, port, signer_port = free_ports(3)
    made = DemoPortal(f"http://localhost:{port}", port, f"http://keys.localhost:{signer_port}", signer_port)
    fhir = FhirListen(f"https://localhost:{fhir_port}/FHIR/R4", port=fhir_port)
    config.change_node(
        node, fhir=fhir, portal=PortalListen(made.origin, port=port, signer=made.signer, trust=str(trust))
    )
    return made


@dataclass(frozen=True)
class LetIn:
    """Who may sign in: the password of all of them, a line for each, and the patient for whom custodians sign."""

    password: str = field(repr=False)
    lines: list[str]
    other: SyntheticPerson


def let_in(node: Node, stage: Stage, everybody: Iterable[SyntheticPerson]) -> LetIn:
    """Make the accounts: the patient's of the story, for whom her own wallet certifies a session, and four more."""
    assert stage.wallet is not None, "the story began with a wallet"
    told, mine = stage.person, stage.at(node)
    accounts, password = Accounts.of(node), secrets.token_urlsafe(PASSWORD_BYTES)
    lines = []

    def add(name: str, who: str, account: AccountId) -> None:
        accounts.set_password(account, signs_in_as=name, password=password)
        lines.append(f"  {name:<10} {who}")

    own = accounts.add_patient(mine.pseudonym, name=full_name(told))
    accounts.bring_session(own, *open_session(stage.wallet, mine, time_s=node.clock(), duration_s=SESSION_S_MAX))
    add(told.given[0].lower(), f"{full_name(told)}, the patient of the story; her own device holds her key", own)
    other = max(everybody, key=lambda each: _known(each, told))
    pseudonym = enrol.match(node, other.nhs_number, other.birth_date)
    assert pseudonym is not None, "everybody with a chart was filed"
    account = accounts.add_patient(pseudonym, name=full_name(other))
    add(other.given[0].lower(), f"{full_name(other)}, another patient; the hospital signs for them", account)
    for name, who, role_class in (
        ("patel", "Dr Sam Patel", RoleClass.CLINICAL),
        ("okoro", "Sam Okoro", RoleClass.OFFICER),
    ):
        role = TITLES[role_class]
        person = certify_person(node, name=who, role=role, registration="invented", role_class=role_class)
        add(name, f"{who}, {role}", accounts.add_staff(person, role_class, name=who))
    add("operator", "who keeps the hospital's node running", accounts.add_operator(name="Operator"))
    return LetIn(password, lines, other)


def _known(person: SyntheticPerson, told: SyntheticPerson) -> tuple[bool, int]:
    """By how much there is to see of somebody: at both custodians, and at the hospital."""
    charts = [person.chart_at(each.ods) for each in (HOSPITAL, PRACTICE)]
    number = len(charts[0].resources) if charts[0] is not None else 0
    return all(charts) and person.given[0] != told.given[0], number


def full_name(person: SyntheticPerson) -> str:
    """Return what somebody is called."""
    return f"{person.given[0]} {person.family}"
