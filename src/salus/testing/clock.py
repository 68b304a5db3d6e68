"""Clocks that a test moves: one that stands still until then, and the machine's own; pass for the engines' `Clock`."""

import threading
from collections.abc import Callable

from salus.engines.clock import SystemClock

SECOND_NS = 1_000_000_000
_LOOK_AGAIN_S = 0.001


class FakeClock:
    """Wall and monotonic time in a test's hands.

    Args:
        wall_s: where the wall clock begins, seconds since 1970.
    """

    def __init__(self, wall_s: int = 1_800_000_000) -> None:
        self._now_ns = (wall_s * SECOND_NS, 0)  # one value, so that no thread sees half of an advance

    def wall_ns(self) -> int:
        """Nanoseconds since 1970."""
        return self._now_ns[0]

    def monotonic_ns(self) -> int:
        """Nanoseconds since the clock was made."""
        return self._now_ns[1]

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        wall_ns, monotonic_ns = self._now_ns
        self._now_ns = (wall_ns + round(seconds * SECOND_NS), monotonic_ns + round(seconds * SECOND_NS))

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or, below zero, back, as a broken time service does."""
        wall_ns, monotonic_ns = self._now_ns
        self._now_ns = (wall_ns + round(seconds * SECOND_NS), monotonic_ns)

    def wait_for(self, condition: threading.Condition, fact: Callable[[], bool], timeout_s: float) -> None:
        """Wait, holding the condition, until the fact holds or this clock has moved past the time-out."""
        until_ns = self.monotonic_ns() + round(timeout_s * SECOND_NS)
        while self.monotonic_ns() < until_ns and not fact():
            condition.wait(_LOOK_AGAIN_S)


class ForwardClock(SystemClock):
    """The machine's clock, which a test sets forward, where threads wait for real time."""

    def __init__(self) -> None:
        self._forward_ns = 0

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, and what was added."""
        return super().wall_ns() + self._forward_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that is never set, and what was added."""
        return super().monotonic_ns() + self._forward_ns

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._forward_ns += round(seconds * SECOND_NS)

    def now_s(self) -> int:
        """Seconds since 1970: what a node takes for its clock."""
        return self.wall_ns() // SECOND_NS
