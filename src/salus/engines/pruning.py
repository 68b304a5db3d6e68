"""Old block bodies and headers go, a few with each block, once any outcome is proved under a recent header instead."""

from salus.engines.clock import SECOND_NS
from salus.engines.headers import read_header
from salus.engines.store import BLOCKS, EVIDENCE, HEADERS, LmdbStore, height_key
from salus.ledger.state import Changes

BODIES_KEPT_S = 90 * 24 * 3600
PRUNED_PER_BLOCK = 2
HEIGHT_MAX = (1 << 63) - 1


class Pruning:
    """Knows the oldest kept block of a store.

    Args:
        kept_s: age from which blocks go, in seconds.
    """

    def __init__(self, store: LmdbStore, *, kept_s: int) -> None:
        self._store = store
        self._kept_ns = kept_s * SECOND_NS
        self._oldest = self._oldest_ns = 0

    def oldest(self) -> int:
        """Return the height of the oldest kept header; 0 while there is none."""
        if not self._oldest:
            first = self._store.first_keys(HEADERS, below=height_key(HEIGHT_MAX), limit=1)
            if first:
                self._oldest = int.from_bytes(first[0], "big")
                self._oldest_ns = self._time_of(self._oldest)
        return self._oldest

    def prune(self, changes: Changes, *, newest: int, now_ns: int) -> None:
        """Add the removal of what is due to the changes of a block.

        Args:
            newest: height of the newest header in the store; it stays, and so does the one before it.
            now_ns: block time, nanoseconds since 1970.
        """
        for _ in range(PRUNED_PER_BLOCK):
            oldest = self.oldest()
            if not oldest or self._oldest_ns + self._kept_ns >= now_ns or oldest >= newest - 1:
                return
            for space in (BLOCKS, HEADERS, EVIDENCE):
                changes.setdefault(space, {})[height_key(oldest)] = None
            self._oldest += 1
            self._oldest_ns = self._time_of(self._oldest)

    def _time_of(self, height: int) -> int:
        stored = read_header(self._store, height)
        assert stored is not None, "headers are kept without gaps"
        return stored.signed.header.time_ns
