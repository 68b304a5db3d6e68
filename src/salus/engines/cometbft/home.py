"""CometBFT's own files: configuration, genesis document, keys. Written by us before each start, so nobody edits them.

What only CometBFT writes (its data, and the state of its signing key, which keeps it from signing twice) is left alone.
"""

import base64
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from salus.crypto.signing import SigningKey
from salus.engines.base import Founding
from salus.ledger.comet.block import BLOCK_SIZE_MAX_BYTES
from salus.ledger.comet.validators import validator_address
from salus.ledger.transactions import SIZE_BYTES_MAX

ABCI_SOCKET: Final = "abci.sock"
RPC_SOCKET: Final = "rpc.sock"
KEY_TYPE: Final = "tendermint/PubKeyEd25519"
PRIVATE_KEY_TYPE: Final = "tendermint/PrivKeyEd25519"
EVIDENCE_AGE_S: Final = 14 * 86_400
"""As long as a verifier's trusting period."""
EVIDENCE_AGE_BLOCKS: Final = 1_000_000


@dataclass(frozen=True)
class Peer:
    """Another member's node. `node` is the id of its p2p key (`node_id`)."""

    node: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.node}@{self.host}:{self.port}"


@dataclass(frozen=True)
class StateSync:
    """How a node without a ledger begins with a snapshot instead of the first block.

    Args:
        servers: addresses of at least two RPCs from which CometBFT's light client fetches headers; they are believed
            for nothing beyond what follows from the trusted header.
        trust_height: height of a header that somebody trusted has named; `trust_hash` is its hash.
    """

    servers: tuple[str, ...]
    trust_height: int
    trust_hash: bytes


@dataclass(frozen=True)
class Network:
    """Where a node listens for its peers, and who they are.

    Args:
        host: of the address on which it listens; with `port`.
        key: its p2p key, which is not a validator's.
        headers_port: where, at `host`, this process hands out signed headers; 0 for nowhere.
        state_sync: None for a node that begins with the first block, or has begun.
    """

    key: SigningKey
    host: str = "127.0.0.1"
    port: int = 0
    peers: tuple[Peer, ...] = ()
    headers_port: int = 0
    state_sync: StateSync | None = None


def parse_peer(text: str) -> Peer:
    """Parse `id@host:port`. Raises ValueError."""
    match = re.fullmatch(r"([0-9a-f]{40})@([^@:\s]+|\[[0-9a-f:]+\]):([0-9]{1,5})", text)
    if match is None:
        raise ValueError(f"expected id@host:port, came {text}")
    return Peer(match[1], match[2], int(match[3]))


def node_id(key: SigningKey) -> str:
    """Return the name by which peers know a node: its p2p key's address."""
    return validator_address(key.public).hex()


def write_home(home: Path, founding: Founding, consensus: SigningKey, network: Network) -> None:
    """Write a node's home; its keys are readable by their owner only.

    Args:
        consensus: the validator's key; an observer has one that is in no validator set.
    """
    for folder in (home, home / "config", home / "data"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(home / "config" / "config.toml", configuration(home, network))
    _write(home / "config" / "genesis.json", genesis(founding))
    _write(home / "config" / "priv_validator_key.json", _validator_key(consensus))
    _write(home / "config" / "node_key.json", json.dumps({"priv_key": _private(network.key)}))
    state = home / "data" / "priv_validator_state.json"
    if not state.exists():
        _write(state, json.dumps({"height": "0", "round": 0, "step": 0}))


def genesis(founding: Founding) -> str:
    """Return CometBFT's genesis document of our network; our own is what it follows from."""
    begins = datetime.fromtimestamp(founding.time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(
        {
            "genesis_time": begins,
            "chain_id": founding.chain,
            "initial_height": str(founding.first_height),
            "consensus_params": {
                "block": {"max_bytes": str(BLOCK_SIZE_MAX_BYTES), "max_gas": "-1"},
                "evidence": {
                    "max_age_num_blocks": str(EVIDENCE_AGE_BLOCKS),
                    "max_age_duration": str(EVIDENCE_AGE_S * 10**9),
                    "max_bytes": "65536",
                },
                "validator": {"pub_key_types": ["ed25519"]},
                "version": {"app": "0"},
                "abci": {"vote_extensions_enable_height": "0"},
            },
            "validators": [
                {"pub_key": _public(each.public_key), "power": str(each.power), "name": ""}
                for each in founding.validators
            ],
            "app_hash": "",
        },
        indent=2,
    )


def configuration(home: Path, network: Network) -> str:
    """Return `config.toml`; what is not in it is CometBFT's default.

    Peers are those named and nobody else: where none are counted, only unconditional ones are let in. Blocks: at most
    one empty one every 2 s. Timeouts and sizes were the best of a trial of four validators on two cores.
    """
    return f"""\
proxy_app = {_text(f"unix://{home / ABCI_SOCKET}")}
abci = "socket"
moniker = {_text(node_id(network.key)[:8])}
log_level = "error"
log_format = "plain"

[rpc]
laddr = {_text(f"unix://{home / RPC_SOCKET}")}
unsafe = false
max_request_batch_size = 0
max_body_bytes = {8 << 20}

[p2p]
laddr = {_text(f"tcp://{network.host}:{network.port}")}
persistent_peers = {_text(_joined(network.peers))}
unconditional_peer_ids = {_text(",".join(each.node for each in network.peers))}
max_num_inbound_peers = 0
max_num_outbound_peers = 0
pex = false
addr_book_strict = false
allow_duplicate_ip = true
flush_throttle_timeout = "3ms"
max_packet_msg_payload_size = 65536
send_rate = 100000000
recv_rate = 100000000
persistent_peers_max_dial_period = "2s"

[mempool]
type = "flood"
recheck = true
size = 50000
cache_size = 100000
max_tx_bytes = {SIZE_BYTES_MAX}

[consensus]
timeout_propose = "700ms"
timeout_propose_delta = "500ms"
timeout_prevote = "300ms"
timeout_prevote_delta = "500ms"
timeout_precommit = "300ms"
timeout_precommit_delta = "500ms"
timeout_commit = "100ms"
create_empty_blocks = true
create_empty_blocks_interval = "2s"
peer_gossip_sleep_duration = "5ms"

[storage]
discard_abci_responses = true

[tx_index]
indexer = "null"
{_state_sync(network.state_sync)}"""


def _state_sync(sync: StateSync | None) -> str:
    if sync is None:
        return ""
    return f"""
[statesync]
enable = true
rpc_servers = {_text(",".join(sync.servers))}
trust_height = {sync.trust_height}
trust_hash = {_text(sync.trust_hash.hex().upper())}
trust_period = "{EVIDENCE_AGE_S}s"
discovery_time = "5s"
chunk_request_timeout = "10s"
"""


def _joined(peers: Sequence[Peer]) -> str:
    return ",".join(map(str, peers))


def _text(value: str) -> str:
    return json.dumps(value)  # the escapes of JSON's strings are TOML's


def _validator_key(key: SigningKey) -> str:
    address = validator_address(key.public).hex().upper()
    return json.dumps({"address": address, "pub_key": _public(key.public), "priv_key": _private(key)})


def _public(key: bytes) -> dict[str, str]:
    return {"type": KEY_TYPE, "value": base64.b64encode(key).decode("ascii")}


def _private(key: SigningKey) -> dict[str, str]:
    return {"type": PRIVATE_KEY_TYPE, "value": base64.b64encode(key.seed + key.public).decode("ascii")}


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
