"""Take-over codes: no member and no device gets a key over but by the code that its own patient has (U3, P3)."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from salus.contracts import patients
from salus.contracts.patients import Holder, Relationship, TakeOverKey
from salus.contracts.residuals import reason
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, OrganisationId, Pseudonym, PublicKey
from salus.ledger.transactions import Message
from salus.node.answer import answer
from salus.node.assemble import Node
from salus.node.exchange import Answer, Done, RefusedAnswer, TakeOverAsk, TakeOverOffer, TakeOverSigned
from salus.node.services import take_over_codes
from salus.node.services.enrol import custodian_held_key, enrol
from salus.node.services.take_over_codes import NOTHING, make
from salus.testing.clock import SECOND_NS, ForwardClock
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, World, world
from tests.attacks.attackers import OUTSIDER

pytestmark = pytest.mark.promise("U3")
BORN = "1980-02-29"
WHY = "taken over by the patient"
DEVICE = OrganisationId("")


@dataclass
class Scene:
    """Ann and Bob at the hospital in assisted mode; Ann's device is at the practice."""

    made: World
    clock: ForwardClock
    hospital: Node
    ann: Pseudonym
    bob: Pseudonym
    device: SigningKey = field(repr=False)

    @property
    def now_s(self) -> int:
        return self.clock.wall_ns() // SECOND_NS

    @property
    def held(self) -> SigningKey:
        """The key that the hospital holds for Ann."""
        return custodian_held_key(self.hospital, self.ann)

    def ask(self, code: str, sender: OrganisationId = PRACTICE) -> Answer:
        return answer(self.hospital, sender, TakeOverAsk(code))

    def signed(self, code: str, **changed: object) -> TakeOverSigned:
        """What Ann's device signs at the practice; an attack changes one thing."""
        asked = self.offered(code)
        residual = changed.pop("residual", None) or reason(WHY, new_key())
        assert isinstance(residual, CommittedFields)
        message = TakeOverKey(self.ann, PublicKey(self.device.public), Digest(b""), residual.root())
        known = {name: changed.pop(name) for name in ("pseudonym", "key", "recovery_key") if name in changed}
        message = msgspec.structs.replace(message, **known)
        body = self.body([message], asked.key, **changed)
        return TakeOverSigned(code, body, transactions.sign_body(body, self.device), residual)

    def body(self, messages: list[Message], present: bytes, **changed: object) -> bytes:
        fields = {
            "chain": self.made.genesis.chain,
            "signers": (PublicKey(present), PublicKey(self.device.public)),
            "expires_at_s": self.now_s + 300,
            "nonce": secrets.token_bytes(16),
        }
        return transactions.unsigned(messages, **(fields | changed))  # type: ignore[arg-type]

    def offered(self, code: str) -> TakeOverOffer:
        came = self.ask(code)
        assert isinstance(came, TakeOverOffer)
        return came

    def send(self, signed: TakeOverSigned, sender: OrganisationId = PRACTICE) -> Answer:
        return answer(self.hospital, sender, signed)

    def relationship(self) -> Relationship:
        with self.made.engine.snapshot() as reader:
            return patients.require_relationship(reader, self.ann)

    def kept(self) -> object:
        """All that must not have changed."""
        with self.made.engine.snapshot() as reader:
            rows = [patients.require_relationship(reader, each) for each in (self.ann, self.bob)]
        records = [self.hospital.vault.records(each) for each in self.hospital.vault.relationships()]
        return rows, self.made.engine.status().height, records


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Scene]:
    clock = ForwardClock()
    with world(tmp_path, organisations=(HOSPITAL, PRACTICE, OUTSIDER), clock=clock) as made:
        hospital = made.open_node(HOSPITAL, clock=lambda: clock.wall_ns() // SECOND_NS)
        ann, bob = (enrol(hospital, kept_nhs_number(place), BORN) for place in (1, 2))
        make(hospital, bob)  # the secret of a node's interfaces is there
        yield Scene(made, clock, hospital, ann, bob, SigningKey.generate())


def test_a_code_hands_one_relationship_over_once_whatever_is_lost(on: Scene) -> None:
    code = make(on.hospital, on.ann)
    assert on.offered(code) == TakeOverOffer(on.ann, on.held.public), "spaces and small letters are as good"
    assert on.offered(f" {code[:8].lower()}-{code[8:]}") == on.offered(code)
    signed = on.signed(code)
    assert on.send(signed) == Done(0)
    row = on.relationship()
    assert (row.holder, row.key) == (Holder.PATIENT, on.device.public)
    assert on.send(signed) == Done(0), "the answer was lost"
    assert on.offered(code) == NOTHING
    assert on.relationship() == row


def test_a_newer_code_ends_the_older_one_and_a_week_ends_both(on: Scene) -> None:
    older, newer = make(on.hospital, on.ann), make(on.hospital, on.ann)
    assert on.offered(older) == NOTHING
    assert on.offered(newer).pseudonym == on.ann
    signed = on.signed(newer)
    on.clock.advance(take_over_codes.CODE_S)
    assert on.offered(newer) == NOTHING
    assert isinstance(on.send(signed), RefusedAnswer)
