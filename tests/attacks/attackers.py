"""The scene of the attacks, and what an attacker is armed with: modified clients and nodes, and all that is public."""

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts import consent
from salus.contracts.access import RequestAccess
from salus.contracts.consent import Choices, FileConsent
from salus.contracts.membership import KeyUse
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, Verb, gate
from salus.contracts.residuals import commit_choice
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.engines.clock import Clock
from salus.ledger import transactions
from salus.ledger.encoding import encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, OrganisationId, Pseudonym
from salus.ledger.machine import HISTORY, NO_HISTORY, read_meta
from salus.ledger.outcomes import TransactionResult
from salus.ledger.transactions import Message
from salus.node.answer import answer
from salus.node.assemble import Node
from salus.node.exchange import Delivery, Done, MatchAsk, PartAsk, Peers
from salus.node.people import OpenSession, Person, certify_person, open_session
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.receive import receive
from salus.node.services.request import Granted, Wish, request
from salus.testing.world import HOSPITAL, PRACTICE, World, world

OUTSIDER = OrganisationId("X99")
"""A member in good standing that nobody chose to share with: the attacker, as a rule."""
ANN = NhsNumber("9990000018")
BORN = "1980-02-29"
CHART = [
    json.dumps({"resourceType": kind, "id": f"{kind.lower()}-1", "status": "final"}).encode()
    for kind in ("Observation", "AllergyIntolerance", "Condition")
]
TO_THE_PRACTICE = Provision(
    type=ProvisionType.PERMIT,
    organisations=(PRACTICE,),
    role_classes=(RoleClass.CLINICAL,),
    purposes=(Purpose.TREAT,),
)


@dataclass(frozen=True)
class Scene:
    """Ann's records at the hospital, her own key, her choice to share with the practice, a doctor at each member."""

    world: World
    pseudonym: Pseudonym
    key: SigningKey = field(repr=False)
    choice: bytes
    people: dict[OrganisationId, Person] = field(repr=False)

    @property
    def hospital(self) -> Node:
        """Where the records are."""
        return self.world.nodes[HOSPITAL]

    @property
    def practice(self) -> Node:
        """Who may ask."""
        return self.world.nodes[PRACTICE]

    @property
    def outsider(self) -> Node:
        """Who may not."""
        return self.world.nodes[OUTSIDER]

    def session(self, organisation: OrganisationId, *, custodian: OrganisationId = HOSPITAL) -> OpenSession:
        """Open a session of the doctor at a member."""
        doctor = self.people[organisation]
        from_s = self.world.nodes[organisation].clock()
        return open_session(doctor.key, doctor.certificate, custodian=custodian, from_s=from_s)

    def wish(self, **changed: object) -> Wish:
        """What the practice's doctor asks for; an attack changes one thing."""
        asked = {"custodian": HOSPITAL, "role_class": RoleClass.CLINICAL, "purpose": Purpose.TREAT} | changed
        return Wish(self.pseudonym, **asked)  # type: ignore[arg-type]

    def granted(self, organisation: OrganisationId = PRACTICE) -> Granted:
        """Let a member get the permit that Ann's choice allows."""
        came = request(self.world.nodes[organisation], self.session(organisation), self.wish())
        assert isinstance(came, Granted), came
        return came

    def opened(self, granted: Granted, peers: Peers | None = None) -> list[bytes]:
        """Let the practice receive everything that a permit allows."""
        peers = peers or self.world.peers(PRACTICE)
        return [each.content for each in receive(self.practice, peers, granted)]


@contextmanager
def scene(folder: Path, *, clock: Clock | None = None) -> Iterator[Scene]:
    """Set the scene, with another clock of the ledger than the machine's if one is given; it ends with the block."""
    with world(folder, organisations=(HOSPITAL, PRACTICE, OUTSIDER), clock=clock) as made:
        key = SigningKey.generate()
        pseudonym = enrol(made.hospital, ANN, BORN, key=key)
        deposit(made.hospital, pseudonym, [parse(body) for body in CHART])
        doctors = {
            organisation: certify_person(
                node, name=f"Dr {organisation}", role="GP", registration="GMC 1234567", role_class=RoleClass.CLINICAL
            )
            for organisation, node in made.nodes.items()
        }
        ready = Scene(made, pseudonym, key, secrets.token_bytes(16), doctors)
        raw, residual = choice_by(ready, ready.key, TO_THE_PRACTICE, choice=ready.choice)
        deliver(ready, raw, residual)
        yield ready


def choice_by(on: Scene, key: SigningKey, tree: Provision, *, choice: bytes = b"") -> tuple[bytes, CommittedFields]:
    """Return a signed sharing choice for Ann's records, and its rules."""
    residual = commit_choice(tree, secret=new_key())
    message = FileConsent(
        pseudonym=on.pseudonym,
        choice=choice or secrets.token_bytes(16),
        gate=gate(tree),
        commitment=residual.root(),
        evidence_on_day=0,
    )
    return sign(on, [message], [key]), residual


def deliver(on: Scene, raw: bytes, residual: CommittedFields) -> None:
    """Hand a choice with its rules to the hospital, as a patient's device does."""
    came = answer(on.hospital, OrganisationId(""), Delivery(raw, residual))
    assert isinstance(came, Done), came


def sign(
    on: Scene,
    messages: Sequence[Message],
    keys: Sequence[SigningKey],
    *,
    chain: str = "",
    expires_in_s: int = 60,
) -> bytes:
    """Sign messages with whatever keys."""
    return transactions.sign(
        messages,
        chain=chain or on.world.genesis.chain,
        keys=keys,
        expires_at_s=on.hospital.clock() + expires_in_s,
        nonce=secrets.token_bytes(16),
    )


def submit(on: Scene, messages: Sequence[Message], keys: Sequence[SigningKey]) -> TransactionResult:
    """Submit messages to the ledger, past every node."""
    return on.world.engine.submit(sign(on, messages, keys))


def key_of(on: Scene, organisation: OrganisationId) -> SigningKey:
    """A member's transaction key: every member has its own, and only that."""
    return on.world.keys[organisation].signing(KeyUse.TRANSACTION)


def asked(on: Scene, **changed: object) -> RequestAccess:
    """The practice's request for Ann's records as a message; an attack changes one thing."""
    return request_message(on.pseudonym, **changed)


def request_message(pseudonym: Pseudonym, **changed: object) -> RequestAccess:
    """The practice's request for anybody's records at the hospital."""
    fields = {
        "pseudonym": pseudonym,
        "custodian": HOSPITAL,
        "requester": PRACTICE,
        "role_class": RoleClass.CLINICAL,
        "purpose": Purpose.TREAT,
        "verb": Verb.READ,
        "duration_s": 900,
        "session": 0,
        "reader_key": digest(),
        "ticket": Digest(b""),
        "residual": digest(),
    }
    return RequestAccess(**(fields | changed))  # type: ignore[arg-type]


def part_ask(granted: Granted, part: int = 1) -> PartAsk:
    """Ask for a part as the holder of a permit does."""
    return PartAsk(granted.permit, granted.height, part, granted.residual, granted.reader_key.public)


def match_ask(session: OpenSession, number: str = ANN.digits, born: str = BORN) -> MatchAsk:
    """Ask whether Ann, or somebody else, is known; nobody has signed it yet."""
    return MatchAsk(number, born, session.certified, session.certificate)


def digest() -> Digest:
    """32 random bytes where a commitment is due."""
    return Digest(secrets.token_bytes(32))


# What must not have changed


def tree_root(on: Scene) -> bytes:
    """The root of all proved tables: rights, choices, keys, histories."""
    with on.world.engine.snapshot() as reader:
        meta = read_meta(reader)
    assert meta is not None
    return bytes(meta.tree_root)


def event_count(on: Scene) -> int:
    """How many events Ann's history has."""
    with on.world.engine.snapshot() as reader:
        return (HISTORY.get(reader, on.pseudonym) or NO_HISTORY).count


def choices(on: Scene) -> Choices:
    """Ann's choices in force."""
    with on.world.engine.snapshot() as reader:
        return consent.choices(reader, on.pseudonym)


def altered(raw: bytes, **changed: object) -> bytes:
    """Change fields of a transaction's body and keep its signatures."""
    body_bytes, signatures = msgspec.msgpack.decode(raw)
    names = ("format", "chain", "signers", "expires_at_s", "nonce", "messages")
    body = dict(zip(names, msgspec.msgpack.decode(body_bytes), strict=True)) | changed
    return encode((encode(tuple(body[name] for name in names)), tuple(signatures)))
