"""Who has how much waiting in this node's mempool: no member fills it alone, nor has us check signatures without end.

Asked before a signature is checked, so a member is only *claimed* then. What turns out to be forged gives its place
back: a stranger takes nothing from the member in whose name it signs. It can have us refuse what other nodes send, by
`FORGED_MAX` forgeries in each block; what was submitted here is let in all the same, and is in our own proposals.
"""

import threading
from collections import Counter

from salus.engines.cometbft.proposals import MEMBER_TRANSACTIONS_MAX

OURS_MAX = 5_000
"""Transactions of one paying member that were submitted here and may wait here."""
NOBODYS_MAX = 64
"""Of those that other nodes send and nobody pays for: they can only be rejected, or need one that comes before them."""
FORGED_MAX = 256
"""Transactions with a false signature between two blocks, after which new signatures wait for the next block."""
BUSY = "busy: this member has too much waiting, try later"


class Waiting:
    """Counts what CheckTx has let in, by paying member.

    CometBFT drops bytes without a word, so the count begins anew with each block: all that still waits is asked about
    again then (`recheck`).
    """

    def __init__(self, *, member_max: int = MEMBER_TRANSACTIONS_MAX, ours_max: int = OURS_MAX) -> None:
        self._member_max = member_max
        self._ours_max = ours_max
        self._lock = threading.Lock()
        self._count: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._forged = 0

    def may_enter(self, payer: str | None, *, is_known: bool) -> bool:
        """Count one more of this member; say no when it has too many.

        Args:
            payer: None counts as one member, which has little.
            is_known: its signatures were verified before, by who submitted it here.
        """
        with self._lock:
            name = payer or ""
            is_tired = not is_known and self._forged >= FORGED_MAX
            if is_tired or self._count[name] >= self._bound(payer, is_known=is_known):
                self._refused["busy"] += 1
                return False
            self._count[name] += 1
            return True

    def stays(self, payer: str | None) -> None:
        """Count one that waits since before the last block."""
        with self._lock:
            self._count[payer or ""] += 1

    def forged(self, payer: str | None) -> None:
        """Give back the place of one whose signatures do not hold."""
        with self._lock:
            self._count[payer or ""] -= 1
            self._forged += 1
            self._refused["unsigned"] += 1

    def unfit(self) -> None:
        """Count one that no next block can hold."""
        with self._lock:
            self._refused["unfit"] += 1

    def figures(self) -> dict[str, int]:
        """Return how many wait now, and how many were refused since the start, by reason."""
        with self._lock:
            refused = {f"mempool_refused_{each}": self._refused[each] for each in ("unfit", "unsigned", "busy")}
            return {"mempool": self._count.total()} | refused

    def new_block(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._count.clear()
            self._forged = 0

    def _bound(self, payer: str | None, *, is_known: bool) -> int:
        if is_known:
            return self._ours_max
        return NOBODYS_MAX if payer is None else self._member_max
