"""Genesis: the document from which a network's first state comes, and its first rows.

Members, keys, certificates of the founders, policies and validators are in it; whoever has its hash can check all that
follows. Later changes come by vote, never by another genesis.
"""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts import membership, provisions
from salus.contracts.membership import KeyUse, LedgerAccess, Network
from salus.contracts.provisions import Provision, RoleClass
from salus.crypto.hashing import tagged
from salus.ledger.encoding import decoder, encode
from salus.ledger.identifiers import Digest, OrganisationId, OrganisationIdField, PublicKeyField, SecondsField
from salus.ledger.machine import FirstRow

GENESIS_TAG = "salus/genesis/1"
FORMAT = 1


class FounderKey(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A founder's key for one use."""

    use: KeyUse
    key: membership.KeyBytes


class Founder(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A member from the first block on. `endpoint` is the base URL of its node; `name` is shown to people."""

    organisation: OrganisationIdField
    name: Annotated[str, Meta(min_length=1, max_length=120)]
    role_classes: tuple[RoleClass, ...]
    access: LedgerAccess
    endpoint: Annotated[str, Meta(max_length=200)]
    keys: tuple[FounderKey, ...]


class FirstPolicy(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A policy in force from the first block on; `organisation` is empty for the network's."""

    organisation: str
    provisions: tuple[Provision, ...]


class Validator(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who signs blocks from the first one on, with which voting power."""

    organisation: OrganisationIdField
    key: PublicKeyField
    power: Annotated[int, Meta(ge=1, lt=1 << 31)]


class Genesis(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The first state of a network. Times in seconds."""

    format: int
    chain: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,49}\Z")]
    time_s: SecondsField
    network: Network
    founders: Annotated[tuple[Founder, ...], Meta(min_length=1, max_length=100)]
    policies: tuple[FirstPolicy, ...]
    validators: Annotated[tuple[Validator, ...], Meta(min_length=1, max_length=100)]


class GenesisInvalid(Exception):
    """A genesis document that cannot start a network; the message says what was expected."""


DEFAULT_NETWORK = Network(
    rules_version=1,
    permit_s_max=900,
    emergency_s_max=3600,
    unreviewed_per_session_max=3,
    unreviewed_per_organisation_max=50,
)

_GENESIS = decoder(Genesis)


def decode_genesis(data: bytes) -> Genesis:
    """Parse and check a genesis document. Raises EncodingInvalid or GenesisInvalid."""
    genesis: Genesis = _GENESIS.decode(data)
    check(genesis)
    return genesis


def genesis_hash(genesis: Genesis) -> Digest:
    """Return the hash that names a network once and for all."""
    return Digest(tagged(GENESIS_TAG, encode(genesis)))


def check(genesis: Genesis) -> None:
    """Raise GenesisInvalid unless members, keys, policies and validators fit together."""
    if genesis.format != FORMAT:
        raise GenesisInvalid(f"expected genesis format {FORMAT}, came {genesis.format}")
    members = [founder.organisation for founder in genesis.founders]
    if len(set(members)) != len(members):
        raise GenesisInvalid("expected each organisation once among the founders")
    _check_keys(genesis)
    for policy in genesis.policies:
        if policy.organisation and policy.organisation not in members:
            raise GenesisInvalid(f"expected a policy of a founder, came one of {policy.organisation}")
        for tree in policy.provisions:
            provisions.check(tree)
    if any(validator.organisation not in members for validator in genesis.validators):
        raise GenesisInvalid("expected validators of founders")


def _check_keys(genesis: Genesis) -> None:
    keys = [row.key for founder in genesis.founders for row in founder.keys]
    if len(set(keys)) != len(keys):
        raise GenesisInvalid("expected every key once: one key has one owner and one use")
    for founder in genesis.founders:
        uses = {row.use for row in founder.keys}
        if len(uses) != len(founder.keys) or KeyUse.TRANSACTION not in uses:
            raise GenesisInvalid(f"expected one key for each use of {founder.organisation}, one for transactions")
        for row in founder.keys:
            membership.check_key(row.use, row.key)


def genesis_rows(genesis: Genesis) -> Iterator[FirstRow]:
    """Yield (contract, table, key, value) of the first state, in the document's order."""
    contract = membership.CONTRACT
    yield contract, membership.NETWORK, membership.NETWORK_KEY, genesis.network
    for founder in genesis.founders:
        organisation = membership.Organisation(
            name=founder.name,
            role_classes=founder.role_classes,
            access=founder.access,
            endpoint=founder.endpoint,
            joined_at_s=genesis.time_s,
            suspended_until_s=0,
        )
        yield contract, membership.ORGANISATIONS, founder.organisation, organisation
        for row in founder.keys:
            yield contract, membership.KEYS, (founder.organisation, row.use), membership.Keys(row.key, ())
    for policy in genesis.policies:
        gates = tuple(provisions.gate(tree) for tree in policy.provisions)
        value = membership.Policy(version=1, provisions=policy.provisions, gates=gates)
        yield contract, membership.POLICIES, OrganisationId(policy.organisation), value
