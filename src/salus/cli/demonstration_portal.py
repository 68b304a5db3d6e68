"""The demo's portal: at the hospital, for five of the invented people, who sign in by a password of this demo.

It answers on `http://localhost`, which browsers treat as they treat TLS, passkeys included.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from salus.cli.demonstration_places import free_ports
from salus.contracts.provisions import RoleClass
from salus.contracts.residuals import SESSION_S_MAX
from salus.node import config
from salus.node.assemble import Node
from salus.node.listen_settings import FhirListen, PortalListen
from salus.node.people import certify_person
from salus.node.services import enrol
from salus.node.services.accounts import AccountId, Accounts
from salus.sdk.wallet import open_session
from salus.testing.population import HOSPITAL, PRACTICE, SyntheticPerson
from salus.testing.story import Stage

PASSWORD_BYTES = 9
TITLES = {RoleClass.CLINICAL: "Consultant", RoleClass.OFFICER: "Caldicott guardian"}


@dataclass(frozen=True)
class DemoPortal:
    """Where people find it, and how those who were let in sign in."""

    origin: str
    password: str
    names: tuple[tuple[str, str], ...]

    def lines(self) -> list[str]:
        """Return what to tell whoever watches."""
        rows = [f"  {name:<10} {who}" for name, who in self.names]
        return ["", f"The hospital's portal: {self.origin}, for each of these with the password {self.password}", *rows]


def prepare(node: Path, *, trust: Path) -> str:
    """Let a node serve a portal, and FHIR beside it, from its next start on; return the portal's address."""
    fhir_port, port = free_ports(2)
    fhir = FhirListen(f"https://localhost:{fhir_port}/FHIR/R4", port=fhir_port)
    origin = f"http://localhost:{port}"
    portal = PortalListen(origin, port=port, service_name="My health record", trust=str(trust))
    config.change_node(node, fhir=fhir, portal=portal)
    return origin


def let_in(node: Node, origin: str, stage: Stage, everybody: Iterable[SyntheticPerson]) -> DemoPortal:
    """Make the accounts: the patient's of the story, for whom her own wallet certifies a session, and four more."""
    assert stage.wallet is not None, "the story began with a wallet"
    told, mine = stage.person, stage.at(node)
    accounts, password = Accounts.of(node), secrets.token_urlsafe(PASSWORD_BYTES)
    names = []

    def add(name: str, who: str, account: AccountId) -> None:
        accounts.set_password(account, signs_in_as=name, password=password)
        names.append((name, who))

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
    return DemoPortal(origin, password, tuple(names))


def _known(person: SyntheticPerson, told: SyntheticPerson) -> tuple[bool, int]:
    """By how much there is to see of somebody: at both custodians, and at the hospital."""
    charts = [person.chart_at(each.ods) for each in (HOSPITAL, PRACTICE)]
    number = len(charts[0].resources) if charts[0] is not None else 0
    return all(charts) and person.given[0] != told.given[0], number


def full_name(person: SyntheticPerson) -> str:
    """Return what somebody is called."""
    return f"{person.given[0]} {person.family}"
