"""A small world for tests: a few organisations on one real embedded ledger, each with a real vault in a folder.

Part of the shipped test kit: integrators start it beside their own code. The ledger runs in this process; nothing here
is a fake but the people.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from salus.contracts import CONTRACTS
from salus.contracts.genesis import DEFAULT_NETWORK, FirstPolicy, FirstValidator, Founder, Genesis, check, genesis_rows
from salus.contracts.membership import KeyUse, LedgerAccess
from salus.contracts.provisions import RoleClass
from salus.engines.base import Engine, Founding
from salus.engines.clock import Clock
from salus.engines.embedded import EmbeddedEngine
from salus.ledger.identifiers import OrganisationId, PublicKey
from salus.node.assemble import Node
from salus.node.config import PERSON_LIMITS, PersonLimits
from salus.node.journal import Journal, State
from salus.node.keys import OrganisationKeys, generate
from salus.node.line_keys import LineKeys
from salus.node.local_peers import LocalPeers
from salus.vault.database import Database
from salus.vault.drivers.folder import Folder
from salus.vault.root_files import RootFiles
from salus.vault.vault import Vault

CHAIN = "salus-test"
HOSPITAL = OrganisationId("RVJ")
PRACTICE = OrganisationId("A81001")
STAFF = (RoleClass.CLINICAL, RoleClass.ADMINISTRATIVE, RoleClass.PATIENT_SIDE, RoleClass.OFFICER, RoleClass.SYSTEM)


@dataclass
class World:
    """Organisations on one ledger."""

    folder: Path
    genesis: Genesis
    engine: Engine
    keys: dict[OrganisationId, OrganisationKeys]
    nodes: dict[OrganisationId, Node] = field(default_factory=dict)
    person_limits: PersonLimits = PERSON_LIMITS
    has_index: bool = False

    @property
    def hospital(self) -> Node:
        """The node of the first organisation."""
        return self.nodes[HOSPITAL]

    @property
    def practice(self) -> Node:
        """The node of the second organisation."""
        return self.nodes[PRACTICE]

    def peers(self, organisation: OrganisationId) -> LocalPeers:
        """What one organisation reaches the others by."""
        return LocalPeers(organisation, self.nodes)

    def open_node(self, organisation: OrganisationId, *, clock: Callable[[], int] | None = None) -> Node:
        """Open one more worker of an organisation's node, and make it the one that answers."""
        place = self.folder / organisation.lower()
        place.mkdir(exist_ok=True)
        now = clock or unix_now_s
        vault = open_vault(place, now)
        line_keys = LineKeys(vault, self.genesis.chain)
        node = Node(
            organisation=organisation,
            chain=self.genesis.chain,
            keys=self.keys[organisation],
            engine=self.engine,
            vault=vault,
            custodian_journal=Journal(place / "released", line_keys, unfinished=State.POSSIBLY_RELEASED, now_s=now()),
            requester_journal=Journal(place / "received", line_keys, unfinished=State.SLOT_MISSING, now_s=now()),
            clock=now,
            person_limits=self.person_limits,
            has_index=self.has_index,
        )
        self.nodes[organisation] = node
        return node


def unix_now_s() -> int:
    """Seconds since 1970 by the machine's clock."""
    return int(time.time())


def open_vault(place: Path, clock: Callable[[], int]) -> Vault:
    """Open a vault on SQLite and a folder."""
    return Vault(
        Database(f"sqlite:///{place}/node.db"),
        Folder(place / "objects"),
        RootFiles(place / "root-a" / "epoch.root", place / "root-b" / "epoch.root"),
        clock=clock,
    )


def make_genesis(
    keys: dict[OrganisationId, OrganisationKeys],
    *,
    policies: Sequence[FirstPolicy] = (),
    chain: str = CHAIN,
    names: Mapping[OrganisationId, str] = MappingProxyType({}),
    endpoints: Mapping[OrganisationId, str] = MappingProxyType({}),
) -> Genesis:
    """Return a genesis in which the first organisation signs the blocks."""
    first = next(iter(keys))
    genesis = Genesis(
        format=1,
        chain=chain,
        time_s=unix_now_s() - 60,
        network=DEFAULT_NETWORK,
        founders=tuple(
            Founder(
                organisation=organisation,
                name=names.get(organisation, f"Organisation {organisation}"),
                role_classes=STAFF,
                access=LedgerAccess.VALIDATOR,
                endpoint=endpoints.get(organisation, ""),
                keys=own.registered(),
            )
            for organisation, own in keys.items()
        ),
        policies=tuple(policies),
        validators=(FirstValidator(first, PublicKey(keys[first].signing(KeyUse.CONSENSUS).public), 1),),
    )
    check(genesis)
    return genesis


@contextmanager
def world(
    folder: Path,
    *,
    organisations: Sequence[OrganisationId] = (HOSPITAL, PRACTICE),
    policies: Sequence[FirstPolicy] = (),
    person_limits: PersonLimits = PERSON_LIMITS,
    has_index: bool = False,
    names: Mapping[OrganisationId, str] = MappingProxyType({}),
    endpoints: Mapping[OrganisationId, str] = MappingProxyType({}),
    clock: Clock | None = None,
) -> Iterator[World]:
    """Start a ledger and one node for each organisation; everything ends with the block.

    Args:
        names: what people call organisations; one that is not among them is called by its id.
        endpoints: where those answer who serve their exchange.
        has_index: whether the nodes index what is deposited, as those with a FHIR server do.
        clock: of the ledger; None for the machine's.
    """
    keys = {organisation: generate() for organisation in organisations}
    genesis = make_genesis(keys, policies=policies, names=names, endpoints=endpoints)
    consensus = keys[organisations[0]].signing(KeyUse.CONSENSUS)
    founding = Founding(
        chain=genesis.chain, contracts=CONTRACTS, time_s=genesis.time_s, rows=tuple(genesis_rows(genesis))
    )
    with ExitStack() as stack:
        engine = EmbeddedEngine(folder / "ledger", founding, consensus, clock=clock)
        stack.callback(engine.close)
        made = World(folder, genesis, engine, keys, person_limits=person_limits, has_index=has_index)
        for organisation in organisations:
            made.open_node(organisation)
        yield made
