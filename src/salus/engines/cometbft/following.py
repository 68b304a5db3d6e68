"""Signed headers, fetched from our own node after each block and stored beside the state that they speak of.

A block is executed before this process can know its signatures: the newest header comes a few milliseconds after its
state, first with the votes that our node has seen, and once more with the commit that the next block carries.
"""

import logging
import threading
from collections.abc import Callable

from salus.engines.cometbft.application import Application
from salus.engines.cometbft.chain import CometChain
from salus.engines.cometbft.rpc import NodeAway, NodeRpc
from salus.ledger.comet.types import Validator

AT_ONCE_MAX = 100
AGAIN_S = 0.2
SETS_MAX = 16

log = logging.getLogger("salus.engines")


class Following:
    """A thread that stores headers.

    Args:
        stored: called with the height of the newest stored header.
    """

    def __init__(
        self, chain: CometChain, application: Application, rpc: NodeRpc, *, stored: Callable[[int], None]
    ) -> None:
        self._chain = chain
        self._application = application
        self._rpc = rpc
        self._stored = stored
        self._sets: dict[bytes, tuple[Validator, ...]] = {}
        self._woken = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="ledger-headers", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Hear that there is a new block."""
        self._woken.set()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closing:
                is_complete = self._follow()
                self._woken.wait(None if is_complete else AGAIN_S)
                self._woken.clear()
        finally:
            self._rpc.close()

    def _follow(self) -> bool:
        """Fetch what is missing and the newest stored one again; tell whether all headers are here now."""
        height, have = self._chain.meta.height, self._chain.header_height
        if have >= height:
            return True
        try:
            first = have or max(1, self._rpc.earliest_height())
            sealed = self._rpc.sealed_headers(range(first, min(height, first + AT_ONCE_MAX) + 1), self._sets)
        except NodeAway:
            return False
        if not sealed:
            return False
        self._application.store_headers(sealed)
        for old in list(self._sets)[:-SETS_MAX]:
            del self._sets[old]
        self._stored(self._chain.header_height)
        return self._chain.header_height >= height
