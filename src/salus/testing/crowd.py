"""A world with people in it: the synthetic population at its four custodians, with charts, choices and releases.

For whoever judges a scan or an adversary: beside the world it keeps the truth that the ledger must not show, namely
who is behind which pseudonym.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from salus.clinical.fhir.resources import parse
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.node.config import PersonLimits
from salus.node.people import Person, certify_person, open_session
from salus.node.services.anchor import anchor
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.match import match
from salus.node.services.receive import receive
from salus.node.services.request import Granted, Wish, request
from salus.testing.population import CUSTODIANS, SyntheticPerson, people
from salus.testing.world import World, world

MEMBERS = tuple(OrganisationId(custodian.ods) for custodian in CUSTODIANS)
SENSITIVE_LABELS = tuple(f"http://terminology.hl7.org/CodeSystem/v3-ActCode|{code}" for code in ("ETH", "HIV", "PSY"))
WITHDRAWS_EVERY = 5
"""One in so many of those who chose to share takes the choice back."""


TIRELESS = PersonLimits(sessions_max=1_000_000)
"""One clinician of each member sees everybody, in minutes."""


@dataclass(frozen=True)
class Inhabitant:
    """A person, with the pseudonym of each custodian that keeps records of them."""

    person: SyntheticPerson = field(repr=False)
    pseudonyms: dict[OrganisationId, Pseudonym]


@dataclass(frozen=True)
class Crowd:
    """A world, who lives in it, and one clinician of each member."""

    world: World
    inhabitants: list[Inhabitant]
    clinicians: dict[OrganisationId, Person] = field(repr=False)


@contextmanager
def crowd(folder: Path, *, seed: int, count: int) -> Iterator[Crowd]:
    """Start a world of four custodians and let so many people of a seed live in it; it ends with the block."""
    with world(folder, organisations=MEMBERS, person_limits=TIRELESS) as made:
        settled = settle(made, people(seed, count))
        live(settled)
        yield settled


def settle(made: World, everybody: Iterable[SyntheticPerson]) -> Crowd:
    """Enrol people at each custodian that knows them, and deposit their charts there."""
    inhabitants = [_settled(made, person) for person in everybody]
    clinicians = {
        organisation: certify_person(
            node, name=f"Dr {organisation}", role="Doctor", registration="9999999", role_class=RoleClass.CLINICAL
        )
        for organisation, node in made.nodes.items()
    }
    return Crowd(made, inhabitants, clinicians)


def live(crowd: Crowd) -> None:
    """Let everybody with two custodians be seen at one of them: refused, then shared, released, some withdrawn."""
    for number, inhabitant in enumerate(each for each in crowd.inhabitants if len(each.pseudonyms) > 1):
        for requester, custodian in pairwise(inhabitant.pseudonyms):
            see(crowd, inhabitant, requester=requester, custodian=custodian, withdraws=number % WITHDRAWS_EVERY == 0)
    for node in crowd.world.nodes.values():
        anchor(node)


def see(
    crowd: Crowd, seen: Inhabitant, *, requester: OrganisationId, custodian: OrganisationId, withdraws: bool = False
) -> int:
    """Let a requester ask before and after the person chose to share; return how many records crossed."""
    pseudonym = seen.pseudonyms[custodian]
    asking, holding = crowd.world.nodes[requester], crowd.world.nodes[custodian]
    doctor, peers = crowd.clinicians[requester], crowd.world.peers(requester)
    session = open_session(doctor.key, doctor.certificate, custodian=custodian, from_s=asking.clock())
    found = match(asking, peers, custodian, session, seen.person.nhs_number, date_of_birth=seen.person.birth_date)
    assert found == pseudonym, "a person who is enrolled is found"
    wish = Wish(pseudonym, custodian, RoleClass.CLINICAL, Purpose.TREAT, justification=f"seen at {requester}")
    request(asking, session, wish)
    choice = file_by_custodian(holding, pseudonym, all_but_sensitive(requester))
    granted = request(asking, session, wish)
    assert isinstance(granted, Granted), "a choice that permits is obeyed"
    crossed = sum(1 for _ in receive(asking, peers, granted))
    if withdraws:
        withdraw_by_custodian(holding, pseudonym, choice)
    return crossed


def all_but_sensitive(requester: OrganisationId) -> Provision:
    """Everything to one organisation's clinicians for treatment, except what carries a sensitive label."""
    return Provision(
        type=ProvisionType.PERMIT,
        organisations=(requester,),
        role_classes=(RoleClass.CLINICAL,),
        purposes=(Purpose.TREAT,),
        provisions=(Provision(type=ProvisionType.DENY, labels=SENSITIVE_LABELS),),
    )


def _settled(made: World, person: SyntheticPerson) -> Inhabitant:
    pseudonyms = {}
    for chart in person.charts:
        organisation = OrganisationId(chart.custodian.ods)
        node = made.nodes[organisation]
        pseudonym = enrol(node, person.nhs_number, person.birth_date)
        deposit(node, pseudonym, [parse(body) for body in chart.resources])
        pseudonyms[organisation] = pseudonym
    return Inhabitant(person, pseudonyms)
