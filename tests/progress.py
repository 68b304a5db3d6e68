"""Words on the way of a long test, straight to the terminal: pytest keeps what a test prints until it fails."""

import sys
import time


class Progress:
    """Tells how far a test is, at most every few seconds."""

    def __init__(self, what: str, *, every_s: float = 10.0) -> None:
        self._what = what
        self._every_s = every_s
        self._began_s = self._told_s = time.monotonic()

    def tell(self, words: str, *, now: bool = False) -> None:
        """Print one line, unless one was printed a moment ago."""
        now_s = time.monotonic()
        if now or now_s - self._told_s >= self._every_s:
            self._told_s = now_s
            print(f"{self._what}: {words}, {now_s - self._began_s:.0f} s", file=sys.__stderr__, flush=True)
