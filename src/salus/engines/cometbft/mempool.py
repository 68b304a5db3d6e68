"""Who has how much waiting in this node's mempool, so that no member fills it alone."""

import threading
from collections import Counter

WAITING_MAX = 5_000
"""Transactions of one paying member that may wait in one node's mempool."""


class Waiting:
    """Counts what CheckTx has let in, by paying member.

    CometBFT drops bytes without a word, so the count begins anew with each block: all that still waits is asked about
    again then (`recheck`).
    """

    def __init__(self, *, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._lock = threading.Lock()
        self._count: Counter[str] = Counter()

    def may_enter(self, payer: str | None, *, is_recheck: bool) -> bool:
        """Count one more of this member; say no when it has too many. Nobody's transactions count together."""
        with self._lock:
            name = payer or ""
            if not is_recheck and self._count[name] >= self._waiting_max:
                return False
            self._count[name] += 1
            return True

    def new_block(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._count.clear()
