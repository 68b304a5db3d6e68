"""Who plays: keys, members, policies and a genesis document, all from a seed.

Keys come from one pool for all seeds, so that what is costly to know about a key is found out once in a process.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Final

import msgspec

from salus.contracts import CONTRACTS, membership
from salus.contracts.genesis import (
    FirstPolicy,
    FirstValidator,
    Founder,
    FounderKey,
    Genesis,
    decode_genesis,
    genesis_rows,
)
from salus.contracts.membership import KeyUse, LedgerAccess, Network
from salus.contracts.provisions import Provision, RoleClass
from salus.contracts.provisions import decode_tree as decode_provision
from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.engines.base import Founding
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId, PublicKey
from salus.ledger.machine import FirstRow
from salus.testing.auditor import Auditor
from salus.testing.auditor.canonical import encode as encode_plain
from salus.testing.auditor.view import Rows, row_key

CHAIN: Final = "salus-simulator"
BEGIN_S: Final = 1_772_355_600
"""2026-03-01 09:00 UTC."""
CODES: Final = ("RX1", "A81001", "FX001", "IN001", "RI001", "PT001")
STRANGER: Final = "ZZ999"
ROLES: Final = ((1, 3, 7, 8), (1, 3, 4, 7), (2, 3), (5,), (6,), (1, 2, 3, 4, 5, 6, 7, 8))
CODING: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
LABELS: Final = tuple(f"{CODING}|{code}" for code in ("HIV", "PSY", "SDV"))
"""As records carry them."""
HEAVY: Final = 0.1
"""How often the policies of a network are as long as they may be, so that some transactions exhaust their steps."""
SUSPENDED_S_MAX: Final = 3 * 86_400
LAST_DAY: Final = 2_932_896
ANY_PERIOD: Final = (-62_135_596_800, 253_402_300_799)


@cache
def pool_key(number: int) -> SigningKey:
    """Return one of the keys of the pool."""
    return SigningKey.from_seed(sha256(f"salus simulator key {number}".encode()))


class KeyRing:
    """The keys of one run: new ones in the pool's order, known ones by their public half."""

    def __init__(self) -> None:
        self._count = 0
        self._known: dict[bytes, SigningKey] = {}

    def new(self) -> SigningKey:
        """Return a key that nobody has yet."""
        key = pool_key(self._count)
        self._count += 1
        self._known[key.public] = key
        return key

    def of(self, public: bytes) -> SigningKey:
        """Return the key of a public half; another one when nobody knows it, which then cannot sign for it."""
        return self._known.get(public) or pool_key(0)

    def any(self, chance: Random) -> SigningKey:
        """Return some known key."""
        return pool_key(chance.randrange(self._count))


@dataclass(frozen=True)
class Cast:
    """A network before its first block.

    Args:
        suspended_until_s: members that are suspended at first.
    """

    genesis: Genesis
    keys: KeyRing
    suspended_until_s: dict[str, int]

    def founding(self) -> Founding:
        """Return what an engine starts from."""
        return Founding(
            CHAIN,
            CONTRACTS,
            self.genesis.time_s,
            tuple(self._amended(row) for row in genesis_rows(self.genesis)),
            membership.next_rules_version,
        )

    def auditor(self) -> Auditor:
        """Return an auditor of this network."""
        return Auditor(encode(self.genesis), amend=self._amend)

    def consensus_key(self) -> SigningKey:
        """Return the key that signs blocks."""
        return self.keys.of(self.genesis.validators[0].key)

    def _amended(self, row: FirstRow) -> FirstRow:
        contract, table, key, value = row
        if table is membership.ORGANISATIONS and key in self.suspended_until_s:
            value = msgspec.structs.replace(value, suspended_until_s=self.suspended_until_s[key])
        return contract, table, key, value

    def _amend(self, rows: Rows) -> None:
        for code, until_s in self.suspended_until_s.items():
            rows[row_key("membership.organisations", code)][5] = until_s


def make_cast(chance: Random, *, begin_s: int = BEGIN_S) -> Cast:
    """Make a network."""
    keys = KeyRing()
    founders = tuple(_founder(code, roles, keys) for code, roles in zip(CODES, ROLES, strict=True))
    consensus = next(each.key for each in founders[0].keys if each.use is KeyUse.CONSENSUS)
    who = [code for code in ("", *CODES[:2]) if chance.random() < 0.5]
    is_heavy = chance.random() < HEAVY
    policies = tuple(FirstPolicy(code, tuple(_policy_trees(chance, is_heavy=is_heavy))) for code in who)
    network = Network(
        rules_version=1,
        permit_s_max=chance.choice((900, 3600)),
        emergency_s_max=chance.choice((600, 3600)),
        unreviewed_per_session_max=chance.choice((1, 3)),
        unreviewed_per_organisation_max=chance.choice((4, 50)),
    )
    validator = FirstValidator(OrganisationId(CODES[0]), PublicKey(consensus), 10)
    genesis = Genesis(1, CHAIN, begin_s, network, founders, policies, (validator,))
    suspended = {code: begin_s + chance.randrange(SUSPENDED_S_MAX) for code in CODES[2:] if chance.random() < 0.12}
    return Cast(decode_genesis(encode(genesis)), keys, suspended)


def policy_tree(chance: Random) -> Provision:
    """Return a policy that forbids and permits little."""
    return decode_provision(encode_plain(plain_tree(chance, depth=2, is_wide=chance.random() < 0.3)))


def _policy_trees(chance: Random, *, is_heavy: bool) -> Iterator[Provision]:
    yield policy_tree(chance)
    if chance.random() < 0.5:  # a plain no to one purpose
        no = _plain(0, [], exceptions=[])
        yield decode_provision(encode_plain([*no[:3], [chance.choice((1, 2, 3, 6))], *no[4:]]))
    if is_heavy:
        yield from (_long_tree() for _ in range(6))


def _long_tree() -> Provision:
    """A tree that concerns strangers only and has a long gate."""
    strangers = [f"{STRANGER[:2]}{number:03}" for number in range(15)]
    denials = [_plain(0, [code], exceptions=[_plain(1, [], verbs=[verb]) for verb in (1, 2, 3)]) for code in strangers]
    return decode_provision(encode_plain(_plain(1, strangers, exceptions=denials)))


def _plain(
    kind: int, organisations: list[str], *, verbs: Sequence[int] = (), exceptions: Sequence[list[Any]] = ()
) -> list[Any]:
    return [kind, organisations, [], [], list(verbs), 0, LAST_DAY, *ANY_PERIOD, [], [], [], [], [], list(exceptions)]


def plain_tree(chance: Random, *, depth: int = 3, is_wide: bool = True, codes: Sequence[str] = CODES) -> list[Any]:
    """Return a random provision tree as the auditor has it.

    Args:
        is_wide: most criteria are empty, so that much is permitted or denied.
        codes: of the organisations that it may name.
    """
    some = 0.25 if is_wide else 0.6
    first, last = sorted((chance.randrange(20_000, 21_500), chance.randrange(20_000, 21_500)))
    has_days = chance.random() < some / 2
    exceptions = (
        [plain_tree(chance, depth=depth - 1, codes=codes) for _ in range(chance.choice((0, 0, 1, 2)))] if depth else []
    )
    return [
        int(chance.random() < 0.6),
        _some_of(chance, codes, some),
        _some_of(chance, range(1, 9), some),
        _some_of(chance, range(1, 9), some),
        _some_of(chance, range(1, 5), some / 2),
        first if has_days else 0,
        last if has_days else LAST_DAY,
        *ANY_PERIOD,
        _some_of(chance, LABELS, some),
        _some_of(chance, ("Composition", "Observation"), some / 2),
        [],
        [],
        [],
        exceptions,
    ]


def _some_of(chance: Random, values: Any, probability: float) -> list[Any]:
    if chance.random() >= probability:
        return []
    return sorted(chance.sample(list(values), chance.randrange(1, 3)))


def _founder(code: str, roles: tuple[int, ...], keys: KeyRing) -> Founder:
    uses = [KeyUse.TRANSACTION, KeyUse.HTTP] + ([KeyUse.CONSENSUS] if code == CODES[0] else [])
    return Founder(
        OrganisationId(code),
        f"Organisation {code}",
        tuple(map(RoleClass, roles)),
        LedgerAccess.VALIDATOR if code == CODES[0] else LedgerAccess.OBSERVER,
        f"https://{code.lower()}.example",
        tuple(FounderKey(use, keys.new().public) for use in uses),
    )
