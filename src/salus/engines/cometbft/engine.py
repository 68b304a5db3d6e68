"""The engine behind CometBFT: the ledger process of one validator or observer, with its node beside it.

The same promises and the same socket as the embedded engine (`served.ServedEngine`). Each part has its own thread; the
application's lock is the only one that is held while a block is executed.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from salus.crypto.signing import SigningKey
from salus.engines.base import Founding, Payer, Snapshot
from salus.engines.clock import Clock, SystemClock
from salus.engines.cometbft.application import Application
from salus.engines.cometbft.chain import CometChain, DecidedBlock
from salus.engines.cometbft.checking import Checker
from salus.engines.cometbft.child import Child
from salus.engines.cometbft.following import Following
from salus.engines.cometbft.header_service import HeaderService
from salus.engines.cometbft.home import ABCI_SOCKET, RPC_SOCKET, Network, write_home
from salus.engines.cometbft.mempool import OURS_MAX
from salus.engines.cometbft.rpc import NodeRpc
from salus.engines.cometbft.server import AbciServer
from salus.engines.cometbft.snapshots import EVERY_BLOCKS, Snapshots
from salus.engines.cometbft.submissions import Submissions
from salus.engines.intake import Answered, Bounds, Intake
from salus.engines.pruning import BODIES_KEPT_S
from salus.engines.served import ServedEngine
from salus.engines.store import MAP_SIZE_BYTES
from salus.engines.verifier import InlineVerifier, ProcessVerifier
from salus.engines.waiting import HeightWaiters
from salus.ledger import transactions
from salus.ledger.machine import Executed
from salus.ledger.proofs import ProvedRows

READER_CHECK_BLOCKS = 64

log = logging.getLogger("salus.engines")


@dataclass(frozen=True)
class Node:
    """The CometBFT node beside a ledger process.

    Args:
        program: the installed `cometbft` (see `installing`).
        home: its folder; its path is short, for the two sockets in it.
        consensus: the key with which it votes.
    """

    program: Path
    home: Path
    consensus: SigningKey
    network: Network


class CometEngine(ServedEngine):
    """One member's ledger on a network of several.

    Args:
        folder: of the store.
        payer: whose quota and whose turn a transaction takes.
        own_process: whether signatures are checked in a process of their own.
        snapshot_blocks: a snapshot is made at each height that this divides; the same for all members.

    Raises:
        StartRefused: see `CometChain`.
        Unavailable: the home's path is too long for a socket, or the port for headers is taken.
    """

    def __init__(
        self,
        folder: Path,
        founding: Founding,
        node: Node,
        clock: Clock | None = None,
        *,
        payer: Payer = lambda _reader, _transaction: None,
        own_process: bool = False,
        snapshot_blocks: int = EVERY_BLOCKS,
        map_size_bytes: int = MAP_SIZE_BYTES,
        bodies_kept_s: int = BODIES_KEPT_S,
    ) -> None:
        super().__init__(clock or SystemClock())
        self._failed = ""
        self._closed = False
        self._chain = chain = CometChain(folder, founding, map_size_bytes=map_size_bytes, bodies_kept_s=bodies_kept_s)
        decoder = chain.machine.messages
        self._checker = Checker(founding.chain, decoder, ProcessVerifier() if own_process else InlineVerifier())
        intake = Intake(
            lambda raw: transactions.decode(raw, chain=founding.chain, messages=decoder),
            [ProcessVerifier() if own_process else InlineVerifier()],
            self._clock,
            self.snapshot,
            bounds=Bounds(payer_transactions=OURS_MAX),
            payer=payer,
        )
        rpc_socket = node.home / RPC_SOCKET
        self._heights = HeightWaiters(chain.header_height)
        self._application = Application(
            chain,
            self._checker,
            payer=payer,
            clock=self._clock,
            committed=self._on_commit,
            snapshots=Snapshots(chain, every_blocks=snapshot_blocks),
        )
        self._submissions = Submissions(intake, self._checker, NodeRpc(rpc_socket), self.snapshot, self._clock)
        self._following = Following(
            chain,
            self._application,
            NodeRpc(rpc_socket),
            stored=self._heights.reached,
            begin_anew=lambda: self.node.restart(),  # it is made last, and follows no block before
        )
        write_home(node.home, founding, node.consensus, node.network)
        out = node.network
        self._headers = HeaderService(out.host, out.headers_port, rpc_socket) if out.headers_port else None
        self._server = AbciServer(self._application, node.home / ABCI_SOCKET, failed=self._on_failure)
        self.node = Child(node.program, node.home, self._clock, started=self._submissions.node_started)

    @property
    def chain(self) -> str:
        """The chain id."""
        return self._chain.founding.chain

    @property
    def alive(self) -> bool:
        """Tell whether it still follows blocks."""
        return not self._failed and self._submissions.alive

    def offer(self, raws: Sequence[bytes], answered: Answered) -> None:
        """Submit without waiting; `answered` is called with all results, on one thread. Raises Unavailable."""
        self._submissions.intake.offer(raws, answered)

    def when(self, height: int, reached: Callable[[int], None]) -> None:
        """Call `reached` once the state has this height and its header is here. Raises Unavailable."""
        self._heights.add(height, reached)

    def prove_all(self, keys: Sequence[bytes], proved: Callable[[ProvedRows], None]) -> None:
        """Call `proved` with the proofs of keys, all at one height, on this thread. Raises Unavailable."""
        proved(self._application.prove(keys))

    def figures(self) -> dict[str, int]:
        """Return what is queued here and waits in the node's mempool, and what was refused since the start."""
        return self._submissions.intake.figures() | self._application.figures() | {"node_starts": self.node.starts}

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Open one short read of one block."""
        return self._chain.store.snapshot()

    def close(self) -> None:
        """End the node, then everything that served it, then let go of the folder; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._headers is not None:
            self._headers.close()
        self._submissions.close()
        self.node.close()
        self._following.close()
        self._server.close()
        self._checker.close()
        self._application.snapshots.wait()
        self._chain.close()

    def _on_commit(self, block: DecidedBlock, executed: Executed) -> None:
        self._submissions.committed(block, executed)
        self._following.wake()
        if block.height % READER_CHECK_BLOCKS == 0:
            self._chain.store.clear_dead_readers()

    def _on_failure(self, words: str) -> None:
        self._failed = self._failed or words
