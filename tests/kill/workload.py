"""What runs until it is killed: a ledger process, and a process with two nodes that work on it.

The nodes deposit, choose, request, release and anchor in threads, as servers do, and write down each fact as soon as
it was acknowledged. What fails because the other process was killed is tried again later, as a node's callers would.
"""

import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts import consent
from salus.contracts.consent import Choice
from salus.contracts.membership import KeyUse
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.crypto.hashing import sha256
from salus.engines import process
from salus.engines.base import SUBMIT_TIMEOUT_S, Engine, ProvedRow, SealedHeight, Snapshot, Status, Unavailable
from salus.engines.client import LedgerClient
from salus.engines.embedded import EmbeddedEngine
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym
from salus.ledger.outcomes import NOT_A_TRANSACTION, TransactionResult
from salus.ledger.proofs import ProvedRows
from salus.ledger.transactions import transaction_hash
from salus.node import config
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, Ask, PartAsk, PartOffer, Slots, StreamAsk
from salus.node.keys import read_keys
from salus.node.local_peers import LocalPeers
from salus.node.opening import founding, open_node
from salus.node.people import OpenSession, certify_person, open_session
from salus.node.services import choices, deposit, enrol
from salus.node.services.anchor import anchor
from salus.node.services.match import match
from salus.node.services.receive import keep_copy, receive
from salus.node.services.request import Granted, Wish, request
from salus.testing.population.numbers import numbered
from salus.testing.world import HOSPITAL, PRACTICE
from salus.vault.errors import Unavailable as VaultUnavailable
from tests.kill.acknowledged import Committed, Deposited, Failed, Offered, Opened, SlotsSent, Writer

LEDGER = "ledger"
NODES = "nodes"
ALL = "ledger and nodes"
PEOPLE = 12
PSY = "http://terminology.hl7.org/CodeSystem/v3-ActCode|PSY"
TREES = (
    Provision(type=ProvisionType.PERMIT, organisations=(PRACTICE,)),
    Provision(
        type=ProvisionType.PERMIT,
        organisations=(PRACTICE,),
        purposes=(Purpose.TREAT,),
        provisions=(Provision(type=ProvisionType.DENY, labels=(PSY,)),),
    ),
    Provision(type=ProvisionType.DENY, purposes=(Purpose.HRESCH,)),
)
PAUSE_S = 0.02
NEVER_REFUSED = frozenset({Refusal.RULES_MISSING, Refusal.RECEIPT_UNFIT, Refusal.BYTES_UNFIT, Refusal.MESSAGE_UNFIT})
"""No kill may lead to one of these: both ends are honest, and rules are kept before they are filed."""


def run(role: str, network: Path, facts: Path, seed: int) -> None:
    """Do one process's part until it is killed."""
    if role == LEDGER:
        engine = open_engine(network)
        process.run(engine, ledger_socket(network))
        return
    writer = Writer(facts)
    with ExitStack() as stack:
        engine = open_engine(network) if role == ALL else open_client(network)
        nodes = open_nodes(network, Recording(engine, writer), stack)
        Workload(nodes, writer, seed).run()


def open_engine(network: Path) -> EmbeddedEngine:
    """Open the ledger in this process; signatures are checked in its threads, so that no other process is left."""
    settings = config.read_ledger(network / "ledger")
    genesis = config.read_genesis(Path(settings.genesis))
    key = read_keys(Path(settings.keys)).signing(KeyUse.CONSENSUS)
    return EmbeddedEngine(Path(settings.folder), founding(genesis), key)


def open_client(network: Path, *, reconnect_s: float = 0.3) -> LedgerClient:
    """Connect to the ledger process."""
    settings = config.read_ledger(network / "ledger")
    chain = config.read_genesis(Path(settings.genesis)).chain
    return LedgerClient(Path(settings.socket), Path(settings.folder), chain=chain, reconnect_s=reconnect_s)


def ledger_socket(network: Path) -> Path:
    """Where the ledger process listens."""
    return Path(config.read_ledger(network / "ledger").socket)


def open_nodes(network: Path, engine: Engine, stack: ExitStack) -> dict[OrganisationId, Node]:
    """Open both nodes until the stack is closed."""
    return {
        code: stack.enter_context(open_node(network / code.lower(), engine=engine)) for code in (HOSPITAL, PRACTICE)
    }


class Recording:
    """An engine that writes down each answer to a transaction."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    def submit(self, raw: bytes, *, timeout_s: float = SUBMIT_TIMEOUT_S) -> TransactionResult:
        """Submit, and write down what came back."""
        return self.submit_many([raw], timeout_s=timeout_s)[0]

    def submit_many(self, raws: Sequence[bytes], *, timeout_s: float = SUBMIT_TIMEOUT_S) -> list[TransactionResult]:
        """Submit, and write down what came back."""
        results = self._engine.submit_many(raws, timeout_s=timeout_s)
        for raw, result in zip(raws, results, strict=True):
            if result.code != NOT_A_TRANSACTION:
                self._writer(Committed(transaction_hash(raw), result.code, sha256(b"".join(result.leaves))))
        return results

    def wait_for(self, height: int, *, timeout_s: float = 2.0) -> int:
        """See `Engine`."""
        return self._engine.wait_for(height, timeout_s=timeout_s)

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """See `Engine`."""
        return self._engine.snapshot()

    def status(self) -> Status:
        """See `Engine`."""
        return self._engine.status()

    def signed_header(self, height: int) -> SealedHeight | None:
        """See `Engine`."""
        return self._engine.signed_header(height)

    def prove_row(self, key: bytes, *, timeout_s: float = 2.0) -> ProvedRow:
        """See `Engine`."""
        return self._engine.prove_row(key, timeout_s=timeout_s)

    def prove_many(self, keys: Sequence[bytes], *, timeout_s: float = 2.0) -> ProvedRows:
        """See `Engine`."""
        return self._engine.prove_many(keys, timeout_s=timeout_s)


class WatchedPeers:
    """Peers that write down what left the custodian, before the requester has it."""

    def __init__(self, peers: LocalPeers, writer: Writer) -> None:
        self._peers = peers
        self._writer = writer

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        """Ask, and write down an offer or slots."""
        answer = self._peers.ask(organisation, ask)
        if isinstance(answer, PartOffer):
            self._writer(Offered(answer.statement.permit, answer.statement.part))
        elif isinstance(answer, Slots):
            assert not isinstance(ask, PartAsk)
            self._writer(SlotsSent(ask.permit, ask.part))  # type: ignore[union-attr]
        return answer

    def stream(self, organisation: OrganisationId, ask: StreamAsk) -> Iterator[bytes]:
        """Receive sealed segments of a part that was offered."""
        return self._peers.stream(organisation, ask)


@dataclass(frozen=True)
class Step:
    """Something that a thread does again and again."""

    weight: int
    work: Callable[[Random], None]


class Workload:
    """Two nodes at work in four threads."""

    def __init__(self, nodes: dict[OrganisationId, Node], writer: Writer, seed: int) -> None:
        self._hospital, self._practice = nodes[HOSPITAL], nodes[PRACTICE]
        self._peers = WatchedPeers(LocalPeers(PRACTICE, nodes), writer)
        self._writer = writer
        self._chance = Random(seed)
        self._people = [number for serial in range(1, 2 * PEOPLE) for number in numbered(serial)][:PEOPLE]
        self._finished: set[PermitId] = set()

    def run(self) -> None:
        """Work until killed; ends early only when something happened that no kill explains."""
        threads = [
            threading.Thread(target=self._repeat, args=(Random(self._chance.random()), work), daemon=True)
            for work in (self._keep_up, self._file, self._file, self._share, self._share)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _repeat(self, chance: Random, work: Callable[[Random], None]) -> None:
        while True:
            try:
                work(chance)
            except (NotNow, Unavailable, VaultUnavailable):
                time.sleep(PAUSE_S)
            except Refused as refused:
                if refused.refusal in NEVER_REFUSED:
                    self._writer(Failed(f"{refused.refusal.name}: {refused.words}"))
                    return
            except BaseException:
                self._writer(Failed(traceback.format_exc()))
                raise

    def _keep_up(self, chance: Random) -> None:
        """What a node's upkeep does, more often."""
        enrol.finish_enrolments(self._hospital)
        deposit.redrive(self._hospital, age_s=chance.choice((0, 1)))
        closing = frozenset(self._finished) if chance.random() < 0.3 else frozenset()
        for node in (self._hospital, self._practice):
            anchor(node, close=closing)
        time.sleep(chance.uniform(0.0, 4 * PAUSE_S))

    def _file(self, chance: Random) -> None:
        """A custodian's day: somebody comes, records are filed, choices are made."""
        number = chance.choice(self._people)
        pseudonym = enrol.find(self._hospital, number) or self._enrol(number)
        with self._hospital.engine.snapshot() as reader:
            filed = consent.choices(reader, pseudonym).choices
        if not filed or chance.random() < 0.2:
            self._choose(chance, pseudonym, filed)
        self._deposit(chance, pseudonym)

    def _enrol(self, number: NhsNumber) -> Pseudonym:
        return enrol.enrol(self._hospital, number, "1980-02-29")

    def _deposit(self, chance: Random, pseudonym: Pseudonym) -> None:
        resources = [parse(_resource(chance)) for _ in range(chance.randrange(1, 6))]
        filed = deposit.deposit(self._hospital, pseudonym, resources)
        for each, resource in zip(filed, resources, strict=True):
            self._writer(Deposited(pseudonym, each.record, each.version, sha256(resource.body)))

    def _choose(self, chance: Random, pseudonym: Pseudonym, filed: Sequence[Choice]) -> None:
        if filed and chance.random() < 0.4:
            choices.withdraw_by_custodian(self._hospital, pseudonym, chance.choice(filed).choice)
        elif len(filed) < 6:
            choices.file_by_custodian(self._hospital, pseudonym, chance.choice(TREES))

    def _share(self, chance: Random) -> None:
        """A clinician at the other organisation asks for somebody's records, several times in one session."""
        session = self._session()
        for _ in range(5):
            number = chance.choice(self._people)
            pseudonym = match(self._practice, self._peers, HOSPITAL, session, number, date_of_birth="1980-02-29")
            if pseudonym is not None:
                self._fetch(session, pseudonym)

    def _session(self) -> OpenSession:
        doctor = certify_person(self._practice, name="Dr J", role="GP", registration="", role_class=RoleClass.CLINICAL)
        return open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=self._practice.clock())

    def _fetch(self, session: OpenSession, pseudonym: Pseudonym) -> None:
        granted = request(self._practice, session, Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT))
        if not isinstance(granted, Granted):
            return
        for received in receive(self._practice, self._peers, granted):
            entry = received.placed.entry
            self._writer(Opened(entry.record, entry.version, sha256(received.content)))
            keep_copy(self._practice, granted, received)
        self._finished.add(granted.permit)


def _resource(chance: Random) -> bytes:
    size_bytes = chance.choice((20, 20, 500, 100_000))  # the last is an object in the folder, the others rows
    content: dict[str, object] = {
        "resourceType": "Observation",
        "id": f"o{chance.randrange(12)}",
        "status": "final",
        "note": [{"text": chance.randbytes(size_bytes // 2).hex() if chance.random() < 0.7 else "again"}],
    }
    if chance.random() < 0.2:
        system, code = PSY.split("|")
        content["meta"] = {"security": [{"system": system, "code": code}]}
    return json.dumps(content).encode()
