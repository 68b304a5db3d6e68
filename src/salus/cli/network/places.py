"""The folder that a verb of `salus network` is about."""

from pathlib import Path
from typing import TYPE_CHECKING

from salus.cli.failures import BAD_INPUT, Failure

if TYPE_CHECKING:
    from salus.node.network.folder import MemberFolder


def node_of(folder: Path) -> Path:
    """Return the folder of a node, of a network's folder its first one. Raises SettingsUnfit."""
    from salus.node import config

    return Path(config.read_network(folder).nodes[0]) if config.is_network(folder) else folder


def require_genesis(folder: Path) -> None:
    """Raise Failure unless a member's folder belongs to a network."""
    from salus.node.network.folder import open_folder

    if not open_folder(folder).has_genesis:
        hint = f"salus network found {folder} with all founders' files, or salus network join {folder} INVITATION"
        raise Failure(BAD_INPUT, f"{folder} belongs to no network yet", hint)


def connected_peers(member: "MemberFolder") -> tuple[str, ...]:
    """Return the ids of the nodes that a member's CometBFT node is connected to. Raises NodeAway when it is away."""
    from salus.engines.cometbft.home import RPC_SOCKET
    from salus.engines.cometbft.rpc import NodeRpc

    rpc = NodeRpc(Path(member.comet().home) / RPC_SOCKET)
    try:
        return rpc.peers()
    finally:
        rpc.close()


def peer_count(member: "MemberFolder") -> int:
    """Return how many they are, 0 while the node is away."""
    from salus.engines.cometbft.rpc import NodeAway

    try:
        return len(connected_peers(member))
    except NodeAway:
        return 0
