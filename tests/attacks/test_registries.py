"""Published faults of registries: who is a member, a custodian or an administrator, and what that lets them do."""

import ast
import secrets
from dataclasses import dataclass
from pathlib import Path

import pytest

from salus.contracts import CONTRACTS, patients
from salus.contracts.consent import Rejection as ConsentRejection
from salus.contracts.consent import WithdrawConsent
from salus.contracts.genesis import genesis_rows
from salus.contracts.membership import (
    NO_POLICY,
    KeyUse,
    Propose,
    PublishFile,
    Remove,
    RevokeCertificate,
    RotateKey,
    SetPolicy,
    member,
    policy,
)
from salus.contracts.membership import Rejection as MembershipRejection
from salus.contracts.patients import AddKey, CloseRelationship, Enrol, Holder, KeyKind, RemoveKey, TakeOverKey
from salus.contracts.patients import Rejection as PatientRejection
from salus.contracts.provisions import Condition
from salus.contracts.records import EraseRelationship, RegisterBatch
from salus.contracts.tickets import IssueTicket, RevokeTicket, UseTicket
from salus.contracts.tickets import Rejection as TicketRejection
from salus.crypto.signing import SigningKey
from salus.engines.base import Founding, StartRefused
from salus.engines.embedded import EmbeddedEngine
from salus.ledger import contract, transactions
from salus.ledger.contract import SIGNATURE_MISSING, Context
from salus.ledger.identifiers import CertificateId, Digest, OrganisationId, Pseudonym, PublicKey
from salus.ledger.machine import Machine
from salus.ledger.outcomes import DENIED, DONE
from salus.ledger.transactions import Message
from salus.node.keys import generate
from salus.testing.memory_store import MemoryStore
from salus.testing.world import HOSPITAL, PRACTICE, make_genesis
from tests.attacks.attackers import CHART, OUTSIDER, Scene, digest, key_of, request_message, scene, submit, tree_root
from tools.source_tree import parse, python_files, shown


@pytest.mark.promise("L7", "R1")
def test_stranger_disables_a_custodian(on: Scene) -> None:
    """`setActive(custodian, false)` that anybody may call, and a hospital's patients are without records.

    Published of registries of providers with unprotected switches (CWE-306, SWC-105 in spirit). Strangers and another
    member try to take away the hospital's keys, certificates, patients and records.
    """
    doctor = on.people[HOSPITAL].certificate_id
    new = SigningKey.generate()
    root = tree_root(on)
    attempts: list[Message] = [
        RotateKey(HOSPITAL, KeyUse.TRANSACTION, new.public),
        RotateKey(HOSPITAL, KeyUse.HTTP, new.public),
        RevokeCertificate(HOSPITAL, doctor),
        PublishFile(HOSPITAL, "signer-page", digest()),
        CloseRelationship(on.pseudonym, digest()),
        EraseRelationship(on.pseudonym, HOSPITAL, digest()),
        RegisterBatch(on.pseudonym, HOSPITAL, digest(), 1),
    ]
    for message in attempts:
        for key in (new, key_of(on, OUTSIDER)):
            assert submit(on, [message], [key]).code == SIGNATURE_MISSING
    assert submit(on, [EraseRelationship(on.pseudonym, OUTSIDER, digest())], [key_of(on, OUTSIDER)]).code == (
        PatientRejection.NOT_THE_CUSTODIAN
    )
    assert tree_root(on) == root
    assert sorted(on.opened(on.granted())) == sorted(CHART)


@pytest.mark.promise("L4")
def test_removal_of_an_unknown_custodian_removes_another(on: Scene) -> None:
    """Swap with the last and shorten: the index of what is not there is 0, and the first entry is gone.

    A published fault of array bookkeeping in access lists. Everything that can be removed is asked for under a name
    that does not exist, by somebody who may; what exists stays.
    """
    devices = [SigningKey.generate() for _ in range(3)]
    for device in devices:
        added = AddKey(on.pseudonym, PublicKey(device.public), KeyKind.DEVICE, 0, digest())
        assert submit(on, [added], [on.key, device]).code == DONE
    bearer = SigningKey.generate()
    issued = IssueTicket(on.pseudonym, PublicKey(bearer.public), Condition(), 1, on.hospital.clock() + 600, digest())
    assert submit(on, [issued], [on.key, bearer]).code == DONE
    root, unknown = tree_root(on), SigningKey.generate()
    removals: list[tuple[Message, SigningKey, int]] = [
        (RemoveKey(on.pseudonym, PublicKey(unknown.public), digest()), on.key, PatientRejection.KEY_UNKNOWN),
        (
            WithdrawConsent(on.pseudonym, secrets.token_bytes(16), digest(), 0),
            on.key,
            ConsentRejection.CHOICE_UNKNOWN,
        ),
        (
            RevokeTicket(on.pseudonym, PublicKey(unknown.public), digest()),
            on.key,
            TicketRejection.TICKET_UNKNOWN,
        ),
        (
            RevokeCertificate(HOSPITAL, CertificateId(digest())),
            key_of(on, HOSPITAL),
            MembershipRejection.CERTIFICATE_UNKNOWN,
        ),
    ]
    assert [submit(on, [message], [key]).code for message, key, _ in removals] == [code for *_, code in removals]
    assert tree_root(on) == root
    last = RemoveKey(on.pseudonym, PublicKey(devices[2].public), digest())
    assert submit(on, [last], [on.key]).code == DONE
    with on.world.engine.snapshot() as reader:
        keys = patients.require_relationship(reader, on.pseudonym).keys
    assert [row.key for row in keys] == [device.public for device in devices[:2]]


@pytest.mark.promise("L2", "L7")
def test_re_initialised_contract_taken_over(tmp_path: Path) -> None:
    """Whoever calls the initialiser a second time owns the contract.

    Known from a wallet library of 2017 and as SWC-118. The attacker brings a genesis of its own to a folder that has a
    ledger, calls the machine's genesis again, and enrols what is enrolled: as custodian of Ann, with its own key.
    """
    with scene(tmp_path / "one") as on:
        machine = Machine(on.world.genesis.chain, CONTRACTS, Snapshot(on))
        with pytest.raises(AssertionError, match="once"):
            machine.genesis(time_s=0, rows=())
        root, thief = tree_root(on), SigningKey.generate()
        taken = Enrol(on.pseudonym, OUTSIDER, PublicKey(thief.public), Holder.PATIENT, Digest(b""), digest())
        assert submit(on, [taken], [key_of(on, OUTSIDER), thief]).code == PatientRejection.PSEUDONYM_KNOWN
        over = TakeOverKey(on.pseudonym, PublicKey(thief.public), Digest(b""), digest())
        assert submit(on, [over], [thief]).code == SIGNATURE_MISSING
        assert tree_root(on) == root
    keys = {OUTSIDER: generate()}
    genesis = make_genesis(keys)
    founding = Founding(chain=genesis.chain, contracts=CONTRACTS, time_s=0, rows=tuple(genesis_rows(genesis)))
    with pytest.raises(StartRefused):
        EmbeddedEngine(tmp_path / "one" / "ledger", founding, keys[OUTSIDER].signing(KeyUse.CONSENSUS))


class Snapshot:
    """A ledger's rows, as a machine reads them."""

    def __init__(self, on: Scene) -> None:
        self._on = on

    def get(self, space: str, key: bytes) -> bytes | None:
        with self._on.world.engine.snapshot() as reader:
            return reader.get(space, key)

    def items(self, space: str, *, start: bytes = b"") -> list[tuple[bytes, bytes]]:
        with self._on.world.engine.snapshot() as reader:
            return list(reader.items(space, start=start))


@pytest.mark.promise("L7")
def test_administrator_destroys_the_registry(on: Scene) -> None:
    """One key is the owner's, and the owner can delete everybody (SWC-106, and a library killed by its new owner).

    The hospital founded the network and signs its blocks. It has no message that removes a member, changes a policy or
    the network's row, deletes a history or overwrites another's published file: what changes members, policies and
    rules is a vote, and a vote of one carries nothing (L7).
    """
    written = writers_of("ORGANISATIONS", "POLICIES", "NETWORK", "VALIDATORS")
    assert {place.partition(":")[0] for place in written} == {
        f"src/salus/contracts/membership/{name}.py" for name in ("actions", "blocks")
    }
    assert len(writers_of("PERMITS")) >= 2, "the walk sees what is written"
    assert submit(on, [PublishFile(PRACTICE, "signer-page", digest())], [key_of(on, PRACTICE)]).code == DONE
    root = tree_root(on)
    for message in (
        PublishFile(PRACTICE, "signer-page", digest()),
        RotateKey(PRACTICE, KeyUse.TRANSACTION, SigningKey.generate().public),
        RotateKey(HOSPITAL, KeyUse.CONSENSUS, SigningKey.generate().public),
        RevokeCertificate(PRACTICE, on.people[PRACTICE].certificate_id),
        CloseRelationship(on.pseudonym, digest()),
        WithdrawConsent(on.pseudonym, on.choice, digest(), 1),
    ):
        assert submit(on, [message], [key_of(on, HOSPITAL)]).code > DENIED
    assert tree_root(on) == root
    for action in (Remove(PRACTICE), SetPolicy(OrganisationId(""), ())):
        asked = Propose(HOSPITAL, action, on.hospital.clock() + 3600)
        assert submit(on, [asked], [key_of(on, HOSPITAL)]).code == DONE, "anybody may propose"
    with on.world.engine.snapshot() as reader:
        assert member(reader, PRACTICE) is not None
        assert policy(reader) == NO_POLICY


def writers_of(*tables: str) -> set[str]:
    """The places in the contracts' code that write these tables."""
    return {
        f"{shown(path)}: {ast.unparse(node.func)}"
        for path in python_files("src/salus/contracts")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("put", "delete")
        if ast.unparse(node.func.value).rpartition(".")[2] in tables
    }


@dataclass
class Counted:
    """What the last transaction cost, in the machine's own steps."""

    steps: int = 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    cost = Counted()

    class Counting(Context):
        def step(self, count: int = 1) -> None:
            super().step(count)
            cost.steps = self.steps

    monkeypatch.setattr("salus.ledger.machine.Context", Counting)
    return cost


class Ledger:
    """A machine in memory with one patient of one custodian."""

    def __init__(self) -> None:
        self.keys = {HOSPITAL: generate(), PRACTICE: generate()}
        genesis = make_genesis(self.keys)
        self.chain, self.time_s, self.height = genesis.chain, genesis.time_s, 0
        self.store = MemoryStore()
        self.machine = Machine(self.chain, CONTRACTS, self.store)
        self.store.write(self.machine.genesis(time_s=self.time_s, rows=genesis_rows(genesis)).changes)
        self.patient, self.pseudonym = SigningKey.generate(), Pseudonym(secrets.token_bytes(16))
        enrolment = Enrol(
            self.pseudonym, HOSPITAL, PublicKey(self.patient.public), Holder.PATIENT, Digest(b""), digest()
        )
        self.run([enrolment], [self.member(HOSPITAL), self.patient])

    def member(self, organisation: OrganisationId) -> SigningKey:
        return self.keys[organisation].signing(KeyUse.TRANSACTION)

    def run(self, messages: list[Message], keys: list[SigningKey]) -> None:
        raw = transactions.sign(
            messages, chain=self.chain, keys=keys, expires_at_s=self.time_s + 60, nonce=secrets.token_bytes(16)
        )
        transaction = transactions.decode(raw, chain=self.chain, messages=self.machine.messages)
        self.height += 1
        executed = self.machine.execute(height=self.height, time_s=self.time_s, block_transactions=[transaction])
        self.store.write(executed.changes)
        assert executed.results[0].code == DONE, executed.results[0].reason

    def grant(self, count: int) -> list[SigningKey]:
        """Grant access to so many bearers."""
        bearers = [SigningKey.generate() for _ in range(count)]
        ends_at_s = self.time_s + 3600
        messages: list[Message] = [
            IssueTicket(self.pseudonym, PublicKey(each.public), Condition(), 9, ends_at_s, digest()) for each in bearers
        ]
        self.run(messages, [self.patient, *bearers])
        return bearers

    def use(self, bearer: SigningKey) -> None:
        """Ask with a granted ticket."""
        session = SigningKey.generate()
        asking = request_message(self.pseudonym, ticket=Digest(bearer.public), session=1)
        used = UseTicket(self.pseudonym, PublicKey(bearer.public), 1)
        self.run([used, asking], [bearer, session, self.member(PRACTICE)])


GRANTS = 10_000
TOGETHER = 15
"""A transaction has at most 16 signers: the patient and 15 new bearers."""


@pytest.mark.promise("L6")
def test_grant_cost_that_grows_with_the_number_of_grants(counted: Counted) -> None:
    """A loop over all grants at every grant, until none fits into a block any more.

    SWC-128, and published of access lists that are arrays. Steps are counted, not time: a grant, the use of the first
    and of the newest, and a request cost the same after 10,000 grants as after the first.
    """
    ledger = Ledger()
    first = ledger.grant(1)[0]
    alone = counted.steps
    ledger.use(first)
    use_alone = counted.steps
    newest = first
    for _ in range(GRANTS // TOGETHER):
        newest = ledger.grant(TOGETHER)[-1]
    ledger.grant(1)
    assert counted.steps == alone
    for bearer in (first, newest):
        ledger.use(bearer)
        assert counted.steps == use_alone
    assert alone < contract.STEPS_MAX // 100
