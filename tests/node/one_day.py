"""One day of a hospital and a practice that share one patient, for the tests of what can go wrong in it."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from salus.clinical.fhir.resources import parse
from salus.contracts import CONTRACTS
from salus.contracts.access import AccessPermitted, ReleasesCommitted
from salus.contracts.evidence import permit_of
from salus.contracts.membership import KeyUse
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym
from salus.ledger.machine import history_positions, outcome_decoder, read_leaf
from salus.ledger.outcomes import decode_leaf
from salus.ledger.receipts import sign_as_requester
from salus.node.answer import answer
from salus.node.assemble import Node
from salus.node.exchange import (
    Answer,
    PartAccept,
    PartAsk,
    PartOffer,
)
from salus.node.local_peers import LocalPeers
from salus.node.people import Person, certify_person, open_session
from salus.node.services.choices import file_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.receive import receive
from salus.node.services.request import Granted, Wish, request
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, World, unix_now_s

BORN = "1980-02-29"
OUTCOMES = outcome_decoder(CONTRACTS)
SMALL = b'{"resourceType":"Observation","id":"o-1","status":"final"}'
LARGE = json.dumps({"resourceType": "Binary", "id": "b-1", "contentType": "x", "data": "A" * 6_000_000}).encode()
SHARED = Provision(type=ProvisionType.PERMIT, organisations=(PRACTICE,))


@dataclass
class Day:
    """Ann's records at the hospital, a doctor at the practice, and a choice that lets them meet."""

    world: World
    doctor: Person
    ann: Pseudonym
    choice: bytes

    @property
    def hospital(self) -> Node:
        return self.world.nodes[HOSPITAL]

    @property
    def practice(self) -> Node:
        return self.world.nodes[PRACTICE]

    def granted(self, doctor: Person | None = None) -> Granted:
        who, from_s = doctor or self.doctor, unix_now_s()
        session = open_session(who.key, who.certificate, custodian=HOSPITAL, from_s=from_s)
        wish = Wish(self.ann, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT)
        came = request(self.practice, session, wish)
        assert isinstance(came, Granted), came
        return came

    def receive(self, granted: Granted, peers: LocalPeers | None = None) -> list[bytes]:
        return sorted(each.content for each in receive(self.practice, peers or self.world.peers(PRACTICE), granted))

    def offer(self, granted: Granted) -> PartOffer:
        came = answer(self.hospital, PRACTICE, part_ask(granted))
        assert isinstance(came, PartOffer), came
        return came

    def accept(self, granted: Granted, offer: PartOffer) -> Answer:
        signature = sign_as_requester(offer.statement, self.practice.signing(KeyUse.RECEIPT))
        return answer(self.hospital, PRACTICE, PartAccept(granted.permit, 1, signature))

    def restart(self, organisation: OrganisationId, *, clock: Callable[[], int] | None = None) -> Node:
        """What is left of a worker that died is its files; another one starts on them."""
        node = self.world.nodes[organisation]
        node.custodian_journal.close()
        node.requester_journal.close()
        return self.world.open_node(organisation, clock=clock)

    def trail(self, permit: bytes) -> list[ReleasesCommitted]:
        with self.world.engine.snapshot() as reader:
            leaves = [read_leaf(reader, at) or b"" for at in history_positions(reader, self.ann)]
        outcomes = [OUTCOMES.decode(decode_leaf(leaf).data) for leaf in leaves]
        return [each for each in outcomes if isinstance(each, ReleasesCommitted) and each.permit == permit]


def part_ask(granted: Granted) -> PartAsk:
    return PartAsk(granted.permit, granted.height, 1, granted.residual, granted.reader_key.public)


def stage(made: World, *bodies: bytes) -> Day:
    ann = enrol(made.hospital, kept_nhs_number(0), BORN)
    deposit(made.hospital, ann, [parse(body) for body in bodies])
    choice = file_by_custodian(made.hospital, ann, SHARED)
    doctor = certify_person(
        made.practice, name="Dr Jones", role="GP", registration="GMC 1", role_class=RoleClass.CLINICAL
    )
    return Day(made, doctor, ann, choice)


def permits(day: Day) -> list[PermitId]:
    """Every permit that Ann's history has."""
    with day.world.engine.snapshot() as reader:
        leaves = [decode_leaf(read_leaf(reader, at) or b"") for at in history_positions(reader, day.ann)]
    return [permit_of(leaf) for leaf in leaves if isinstance(OUTCOMES.decode(leaf.data), AccessPermitted)]
