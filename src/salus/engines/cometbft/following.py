"""Signed headers, fetched from our own node after each block and stored beside the state that they speak of.

A block is executed before this process can know its signatures: the newest header comes a few milliseconds after its
state, first with the votes that our node has seen, and once more with the commit that the next block carries.

It also sees when no block comes because peers are silent, and has the node begin anew: TCP doubles the pause before it
sends again what was lost, so that after half a minute without a route the first packet comes half a minute too late.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from salus.engines.clock import SECOND_NS
from salus.engines.cometbft.application import Application
from salus.engines.cometbft.chain import CometChain
from salus.engines.cometbft.rpc import NodeAway, NodeRpc
from salus.ledger.comet.types import Validator

AT_ONCE_MAX = 100
AGAIN_S = 0.2
SETS_MAX = 16
STALLED_S = 10.0
"""Without a block for so long, the connections are looked at. An idle network has one every two seconds."""
SILENT_NS = 8 * SECOND_NS
"""A live peer says something at least every two seconds, in whatever round it is."""

log = logging.getLogger("salus.engines")


class Following:
    """A thread that stores headers.

    Args:
        stored: called with the height of the newest stored header.
        begin_anew: called when connections have gone silent, to end them.
    """

    def __init__(
        self,
        chain: CometChain,
        application: Application,
        rpc: NodeRpc,
        *,
        stored: Callable[[int], None],
        begin_anew: Callable[[], None],
    ) -> None:
        self._chain = chain
        self._application = application
        self._rpc = rpc
        self._stored = stored
        self._begin_anew = begin_anew
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
                if not self._woken.wait(STALLED_S if is_complete else AGAIN_S) and is_complete:
                    self._look_at_peers()
                self._woken.clear()
        finally:
            self._rpc.close()

    def _look_at_peers(self) -> None:
        with suppress(NodeAway):
            if silent := self._rpc.silent_peers(SILENT_NS):
                log.warning("cometbft.peers_silent peers=%s", ",".join(silent))
                self._begin_anew()

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
