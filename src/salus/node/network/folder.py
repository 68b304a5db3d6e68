"""A member's folder on its own machine: what `salus network` makes there, and what it adds as the network grows.

    FOLDER/  network.toml  genesis  trust.json  members/CODE.member …  ledger/  code/

It is a network's folder with one node in it, so every other command takes it as it is. Until genesis is there, nothing
can be started.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from salus.contracts.genesis import FirstPolicy, Genesis
from salus.contracts.membership import KeyUse
from salus.engines.cometbft.home import ABCI_SOCKET, node_id
from salus.engines.unix_sockets import PATH_SIZE_BYTES_MAX
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId
from salus.ledger.verifier import trust
from salus.node import config
from salus.node.config import (
    LEDGER_FILE,
    NETWORK_FILE,
    CometSettings,
    LedgerSettings,
    NetworkSettings,
    NodeSettings,
    SettingsUnfit,
    SyncSettings,
    ledger_toml,
    network_toml,
)
from salus.node.founding import GENESIS, KEYS, LEDGER, SOCKET, TRUST, trust_root, write_node
from salus.node.keys import OrganisationKeys, generate, read_keys, write_node_key
from salus.node.listen_settings import Listen
from salus.node.network import files, member_file
from salus.node.network.admission import AdmissionRequest
from salus.node.network.invitation import Invitation
from salus.node.network.member_file import MemberFile, genesis_of, read_member_file

MEMBERS: Final = "members"
MEMBER: Final = ".member"
REQUEST: Final = ".request"
NODE_KEY: Final = "node.key"
HOME: Final = "node"
SERVERS_MIN: Final = 2
"""CometBFT's light client compares two."""


@dataclass(frozen=True)
class Place:
    """Who a member is and where its processes listen.

    Args:
        host: of the address at which others reach it; `bind` of the one on which it listens.
        port: of its CometBFT node; the next one gives out headers. `node_port`: of its node.
        endpoint: base URL of its node for others; empty means host and node port.
        snapshot_blocks: how often it makes a snapshot for those that join.
        of: the folder of a node that the organisation has already, which moves into the member's folder with its keys,
            vault and journals; None makes a new one.
    """

    organisation: OrganisationId
    kind: str
    name: str
    host: str
    bind: str
    port: int
    node_port: int
    endpoint: str = ""
    is_validator: bool = True
    snapshot_blocks: int = 1_000
    of: Path | None = None


@dataclass(frozen=True)
class MemberFolder:
    """A member's folder that is there."""

    path: Path
    organisation: OrganisationId

    @property
    def node(self) -> Path:
        """The folder of its node."""
        return self.path / self.organisation.lower()

    @property
    def ledger(self) -> Path:
        """The folder of its ledger process."""
        return self.path / LEDGER

    @property
    def has_genesis(self) -> bool:
        """Tell whether it belongs to a network."""
        return (self.path / GENESIS).exists()

    def keys(self) -> OrganisationKeys:
        """Return the organisation's keys. Raises KeysUnfit."""
        return read_keys(self.node / KEYS)

    def genesis(self) -> Genesis:
        """Return the genesis document. Raises SettingsUnfit."""
        return config.read_genesis(self.path / GENESIS)

    def member(self) -> MemberFile:
        """Return its own member file. Raises SettingsUnfit."""
        return read_member_file(self.path / MEMBERS / f"{self.organisation}{MEMBER}")

    def members(self) -> list[MemberFile]:
        """Return the member files that it has, its own too, by organisation. Raises SettingsUnfit."""
        return [read_member_file(path) for path in sorted((self.path / MEMBERS).glob(f"*{MEMBER}"))]

    def comet(self) -> CometSettings:
        """Return the settings of its CometBFT node. Raises SettingsUnfit."""
        found = config.read_ledger(self.ledger).cometbft
        if found is None:
            raise SettingsUnfit(f"{self.path} has a ledger of one key: name a member's folder of a network of several")
        return found


def open_folder(path: Path) -> MemberFolder:
    """Return a member's folder. Raises SettingsUnfit."""
    network = config.read_network(path)
    if len(network.nodes) != 1:
        raise SettingsUnfit(f"expected one member's folder, {path} has {len(network.nodes)} nodes: name another")
    return MemberFolder(path, OrganisationId(config.read_node(Path(network.nodes[0])).organisation))


def make_folder(path: Path, place: Place, *, chain: str, now_s: int) -> MemberFile:
    """Make a folder with its keys and settings; return the member file, which is in it.

    Args:
        path: absent or empty.
        chain: names the network.
        now_s: Unix seconds.

    Raises:
        SettingsUnfit: the folder is in use, its path is too long for a socket, a field of the place is not fit, or
            the node is another organisation's or on another disk.
    """
    if path.exists() and any(path.iterdir()):
        raise SettingsUnfit(f"expected a new or an empty folder, {path} has files in it: name another")
    socket = path.absolute() / LEDGER / HOME / ABCI_SOCKET
    if len(str(socket)) > PATH_SIZE_BYTES_MAX:
        raise SettingsUnfit(f"the socket {socket} has a path too long for this system: name a shorter folder")
    if place.of is not None:
        _check_node(place.of, place.organisation, path)
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        file = _write_folder(part, place, chain=chain, now_s=now_s)
        if path.exists():
            path.rmdir()
        part.rename(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)  # there are keys in it
        raise
    if place.of is not None:  # last, so that whatever is removed above never has a vault in it
        _move_node(place.of, path, place)
    return file


def _check_node(node: Path, organisation: OrganisationId, path: Path) -> None:
    settings = config.read_node(node)
    if settings.organisation != organisation:
        raise SettingsUnfit(f"expected the node of {organisation} in {node}, it is {settings.organisation}'s: name its")
    if Path(settings.keys) != (node / KEYS).resolve():
        raise SettingsUnfit(f"expected the keys of {organisation} in {node / KEYS}, node.toml names others: move them")
    if node.stat().st_dev != path.absolute().parent.stat().st_dev:
        raise SettingsUnfit(f"expected {node} on the disk of {path}, so that it moves whole: carry it there first")


def _move_node(node: Path, path: Path, place: Place) -> None:
    config.change_node(
        node,
        genesis=f"../{GENESIS}",
        ledger_folder=f"../{LEDGER}/store",
        ledger_socket=f"../{SOCKET}",
        listen=Listen(place.bind, place.node_port, config.read_node(node).listen.workers),
    )
    node.rename(path / place.organisation.lower())


def found(folder: MemberFolder, members: Sequence[MemberFile], *, policies: tuple[FirstPolicy, ...] = ()) -> Genesis:
    """Write genesis, trust file, member files and peers; all founders make the same genesis of the same files.

    Args:
        members: of all founders, checked.
        policies: in force from the first block on, the same for all founders.

    Raises:
        SettingsUnfit: the folder belongs to a network already, or its own member file is not among them.
        GenesisInvalid: they do not fit together.
    """
    check_founder(folder, members)
    genesis = genesis_of(members, policies=policies)
    write_network(folder, members, genesis)
    return genesis


def check_founder(folder: MemberFolder, members: Sequence[MemberFile]) -> None:
    """Raise SettingsUnfit unless the folder belongs to no network, and its own file is among the founders'."""
    _check_new(folder)
    if folder.member() not in members:
        raise SettingsUnfit(f"expected {folder.organisation}{MEMBER} of this folder among the files: name it too")


def write_network(folder: MemberFolder, members: Sequence[MemberFile], genesis: Genesis) -> None:
    """Make a founder's folder ready: member files, peers, trust file, and genesis last."""
    add_members(folder, members)
    _write_genesis(folder, genesis)


def join(folder: MemberFolder, invitation: Invitation) -> None:
    """Write what an invitation has, so that the folder's ledger can begin; a newer one of the same network may follow.

    Raises:
        SettingsUnfit: the folder is another network's, or the invitation names too few members that give out headers.
    """
    genesis = invitation.document()
    if folder.has_genesis and folder.genesis() != genesis:
        _check_new(folder)
    if folder.member().chain != genesis.chain:
        chain = folder.member().chain
        raise SettingsUnfit(f"expected an invitation to {chain}, came one to {genesis.chain}: make another folder")
    servers = tuple(each.headers() for each in invitation.members)
    if invitation.snapshot_blocks and len(servers) < SERVERS_MIN:
        raise SettingsUnfit(f"expected {SERVERS_MIN} members in the invitation, came {len(servers)}: ask for another")
    sync = SyncSettings(servers, invitation.height, invitation.header.hex()) if invitation.snapshot_blocks else None
    config.change_comet(folder.ledger, sync=sync)
    add_members(folder, invitation.members)
    _write_genesis(folder, genesis)


def add_members(folder: MemberFolder, members: Iterable[MemberFile]) -> list[str]:
    """Keep these member files, and let their nodes in from the next start on; return who is new or changed."""
    changed = []
    for each in members:
        path = folder.path / MEMBERS / f"{each.organisation}{MEMBER}"
        data = files.to_bytes(each)
        if not path.exists() or path.read_bytes() != data:
            _write_member(folder.path, each)
            changed.append(str(each.organisation))
    _write_peers(folder)
    return changed


def drop_member(folder: MemberFolder, organisation: str) -> None:
    """Let a member's node in no longer. Raises SettingsUnfit when it is not known, or is this one."""
    path = folder.path / MEMBERS / f"{organisation}{MEMBER}"
    if organisation == folder.organisation or not path.exists():
        raise SettingsUnfit(f"expected another member whose file is here, came {organisation}: salus network peers")
    path.unlink()
    _write_peers(folder)


def member_in(data: bytes) -> MemberFile:
    """Return the member file that a file is, or that a request has in it. Raises SettingsUnfit."""
    if b'"sponsor"' in data[: files.FILE_BYTES_MAX]:
        return member_file.check(files.from_bytes(data, AdmissionRequest, what="a member file or a request").member)
    return member_file.check(files.from_bytes(data, MemberFile, what=member_file.WHAT))


def _member_file(place: Place, keys: OrganisationKeys, node: str, *, chain: str, now_s: int) -> MemberFile:
    unsigned = MemberFile(
        format=member_file.FORMAT,
        chain=chain,
        organisation=place.organisation,
        kind=place.kind,
        name=place.name,
        is_validator=place.is_validator,
        endpoint=place.endpoint or f"http://{place.host}:{place.node_port}",
        keys=member_file.public_keys(keys),
        node=node,
        host=place.host,
        port=place.port,
        headers_port=place.port + 1,
        made_at_s=now_s,
    )
    signed = files.sign(unsigned, member_file.TAG, keys.signing(KeyUse.TRANSACTION))
    return member_file.check(files.from_bytes(files.to_bytes(signed), MemberFile, what=member_file.WHAT))


def _write_folder(part: Path, place: Place, *, chain: str, now_s: int) -> MemberFile:
    for folder in (part, part / MEMBERS, part / LEDGER):
        folder.mkdir(parents=True, mode=0o700)
    keys = generate() if place.of is None else read_keys(place.of / KEYS)
    node = node_id(write_node_key(part / LEDGER / NODE_KEY))
    file = _member_file(place, keys, node, chain=chain, now_s=now_s)
    _write_settings(part, place, keys)
    _write_member(part, file)
    return file


def _check_new(folder: MemberFolder) -> None:
    if folder.has_genesis:
        raise SettingsUnfit(f"{folder.path} belongs to {folder.genesis().chain} already: make another folder")


def _write_settings(part: Path, place: Place, keys: OrganisationKeys) -> None:
    code = place.organisation.lower()
    if place.of is None:
        write_node(part / code, keys, _node_settings(place))
    comet = CometSettings(
        port=place.port,
        peers=(),
        home=HOME,
        node_key=NODE_KEY,
        host=place.bind,
        headers_port=place.port + 1,
        snapshot_blocks=place.snapshot_blocks,
    )
    ledger = LedgerSettings(f"../{GENESIS}", f"../{code}/{KEYS}", "store", f"../{SOCKET}", comet)
    (part / LEDGER / LEDGER_FILE).write_text(ledger_toml(ledger), encoding="utf-8")
    (part / NETWORK_FILE).write_text(network_toml(NetworkSettings(LEDGER, (code,))), encoding="utf-8")


def _node_settings(place: Place) -> NodeSettings:
    return NodeSettings(
        organisation=place.organisation,
        genesis=f"../{GENESIS}",
        keys=KEYS,
        ledger_folder=f"../{LEDGER}/store",
        ledger_socket=f"../{SOCKET}",
        root_keys=("root-a/epoch.root", "root-b/epoch.root"),
        listen=Listen(host=place.bind, port=place.node_port),
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that others may read, whole or not at all, in the place of an older one."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.rename(path)


def _write_genesis(folder: MemberFolder, genesis: Genesis) -> None:
    """Genesis last: with it the folder belongs to a network."""
    (folder.path / TRUST).write_bytes(trust.encode_trust(trust_root(genesis)))
    write_whole(folder.path / GENESIS, encode(genesis))


def _write_member(folder: Path, file: MemberFile) -> None:
    write_whole(folder / MEMBERS / f"{file.organisation}{MEMBER}", files.to_bytes(file))


def _write_peers(folder: MemberFolder) -> None:
    others = [each for each in folder.members() if each.organisation != folder.organisation]
    config.change_comet(folder.ledger, peers=tuple(str(each.peer()) for each in others))
