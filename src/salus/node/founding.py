"""Found a network on one machine: genesis, keys, a folder for the ledger process and one for each node, the trust file.

    NETWORK/  network.toml  genesis  trust.json  ledger/  CODE/ …

Each organisation's folder holds its keys (0600) and nothing of another's. What is made is made whole: it is written
beside and moved into place. A founded network is never founded again over what is there.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from salus.contracts.genesis import (
    DEFAULT_NETWORK,
    FirstPolicy,
    FirstValidator,
    Founder,
    Genesis,
    GenesisInvalid,
    decode_genesis,
    genesis_hash,
)
from salus.contracts.membership import KeyUse, LedgerAccess
from salus.contracts.provisions import Provision, RoleClass, as_set
from salus.engines.unix_sockets import PATH_SIZE_BYTES_MAX
from salus.ledger.encoding import EncodingInvalid, encode
from salus.ledger.identifiers import OrganisationId, PublicKey
from salus.ledger.verifier import trust
from salus.node.config import (
    LEDGER_FILE,
    NETWORK_FILE,
    NODE_FILE,
    LedgerSettings,
    NetworkSettings,
    NodeSettings,
    SettingsUnfit,
    ledger_toml,
    network_toml,
    node_toml,
)
from salus.node.keys import OrganisationKeys, generate, write_keys
from salus.node.listen_settings import Listen

GENESIS: Final = "genesis"
TRUST: Final = "trust.json"
KEYS: Final = "organisation.keys"
LEDGER: Final = "ledger"
SOCKET: Final = "ledger.sock"
KEY_BACKUP: Final = "key-backup"
OWN_STAFF: Final = (RoleClass.ADMINISTRATIVE, RoleClass.PATIENT_SIDE, RoleClass.OFFICER, RoleClass.SYSTEM)

ROLE_CLASSES: Final = {
    "hospital": (RoleClass.CLINICAL, RoleClass.PHARMACY, *OWN_STAFF),
    "practice": (RoleClass.CLINICAL, RoleClass.PHARMACY, *OWN_STAFF),
    "pharmacy": (RoleClass.PHARMACY, *OWN_STAFF),
    "insurer": (RoleClass.INSURER, *OWN_STAFF),
    "research": (RoleClass.RESEARCH, *OWN_STAFF),
    "record-company": OWN_STAFF,
}
"""In which capacities the people of each kind of organisation may ask."""
OWN_PROOFS_ONLY: Final = frozenset({"insurer", "research"})
"""Kinds that hold only proofs of what they signed or what names them (DESIGN §5)."""


@dataclass(frozen=True)
class Member:
    """A member to be.

    Args:
        kind: one of `ROLE_CLASSES`.
        port: where its node listens on this machine.
        endpoint: base URL under which others reach it; empty means this machine and port.
        policy: rules of its own, beside the network's.
    """

    organisation: OrganisationId
    kind: str
    name: str
    port: int
    endpoint: str = ""
    policy: tuple[Provision, ...] = ()


@dataclass(frozen=True)
class Founded:
    """A network that was made: its genesis and where things are."""

    genesis: Genesis
    trust_root: trust.TrustRoot
    folder: Path
    nodes: dict[OrganisationId, Path]


def found(
    folder: Path,
    members: Sequence[Member],
    *,
    chain: str,
    time_s: int,
    policy: Sequence[Provision] = (),
    socket: Path | None = None,
) -> Founded:
    """Make a network's folder; the first member's key signs the blocks.

    Args:
        folder: absent or empty.
        chain: names the network: lower case, digits, hyphens.
        time_s: when it begins, seconds since 1970.
        policy: the network's own first rules.
        socket: of the ledger process; None puts it into the folder.

    Raises:
        SettingsUnfit: the folder is in use, or the socket's path is too long for this system.
        GenesisInvalid: members, keys and policies do not fit together.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SettingsUnfit(f"expected a new or an empty folder, {folder} has files in it: name another")
    where = socket or folder.absolute() / SOCKET
    if len(str(where)) > PATH_SIZE_BYTES_MAX:
        raise SettingsUnfit(f"the socket {where} has a path too long for this system: name a shorter one (--socket)")
    keys = {member.organisation: generate() for member in members}
    genesis = make_genesis(members, keys, chain=chain, time_s=time_s, policy=policy)
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    _write_network(part, members, genesis, str(socket) if socket else "")
    for member in members:
        _write_node(part, member, keys[member.organisation], str(socket) if socket else f"../{SOCKET}")
    if folder.exists():
        folder.rmdir()
    part.rename(folder)
    nodes = {member.organisation: folder / member.organisation.lower() for member in members}
    return Founded(genesis, trust_root(genesis), folder, nodes)


def make_genesis(
    members: Sequence[Member],
    keys: dict[OrganisationId, OrganisationKeys],
    *,
    chain: str,
    time_s: int,
    policy: Sequence[Provision] = (),
) -> Genesis:
    """Return a checked genesis document. Raises GenesisInvalid."""
    if not members:
        raise SettingsUnfit("expected at least one member, came none: name a hospital or a practice")
    first = members[0].organisation
    consensus = PublicKey(keys[first].signing(KeyUse.CONSENSUS).public)
    own = tuple(FirstPolicy(member.organisation, member.policy) for member in members if member.policy)
    genesis = Genesis(
        format=1,
        chain=chain,
        time_s=time_s,
        network=DEFAULT_NETWORK,
        founders=tuple(
            _founder(member, keys[member.organisation], is_first=member is members[0]) for member in members
        ),
        policies=(*([FirstPolicy("", tuple(policy))] if policy else []), *own),
        validators=(FirstValidator(first, consensus, 1),),
    )
    return checked_genesis(genesis)


def checked_genesis(genesis: Genesis) -> Genesis:
    """Return a genesis document whose fields keep their limits and fit together. Raises GenesisInvalid."""
    try:
        return decode_genesis(encode(genesis))  # whatever decodes keeps the limits of every field
    except EncodingInvalid as error:
        words = f"expected a chain id of lower case letters, codes of capitals and digits, names: {error}"
        raise GenesisInvalid(f"{words}: correct them") from error


def trust_root(genesis: Genesis) -> trust.TrustRoot:
    """Return what a verifier of this network starts from: one validator's key, or the keys of several on CometBFT."""
    kind = trust.EngineKind.EMBEDDED if len(genesis.validators) == 1 else trust.EngineKind.COMETBFT
    return trust.TrustRoot(
        format=trust.FORMAT,
        chain=genesis.chain,
        genesis_hash=genesis_hash(genesis),
        engine=kind,
        validators=tuple(
            trust.TrustedValidator(each.organisation, each.key, each.power) for each in genesis.validators
        ),
        trusted_at_s=genesis.time_s,
        trusting_period_s=trust.TRUSTING_PERIOD_S[kind],
    )


def _founder(member: Member, keys: OrganisationKeys, *, is_first: bool) -> Founder:
    if member.kind not in ROLE_CLASSES:
        raise SettingsUnfit(f"expected a kind among {', '.join(ROLE_CLASSES)}, came {member.kind}: name one of them")
    access = LedgerAccess.OWN_PROOFS if member.kind in OWN_PROOFS_ONLY else LedgerAccess.OBSERVER
    return Founder(
        organisation=member.organisation,
        name=member.name,
        role_classes=as_set(ROLE_CLASSES[member.kind]),
        access=LedgerAccess.VALIDATOR if is_first else access,
        endpoint=member.endpoint or f"http://127.0.0.1:{member.port}",
        keys=keys.registered(),
    )


def _write_network(folder: Path, members: Sequence[Member], genesis: Genesis, socket: str) -> None:
    first = members[0].organisation.lower()
    (folder / GENESIS).write_bytes(encode(genesis))
    (folder / TRUST).write_bytes(trust.encode_trust(trust_root(genesis)))
    nodes = tuple(member.organisation.lower() for member in members)
    (folder / NETWORK_FILE).write_text(network_toml(NetworkSettings(LEDGER, nodes)), encoding="utf-8")
    (folder / LEDGER).mkdir(mode=0o700)
    settings = LedgerSettings(
        genesis=f"../{GENESIS}", keys=f"../{first}/{KEYS}", folder="store", socket=socket or f"../{SOCKET}"
    )
    (folder / LEDGER / LEDGER_FILE).write_text(ledger_toml(settings), encoding="utf-8")


def _write_node(folder: Path, member: Member, keys: OrganisationKeys, socket: str) -> None:
    settings = NodeSettings(
        organisation=member.organisation,
        genesis=f"../{GENESIS}",
        keys=KEYS,
        ledger_folder=f"../{LEDGER}/store",
        ledger_socket=socket,
        root_keys=("root-a/epoch.root", "root-b/epoch.root"),
        listen=Listen(port=member.port),
    )
    write_node(folder / member.organisation.lower(), keys, settings)


def write_node(place: Path, keys: OrganisationKeys, settings: NodeSettings) -> None:
    """Make a node's folder: its keys, room for the key backup, and `node.toml`, which names that backup."""
    place.mkdir(mode=0o700)
    write_keys(place / KEYS, keys)
    (place / KEY_BACKUP).mkdir(mode=0o700)
    with_backup = msgspec.structs.replace(settings, key_backup=f"{KEY_BACKUP}/keys")
    (place / NODE_FILE).write_text(node_toml(with_backup), encoding="utf-8")
