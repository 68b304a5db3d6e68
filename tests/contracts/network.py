"""The network of the scenario tables: names stand for keys, pseudonyms and organisations; a ledger in memory runs it.

Every key follows from its name, so a table that names a key twice means the same key.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Protocol

import msgspec

from salus.contracts import CONTRACTS, membership
from salus.contracts.genesis import (
    DEFAULT_NETWORK,
    FirstPolicy,
    FirstValidator,
    Founder,
    FounderKey,
    Genesis,
    genesis_rows,
)
from salus.contracts.membership import KeyUse, LedgerAccess, Network
from salus.contracts.provisions import Provision, RoleClass
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.ledger.machine import FirstRow, Machine
from salus.ledger.outcomes import TransactionResult
from salus.ledger.state import Reader
from salus.testing.memory_store import MemoryStore

CHAIN = "salus-tables"
BEGIN_S = 1_772_355_600
"""2026-03-01 09:00 UTC."""

MEMBERS = {
    "hospital": ("RX1", (RoleClass.CLINICAL, RoleClass.ADMINISTRATIVE, RoleClass.OFFICER, RoleClass.SYSTEM)),
    "practice": ("A81001", (RoleClass.CLINICAL, RoleClass.ADMINISTRATIVE, RoleClass.OFFICER)),
    "pharmacy": ("FX001", (RoleClass.PHARMACY,)),
    "insurer": ("IN001", (RoleClass.INSURER,)),
    "institute": ("RI001", (RoleClass.RESEARCH,)),
    "portal": ("PT001", (RoleClass.PATIENT_SIDE,)),
}
STRANGERS = {"stranger": "ZZ999", "dentist": "DE001"}

SMALL_ORDER_KEY = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa")
KEYS_THAT_ARE_NONE = {"a-small-order-key": SMALL_ORDER_KEY, "another-small-order-key": bytes(32)}


@cache
def key(name: str) -> SigningKey:
    """The signing key of a name; an organisation's name is its transaction key, `hospital/http` its key for a use."""
    owner, _, use = name.partition("/")
    return SigningKey.from_seed(digest(f"key {owner}/{use or 'transaction'}" if owner in MEMBERS else f"key {name}"))


def public(name: str) -> bytes:
    """The public key of a name."""
    return KEYS_THAT_ARE_NONE[name] if name in KEYS_THAT_ARE_NONE else key(name).public


def digest(name: str) -> bytes:
    """32 bytes that stand for a name: a commitment, a root, a hash."""
    return sha256(f"salus tables: {name}".encode()).digest()


def pseudonym(name: str) -> Pseudonym:
    """The pseudonym of a patient."""
    return Pseudonym(digest(f"patient {name}")[:16])


def organisation(name: str) -> OrganisationId:
    """The code of a member, or of one who is none."""
    return OrganisationId(MEMBERS[name][0] if name in MEMBERS else STRANGERS[name])


@dataclass
class Given:
    """What is different from the plain network before a table begins. Times in seconds after its begin."""

    policies: dict[str, Provision] = field(default_factory=dict)
    suspended_until_s: dict[str, int] = field(default_factory=dict)
    network: Network = DEFAULT_NETWORK


def genesis(given: Given) -> Genesis:
    """The genesis document of a table."""
    return Genesis(
        format=1,
        chain=CHAIN,
        time_s=BEGIN_S,
        network=given.network,
        founders=tuple(_founder(name) for name in MEMBERS),
        policies=tuple(
            FirstPolicy(organisation(name) if name else "", (tree,)) for name, tree in given.policies.items()
        ),
        validators=(FirstValidator(organisation("hospital"), key("hospital/consensus").public, 10),),
    )


def first_rows(given: Given) -> list[FirstRow]:
    """The first rows of a table's ledger: those of its genesis, with suspensions that later issues vote on."""
    rows = []
    for contract, table, place, value in genesis_rows(genesis(given)):
        for name, until_s in given.suspended_until_s.items():
            if table is membership.ORGANISATIONS and place == organisation(name):
                value = msgspec.structs.replace(value, suspended_until_s=BEGIN_S + until_s)
        rows.append((contract, table, place, value))
    return rows


def _founder(name: str) -> Founder:
    code, role_classes = MEMBERS[name]
    uses = [KeyUse.TRANSACTION, KeyUse.HTTP] + ([KeyUse.CONSENSUS] if name == "hospital" else [])
    keys = tuple(FounderKey(use, key(f"{name}/{use.name.lower()}").public) for use in uses)
    return Founder(
        OrganisationId(code), name.title(), role_classes, LedgerAccess.OBSERVER, f"https://{name}.example", keys
    )


class Ledger(Protocol):
    """What runs a table: an engine, or a machine in memory."""

    def reader(self) -> Reader:
        """Rows as of now."""

    def submit(self, raws: Sequence[bytes]) -> tuple[TransactionResult, ...]:
        """Put transactions into one block; return their results in order."""

    def later(self, seconds: int) -> None:
        """Let time pass."""

    @property
    def time_s(self) -> int:
        """The time that the next block will have, seconds."""


class MemoryLedger:
    """A machine over a store in memory, one block for each submission."""

    def __init__(self, rows: Iterable[FirstRow]) -> None:
        self.store = MemoryStore()
        self.machine = Machine(CHAIN, CONTRACTS, self.store)
        self._time_s = BEGIN_S
        self.store.write(self.machine.genesis(time_s=BEGIN_S, rows=rows).changes)

    @property
    def time_s(self) -> int:
        """The time that the next block will have, seconds."""
        return self._time_s

    def reader(self) -> Reader:
        """Rows as of now."""
        return self.store

    def submit(self, raws: Sequence[bytes]) -> tuple[TransactionResult, ...]:
        """Execute one block of these transactions."""
        assert self.machine.meta is not None
        block = [self.machine.admit_verified(raw, time_s=self._time_s) for raw in raws]
        height = self.machine.meta.height + 1
        executed = self.machine.execute(height=height, time_s=self._time_s, block_transactions=block)
        self.store.write(executed.changes)
        return executed.results

    def later(self, seconds: int) -> None:
        """Let time pass."""
        self._time_s += seconds
