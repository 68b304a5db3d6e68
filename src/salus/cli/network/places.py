"""The folder that a verb of `salus network` is about."""

from pathlib import Path

from salus.cli.failures import BAD_INPUT, Failure


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
