"""Networks of real CometBFT nodes on this machine, each with a ledger process inside the test."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from salus.cli.demonstration_places import free_ports
from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.engines.base import Founding, Payer
from salus.engines.cometbft.engine import CometEngine, Node
from salus.engines.cometbft.home import Network, Peer, StateSync, node_id
from salus.ledger.comet.types import Validator

PATIENCE_S = 60.0
MAP_SIZE_BYTES = 1 << 24
SNAPSHOT_BLOCKS = 10
VALIDATORS = 4


@dataclass(frozen=True)
class Member:
    """A validator to be: its keys, and where its node listens."""

    consensus: SigningKey
    p2p: SigningKey
    port: int


def members(count: int) -> list[Member]:
    """Validators with keys of their own and free ports."""
    return members_on(free_ports(count))


def members_on(ports: Sequence[int]) -> list[Member]:
    """The same validators on these ports, in any process."""
    return [
        Member(consensus=_key(f"consensus {place}"), p2p=_key(f"p2p {place}"), port=port)
        for place, port in enumerate(ports)
    ]


def validators(of: Sequence[Member]) -> tuple[Validator, ...]:
    """The first validator set, all of equal power."""
    return tuple(Validator(each.consensus.public, 10) for each in of)


def start(
    place: Path,
    founding: Founding,
    member: Member,
    of: Sequence[Member],
    program: Path,
    *,
    payer: Payer = lambda _reader, _transaction: None,
    state_sync: StateSync | None = None,
) -> CometEngine:
    """Start one member's ledger process, in this process, with its node beside it."""
    peers = tuple(Peer(node_id(each.p2p), "127.0.0.1", each.port) for each in of if each is not member)
    node = Node(
        program=program,
        home=place / "node",
        consensus=member.consensus,
        network=Network(member.p2p, port=member.port, peers=peers, state_sync=state_sync),
    )
    return CometEngine(
        place / "store",
        founding,
        node,
        payer=payer,
        snapshot_blocks=SNAPSHOT_BLOCKS,
        map_size_bytes=MAP_SIZE_BYTES,
    )


def wait_until(is_so: Callable[[], bool], words: str, *, patience_s: float = PATIENCE_S) -> None:
    """Look again and again."""
    until_s = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < until_s, f"not in {patience_s:.0f} s: {words}"
        time.sleep(0.02)


def _key(name: str) -> SigningKey:
    return SigningKey.from_seed(sha256(name.encode()))
