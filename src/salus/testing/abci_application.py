"""The application behind the ABCI socket without CometBFT: what tests and the simulator drive."""

from collections.abc import Callable
from pathlib import Path

from salus.engines.base import Founding, Payer
from salus.engines.clock import Clock
from salus.engines.cometbft.application import Application
from salus.engines.cometbft.chain import CometChain
from salus.engines.cometbft.checking import Checker
from salus.engines.cometbft.server import AbciServer
from salus.engines.cometbft.snapshots import Snapshots
from salus.engines.verifier import InlineVerifier

MAP_SIZE_BYTES = 1 << 22


class AbciApplication:
    """Chain, application and server, from when it is made until `close`; what was not committed is lost then."""

    def __init__(
        self,
        folder: Path,
        socket_path: Path,
        founding: Founding,
        clock: Clock,
        payer: Payer,
        *,
        snapshots: Callable[[CometChain], Snapshots] = Snapshots,
    ) -> None:
        self.failures: list[str] = []
        self.chain = CometChain(folder, founding, map_size_bytes=MAP_SIZE_BYTES)
        self.checker = Checker(founding.chain, self.chain.machine.messages, InlineVerifier())
        self.application = Application(
            self.chain,
            self.checker,
            payer=payer,
            clock=clock,
            committed=lambda _block, _executed: None,
            snapshots=snapshots(self.chain),
        )
        self._server = AbciServer(self.application, socket_path, failed=self.failures.append)

    def close(self) -> None:
        """Let go of socket and store."""
        self._server.close()
        self.application.snapshots.wait()
        self.checker.close()
        self.chain.close()
