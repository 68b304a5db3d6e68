"""Where the story takes place, and what it has come to so far."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from salus.clinical.fhir import Resource
from salus.engines.base import Founding
from salus.ledger.bundles import HistoryBundle
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.ledger.verifier import TrustRoot
from salus.node.assemble import Node
from salus.node.exchange import Peers
from salus.node.people import OpenSession, Person, open_session
from salus.node.services.receive import Received
from salus.node.services.request import Granted
from salus.sdk.verified import VerifiedReceipt
from salus.sdk.wallet import Relationship, Wallet, relationship
from salus.testing.population import SyntheticPerson


class NotAsTold(Exception):
    """Something came out otherwise than Salus promises; the message says what was expected and what came."""


@dataclass(frozen=True)
class Told:
    """What a step has to say: in plain words, and as facts."""

    title: str
    lines: tuple[str, ...]
    facts: dict[str, object] = field(default_factory=dict)
    took_s: float = 0.0


@dataclass
class Stage:
    """Two nodes on one ledger, and one patient; steps write down here what later steps need.

    Args:
        folder: for files of the story: the exported receipt, a copy of the ledger.
        peers: how the practice reaches the hospital.
        peers_in_bad_weather: the same, with one byte flipped on the way; and where it was flipped.
        ledger_folder: the ledger's store.
        settle: returns once both ends have anchored what they know.
        began_s: monotonic time at which everything began.
    """

    folder: Path
    hospital: Node
    practice: Node
    peers: Peers
    peers_in_bad_weather: Sequence[tuple[str, Peers]]
    ledger_folder: Path
    founding: Founding
    trust: TrustRoot
    names: dict[OrganisationId, str]
    person: SyntheticPerson
    settle: Callable[["Stage"], None]
    began_s: float

    wallet: Wallet | None = None
    doctor: Person | None = None
    deposited: tuple[Resource, ...] = ()
    choice: bytes = b""
    granted: Granted | None = None
    received: list[Received] = field(default_factory=list)
    history: HistoryBundle | None = None
    receipt_file: Path | None = None
    receipt: VerifiedReceipt | None = None
    verified_after_s: float = 0.0

    def at(self, node: Node) -> Relationship:
        """The patient's relationship with a node's organisation."""
        assert self.wallet is not None, "the story begins with a wallet"
        return relationship(self.wallet, chain=node.chain, custodian=node.organisation)

    @property
    def pseudonym(self) -> Pseudonym:
        """The patient's pseudonym at the hospital."""
        return self.at(self.hospital).pseudonym

    def name(self, node: Node) -> str:
        """What a node's organisation is called."""
        return self.names[node.organisation]

    def session(self) -> OpenSession:
        """A fresh session of the practice's doctor for the hospital."""
        assert self.doctor is not None, "the doctor is certified in an earlier step"
        return open_session(
            self.doctor.key,
            self.doctor.certificate,
            custodian=self.hospital.organisation,
            from_s=self.practice.clock(),
        )


Step = Callable[[Stage], Told]


def tell(stage: Stage, steps: Sequence[Step]) -> Iterator[Told]:
    """Do each step and yield what it says, with the time that it took."""
    for step in steps:
        began_s = time.monotonic()
        told = step(stage)
        yield Told(told.title, told.lines, told.facts, took_s=time.monotonic() - began_s)


def require(holds: bool, expected: str, came: object = "otherwise") -> None:
    """Raise NotAsTold unless it holds."""
    if not holds:
        raise NotAsTold(f"expected {expected}, came {came}")
