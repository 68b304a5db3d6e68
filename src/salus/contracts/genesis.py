"""Genesis: the document from which a network's first state comes, and its first rows.

Members, keys, certificates of the founders, policies and validators are in it; whoever has its hash can check all that
follows. Later changes come by vote, never by another genesis.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts import membership, provisions
from salus.contracts.membership import KeyUse, LedgerAccess, Network
from salus.contracts.provisions import Provision, RoleClass
from salus.crypto.hashing import tagged
from salus.ledger.contract import Rejected
from salus.ledger.encoding import Decoder, decoder, encode
from salus.ledger.identifiers import (
    CountField,
    Digest,
    DigestField,
    OrganisationId,
    OrganisationIdField,
    PublicKeyField,
    SecondsField,
)
from salus.ledger.machine import FirstRow

GENESIS_TAG = "salus/genesis/1"
FORMAT = 1
ADOPTING_FORMAT = 2
"""Of a network that goes on with the tables and the log of a ledger of one key."""
ADOPTING_VALIDATORS_MIN = 2

FounderKey = membership.MemberKey
"""A founder is a member from the first block on."""


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


class FirstValidator(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who signs blocks from the first one on, with its registered consensus key and which voting power."""

    organisation: OrganisationIdField
    key: PublicKeyField
    power: Annotated[int, Meta(ge=1, lt=1 << 31)]


class Genesis(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The first state of a network. Times in seconds; the first is not 0, so that 0 can stand for never in rows."""

    format: int
    chain: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,49}\Z")]
    time_s: Annotated[int, Meta(ge=1, lt=1 << 40)]
    network: Network
    founders: Annotated[tuple[Founder, ...], Meta(min_length=1, max_length=100)]
    policies: tuple[FirstPolicy, ...]
    validators: Annotated[tuple[FirstValidator, ...], Meta(min_length=1, max_length=100)]


class AdoptedLedger(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where the ledger stood that a network goes on with. Its chain id is the network's.

    Args:
        genesis_hash: names the document that it began with.
        height: of its last block; the network's first block has the next one.
        time_s: of that block, seconds since 1970.
        log_size: how many leaves its log had, under `log_root`.
        tree_root: of the proved tables.
    """

    genesis_hash: DigestField
    height: Annotated[int, Meta(ge=1, lt=1 << 62)]
    time_s: SecondsField
    tree_root: DigestField
    log_size: CountField
    log_root: DigestField


class AdoptingGenesis(Genesis, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The first state of a network that goes on with another ledger's tables and log; all founders sign its hash."""

    adopted: AdoptedLedger


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
_ADOPTING = decoder(AdoptingGenesis)
_FIELDS = msgspec.msgpack.Decoder(tuple[msgspec.Raw, ...])


def decode_genesis(data: bytes) -> Genesis:
    """Parse and check a genesis document. Raises EncodingInvalid or GenesisInvalid."""
    genesis: Genesis = _decoder_of(data).decode(data)
    check(genesis)
    return genesis


def _decoder_of(data: bytes) -> Decoder:
    try:
        return _ADOPTING if len(_FIELDS.decode(data)) == len(AdoptingGenesis.__struct_fields__) else _GENESIS
    except msgspec.DecodeError:
        return _GENESIS  # which says what is wrong


def genesis_hash(genesis: Genesis) -> Digest:
    """Return the hash that names a network once and for all."""
    return Digest(tagged(GENESIS_TAG, encode(genesis)))


def check(genesis: Genesis) -> None:
    """Raise GenesisInvalid unless members, keys, policies and validators fit together.

    1. `format` is 1, or 2 in a document with `adopted`; organisations are founders once, and the role classes of each
       are sorted and each once.
    2. No key stands twice in the document; each founder has at most one key for a use, and one for TRANSACTION; every
       key is fit for its use (see RotateKey).
    3. An organisation has at most one policy, and is a founder; the network has at most one. Every tree is valid
       (provisions); the gates of a policy have at most 2,000 steps together.
    4. An organisation is a validator once, with the CONSENSUS key that it has as a founder.
    5. A document with `adopted` has two validators at least, no policies, and a time that is not before the last block.
    """
    expected = ADOPTING_FORMAT if isinstance(genesis, AdoptingGenesis) else FORMAT
    if genesis.format != expected:
        raise GenesisInvalid(f"expected genesis format {expected}, came {genesis.format}")
    _check_once("organisation among the founders", [founder.organisation for founder in genesis.founders])
    for founder in genesis.founders:
        if founder.role_classes != provisions.as_set(founder.role_classes):
            raise GenesisInvalid(f"expected the role classes of {founder.organisation} sorted and each once")
    _check_keys(genesis)
    _check_policies(genesis)
    _check_validators(genesis)
    if isinstance(genesis, AdoptingGenesis):
        _check_adopted(genesis)


def _check_adopted(genesis: AdoptingGenesis) -> None:
    if len(genesis.validators) < ADOPTING_VALIDATORS_MIN:
        raise GenesisInvalid("expected two validators at least, who go on with a ledger of one key: name more")
    if genesis.policies:
        raise GenesisInvalid("expected no policies beside those of the ledger that goes on: members vote on them")
    if genesis.time_s < genesis.adopted.time_s:
        raise GenesisInvalid("expected a time after the last block of the ledger that goes on: check the clocks")


def _check_keys(genesis: Genesis) -> None:
    _check_once("key, which has one owner and one use", [row.key for each in genesis.founders for row in each.keys])
    for founder in genesis.founders:
        uses = [row.use for row in founder.keys]
        _check_once(f"use among the keys of {founder.organisation}", uses)
        if KeyUse.TRANSACTION not in uses:
            raise GenesisInvalid(f"expected a key for transactions of {founder.organisation}")
        for row in founder.keys:
            try:
                membership.check_key(row.use, row.key)
            except Rejected as error:
                raise GenesisInvalid(f"{row.use.name} key of {founder.organisation}: {error}") from error


def _check_policies(genesis: Genesis) -> None:
    members = {founder.organisation for founder in genesis.founders}
    _check_once("policy of an organisation, or of the network", [policy.organisation for policy in genesis.policies])
    for policy in genesis.policies:
        if policy.organisation and policy.organisation not in members:
            raise GenesisInvalid(f"expected a policy of a founder, came one of {policy.organisation}")
        try:
            membership.check_policy(policy.provisions)
        except Rejected as error:
            raise GenesisInvalid(f"policy of {policy.organisation or 'the network'}: {error}") from error


def _check_validators(genesis: Genesis) -> None:
    _check_once("organisation among the validators", [validator.organisation for validator in genesis.validators])
    registered = {
        (founder.organisation, row.key)
        for founder in genesis.founders
        for row in founder.keys
        if row.use is KeyUse.CONSENSUS
    }
    for validator in genesis.validators:
        if (validator.organisation, validator.key) not in registered:
            raise GenesisInvalid(f"expected the consensus key that {validator.organisation} registers as a founder")


def _check_once(what: str, values: Sequence[object]) -> None:
    if len(set(values)) != len(values):
        raise GenesisInvalid(f"expected once each {what}")


def genesis_rows(genesis: Genesis) -> Iterator[FirstRow]:
    """Yield (contract, table, key, value) of the first state of a network that adopts nothing.

    1. `membership.network` at key 0: `network`.
    2. For each founder: `membership.organisations`, joined at `time_s`, not suspended; then for each of its keys
       `membership.keys`, none retired, and `membership.owners`.
    3. For each validator: `membership.validators`.
    4. For each policy: `membership.policies`, version 1, with the gate of each tree.
    """
    contract = membership.CONTRACT
    yield contract, membership.NETWORK, membership.NETWORK_KEY, genesis.network
    for founder in genesis.founders:
        yield from founder_rows(founder, joined_at_s=genesis.time_s)
    for validator in genesis.validators:
        seat = membership.Validator(validator.key, validator.power)
        yield contract, membership.VALIDATORS, validator.organisation, seat
    for policy in genesis.policies:
        gates = tuple(provisions.gate(tree) for tree in policy.provisions)
        value = membership.Policy(version=1, provisions=policy.provisions, gates=gates)
        yield contract, membership.POLICIES, OrganisationId(policy.organisation), value


def founder_rows(founder: Founder, *, joined_at_s: int) -> Iterator[FirstRow]:
    """Yield the rows of one founder, and of its keys."""
    contract = membership.CONTRACT
    organisation = membership.Organisation(
        name=founder.name,
        role_classes=founder.role_classes,
        access=founder.access,
        endpoint=founder.endpoint,
        joined_at_s=joined_at_s,
        suspended_until_s=0,
    )
    yield contract, membership.ORGANISATIONS, founder.organisation, organisation
    for row in founder.keys:
        yield contract, membership.KEYS, (founder.organisation, row.use), membership.Keys(row.key, ())
        owner = membership.Owner(founder.organisation, row.use)
        yield contract, membership.OWNERS, membership.key_hash(row.key), owner
